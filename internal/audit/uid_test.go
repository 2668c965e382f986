// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"
)

func TestUIDsAreTheirTexts(t *testing.T) {
	const made, zero = "0b4f8e9a-7c1d-4a55-9b07-2f1e6c3d8a90", "00000000-0000-0000-0000-000000000000"
	seen := make(map[UID]types.UID)
	for _, text := range []types.UID{
		"", "u", made, zero, "0B4F8E9A-7C1D-4A55-9B07-2F1E6C3D8A90", "0b4f8e9a7c1d4a559b072f1e6c3d8a90", "{" + made + "}",
		"urn:uuid:" + made, made + "-", "fifteen-bytes15", "=fourteen-bytes", "sixteen-bytes-16", "=sixteen-bytes16", "=sixteen-bytes-16",
		types.UID(UIDOf(made)), "=" + types.UID(UIDOf(made)), types.UID(UIDOf(zero)),
	} {
		u := UIDOf(text)
		if got := u.Text(); got != text {
			t.Errorf("%q became %q", text, got)
		}
		if other, ok := seen[u]; ok {
			t.Errorf("%q and %q are one", other, text)
		}
		seen[u] = text
	}
	if n := len(UIDOf(made)); n != 16 {
		t.Errorf("%d bytes are kept, want 16", n)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package fresh

import (
	"strings"
	"testing"
)

func TestDifferenceShowsWhatDiffers(t *testing.T) {
	same := map[string]string{"ns/same": "x"}
	if text := Difference(same, same); text != "" {
		t.Errorf("what does not differ differs:\n%s", text)
	}
	text := Difference(
		map[string]string{"ns/same": "x", "ns/other": "line one\nline two\n", "ns/missing": "y"},
		map[string]string{"ns/same": "x", "ns/other": "line one\nline 2\n", "ns/extra": "z"})
	for _, want := range []string{"3 of 3 reports differ", "ns/other", "line two", "line 2", "ns/missing", "ns/extra"} {
		if !strings.Contains(text, want) {
			t.Errorf("the difference lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "ns/same") {
		t.Errorf("the difference shows what is the same:\n%s", text)
	}
}

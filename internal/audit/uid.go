// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"github.com/google/uuid"
	"k8s.io/apimachinery/pkg/types"
)

// UID is the UID of an object, in as few bytes as can be: those that API servers make are kept as the 16 bytes that their
// text stands for. Two are equal only if their texts are.
type UID string

const packedLen = len(uuid.UUID{})

// UIDOf returns a UID from its text.
func UIDOf(text types.UID) UID {
	if parsed, err := uuid.Parse(string(text)); err == nil && parsed.String() == string(text) {
		return UID(parsed[:])
	}
	if len(text) < packedLen {
		return UID(text)
	}
	return "=" + UID(text) // and so longer than what is packed
}

// Text returns the text of a UID.
func (u UID) Text() types.UID {
	switch {
	case len(u) < packedLen:
		return types.UID(u)
	case len(u) == packedLen:
		return types.UID(uuid.UUID([]byte(u)).String())
	}
	return types.UID(u[1:])
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"unicode/utf8"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/plain"
)

// CleanName is a subject's name as its report has it. Names out of owner references are any text, of any length.
func CleanName(name string) string { return plain.Clean(name, v1alpha1.MaxName) }

// cleanUnique is plain.Clean for texts that tell things apart: what is cut ends in a hash of the whole.
func cleanUnique(name string, limit int) string {
	const hashLen = 10
	cleaned := plain.Printable(name)
	if cleaned == name && utf8.RuneCountInString(name) <= limit {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return plain.Clean(cleaned, limit-hashLen-1) + "~" + hex.EncodeToString(sum[:])[:hashLen]
}

// fit returns how many of the items may stand in a report: at most limit, and at most budget bytes of JSON.
func fit[T any](items []T, limit, budget int) int {
	for i := range items {
		if i == limit {
			return limit
		}
		encoded, err := json.Marshal(items[i])
		if err != nil {
			return i
		}
		if budget -= len(encoded) + 1; budget < 0 {
			return i
		}
	}
	return len(items)
}

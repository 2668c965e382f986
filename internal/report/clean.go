// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// clean makes any text fit for a report and a terminal: valid UTF-8, nothing that cannot be printed, at most limit
// characters. What is cut ends in "…".
func clean(text string, limit int) string {
	text = Printable(text)
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}

// CleanName is a subject's name as its report has it. Names out of owner references are any text, of any length.
func CleanName(name string) string { return clean(name, v1alpha1.MaxName) }

// cleanUnique is clean for texts that tell things apart: what is cut ends in a hash of the whole.
func cleanUnique(text string, limit int) string {
	const hashLen = 10
	cleaned := Printable(text)
	if cleaned == text && utf8.RuneCountInString(text) <= limit {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return clean(cleaned, limit-hashLen-1) + "~" + hex.EncodeToString(sum[:])[:hashLen]
}

// Printable returns a text in which whatever is no UTF-8, or cannot be printed, is "�".
func Printable(text string) string {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return strings.Map(func(r rune) rune {
				if r == utf8.RuneError || !unicode.IsPrint(r) {
					return '�'
				}
				return r
			}, text)
		}
	}
	return text
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

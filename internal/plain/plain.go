// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package plain makes texts that strangers have written fit for reports and terminals.
package plain

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes any text fit for a report and a terminal: valid UTF-8, nothing that cannot be printed, at most limit
// characters. What is cut ends in "…".
func Clean(text string, limit int) string {
	text = Printable(text)
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
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

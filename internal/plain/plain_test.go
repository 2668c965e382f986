// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package plain

import "testing"

func TestClean(t *testing.T) {
	for name, tc := range map[string]struct {
		text  string
		limit int
		want  string
	}{
		"nothing":                       {"", 3, ""},
		"what fits":                     {"abc", 3, "abc"},
		"what does not fit":             {"abcd", 3, "ab…"},
		"characters, not bytes":         {"äöü", 3, "äöü"},
		"characters are never cut":      {"𝔘𝔘𝔘𝔘", 3, "𝔘𝔘…"},
		"invalid UTF-8":                 {"a\xffb", 9, "a�b"},
		"half a character":              {"a\xf0\x9f", 9, "a��"},
		"an escape sequence":            {"\x1b[31mred", 9, "�[31mred"},
		"a line break":                  {"a\nb\tc", 9, "a�b�c"},
		"what turns the text around":    {"a\u202eb", 9, "a�b"},
		"what is neither seen nor said": {"a\u200bb\ufeff", 9, "a�b�"},
		"delete":                        {"a\x7f", 9, "a�"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Clean(tc.text, tc.limit); got != tc.want {
				t.Errorf("Clean(%q, %d) = %q, want %q", tc.text, tc.limit, got, tc.want)
			}
		})
	}
}

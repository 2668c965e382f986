// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// FuzzYAML: what is printed is what was meant, to readers of YAML 1.1 and of 1.2.
func FuzzYAML(f *testing.F) {
	for _, s := range []string{
		"", "plain words", "container \"a\" must not", "\"a\" must", "a: b", "a #b", "a:", "a ", "yes", "Null", "1", "1e3", "2026-11-21T12:28:25Z", ".inf", "~", "- a", "[a]", "{a}", "*a", "&a", "!a", "|",
		">", "%a", "@a", "`a`", "a\nb", "a\tb", "\x1b[31m", "\x7f", "\u0085", "\u2028", "\ufeff", "\u00a0", "ä", "日本", "\U0001f600", "\ufffd", "a'b", "a\\b", "/a", "a,b", "a]", "a}", "=", "<<", "?", "a?b",
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if !utf8.ValidString(a) || !utf8.ValidString(b) || strings.ContainsAny(a+b, "\ufffe\uffff") {
			return // JSON has no others, and Go's quotes are not meant for these two
		}
		value := map[string]any{
			"a": a, "b": []any{b, []any{a, b}, map[string]any{"c": a, "d": []any{}, "e": map[string]any{}}, map[string]any{}},
			"f": map[string]any{"g": b, "h": map[string]any{"i": []any{[]any{}, nil, true, a}}}, "j": nil, "k": false, a: b,
		}
		text := appendYAML(nil, value, 0)
		for version, unmarshal := range map[string]func([]byte, any) error{
			"1.1": func(text []byte, v any) error { return yaml.UnmarshalStrict(text, v) }, "1.2": yamlv3.Unmarshal,
		} {
			var got map[string]any
			if err := unmarshal(text, &got); err != nil {
				t.Fatalf("YAML %s: %v\n%s", version, err, text)
			}
			if diff := cmp.Diff(value, got); diff != "" {
				t.Fatalf("YAML %s differs (-want +got):\n%s\n%s", version, diff, text)
			}
		}
	})
}

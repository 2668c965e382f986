// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package credential tells credentials from other text: by formats that providers give their tokens, and by names such as
// DB_PASSWORD together with what the value looks like. It never returns a value, only where it is and of what kind.
package credential

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// Span is where in a text a credential is, in bytes, and what kind it is: a few words that are fit for a message.
type Span struct {
	Start, End int
	Kind       string
}

// Named returns of what kind the credential in a value is, given what the value is called, or "".
func Named(name, value string) string {
	if spans := In(value); len(spans) > 0 {
		return spans[0].Kind
	}
	return namedKind(name, value)
}

// In returns where credentials are in a text such as an argument or a script, in order, none of them twice.
func In(text string) []Span {
	var spans []Span
	for i := range formats {
		f := &formats[i]
		if !slices.ContainsFunc(f.hints, func(hint string) bool { return strings.Contains(text, hint) }) {
			continue
		}
		for _, m := range f.pattern.FindAllStringSubmatchIndex(text, -1) {
			start, end := m[len(m)-2], m[len(m)-1] // the innermost group, or all of it
			if value := text[start:end]; isExample(value) || f.chosen && isReference(value) {
				continue
			}
			spans = append(spans, Span{start, end, f.kind})
		}
	}
	if strings.Contains(text, "=") || strings.Contains(text, "--") {
		spans = append(spans, settings(text)...)
	}
	return disjoint(spans)
}

// Args returns where credentials are in the words of a command line, by word. A word may be the value of the option before.
func Args(words []string) map[int][]Span {
	found := make(map[int][]Span)
	for i, word := range words {
		spans := In(word)
		if len(spans) == 0 && i > 0 && isOption(words[i-1]) && !strings.HasPrefix(word, "-") {
			if kind := namedKind(words[i-1], word); kind != "" {
				spans = []Span{{0, len(word), kind}}
			}
		}
		if len(spans) > 0 {
			found[i] = spans
		}
	}
	return found
}

// setting is NAME=value, --name=value or --name value, where the value may be quoted.
var setting = regexp.MustCompile(
	`(?:^|[\s"'` + "`" + `;&|(=,])(?:-{0,2}([A-Za-z][A-Za-z0-9_.-]*)=|--([A-Za-z][A-Za-z0-9_.-]*)\s+)(?:"([^"]*)"|'([^']*)'|([^\s"';&|()-][^\s"';&|()]*))`)

// settings returns the values in a text that are credentials by their names.
func settings(text string) []Span {
	var spans []Span
	for from := 0; ; {
		m := setting.FindStringSubmatchIndex(text[from:])
		if m == nil {
			return spans
		}
		name, value := group(m, 1, 2), group(m, 3, 4, 5)
		start, end := from+value[0], from+value[1]
		kind := namedKind(text[from+name[0]:from+name[1]], text[start:end])
		if kind == "" {
			from = max(start, from+name[1]) // the value may be a setting itself: --set=password=…
			continue
		}
		spans = append(spans, Span{start, end, kind})
		from = end
	}
}

// group returns the bounds of the first of those groups that has matched.
func group(match []int, numbers ...int) [2]int {
	for _, n := range numbers {
		if match[2*n] >= 0 {
			return [2]int{match[2*n], match[2*n+1]}
		}
	}
	return [2]int{}
}

func isOption(word string) bool {
	return len(word) > 2 && word[0] == '-' && !strings.Contains(word, "=")
}

func disjoint(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.End, a.End)) })
	end := -1
	return slices.DeleteFunc(spans, func(s Span) bool {
		if s.Start < end {
			return true
		}
		end = s.End
		return false
	})
}

// What stands for a credential that has been taken out begins and ends with characters that no text has by accident: they are
// for private use.
const (
	markBegin = "\ue0c0"
	markEnd   = "\ue0c1"
)

// Mark returns what stands for a credential of that kind; "" for "".
func Mark(kind string) string {
	if kind == "" {
		return ""
	}
	return markBegin + kind + markEnd
}

// Redact returns a text with marks in place of the credentials in it.
func Redact(text string, spans []Span) string {
	var out strings.Builder
	from := 0
	for _, s := range spans {
		out.WriteString(text[from:s.Start] + Mark(s.Kind))
		from = s.End
	}
	out.WriteString(text[from:])
	return out.String()
}

// Marked returns the kind of the first credential that was taken out of a text, or "".
func Marked(text string) string {
	_, rest, ok := strings.Cut(text, markBegin)
	if !ok {
		return ""
	}
	kind, _, _ := strings.Cut(rest, markEnd)
	return kind
}

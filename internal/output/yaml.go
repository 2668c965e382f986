// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// writeYAML prints one report after the other: all at once would take gigabytes.
func writeYAML(out io.Writer, reports []*v1alpha1.SecurityReport) error {
	head := "apiVersion: v1\nitems:\n"
	if len(reports) == 0 {
		head = "apiVersion: v1\nitems: []\n"
	}
	if _, err := io.WriteString(out, head); err != nil {
		return err
	}
	var text []byte
	for _, r := range reports {
		item, err := decoded(r)
		if err != nil {
			return err
		}
		text = append(appendYAML(text[:0], []any{item}, 0), '\n')
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	_, err := io.WriteString(out, "kind: List\nmetadata: {}\n")
	return err
}

// YAML prints a value.
func YAML(out io.Writer, value any) error {
	v, err := decoded(value)
	if err != nil {
		return err
	}
	_, err = out.Write(append(appendYAML(nil, v, 0), '\n'))
	return err
}

// decoded returns a value as decoding its JSON gives it.
func decoded(value any) (v any, err error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	err = decoder.Decode(&v)
	return v, err
}

// appendYAML appends a value that was decoded from JSON as block YAML with sorted keys. Its first line begins where the text
// ends, further ones with an indentation. The library takes four times as long, which would be most of an audit.
func appendYAML(text []byte, value any, indent int) []byte {
	lineStart := "\n" + strings.Repeat(" ", indent)
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 0 {
			return append(text, "{}"...)
		}
		for i, key := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				text = append(text, lineStart...)
			}
			text = append(appendString(text, key), ':')
			text = appendField(text, v[key], indent)
		}
	case []any:
		if len(v) == 0 {
			return append(text, "[]"...)
		}
		for i, item := range v {
			if i > 0 {
				text = append(text, lineStart...)
			}
			text = appendYAML(append(text, "- "...), item, indent+2)
		}
	case string:
		return appendString(text, v)
	case json.Number:
		return append(text, v...)
	case bool:
		return strconv.AppendBool(text, v)
	default: // JSON has no others
		return append(text, "null"...)
	}
	return text
}

// appendField appends the value of a key.
func appendField(text []byte, value any, indent int) []byte {
	switch v := value.(type) {
	case map[string]any:
		if len(v) > 0 {
			indent += 2
			return appendYAML(append(append(text, '\n'), strings.Repeat(" ", indent)...), value, indent)
		}
	case []any:
		if len(v) > 0 { // as everybody writes it, no further to the right than its key
			return appendYAML(append(append(text, '\n'), strings.Repeat(" ", indent)...), value, indent)
		}
	}
	return appendYAML(append(text, ' '), value, indent)
}

// appendString appends a string, plain where no reader of YAML can take it for anything else.
func appendString(text []byte, s string) []byte {
	if isPlain(s) {
		return append(text, s...)
	}
	return strconv.AppendQuote(text, s) // all of Go's escapes are YAML's too
}

func isPlain(s string) bool {
	if s == "" || !isLetter(s[0]) || s[len(s)-1] == ' ' || s[len(s)-1] == ':' || strings.Contains(s, ": ") || strings.Contains(s, " #") {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	switch strings.ToLower(s) {
	case "y", "yes", "n", "no", "true", "false", "on", "off", "null":
		return false
	}
	return true
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

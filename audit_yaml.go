// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

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

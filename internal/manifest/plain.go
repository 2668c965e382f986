// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"slices"
)

// plainToJSON converts the YAML that nearly all manifests are written in: block mappings and sequences of scalars on one
// line each, in ASCII. Whatever it does not know for sure, it leaves to the YAML library: ok is false for all else, faulty
// YAML included. It takes a tenth of the library's time, which is more than half of an audit's; a fuzz test holds it to the
// library's results.
func plainToJSON(text []byte) (encoded []byte, ok bool) {
	c := converter{lines: make([]plainLine, 0, bytes.Count(text, []byte("\n"))+1), out: make([]byte, 0, len(text)+len(text)/8)}
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		for _, b := range line {
			if b < ' ' || b > '~' {
				return nil, false
			}
		}
		content := bytes.TrimLeft(line, " ")
		if len(content) > 0 && content[0] != '#' {
			c.lines = append(c.lines, plainLine{len(line) - len(content), bytes.TrimRight(content, " ")})
		}
		text = rest
	}
	if len(c.lines) == 0 || isEntry(c.lines[0].text) || !c.mapping(c.lines[0].indent, 0) || len(c.lines) > 0 {
		return nil, false
	}
	return c.out, true
}

// plainLine is a line without the spaces around it.
type plainLine struct {
	indent int
	text   []byte
}

// converter converts lines, of which it takes away what it has converted.
type converter struct {
	lines []plainLine
	out   []byte
}

const (
	// maxKeys of a mapping that are compared with each other.
	maxKeys = 64
	// maxDepth is far beyond what any manifest has.
	maxDepth = 64
)

// isEntry says whether a line is an entry of a sequence.
func isEntry(text []byte) bool { return text[0] == '-' && (len(text) == 1 || text[1] == ' ') }

func (c *converter) mapping(indent, depth int) bool {
	if depth > maxDepth {
		return false
	}
	var keys [][]byte
	c.out = append(c.out, '{')
	for len(c.lines) > 0 && c.lines[0].indent == indent && !isEntry(c.lines[0].text) {
		key, value, ok := cutKey(c.lines[0].text)
		if !ok || len(keys) == maxKeys || slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
			return false
		}
		if len(keys) > 0 {
			c.out = append(c.out, ',')
		}
		keys = append(keys, key)
		c.out = append(append(append(c.out, '"'), key...), '"', ':')
		c.lines = c.lines[1:]
		if len(value) > 0 {
			if !c.scalar(value) {
				return false
			}
		} else if !c.nested(indent, true, depth) {
			return false
		}
	}
	c.out = append(c.out, '}')
	return true
}

func (c *converter) sequence(indent, depth int) bool {
	if depth > maxDepth {
		return false
	}
	c.out = append(c.out, '[')
	for first := true; len(c.lines) > 0 && c.lines[0].indent == indent && isEntry(c.lines[0].text); first = false {
		if !first {
			c.out = append(c.out, ',')
		}
		line := &c.lines[0]
		value := bytes.TrimLeft(line.text[1:], " ")
		if len(value) == 0 || value[0] == '#' {
			c.lines = c.lines[1:]
			if !c.nested(indent, false, depth) {
				return false
			}
			continue
		}
		if isEntry(value) {
			return false
		}
		if _, _, isMapping := cutKey(value); isMapping {
			// Its first key stands on the entry's line; the others are aligned with it.
			line.indent += len(line.text) - len(value)
			line.text = value
			if !c.mapping(line.indent, depth+1) {
				return false
			}
			continue
		}
		c.lines = c.lines[1:]
		if !c.scalar(value) {
			return false
		}
	}
	c.out = append(c.out, ']')
	return true
}

// nested converts what a key or entry without a value on its line has: what is indented further, the sequence that a key
// may have at its own indentation, or null.
func (c *converter) nested(indent int, ofKey bool, depth int) bool {
	if len(c.lines) == 0 {
		c.out = append(c.out, "null"...)
		return true
	}
	next := c.lines[0]
	switch entry := isEntry(next.text); {
	case entry && (next.indent > indent || ofKey && next.indent == indent):
		return c.sequence(next.indent, depth+1)
	case next.indent > indent:
		return c.mapping(next.indent, depth+1)
	}
	c.out = append(c.out, "null"...)
	return true
}

// cutKey cuts a line after its key. The value is empty if there is none, or but a comment.
func cutKey(text []byte) (key, value []byte, ok bool) {
	n := 0
	for n < len(text) && (isLetter(text[n]) || n > 0 && (isDigit(text[n]) || bytes.IndexByte([]byte("_./-"), text[n]) >= 0)) {
		n++
	}
	if n == 0 || n > 253 || n == len(text) || text[n] != ':' || n+1 < len(text) && text[n+1] != ' ' || isWord(text[:n]) {
		return nil, nil, false
	}
	value = bytes.TrimLeft(text[n+1:], " ")
	if len(value) > 0 && value[0] == '#' {
		value = nil
	}
	return text[:n], value, true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isWord says whether YAML 1.1 takes a word for something other than a string.
func isWord(text []byte) bool {
	if len(text) > len("false") {
		return false
	}
	switch string(bytes.ToLower(text)) {
	case "y", "yes", "n", "no", "true", "false", "on", "off", "null":
		return true
	}
	return false
}

func (c *converter) scalar(text []byte) bool {
	switch first := text[0]; {
	case first == '"' || first == '\'':
		end := bytes.IndexByte(text[1:], first) + 1
		if end == 0 || first == '"' && bytes.IndexByte(text[:end], '\\') >= 0 {
			return false
		}
		if rest := text[end+1:]; len(rest) > 0 && !bytes.HasPrefix(bytes.TrimLeft(rest, " "), []byte("#")) || len(rest) > 0 && rest[0] != ' ' {
			return false
		}
		return c.text(text[1:end])
	case !isLetter(first) && !isDigit(first) && first != '/':
		return c.empty(text)
	}
	if comment := bytes.Index(text, []byte(" #")); comment >= 0 {
		text = bytes.TrimRight(text[:comment], " ")
	}
	switch {
	case bytes.Contains(text, []byte(": ")) || text[len(text)-1] == ':':
		return false
	case string(text) == "true" || string(text) == "false":
		c.out = append(c.out, text...)
		return true
	case isWord(text):
		return false
	case !isDigit(text[0]):
		return c.text(text)
	case isInteger(text):
		c.out = append(c.out, text...)
		return true
	case bytes.ContainsAny(text, "mkMGsh/"): // which is in no number and no time, so it is a quantity or some such text
		return c.text(text)
	}
	return false
}

// isInteger says whether a text that begins with a digit is a number as JSON writes it, and not too large for it.
func isInteger(text []byte) bool {
	const maxDigits = 15
	for _, b := range text {
		if !isDigit(b) {
			return false
		}
	}
	return len(text) == 1 || text[0] != '0' && len(text) <= maxDigits
}

func (c *converter) empty(text []byte) bool {
	if string(text) != "{}" && string(text) != "[]" {
		return false
	}
	c.out = append(c.out, text...)
	return true
}

func (c *converter) text(text []byte) bool {
	c.out = append(c.out, '"')
	for _, b := range text {
		if b == '"' || b == '\\' {
			c.out = append(c.out, '\\')
		}
		c.out = append(c.out, b)
	}
	c.out = append(c.out, '"')
	return true
}

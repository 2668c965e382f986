// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// document is one document of a file, as it stands there.
type document struct {
	file string
	// number of the document in its file, and the lines at which its text and the first content in it begin; from 1.
	number, start, line int
	// text of the document, and from where to where it stands in the file.
	text        []byte
	offset, end int
	isJSON      bool
	// apiVersion and kind as they stand at the document's top; "" where it takes a parser to tell.
	apiVersion, kind string
	// kinds are read beside those of the checks.
	kinds kinds
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// split cuts a file into its documents, and leaves out those without content. A line that begins with "---" ends a YAML
// document wherever it stands: block scalars and JSON cannot hold one that is not indented.
func split(file string, text []byte) []document {
	var documents []document
	add := func(d document) {
		d.file, d.number = file, len(documents)+1
		documents = append(documents, d)
	}
	begin := 0
	if bytes.HasPrefix(text, byteOrderMark) {
		begin = len(byteOrderMark)
	}
	number, chunkLine, chunkStart := 1, 1, begin
	cut := func(end int) {
		splitChunk(text[:end], chunkStart, chunkLine, add)
	}
	for offset := begin; offset < len(text); number++ {
		next := len(text)
		if end := bytes.IndexByte(text[offset:], '\n'); end >= 0 {
			next = offset + end + 1
		}
		switch line := text[offset:next]; {
		case isMarker(line, "---"): // what follows it on its line is content
			cut(offset)
			chunkStart, chunkLine = offset+len("---"), number
		case isMarker(line, "..."):
			cut(offset)
			chunkStart, chunkLine = next, number+1
		}
		offset = next
	}
	cut(len(text))
	return documents
}

func isMarker(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// splitChunk adds what stands between two markers, from an offset to the end of a text: a YAML document, or any number of
// JSON ones.
func splitChunk(text []byte, start, line int, add func(document)) {
	chunk := text[start:]
	first, offset := content(chunk, line)
	if offset < 0 {
		return
	}
	if chunk[offset] != '{' || bytes.HasPrefix(chunk[offset:], template) {
		d := document{start: line, line: first, text: chunk, offset: start, end: len(text)}
		d.apiVersion, d.kind = typeAtTop(chunk)
		add(d)
		return
	}
	line = first
	for rest := chunk[offset:]; len(rest) > 0; {
		length := jsonLength(rest)
		isJSON := length > 0
		if !isJSON {
			// YAML in braces, or JSON with a fault. What looks like the next object is not to be lost with it.
			length = len(rest)
			if next := bytes.Index(rest[1:], []byte("\n{")); next >= 0 {
				length = next + 2
			}
		}
		at := len(text) - len(rest)
		add(document{start: line, line: line, text: rest[:length], offset: at, end: at + length, isJSON: isJSON})
		next, skipped := content(rest[length:], line+bytes.Count(rest[:length], []byte("\n")))
		if skipped < 0 {
			return
		}
		rest, line = rest[length+skipped:], next
	}
}

// content returns the line and the offset of the first content in a text, behind blank lines, comments and directives. The
// offset is -1 if there is none.
func content(text []byte, line int) (contentLine, offset int) {
	for offset < len(text) {
		next := len(text)
		if end := bytes.IndexByte(text[offset:], '\n'); end >= 0 {
			next = offset + end + 1
		}
		l := text[offset:next]
		if trimmed := bytes.TrimSpace(l); len(trimmed) > 0 && trimmed[0] != '#' && l[0] != '%' {
			return line, offset + bytes.Index(l, trimmed[:1])
		}
		offset = next
		line++
	}
	return 0, -1
}

// jsonLength returns the length of the JSON value that a text begins with, or 0 if it begins with none.
func jsonLength(text []byte) int {
	decoder := json.NewDecoder(bytes.NewReader(text))
	var value json.RawMessage
	if err := decoder.Decode(&value); err != nil {
		return 0
	}
	return int(decoder.InputOffset())
}

// typeAtTop returns what a YAML document is, if that can be told for sure without parsing it: its top is a block mapping, and
// every line at the margin begins with a plain key, or is part of a key's value. There are many other ways to write a
// document, and to write "kind" a second time in one of them must not hide what the first one is taken for.
func typeAtTop(text []byte) (apiVersion, kind string) {
	if bytes.Count(text, []byte("\r")) != bytes.Count(text, []byte("\r\n")) {
		return "", ""
	}
	for _, lineBreak := range []string{"\u0085", "\u2028", "\u2029"} {
		if bytes.Contains(text, []byte(lineBreak)) {
			return "", ""
		}
	}
	begun, told := false, false // told: the last key is one of the two
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		content := bytes.TrimLeft(line, " \t\r")
		if len(content) == 0 || content[0] == '#' {
			continue
		}
		if len(content) < len(line) || isEntry(line) {
			if told || !begun {
				return "", "" // the value goes on, or the top is further to the right
			}
			continue
		}
		key, value, ok := cutKey(bytes.TrimRight(line, "\r"))
		if !ok {
			return "", ""
		}
		begun, told = true, true
		var into *string
		switch string(key) {
		case "apiVersion":
			into = &apiVersion
		case "kind":
			into = &kind
		case "items": // makes it a list, whatever its kind
			return "", ""
		default:
			told = false
			continue
		}
		if *into != "" {
			return "", "" // one too many: a marker may be missing
		}
		if *into = word(value); *into == "" {
			return "", ""
		}
	}
	if apiVersion == "" || kind == "" {
		return "", ""
	}
	return apiVersion, kind
}

// word returns a YAML value that means itself, or "" for any other.
func word(value []byte) string {
	if comment := bytes.Index(value, []byte(" #")); comment >= 0 {
		value = value[:comment]
	}
	value = bytes.TrimRight(value, " ")
	if len(value) == 0 || !isLetter(value[0]) || isWord(value) {
		return ""
	}
	for _, c := range value {
		if !isLetter(c) && !isDigit(c) && c != '.' && c != '/' && c != '-' {
			return ""
		}
	}
	return string(value)
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// invalidUTF8 returns the line of the first byte of a document that is no UTF-8, or 0.
func (d *document) invalidUTF8() int {
	if utf8.Valid(d.text) {
		return 0
	}
	for i := 0; i < len(d.text); {
		r, size := utf8.DecodeRune(d.text[i:])
		if r == utf8.RuneError && size == 1 {
			return d.start + bytes.Count(d.text[:i], []byte("\n"))
		}
		i += size
	}
	return 0
}

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
	text                []byte
	isJSON              bool
	// apiVersion and kind as they stand at the document's top; "" where it takes a parser to tell.
	apiVersion, kind string
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
	number, chunkLine, chunkStart := 1, 1, 0
	cut := func(end int) {
		splitChunk(text[chunkStart:end], chunkLine, add)
	}
	text = bytes.TrimPrefix(text, byteOrderMark)
	for offset := 0; offset < len(text); number++ {
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

// splitChunk adds what stands between two markers: a YAML document, or any number of JSON ones.
func splitChunk(chunk []byte, line int, add func(document)) {
	first, offset := content(chunk, line)
	if offset < 0 {
		return
	}
	if chunk[offset] != '{' || bytes.HasPrefix(chunk[offset:], template) {
		d := document{start: line, line: first, text: chunk}
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
		add(document{start: line, line: line, text: rest[:length], isJSON: isJSON})
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

// typeAtTop returns what a YAML document is, if that can be told without parsing it.
func typeAtTop(text []byte) (apiVersion, kind string) {
	apiVersions, kinds := 0, 0
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		if value, ok := bytes.CutPrefix(line, []byte("kind:")); ok {
			kind = plain(value)
			kinds++
		} else if value, ok := bytes.CutPrefix(line, []byte("apiVersion:")); ok {
			apiVersion = plain(value)
			apiVersions++
		}
		text = rest
	}
	if apiVersions != 1 || kinds != 1 || apiVersion == "" || kind == "" {
		return "", "" // none, or one too many: a marker may be missing
	}
	return apiVersion, kind
}

// plain returns a YAML value that means itself, or "" for any other.
func plain(value []byte) string {
	if comment := bytes.Index(value, []byte(" #")); comment >= 0 {
		value = value[:comment]
	}
	text := bytes.TrimSpace(value)
	if len(text) == 0 || value[0] != ' ' && value[0] != '\t' || !isLetter(text[0]) {
		return ""
	}
	for _, c := range text {
		if !isLetter(c) && (c < '0' || c > '9') && c != '.' && c != '/' && c != '-' {
			return ""
		}
	}
	return string(text)
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

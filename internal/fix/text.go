// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package fix

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"unicode/utf8"

	yamlv3 "go.yaml.in/yaml/v3"
)

// source is the text of a document, and where in it the nodes of its tree are. The YAML library tells where a node begins;
// where it ends is looked up in the text.
type source struct {
	text  []byte
	lines []int // offsets at which they begin
	root  *yamlv3.Node
	// from is where a node hangs. Below an alias there is nothing: that hangs where the anchor is.
	from map[*yamlv3.Node]link
	// lost says that the text is not what the nodes made us expect. Offsets are worth nothing then.
	lost bool
}

// link is where a node hangs: on its parent, and below a key unless that is a sequence.
type link struct{ parent, key *yamlv3.Node }

// escape is an escape sequence of JSON. YAML knows others, and not all of these.
var escape = regexp.MustCompile(`\\.`)

// read parses a document.
func read(text []byte) (*source, bool) {
	parsed := text
	if json.Valid(text) {
		parsed = escape.ReplaceAll(text, []byte("xx")) // as long as it was
	}
	var document yamlv3.Node
	if err := yamlv3.Unmarshal(parsed, &document); err != nil || len(document.Content) != 1 {
		return nil, false
	}
	s := &source{text: text, lines: []int{0}, root: document.Content[0], from: make(map[*yamlv3.Node]link)}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		i += size
		switch r { // what YAML counts as a line break
		case '\r':
			if i < len(text) && text[i] == '\n' {
				continue
			}
			fallthrough
		case '\n', '\u0085', '\u2028', '\u2029':
			s.lines = append(s.lines, i)
		}
	}
	s.connect(s.root)
	return s, true
}

func (s *source) connect(n *yamlv3.Node) {
	for i, child := range n.Content {
		l := link{parent: n}
		if n.Kind == yamlv3.MappingNode && i%2 == 1 {
			l.key = n.Content[i-1]
		}
		s.from[child] = l
		s.connect(child)
	}
}

// start returns the offset of a node, with its anchor and tag.
func (s *source) start(n *yamlv3.Node) int {
	if n.Line < 1 || n.Line > len(s.lines) {
		return s.lose()
	}
	offset := s.lines[n.Line-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(s.text[offset:])
		offset += size
	}
	return offset
}

// isEmpty says whether there is no text that a node is made of.
func isEmpty(n *yamlv3.Node) bool {
	return n.Kind == yamlv3.ScalarNode && n.Style == 0 && n.Value == ""
}

func (s *source) lose() int {
	s.lost = true
	return 0
}

// content returns the offset of a node behind its anchor and tag.
func (s *source) content(n *yamlv3.Node) int {
	offset := s.start(n)
	if isEmpty(n) {
		return offset
	}
	for n.Kind != yamlv3.AliasNode && offset < len(s.text) && (s.text[offset] == '&' || s.text[offset] == '!') {
		if word := bytes.IndexAny(s.text[offset:], " \t\r\n"); word >= 0 {
			offset = s.skip(offset+word, "")
		} else {
			offset = len(s.text)
		}
	}
	return offset
}

// skip returns the offset behind white space, comments, and characters of a set.
func (s *source) skip(offset int, set string) int {
	for offset < len(s.text) {
		switch c := s.text[offset]; {
		case strings.IndexByte(" \t\r\n", c) >= 0 || strings.IndexByte(set, c) >= 0:
			offset++
		case c == '#':
			offset = s.lineEnd(offset)
		default:
			return offset
		}
	}
	return offset
}

// end returns the offset behind a node.
func (s *source) end(n *yamlv3.Node) int {
	start := s.content(n)
	rest := s.text[start:]
	switch {
	case n.Kind == yamlv3.AliasNode:
		return s.after(start, "*"+n.Value)
	case n.Kind == yamlv3.ScalarNode:
		return s.scalarEnd(n, start)
	case n.Style&yamlv3.FlowStyle != 0:
		if len(rest) == 0 {
			return s.lose()
		}
		if len(n.Content) > 0 {
			start = s.lastEnd(n)
		} else {
			start++
		}
		closing := s.skip(start, ",:")
		return s.after(closing, string(rest[0]+2)) // in ASCII, ']' and '}' are that far behind
	case len(n.Content) > 0:
		return s.lastEnd(n)
	}
	return s.lose() // empty, and not in flow style
}

// raw returns the text of a node, without its anchor and tag.
func (s *source) raw(n *yamlv3.Node) string {
	start, end := s.content(n), s.end(n)
	if s.lost {
		return ""
	}
	return string(s.text[start:end])
}

// lastEnd returns the offset behind the last thing in a mapping or sequence that is not empty.
func (s *source) lastEnd(n *yamlv3.Node) int {
	end := s.end(n.Content[len(n.Content)-1])
	if n.Kind == yamlv3.MappingNode {
		end = max(end, s.end(n.Content[len(n.Content)-2]))
	}
	return end
}

// after returns the offset behind a text that must be there.
func (s *source) after(offset int, text string) int {
	if !bytes.HasPrefix(s.text[offset:], []byte(text)) {
		return s.lose()
	}
	return offset + len(text)
}

func (s *source) scalarEnd(n *yamlv3.Node, start int) int {
	switch n.Style &^ yamlv3.TaggedStyle {
	case yamlv3.DoubleQuotedStyle:
		for i := start + 1; i < len(s.text); i++ {
			switch s.text[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
		return s.lose()
	case yamlv3.SingleQuotedStyle:
		for i := start + 1; i < len(s.text); i++ {
			if s.text[i] != '\'' {
				continue
			}
			if i+1 == len(s.text) || s.text[i+1] != '\'' {
				return i + 1
			}
			i++ // two are one
		}
		return s.lose()
	case yamlv3.LiteralStyle, yamlv3.FoldedStyle:
		return s.blockEnd(start, s.indentOf(n))
	}
	// Plain; line breaks in it have become spaces.
	end := start
	for _, word := range strings.FieldsFunc(n.Value, func(r rune) bool { return r < utf8.RuneSelf && strings.ContainsRune(" \t\r\n", r) }) {
		if end > start {
			end += len(s.text[end:]) - len(bytes.TrimLeft(s.text[end:], " \t\r\n"))
		}
		end = s.after(end, word)
	}
	return end
}

// blockEnd returns the offset behind a block scalar that something of an indentation has.
func (s *source) blockEnd(start, indent int) int {
	end := s.lineEnd(start)
	keepsBlank := bytes.IndexByte(s.text[start:end], '+') >= 0
	for next := s.nextLine(end); next < len(s.text); next = s.nextLine(next) {
		line := s.text[next:s.lineEnd(next)]
		content := bytes.TrimLeft(line, " ")
		switch {
		case len(content) == 0:
			if keepsBlank {
				end = s.lineEnd(next)
			}
			continue
		case len(line)-len(content) <= indent:
			return end
		}
		end = s.lineEnd(next)
	}
	return end
}

// indentOf returns the indentation of the mapping or sequence in block style that has a node.
func (s *source) indentOf(n *yamlv3.Node) int {
	l, ok := s.from[n]
	switch {
	case !ok:
		return -1
	case l.parent.Kind == yamlv3.MappingNode:
		return l.parent.Content[0].Column - 1
	}
	return s.column(s.dash(n))
}

// dash returns the offset of the dash before an entry of a sequence in block style.
func (s *source) dash(entry *yamlv3.Node) int {
	before := bytes.TrimRight(s.text[:s.start(entry)], " \t\r\n")
	if !bytes.HasSuffix(before, []byte("-")) {
		return s.lose()
	}
	return len(before) - 1
}

// column returns how many bytes there are before an offset on its line.
func (s *source) column(offset int) int { return offset - s.lineStart(offset) }

func (s *source) lineStart(offset int) int { return bytes.LastIndexByte(s.text[:offset], '\n') + 1 }

// lineEnd returns the offset at which the line of an offset ends, before its line break.
func (s *source) lineEnd(offset int) int {
	end := bytes.IndexByte(s.text[offset:], '\n')
	if end < 0 {
		return len(s.text)
	}
	if end += offset; end > offset && s.text[end-1] == '\r' {
		end--
	}
	return end
}

func (s *source) nextLine(offset int) int {
	if end := bytes.IndexByte(s.text[offset:], '\n'); end >= 0 {
		return offset + end + 1
	}
	return len(s.text)
}

// margin returns the white space that a line begins with if there is nothing else before an offset.
func (s *source) margin(offset int) (string, bool) {
	before := s.text[s.lineStart(offset):offset]
	return string(before), len(bytes.TrimLeft(before, " \t")) == 0
}

// inFlow says whether a node is inside of something in flow style.
func (s *source) inFlow(n *yamlv3.Node) bool {
	for l, ok := s.from[n]; ok; l, ok = s.from[l.parent] {
		if l.parent.Style&yamlv3.FlowStyle != 0 {
			return true
		}
	}
	return false
}

func (s *source) depth(n *yamlv3.Node) int {
	depth := 0
	for l, ok := s.from[n]; ok; l, ok = s.from[l.parent] {
		depth++
	}
	return depth
}

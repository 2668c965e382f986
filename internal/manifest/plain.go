// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// plainToJSON converts the YAML that nearly all manifests are written in: block mappings and sequences, whose scalars, plain or
// quoted, and whose flow mappings and sequences end on the line that they begin on, and block scalars. Whatever it does not
// know for sure, it leaves to the YAML library: ok is false for all else, faulty YAML included. It takes a tenth of the
// library's time, which is more than half of an audit's; a fuzz test holds it to the library's results.
func plainToJSON(text []byte) (encoded []byte, ok bool) {
	if bytes.IndexByte(text, '\r') >= 0 {
		text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	}
	if !isPrintable(text) {
		return nil, false
	}
	c := converter{text: text, out: make([]byte, 0, len(text)+len(text)/8)}
	c.advance()
	if len(c.line) == 0 || isEntry(c.line) || !c.mapping(c.indent, 0) || len(c.line) > 0 {
		return nil, false
	}
	return c.out, true
}

// isPrintable says whether a text is valid UTF-8 and has no characters but line feeds that mean something to YAML outside
// quotes without being seen: tabs and other line breaks.
func isPrintable(text []byte) bool {
	for i := 0; i < len(text); {
		if b := text[i]; b < utf8.RuneSelf {
			if b != '\n' && (b < ' ' || b > '~') {
				return false
			}
			i++
			continue
		}
		switch r, size := utf8.DecodeRune(text[i:]); {
		case r == utf8.RuneError, r < '\u00a0', r == '\u2028', r == '\u2029', r == '\ufeff', r == '\ufffe', r == '\uffff':
			return false
		default:
			i += size
		}
	}
	return true
}

// converter converts line by line.
type converter struct {
	// line is the first line with content that is not converted yet, without the spaces around it, and indent their number
	// before it. It is empty at the end.
	line   []byte
	indent int
	// text is what follows that line.
	text []byte
	out  []byte
}

// advance goes to the next line with content.
func (c *converter) advance() {
	for len(c.text) > 0 {
		var line []byte
		line, c.text, _ = bytes.Cut(c.text, []byte("\n"))
		content := bytes.TrimLeft(line, " ")
		if len(content) > 0 && content[0] != '#' {
			c.line, c.indent = bytes.TrimRight(content, " "), len(line)-len(content)
			return
		}
	}
	c.line = nil
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
	for len(c.line) > 0 && c.indent == indent && !isEntry(c.line) {
		key, value, ok := cutKey(c.line)
		if !ok || !c.key(&keys, key) {
			return false
		}
		if len(value) > 0 {
			ok = c.value(value, indent)
		} else {
			c.advance()
			ok = c.nested(indent, true, depth)
		}
		if !ok {
			return false
		}
	}
	c.out = append(c.out, '}')
	return true
}

// key writes a key of a mapping, unless it is one of those before it.
func (c *converter) key(keys *[][]byte, key []byte) bool {
	if len(*keys) == maxKeys || slices.ContainsFunc(*keys, func(k []byte) bool { return bytes.Equal(k, key) }) {
		return false
	}
	if len(*keys) > 0 {
		c.out = append(c.out, ',')
	}
	*keys = append(*keys, key)
	c.out = append(append(append(c.out, '"'), key...), '"', ':')
	return true
}

func (c *converter) sequence(indent, depth int) bool {
	if depth > maxDepth {
		return false
	}
	c.out = append(c.out, '[')
	for first := true; len(c.line) > 0 && c.indent == indent && isEntry(c.line); first = false {
		if !first {
			c.out = append(c.out, ',')
		}
		value := bytes.TrimLeft(c.line[1:], " ")
		var ok bool
		switch {
		case len(value) == 0 || value[0] == '#':
			c.advance()
			ok = c.nested(indent, false, depth)
		case isEntry(value):
			ok = false
		default:
			if _, _, isMapping := cutKey(value); !isMapping {
				ok = c.value(value, indent)
				break
			}
			// Its first key stands on the entry's line; the others are aligned with it.
			c.indent += len(c.line) - len(value)
			c.line = value
			ok = c.mapping(c.indent, depth+1)
		}
		if !ok {
			return false
		}
	}
	c.out = append(c.out, ']')
	return true
}

// nested converts what a key or entry without a value on its line has: what is indented further, the sequence that a key
// may have at its own indentation, or null.
func (c *converter) nested(indent int, ofKey bool, depth int) bool {
	if len(c.line) > 0 {
		switch entry := isEntry(c.line); {
		case entry && (c.indent > indent || ofKey && c.indent == indent):
			return c.sequence(c.indent, depth+1)
		case c.indent > indent:
			return c.mapping(c.indent, depth+1)
		}
	}
	c.out = append(c.out, "null"...)
	return true
}

// cutKey cuts a line after its key. The value is empty if there is none, or but a comment.
func cutKey(text []byte) (key, value []byte, ok bool) {
	key = text
	var quote []byte
	if text[0] == '"' || text[0] == '\'' {
		quote, key = text[:1], text[1:]
	}
	n := 0
	for n < len(key) && (isLetter(key[n]) || n > 0 && (isDigit(key[n]) || bytes.IndexByte([]byte("_./-"), key[n]) >= 0)) {
		n++
	}
	key, value = key[:n], key[n:]
	if n == 0 || n > 253 || isWord(key) || !bytes.HasPrefix(value, quote) {
		return nil, nil, false
	}
	value = value[len(quote):]
	if len(value) == 0 || value[0] != ':' || len(value) > 1 && value[1] != ' ' {
		return nil, nil, false
	}
	value = bytes.TrimLeft(value[1:], " ")
	if len(value) > 0 && value[0] == '#' {
		value = nil
	}
	return key, value, true
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

// value converts the value that stands on the current line behind a key or entry, whose indentation is given.
func (c *converter) value(text []byte, indent int) bool {
	switch text[0] {
	case '|', '>':
		return c.block(text, indent)
	case '"', '\'', '[', '{':
		rest, ok := c.flow(text, 0)
		c.advance()
		return ok && (len(rest) == 0 || rest[0] == ' ' && bytes.TrimLeft(rest, " ")[0] == '#') // lines end in no space
	}
	if comment := bytes.Index(text, []byte(" #")); comment >= 0 {
		text = bytes.TrimRight(text[:comment], " ")
	}
	c.advance()
	return !bytes.Contains(text, []byte(": ")) && text[len(text)-1] != ':' && c.plain(text)
}

// flow converts the flow sequence, flow mapping or scalar that a text begins with, and returns what follows it.
func (c *converter) flow(text []byte, depth int) (rest []byte, ok bool) {
	if len(text) == 0 || depth > maxDepth {
		return nil, false
	}
	switch text[0] {
	case '"', '\'':
		return c.quoted(text)
	case '[', '{':
	default:
		n := 0
		for n < len(text) && (isLetter(text[n]) || isDigit(text[n]) || bytes.IndexByte([]byte("_./-:@=$()"), text[n]) >= 0) {
			n++
		}
		return text[n:], n > 0 && text[n-1] != ':' && c.plain(text[:n])
	}
	end := text[0] + 2 // in ASCII, ']' and '}' are that far behind
	c.out = append(c.out, text[0])
	isMapping := text[0] == '{'
	text = bytes.TrimLeft(text[1:], " ")
	var keys [][]byte
	for first := true; len(text) > 0; first = false {
		if first && text[0] == end {
			c.out = append(c.out, end)
			return text[1:], true
		}
		if isMapping {
			key, value, ok := cutKey(text)
			if !ok || !c.key(&keys, key) {
				return nil, false
			}
			text = value
		} else if !first {
			c.out = append(c.out, ',')
		}
		if text, ok = c.flow(text, depth+1); !ok {
			return nil, false
		}
		switch text = bytes.TrimLeft(text, " "); {
		case len(text) > 0 && text[0] == end:
			c.out = append(c.out, end)
			return text[1:], true
		case len(text) == 0 || text[0] != ',':
			return nil, false
		}
		text = bytes.TrimLeft(text[1:], " ")
	}
	return nil, false
}

// quoted converts the quoted scalar that a text begins with, and returns what follows it.
func (c *converter) quoted(text []byte) (rest []byte, ok bool) {
	quote := text[0]
	c.out = append(c.out, '"')
	for text = text[1:]; ; {
		i := bytes.IndexByte(text, quote)
		if i < 0 {
			return nil, false
		}
		if escape := bytes.IndexByte(text[:i], '\\'); quote == '"' && escape >= 0 {
			// Of the many escapes, those that JSON has too.
			if bytes.IndexByte([]byte(`"\bfnrt`), text[escape+1]) < 0 {
				return nil, false
			}
			c.out = append(c.out, text[:escape+2]...)
			text = text[escape+2:]
			continue
		}
		c.characters(text[:i])
		text = text[i+1:]
		if quote == '"' || len(text) == 0 || text[0] != quote {
			c.out = append(c.out, '"')
			return text, true
		}
		c.out = append(c.out, quote)
		text = text[1:]
	}
}

// block converts the block scalar that follows its header, for a key or entry of that indentation.
func (c *converter) block(header []byte, parent int) bool {
	if len(header) > 2 || len(header) == 2 && header[1] != '-' && header[1] != '+' {
		return false
	}
	c.out = append(c.out, '"')
	indent := 0 // until the first line with content tells it
	blank, widest, terminated := 0, 0, true
	for len(c.text) > 0 {
		line, rest, hasEnd := bytes.Cut(c.text, []byte("\n"))
		spaces := len(line) - len(bytes.TrimLeft(line, " "))
		if spaces == len(line) {
			if widest = max(widest, spaces); !hasEnd || indent > 0 && spaces > indent {
				return false
			}
			blank++
			c.text = rest
			continue
		}
		if indent > 0 && spaces < indent {
			break
		}
		switch {
		case indent == 0:
			if indent = spaces; indent <= parent || indent < widest {
				return false
			}
		case header[0] == '|':
			blank++ // the end of the line before is one more
		case spaces > indent:
			return false // what is indented further is not folded
		case blank == 0:
			c.out = append(c.out, ' ')
		}
		c.breaks(blank)
		c.characters(line[indent:])
		blank, terminated, c.text = 0, hasEnd, rest
	}
	if indent == 0 {
		return false
	}
	if terminated && header[len(header)-1] != '-' {
		c.breaks(1)
	}
	if header[len(header)-1] == '+' {
		c.breaks(blank)
	}
	c.out = append(c.out, '"')
	c.advance()
	return true
}

// breaks writes line feeds.
func (c *converter) breaks(n int) {
	for range n {
		c.out = append(c.out, '\\', 'n')
	}
}

// plain converts a plain scalar.
func (c *converter) plain(text []byte) bool {
	switch first := text[0]; {
	case isDigit(first):
		return c.number(text)
	case string(text) == "true", string(text) == "false", string(text) == "null":
		c.out = append(c.out, text...)
		return true
	case isLetter(first):
		if isWord(text) {
			return false
		}
	case first == '-': // no number
		if len(text) == 1 || text[1] != '-' && !isLetter(text[1]) {
			return false
		}
	case first < utf8.RuneSelf && bytes.IndexByte([]byte("/$_("), first) < 0:
		return false
	}
	c.str(text)
	return true
}

// number converts a plain scalar that begins with a digit.
func (c *converter) number(text []byte) bool {
	whole, fraction, isDecimal := bytes.Cut(text, []byte("."))
	switch {
	case isNumber(whole) && len(text) <= maxDigits && (!isDecimal || isFraction(fraction)):
		c.out = append(c.out, text...)
		return true
	case bytes.ContainsAny(text, "mkMGsh/"): // which is in no number and no time, so it is a quantity or some such text
	case bytes.Count(text, []byte(".")) > 1 && bytes.IndexByte(text, '-') < 0: // nor has one two points
	default:
		return false
	}
	c.str(text)
	return true
}

// maxDigits and maxPlaces of a number that looks the same when it has been a floating-point number.
const (
	maxDigits = 15
	maxPlaces = 3
)

// isFraction says whether digits behind a point make a number that is no integer.
func isFraction(text []byte) bool {
	return isDigits(text) && text[len(text)-1] != '0' && len(text) <= maxPlaces
}

func isDigits(text []byte) bool {
	for _, b := range text {
		if !isDigit(b) {
			return false
		}
	}
	return len(text) > 0
}

// isNumber says whether a text is a number as JSON writes it.
func isNumber(text []byte) bool { return isDigits(text) && (len(text) == 1 || text[0] != '0') }

// str writes a string.
func (c *converter) str(text []byte) {
	c.out = append(c.out, '"')
	c.characters(text)
	c.out = append(c.out, '"')
}

// characters writes a part of a string.
func (c *converter) characters(text []byte) {
	done := 0
	for i, b := range text {
		if b == '"' || b == '\\' {
			c.out = append(append(c.out, text[done:i]...), '\\')
			done = i
		}
	}
	c.out = append(c.out, text[done:]...)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package fix

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// style is how a document is written, so that what is added looks like the rest.
type style struct {
	newline string
	// unit is by how much a mapping in block style is further to the right than the one that it is in, and entry by how much
	// the dashes of a sequence are.
	unit, entry int
	// quoted says that keys and strings are, as in JSON.
	quoted bool
	// colon and comma of flow style, with the space behind them.
	colon, comma string
}

func styleOf(s *source) style {
	out := style{newline: "\n", unit: 2, colon: ": ", comma: ", "}
	if i := bytes.IndexByte(s.text, '\n'); i > 0 && s.text[i-1] == '\r' {
		out.newline = "\r\n"
	}
	if out.quoted = json.Valid(s.text); out.quoted {
		if len(s.root.Content) > 1 && s.start(s.root.Content[1]) == s.end(s.root.Content[0])+1 {
			out.colon, out.comma = ":", ","
		}
		return out
	}
	mapping, sequence := false, false
	s.eachBlock(func(key, value *yamlv3.Node) {
		switch {
		case value.Kind == yamlv3.MappingNode && !mapping:
			out.unit, mapping = max(1, value.Content[0].Column-key.Column), true
		case value.Kind == yamlv3.SequenceNode && !sequence && value.Anchor == "":
			out.entry, sequence = max(0, value.Column-key.Column), true
		}
	})
	return out
}

// eachBlock visits what is in block style inside of a mapping in block style.
func (s *source) eachBlock(visit func(key, value *yamlv3.Node)) {
	var walk func(*yamlv3.Node)
	walk = func(n *yamlv3.Node) {
		for i, child := range n.Content {
			if len(child.Content) == 0 || child.Style&yamlv3.FlowStyle != 0 {
				continue
			}
			if n.Kind == yamlv3.MappingNode && i%2 == 1 {
				visit(n.Content[i-1], child)
			}
			walk(child)
		}
	}
	walk(s.root)
}

// isLarge says whether a value is a map or list that is not empty.
func isLarge(value any) bool {
	switch v := value.(type) {
	case map[string]any:
		return len(v) > 0
	case []any:
		return len(v) > 0
	}
	return false
}

// blockFields returns the lines, each behind a line break, that fields take in a mapping of an indentation.
func (st *style) blockFields(fields map[string]any, indent int) string {
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		text.WriteString(st.newline + strings.Repeat(" ", indent) + st.str(key) + ":")
		if value := fields[key]; isLarge(value) {
			text.WriteString(st.blockValue(value, indent))
		} else {
			text.WriteString(" " + st.flow(value))
		}
	}
	return text.String()
}

// blockValue returns the lines, each behind a line break, that a map or list takes below its key of an indentation.
func (st *style) blockValue(value any, indent int) string {
	if fields, ok := value.(map[string]any); ok {
		return st.blockFields(fields, indent+st.unit)
	}
	var text strings.Builder
	list, _ := value.([]any)
	for _, entry := range list {
		text.WriteString(st.newline + strings.Repeat(" ", indent+st.entry) + "- " + st.flow(entry))
	}
	return text.String()
}

// flow returns a value on one line.
func (st *style) flow(value any) string {
	var parts []string
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, st.str(key)+st.colon+st.flow(v[key]))
		}
		return "{" + strings.Join(parts, st.comma) + "}"
	case []any:
		for _, entry := range v {
			parts = append(parts, st.flow(entry))
		}
		return "[" + strings.Join(parts, st.comma) + "]"
	case string:
		return st.str(v)
	case nil:
		return "null"
	}
	return fmt.Sprint(value) // a number or bool
}

// flowLines returns a value with one line for each field and entry, as JSON is written for people. margin is what the line
// begins with on which it stands, and unit what is to be added for what is in it.
func (st *style) flowLines(value any, margin, unit string) string {
	if !isLarge(value) {
		return st.flow(value)
	}
	var parts []string
	inner, brackets := margin+unit, "[]"
	switch v := value.(type) {
	case map[string]any:
		brackets = "{}"
		for _, key := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, st.str(key)+st.colon+st.flowLines(v[key], inner, unit))
		}
	case []any:
		for _, entry := range v {
			parts = append(parts, st.flowLines(entry, inner, unit))
		}
	}
	return brackets[:1] + st.newline + inner + strings.Join(parts, ","+st.newline+inner) + st.newline + margin + brackets[1:]
}

// scalarLike returns a value on one line, in the quotes of the node whose place it takes.
func (st *style) scalarLike(n *yamlv3.Node, value any) string {
	text, isString := value.(string)
	if isString && n.Kind == yamlv3.ScalarNode {
		switch {
		case n.Style&yamlv3.DoubleQuotedStyle != 0:
			return quote(text)
		case n.Style&yamlv3.SingleQuotedStyle != 0 && plain.MatchString(text):
			return "'" + text + "'"
		}
	}
	return st.flow(value)
}

// plain are strings that no reader of YAML takes for anything else, but for the words below.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)

// words are what YAML 1.1 takes for something other than a string.
var words = map[string]bool{
	"y": true, "yes": true, "n": true, "no": true, "true": true, "false": true, "on": true, "off": true, "null": true,
}

func (st *style) str(text string) string {
	if st.quoted || !plain.MatchString(text) || words[strings.ToLower(text)] {
		return quote(text)
	}
	return text
}

// quote returns a string as JSON has it, which YAML reads likewise.
func quote(text string) string {
	var quoted bytes.Buffer
	encoder := json.NewEncoder(&quoted)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		return `""` // there is no string that cannot be encoded
	}
	return strings.TrimSuffix(quoted.String(), "\n")
}

// writeOut writes what aliases stand for in their place. ok is false if there is nothing to do, or it cannot be done.
func writeOut(text []byte) (alone []byte, ok bool) {
	s, ok := read(text)
	if !ok {
		return nil, false
	}
	p := patcher{source: s, style: styleOf(s)}
	for n := range s.from {
		if n.Kind == yamlv3.AliasNode {
			p.edit(s.start(n), s.end(n), p.copied(n.Alias))
		}
	}
	if s.lost || len(p.edits) == 0 {
		return nil, false
	}
	return p.edited()
}

// copied returns a node on one line, written as it is as far as that goes.
func (p *patcher) copied(n *yamlv3.Node) string {
	var parts []string
	switch n.Kind { //nolint:exhaustive // there are no documents in documents
	case yamlv3.AliasNode:
		return p.copied(n.Alias)
	case yamlv3.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			parts = append(parts, p.copied(n.Content[i])+p.colon+p.copied(n.Content[i+1]))
		}
		return "{" + strings.Join(parts, p.comma) + "}"
	case yamlv3.SequenceNode:
		for _, entry := range n.Content {
			parts = append(parts, p.copied(entry))
		}
		return "[" + strings.Join(parts, p.comma) + "]"
	}
	switch text := p.raw(n); {
	case n.Style&yamlv3.TaggedStyle != 0:
		p.lose() // the tag would have to come along
	case isEmpty(n):
		return "null"
	case n.Style != 0 && !strings.Contains(text, "\n") && n.Style&(yamlv3.LiteralStyle|yamlv3.FoldedStyle) == 0,
		n.Style == 0 && !strings.ContainsAny(text, "\n,[]{}"):
		return text
	}
	return quote(n.Value)
}

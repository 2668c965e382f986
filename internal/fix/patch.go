// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package fix

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
)

// patch sets fields in the text of a document. What it returns is still to be checked.
func patch(text []byte, changes []change) (patched []byte, ok bool) {
	s, ok := read(text)
	if !ok {
		return nil, false
	}
	p := patcher{source: s, style: styleOf(s), changed: make(map[*yamlv3.Node]any), added: make(map[*yamlv3.Node]any)}
	for _, c := range changes {
		if err := p.plan(s.root, c.steps, c.value); err != nil {
			return nil, false
		}
	}
	for n, value := range p.changed {
		p.replace(n, value)
	}
	for n, value := range p.added {
		fields, _ := value.(map[string]any)
		p.add(n, fields)
	}
	if s.lost {
		return nil, false
	}
	return p.edited()
}

// patcher collects what is to be done, and then does all of it at once.
type patcher struct {
	*source
	style
	// changed are nodes that are to have another value, and added the fields that mappings are to have beside their own.
	changed, added map[*yamlv3.Node]any
	edits          []edit
}

// plan notes that the value at the end of the steps from a node is to be another one.
func (p *patcher) plan(n *yamlv3.Node, steps []step, value any) error {
	for n.Kind == yamlv3.AliasNode {
		n = n.Alias
	}
	if len(steps) == 0 || isNothing(n) {
		return planIn(p.changed, n, steps, value)
	}
	switch n.Kind { //nolint:exhaustive // the others have nothing in them
	case yamlv3.MappingNode:
		if child := fieldOf(n, steps[0].text); child != nil {
			return p.plan(child, steps[1:], value)
		}
		return planIn(p.added, n, steps, value)
	case yamlv3.SequenceNode:
		if child := entryOf(n, steps[0]); child != nil {
			return p.plan(child, steps[1:], value)
		}
		return steps[0].missingError()
	}
	return errNoObject
}

func planIn(planned map[*yamlv3.Node]any, n *yamlv3.Node, steps []step, value any) (err error) {
	planned[n], err = put(planned[n], steps, value)
	return err
}

// isNothing says whether a node is null or an empty mapping.
func isNothing(n *yamlv3.Node) bool {
	return n.Kind == yamlv3.MappingNode && len(n.Content) == 0 || n.Kind == yamlv3.ScalarNode && n.ShortTag() == "!!null"
}

// fieldOf returns the value of a field of a mapping, also of one that is merged into it, or nil.
func fieldOf(n *yamlv3.Node, field string) (value *yamlv3.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == field {
			value = n.Content[i+1] // of several, the last one counts
		}
	}
	for i := 0; i+1 < len(n.Content) && value == nil; i += 2 {
		if n.Content[i].Tag != "!!merge" {
			continue
		}
		merged := []*yamlv3.Node{n.Content[i+1]}
		if merged[0].Kind == yamlv3.SequenceNode {
			merged = merged[0].Content
		}
		for _, m := range merged {
			if m.Kind == yamlv3.AliasNode {
				m = m.Alias
			}
			if value == nil && m.Kind == yamlv3.MappingNode {
				value = fieldOf(m, field)
			}
		}
	}
	return value
}

// entryOf returns the entry of a sequence that a step leads to, or nil.
func entryOf(n *yamlv3.Node, s step) *yamlv3.Node {
	if i, ok := s.index(); ok {
		if i < len(n.Content) {
			return n.Content[i]
		}
		return nil
	}
	field, want, ok := s.selects()
	for _, entry := range n.Content {
		if entry.Kind == yamlv3.AliasNode {
			entry = entry.Alias
		}
		if !ok || entry.Kind != yamlv3.MappingNode {
			continue
		}
		value := fieldOf(entry, field)
		if value != nil && value.Kind == yamlv3.AliasNode {
			value = value.Alias
		}
		if value == nil && want == "" || value != nil && value.Kind == yamlv3.ScalarNode && value.Value == want {
			return entry
		}
	}
	return nil
}

// replace gives a node another value.
func (p *patcher) replace(n *yamlv3.Node, value any) {
	start, end := p.content(n), p.end(n)
	if p.lost {
		return
	}
	l, block := p.from[n], !p.inFlow(n)
	list, isList := value.([]any)
	switch {
	case n.Kind == yamlv3.SequenceNode && isList && n.Style&yamlv3.FlowStyle == 0:
		p.replaceEntries(n, list)
	case n.Kind == yamlv3.SequenceNode && isList:
		p.edit(start, end, p.flowList(n, list))
	case isNothing(n) && block && l.key != nil && isLarge(value):
		if !isEmpty(n) {
			before := bytes.TrimRight(p.text[:start], " ")
			p.edit(len(before), end, "")
		}
		p.insert(n, p.lineEnd(end), p.blockValue(value, l.parent.Content[0].Column-1))
	case isEmpty(n) && block:
		p.edit(start, end, " "+p.scalarLike(n, value))
	default:
		p.edit(start, end, p.inPlace(n, value))
	}
}

// inPlace returns the text of a value that stands where a node does now.
func (p *patcher) inPlace(n *yamlv3.Node, value any) string {
	if l := p.from[n]; p.quoted && isLarge(value) && l.key != nil {
		if margin, ok := p.margin(p.start(l.key)); ok {
			return p.flowLines(value, margin, p.unitOf(l.parent, margin))
		}
	}
	return p.scalarLike(n, value)
}

// add gives a mapping more fields.
func (p *patcher) add(n *yamlv3.Node, fields map[string]any) {
	end := p.lastEnd(n)
	if p.lost {
		return
	}
	if n.Style&yamlv3.FlowStyle == 0 {
		p.insert(n, p.lineEnd(end), p.blockFields(fields, n.Content[0].Column-1))
		return
	}
	last := n.Content[len(n.Content)-2]
	margin, ownLine := p.margin(p.start(last))
	rest := strings.TrimLeft(string(p.text[end:p.lineEnd(end)]), " \t")
	comma := strings.HasPrefix(rest, ",")
	behind := strings.TrimLeft(strings.TrimPrefix(rest, ","), " \t")
	if ownLine && (behind == "" || behind[0] == '#') {
		var text []string
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			value := p.flow(fields[key])
			if p.quoted {
				value = p.flowLines(fields[key], margin, p.unitOf(n, margin))
			}
			text = append(text, p.newline+margin+p.str(key)+p.colon+value)
		}
		if !comma {
			p.edit(end, end, ",")
		}
		p.edit(p.lineEnd(end), p.lineEnd(end), strings.Join(text, ","))
		return
	}
	var text strings.Builder
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		text.WriteString(p.comma + p.str(key) + p.colon + p.flow(fields[key]))
	}
	p.insert(n, end, text.String())
}

// unitOf returns by how much the fields of a mapping in flow style are further to the right than what it is in, given what is
// before them.
func (p *patcher) unitOf(n *yamlv3.Node, margin string) string {
	line := p.text[p.lineStart(p.start(n)):]
	around := string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
	return strings.TrimPrefix(margin, around)
}

// flowList returns the text of a list in flow style that takes the place of a sequence. What stays is written as it was.
func (p *patcher) flowList(n *yamlv3.Node, list []any) string {
	entries := make([]string, 0, len(list))
	for _, value := range list {
		text := p.flow(value)
		for _, entry := range n.Content {
			if entry.Kind == yamlv3.ScalarNode && entry.Value == textOf(value) {
				text = p.raw(entry)
			}
		}
		entries = append(entries, text)
	}
	if len(entries) > 0 && len(n.Content) > 0 {
		margin, ok := p.margin(p.start(n.Content[0]))
		closing, alone := p.margin(p.end(n) - 1)
		if ok && alone {
			return "[" + p.newline + margin + strings.Join(entries, ","+p.newline+margin) + p.newline + closing + "]"
		}
	}
	return "[" + strings.Join(entries, p.comma) + "]"
}

// replaceEntries makes a sequence in block style that list. The lines of entries that stay are not touched.
func (p *patcher) replaceEntries(n *yamlv3.Node, list []any) {
	l := p.from[n]
	if !allScalars(n.Content) || slices.ContainsFunc(list, isLarge) || n.Anchor != "" || n.Style&yamlv3.TaggedStyle != 0 {
		p.lose()
		return
	}
	kept := list // what is still to be found among the entries
	stays := make([]bool, len(n.Content))
	for i, entry := range n.Content {
		if len(kept) > 0 && entry.Value == textOf(kept[0]) {
			stays[i], kept = true, kept[1:]
		}
	}
	if len(kept) > 0 { // not just fewer
		for i := range stays {
			if stays[i] = i < len(list); stays[i] && n.Content[i].Value != textOf(list[i]) {
				entry := n.Content[i]
				p.edit(p.content(entry), p.end(entry), p.scalarLike(entry, list[i]))
			}
		}
		last := n.Content[len(n.Content)-1]
		for _, value := range list[min(len(list), len(stays)):] {
			p.insert(n, p.lineEnd(p.end(last)), p.newline+strings.Repeat(" ", p.column(p.dash(last)))+"- "+p.flow(value))
		}
	}
	for i, entry := range n.Content {
		if !stays[i] {
			p.removeLines(p.dash(entry), p.end(entry))
		}
	}
	if len(list) == 0 {
		if l.key == nil {
			p.lose()
			return
		}
		colon := p.after(p.skip(p.end(l.key), ""), ":")
		p.edit(colon, colon, " []")
	}
}

// removeLines removes the lines of a text, from the end of the line before.
func (p *patcher) removeLines(start, end int) {
	first := p.lineStart(start)
	if _, alone := p.margin(start); !alone || first == 0 {
		p.lose()
		return
	}
	p.edit(p.lineEnd(p.lineStart(first-1)), p.lineEnd(end), "")
}

func allScalars(nodes []*yamlv3.Node) bool {
	return !slices.ContainsFunc(nodes, func(n *yamlv3.Node) bool { return n.Kind != yamlv3.ScalarNode })
}

// edit is one edit of the text.
type edit struct {
	start, end int
	text       string
	// depth of the node that it is about: of two insertions at one place, what is further in comes first.
	depth int
}

func (p *patcher) edit(start, end int, text string) {
	p.edits = append(p.edits, edit{start: start, end: end, text: text})
}

// insert inserts a text for a node.
func (p *patcher) insert(n *yamlv3.Node, offset int, text string) {
	p.edits = append(p.edits, edit{start: offset, end: offset, text: text, depth: p.depth(n)})
}

// edited returns the text with all edits made.
func (p *patcher) edited() (text []byte, ok bool) {
	slices.SortStableFunc(p.edits, func(a, b edit) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end), cmp.Compare(b.depth, a.depth))
	})
	done := 0
	for _, e := range p.edits {
		if e.start < done || e.end < e.start {
			return nil, false // two at the same place
		}
		text = append(append(text, p.text[done:e.start]...), e.text...)
		done = e.end
	}
	return append(text, p.text[done:]...), true
}

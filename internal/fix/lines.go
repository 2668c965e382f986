// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package fix

import yamlv3 "go.yaml.in/yaml/v3"

// Lines tells where in a document fields stand.
type Lines struct{ root *yamlv3.Node }

// LinesOf reads a document, YAML or JSON. Of one that cannot be read everything stands in its first line.
func LinesOf(document []byte) *Lines {
	if s, ok := read(document); ok {
		return &Lines{s.root}
	}
	return &Lines{&yamlv3.Node{Line: 1}}
}

// Line returns the line, from 1, of a field of an object or, if there is no such field, of the innermost thing around it that
// is there. Object and path are as in a Change.
func (l *Lines) Line(object []any, path string) int {
	steps, _ := stepsOf(object, path) // what is no path any more leads as far as it is one
	n, line := l.root, l.root.Line
	for _, s := range steps {
		if n.Kind == yamlv3.AliasNode {
			n = n.Alias
		}
		var next *yamlv3.Node
		switch n.Kind { //nolint:exhaustive // the others have nothing in them
		case yamlv3.MappingNode:
			next = fieldOf(n, s.text)
		case yamlv3.SequenceNode:
			next = entryOf(n, s)
		}
		if next == nil {
			break
		}
		line = next.Line
		for i := 1; n.Kind == yamlv3.MappingNode && i < len(n.Content); i += 2 {
			if n.Content[i] == next {
				line = n.Content[i-1].Line // where people look for it, wherever its value begins
			}
		}
		n = next
	}
	return line
}

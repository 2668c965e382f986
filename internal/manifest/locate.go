// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	yamlv3 "go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
)

// locate returns the field at which decoding an object fails, and its line in the file. Decoders do not tell, or tell it
// without indices, so it is found by leaving out one half of the fields after the other. at is the object's own place in
// the document.
func (d *document) locate(at []any, text []byte, gvk schema.GroupVersionKind) (field string, line int) {
	var root any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(text, &root); err != nil {
		return "", 0
	}
	path := culprit(root, func(part any) bool {
		encoded, err := json.Marshal(part)
		return err != nil || kjson.UnmarshalCaseSensitivePreserveInts(encoded, d.kinds.object(gvk)) != nil
	})
	return pathString(path), d.lineOf(append(slices.Clone(at), path...))
}

// culprit returns the path of the innermost value without which a value that fails would not.
func culprit(value any, fails func(any) bool) []any {
	var (
		keys []any
		only func([]any) any
	)
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			keys = append(keys, key)
		}
		only = func(keys []any) any {
			part := make(map[string]any, len(keys))
			for _, key := range keys {
				k, _ := key.(string)
				part[k] = v[k]
			}
			return part
		}
	case []any:
		for i := range v {
			keys = append(keys, i)
		}
		only = func(keys []any) any {
			part := make([]any, 0, len(keys))
			for _, key := range keys {
				i, _ := key.(int)
				part = append(part, v[i])
			}
			return part
		}
	}
	if len(keys) == 0 || fails(only(nil)) {
		return nil // it is the value itself
	}
	for len(keys) > 1 {
		if half := keys[:len(keys)/2]; fails(only(half)) {
			keys = half
		} else {
			keys = keys[len(keys)/2:]
		}
	}
	var child any
	wrap := func(inner any) any { return []any{inner} }
	switch v := value.(type) {
	case map[string]any:
		key, _ := keys[0].(string)
		child = v[key]
		wrap = func(inner any) any { return map[string]any{key: inner} }
	case []any:
		i, _ := keys[0].(int)
		child = v[i]
	}
	return append(keys[:1:1], culprit(child, func(inner any) bool { return fails(wrap(inner)) })...)
}

var plainKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)

func pathString(path []any) string {
	var text string
	for _, step := range path {
		switch s := step.(type) {
		case int:
			text += fmt.Sprintf("[%d]", s)
		case string:
			switch {
			case !plainKey.MatchString(s):
				text += "[" + strconv.Quote(s) + "]"
			case text == "":
				text = s
			default:
				text += "." + s
			}
		}
	}
	return text
}

// lineOf returns the line of the file in which a value of the document stands, or the nearest value around it.
func (d *document) lineOf(path []any) int {
	var root yamlv3.Node
	if err := yamlv3.Unmarshal(d.text, &root); err != nil || len(root.Content) == 0 {
		return 0
	}
	node, line := root.Content[0], root.Content[0].Line
	for _, step := range path {
		if node.Kind == yamlv3.AliasNode {
			node = node.Alias
		}
		var next *yamlv3.Node
		switch s := step.(type) {
		case int:
			if node.Kind == yamlv3.SequenceNode && s < len(node.Content) {
				next = node.Content[s]
				line = next.Line
			}
		case string:
			for i := 0; node.Kind == yamlv3.MappingNode && i+1 < len(node.Content); i += 2 {
				if node.Content[i].Value == s {
					next = node.Content[i+1]
					line = node.Content[i].Line
				}
			}
		}
		if next == nil {
			break
		}
		node = next
	}
	return d.start - 1 + line
}

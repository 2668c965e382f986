// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/binary"
	"iter"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/labels"
)

// Labels is a set of labels that several records may share. It is one string, for a map takes several times as much; it is
// searched from its beginning, which for the few labels of an object costs no more than a map would.
type Labels struct {
	// encoded are keys and values in turn, sorted by key, each after its length.
	encoded string
}

var _ labels.Labels = (*Labels)(nil)

// NewLabels returns a set of labels.
func NewLabels(set map[string]string) *Labels { return LabelsOf(EncodeLabels(set)) }

// LabelsOf returns the labels that EncodeLabels has encoded.
func LabelsOf(encoded string) *Labels { return &Labels{encoded} }

// EncodeLabels encodes labels so that equal ones give equal strings, and others never do.
func EncodeLabels(set map[string]string) string {
	var buffer []byte
	add := func(text string) { buffer = append(binary.AppendUvarint(buffer, uint64(len(text))), text...) }
	for _, key := range slices.Sorted(maps.Keys(set)) {
		add(key)
		add(set[key])
	}
	return string(buffer)
}

// Encoded returns what LabelsOf was given.
func (l *Labels) Encoded() string { return l.encoded }

// All returns the labels, sorted by key. A nil set has none.
func (l *Labels) All() iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		if l == nil {
			return
		}
		rest := l.encoded
		next := func() string {
			n, length := uvarint(rest)
			text := rest[length : length+n]
			rest = rest[length+n:]
			return text
		}
		for rest != "" {
			key := next()
			if !yield(key, next()) {
				return
			}
		}
	}
}

// uvarint is binary.Uvarint of a string.
func uvarint(s string) (value, length int) {
	for i := range len(s) {
		value |= int(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return value, i + 1
		}
	}
	return 0, 0
}

// Lookup returns a label's value, and whether there is that label.
func (l *Labels) Lookup(key string) (string, bool) {
	for k, v := range l.All() {
		if k == key {
			return v, true
		}
	}
	return "", false
}

// Has says whether there is that label.
func (l *Labels) Has(key string) bool {
	_, ok := l.Lookup(key)
	return ok
}

// Get returns a label's value, or "".
func (l *Labels) Get(key string) string {
	value, _ := l.Lookup(key)
	return value
}

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
	// encoded are keys and values in turn, sorted by key, each after its length. A key of the usualKeys is its place among
	// them, and the length of any other is that much more.
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
	add := func(n int, text string) { buffer = append(binary.AppendUvarint(buffer, uint64(n)), text...) } //nolint:gosec // G115: a length
	for _, key := range slices.Sorted(maps.Keys(set)) {
		if place, usual := slices.BinarySearch(usualKeys, key); usual {
			add(place, "")
		} else {
			add(len(usualKeys)+len(key), key)
		}
		add(len(set[key]), set[key])
	}
	return string(buffer)
}

// usualKeys are the keys of most labels of Pods, sorted.
var usualKeys = []string{
	"app",
	"app.kubernetes.io/component",
	"app.kubernetes.io/instance",
	"app.kubernetes.io/managed-by",
	"app.kubernetes.io/name",
	"app.kubernetes.io/part-of",
	"app.kubernetes.io/version",
	"apps.kubernetes.io/pod-index",
	"batch.kubernetes.io/controller-uid",
	"batch.kubernetes.io/job-name",
	"component",
	"controller-revision-hash",
	"controller-uid",
	"helm.sh/chart",
	"job-name",
	"k8s-app",
	"pod-template-generation",
	"pod-template-hash",
	"release",
	"statefulset.kubernetes.io/pod-name",
	"tier",
	"version",
}

// Encoded returns what LabelsOf was given; "" of a nil set.
func (l *Labels) Encoded() string {
	if l == nil {
		return ""
	}
	return l.encoded
}

// All returns the labels, sorted by key. A nil set has none.
func (l *Labels) All() iter.Seq2[string, string] {
	return func(yield func(key, value string) bool) {
		for rest := l.Encoded(); rest != ""; {
			var key, value string
			if key, value, rest = cutLabel(rest); !yield(key, value) {
				return
			}
		}
	}
}

// cutLabel decodes the first of encoded labels.
func cutLabel(encoded string) (key, value, rest string) {
	n, length := uvarint(encoded)
	encoded = encoded[length:]
	if n < len(usualKeys) {
		key = usualKeys[n]
	} else {
		n -= len(usualKeys)
		key, encoded = encoded[:n], encoded[n:]
	}
	n, length = uvarint(encoded)
	encoded = encoded[length:]
	return key, encoded[:n], encoded[n:]
}

// only returns the labels with some of the keys, encoded.
func (l *Labels) only(keep func(key string) bool) string {
	all := l.Encoded()
	kept := make([]byte, 0, len(all))
	for rest := all; rest != ""; {
		key, _, after := cutLabel(rest)
		if keep(key) {
			kept = append(kept, rest[:len(rest)-len(after)]...)
		}
		rest = after
	}
	if len(kept) == len(all) {
		return all
	}
	return string(kept)
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

// Map returns the labels as a map.
func (l *Labels) Map() map[string]string { return maps.Collect(l.All()) }

func (l *Labels) equal(m *Labels) bool {
	return l == m || l != nil && m != nil && *l == *m
}

// ReplicaLabel says whether controllers, or the node that a Pod comes to, decide the value of a label. It differs between
// the Pods of a workload, or between them and the template.
func ReplicaLabel(key string) bool { return replicaLabels[key] }

// ReplicaLabels returns all of them, sorted.
func ReplicaLabels() []string { return slices.Sorted(maps.Keys(replicaLabels)) }

var replicaLabels = map[string]bool{
	"apps.kubernetes.io/pod-index":             true,
	"batch.kubernetes.io/controller-uid":       true,
	"batch.kubernetes.io/job-completion-index": true,
	"batch.kubernetes.io/job-name":             true,
	"controller-revision-hash":                 true,
	"controller-uid":                           true,
	"job-name":                                 true,
	"pod-template-generation":                  true,
	"pod-template-hash":                        true,
	"statefulset.kubernetes.io/pod-name":       true,
	"topology.kubernetes.io/region":            true,
	"topology.kubernetes.io/zone":              true,
}

// common returns the labels without ReplicaLabels, encoded.
func (l *Labels) common() string {
	return l.only(func(key string) bool { return !replicaLabels[key] })
}

// Selector returns the selector that matches what has all the labels.
func (l *Labels) Selector() labels.Selector { return labels.SelectorFromSet(maps.Collect(l.All())) }

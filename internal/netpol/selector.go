// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/sets"
)

// label is a key with its value.
type label struct{ key, value string }

// selector is a label selector that several policies may share.
type selector struct {
	compiled labels.Selector
	// text is the same for selectors that are the same.
	text string
	// keys of the labels that it looks at, sorted.
	keys []string
	// anchor is a label without which nothing matches. The zero label says nothing.
	anchor label
}

func newSelector(s *metav1.LabelSelector) (*selector, error) {
	compiled, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return nil, err
	}
	out := &selector{compiled: compiled, text: compiled.String()}
	requirements, _ := compiled.Requirements()
	for _, r := range requirements {
		if values := r.ValuesUnsorted(); len(values) == 1 && demands(&r) && out.anchor == (label{}) {
			out.anchor = label{r.Key(), values[0]}
		}
		out.keys = append(out.keys, r.Key())
	}
	slices.Sort(out.keys)
	out.keys = slices.Compact(out.keys)
	return out, nil
}

// demands says whether a label must have one of the requirement's values.
func demands(r *labels.Requirement) bool {
	return r.Operator() == selection.In || r.Operator() == selection.Equals
}

func (s *selector) matches(set map[string]string) bool { return s.compiled.Matches(labels.Set(set)) }

// everything says whether it matches whatever there is.
func (s *selector) everything() bool { return s.compiled.Empty() }

// everyNamespace says whether a selector of namespaces matches every one but perhaps that of the policy, now and always.
// That all have a label happens to be so.
func (s *selector) everyNamespace(own string) bool {
	requirements, _ := s.compiled.Requirements()
	for _, r := range requirements {
		switch {
		case r.Key() != corev1.LabelMetadataName: // which all of them have, from the API server
			return false
		case r.Operator() == selection.Exists:
		case r.Operator() == selection.NotIn && sets.New(r.ValuesUnsorted()...).Equal(sets.New(own)):
		default:
			return false
		}
	}
	return true
}

// contradiction says why it can match nothing, whatever labels there are, or returns "".
func (s *selector) contradiction() string {
	requirements, _ := s.compiled.Requirements() // sorted by key
	for len(requirements) > 0 {
		key := requirements[0].Key()
		n := slices.IndexFunc(requirements, func(r labels.Requirement) bool { return r.Key() != key })
		if n < 0 {
			n = len(requirements)
		}
		if n > 1 && contradicts(requirements[:n]) { // by itself each can be met
			texts := make([]string, 0, n)
			for _, r := range requirements[:n] {
				texts = append(texts, r.String())
			}
			slices.Sort(texts)
			return "nothing is " + strings.Join(texts, " and ")
		}
		requirements = requirements[n:]
	}
	return ""
}

// contradicts says whether no label, nor its absence, meets all those requirements on one key.
func contradicts(requirements []labels.Requirement) bool {
	var (
		present, absent bool
		allowed         sets.Set[string] // nil: any
		refused         = sets.New[string]()
	)
	for _, r := range requirements {
		switch values := sets.New(r.ValuesUnsorted()...); r.Operator() {
		case selection.In, selection.Equals:
			present = true
			if allowed == nil {
				allowed = values
			} else {
				allowed = allowed.Intersection(values)
			}
		case selection.NotIn:
			refused = refused.Union(values)
		case selection.Exists:
			present = true
		case selection.DoesNotExist:
			absent = true
		}
	}
	return present && absent || allowed != nil && allowed.Difference(refused).Len() == 0
}

// anchored is an index of what has selectors, by the labels without which they match nothing.
type anchored[T comparable] struct {
	byAnchor map[label]map[T]struct{}
	rest     map[T]struct{}
}

func (x *anchored[T]) at(s *selector) map[T]struct{} {
	if x.rest == nil {
		x.rest, x.byAnchor = make(map[T]struct{}), make(map[label]map[T]struct{})
	}
	if s.anchor == (label{}) {
		return x.rest
	}
	if x.byAnchor[s.anchor] == nil {
		x.byAnchor[s.anchor] = make(map[T]struct{})
	}
	return x.byAnchor[s.anchor]
}

func (x *anchored[T]) add(s *selector, v T) { x.at(s)[v] = struct{}{} }

func (x *anchored[T]) remove(s *selector, v T) {
	at := x.at(s)
	delete(at, v)
	if len(at) == 0 && s.anchor != (label{}) {
		delete(x.byAnchor, s.anchor)
	}
}

// candidates calls yield for everything whose selector may match those labels.
func (x *anchored[T]) candidates(set map[string]string, yield func(T)) {
	for v := range x.rest {
		yield(v)
	}
	for key, value := range set {
		for v := range x.byAnchor[label{key, value}] {
			yield(v)
		}
	}
}

// labelled is an index of what has labels.
type labelled[T comparable] map[label]map[T]struct{}

func (x labelled[T]) add(l label, v T) {
	if x[l] == nil {
		x[l] = make(map[T]struct{})
	}
	x[l][v] = struct{}{}
}

func (x labelled[T]) remove(l label, v T) {
	delete(x[l], v)
	if len(x[l]) == 0 {
		delete(x, l)
	}
}

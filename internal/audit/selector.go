// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// NamespaceSelector selects namespaces. The zero value selects none.
type NamespaceSelector struct {
	// names is nil for any name.
	names []pattern
	// labels is nil in what selects none.
	labels labels.Selector
}

// NewNamespaceSelector compiles a selector. Without one, it selects all namespaces. The error says what is wrong with the
// labels.
func NewNamespaceSelector(s *v1alpha1.NamespaceSelector) (NamespaceSelector, error) {
	if s == nil {
		return NamespaceSelector{labels: labels.Everything()}, nil
	}
	if s.Names == nil && s.Selector == nil {
		return NamespaceSelector{}, errors.New("it must have names or a selector; for all namespaces, set names to [\"*\"]")
	}
	compiled := labels.Everything()
	if s.Selector != nil {
		var err error
		if compiled, err = NewSelector(s.Selector); err != nil {
			return NamespaceSelector{}, err
		}
	}
	return NamespaceSelector{patternsOf(s.Names), compiled}, nil
}

// NewSelector compiles a selector of labels. An empty one, which would select everything, is an error: it is seldom meant.
func NewSelector(s *metav1.LabelSelector) (labels.Selector, error) {
	if len(s.MatchLabels)+len(s.MatchExpressions) == 0 {
		return nil, errors.New("a selector must not be empty")
	}
	return metav1.LabelSelectorAsSelector(s)
}

// Matches says whether a namespace with that name and those labels is selected.
func (s *NamespaceSelector) Matches(name string, of map[string]string) bool {
	return s.labels != nil && (s.names == nil || matchesAny(s.names, name)) && s.labels.Matches(labels.Set(of))
}

// pattern is a name in which "*" stands for any number of characters: what is between the asterisks.
type pattern []string

func patternsOf(texts []string) []pattern {
	if texts == nil {
		return nil
	}
	patterns := make([]pattern, 0, len(texts))
	for _, text := range texts {
		patterns = append(patterns, strings.Split(text, "*"))
	}
	return patterns
}

// matches compares in a time that grows with the length of the name and no faster. Names that no object can have match
// nothing but "*".
func (p pattern) matches(name string) bool { return p.matchesUpTo(v1alpha1.MaxName, name) }

// matchesUpTo is matches where names can be that long.
func (p pattern) matchesUpTo(longest int, name string) bool {
	if len(p) == 1 {
		return p[0] == name
	}
	first, last := p[0], p[len(p)-1]
	if len(name) > longest {
		return len(p) == 2 && first == "" && last == ""
	}
	if len(name) < len(first)+len(last) || !strings.HasPrefix(name, first) || !strings.HasSuffix(name, last) {
		return false
	}
	rest := name[len(first) : len(name)-len(last)]
	for _, part := range p[1 : len(p)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return true
}

// matchesAny says whether a name matches any of some patterns.
func matchesAny(patterns []pattern, name string) bool {
	return slices.ContainsFunc(patterns, func(p pattern) bool { return p.matches(name) })
}

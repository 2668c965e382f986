// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"path"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// NamespaceSelector selects namespaces. The zero value selects none.
type NamespaceSelector struct {
	// names are patterns; nil for any name.
	names []string
	// labels is nil in what selects none.
	labels labels.Selector
}

// NewNamespaceSelector compiles a selector. Without one, it selects all namespaces. The error says what is wrong with the
// labels.
func NewNamespaceSelector(s *v1alpha1.NamespaceSelector) (NamespaceSelector, error) {
	if s == nil {
		return NamespaceSelector{labels: labels.Everything()}, nil
	}
	compiled := labels.Everything()
	if s.Selector != nil {
		var err error
		if compiled, err = metav1.LabelSelectorAsSelector(s.Selector); err != nil {
			return NamespaceSelector{}, err
		}
	}
	return NamespaceSelector{s.Names, compiled}, nil
}

// Matches says whether a namespace with that name and those labels is selected.
func (s *NamespaceSelector) Matches(name string, of map[string]string) bool {
	return s.labels != nil && (s.names == nil || matchesAny(s.names, name)) && s.labels.Matches(labels.Set(of))
}

// matchesAny says whether a name matches any of some patterns, in which "*" stands for any number of characters.
func matchesAny(patterns []string, name string) bool {
	for _, pattern := range patterns {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return true
		}
	}
	return false
}

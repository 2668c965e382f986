// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package netpol holds the semantics of NetworkPolicy v1.
package netpol

import (
	"fmt"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// DefaultDeniesIngress says whether a policy alone isolates every Pod of its namespace and allows nothing in: it selects
// all Pods, covers ingress, and has no ingress rule.
func DefaultDeniesIngress(spec *networkingv1.NetworkPolicySpec) bool {
	return len(spec.PodSelector.MatchLabels) == 0 && len(spec.PodSelector.MatchExpressions) == 0 &&
		coversIngress(spec) && len(spec.Ingress) == 0
}

// coversIngress: a policy without types covers ingress, with or without rules.
func coversIngress(spec *networkingv1.NetworkPolicySpec) bool {
	return len(spec.PolicyTypes) == 0 || slices.Contains(spec.PolicyTypes, networkingv1.PolicyTypeIngress)
}

// IngressIsolator tells which Pods of a namespace some policy isolates for ingress.
type IngressIsolator struct {
	selectors []labels.Selector
}

// NewIngressIsolator compiles the policies of one namespace. A policy whose selector is invalid isolates nothing; the
// error names the selector's fault, and the others hold.
func NewIngressIsolator(specs []*networkingv1.NetworkPolicySpec) (*IngressIsolator, error) {
	var (
		i     IngressIsolator
		first error
	)
	for _, spec := range specs {
		if !coversIngress(spec) {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(&spec.PodSelector)
		if err != nil {
			if first == nil {
				first = fmt.Errorf("spec.podSelector: %w", err)
			}
			continue
		}
		i.selectors = append(i.selectors, selector)
	}
	return &i, first
}

// Isolates says whether a Pod with those labels is isolated for ingress.
func (i *IngressIsolator) Isolates(podLabels map[string]string) bool {
	for _, selector := range i.selectors {
		if selector.Matches(labels.Set(podLabels)) {
			return true
		}
	}
	return false
}

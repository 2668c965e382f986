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

// Direction is what a policy restricts: what comes in, or what goes out.
type Direction = networkingv1.PolicyType

// The directions.
const (
	Ingress = networkingv1.PolicyTypeIngress
	Egress  = networkingv1.PolicyTypeEgress
)

// DefaultDenies says whether a policy alone isolates every Pod of its namespace in a direction and allows nothing: it
// selects all Pods, covers the direction, and has no rule for it.
func DefaultDenies(spec *networkingv1.NetworkPolicySpec, d Direction) bool {
	return selectsAll(&spec.PodSelector) && covers(spec, d) && len(Rules(spec, d)) == 0
}

// covers: a policy without types covers ingress, with or without rules, and egress if it has rules for it.
func covers(spec *networkingv1.NetworkPolicySpec, d Direction) bool {
	if len(spec.PolicyTypes) == 0 {
		return d == Ingress || len(spec.Egress) > 0
	}
	return slices.Contains(spec.PolicyTypes, d)
}

// Isolator tells which Pods of a namespace some policy isolates in a direction.
type Isolator struct {
	selectors []labels.Selector
}

// NewIsolator compiles the policies of one namespace. A policy whose selector is invalid isolates nothing; the error
// names the selector's fault, and the others hold.
func NewIsolator(specs []*networkingv1.NetworkPolicySpec, d Direction) (*Isolator, error) {
	var (
		i     Isolator
		first error
	)
	for _, spec := range specs {
		if !covers(spec, d) {
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

// Isolates says whether a Pod with those labels is isolated.
func (i *Isolator) Isolates(podLabels labels.Labels) bool {
	for _, selector := range i.selectors {
		if selector.Matches(podLabels) {
			return true
		}
	}
	return false
}

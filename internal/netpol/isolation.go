// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package netpol judges network policies exactly: NetworkPolicy v1 and ClusterNetworkPolicy v1alpha2. It says which Pods are
// isolated, what may connect to what, and why. Rules are those of the API's comments and of Kubernetes' end-to-end tests.
package netpol

import (
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
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

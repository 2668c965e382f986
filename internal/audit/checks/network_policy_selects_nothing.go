// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Looks at spec.podSelector of every NetworkPolicy. Allowed: empty, or one that a live Pod or a Pod template matches.
var _ = register(audit.Check{
	ID:          "network-policy-selects-nothing",
	Title:       "NetworkPolicies select Pods",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryNetwork,
	Rationale:   "The Pods that the policy was meant for may be open to everybody, and whoever creates Pods with these labels gets what the policy allows.",
	Remediation: "Set spec.podSelector to the labels of the Pods that are meant, or delete the policy.",
	Before:      "spec:\n  podSelector: {matchLabels: {app: crat}}",
	After:       "spec:\n  podSelector: {matchLabels: {app: cart}}",
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/network-policies/#networkpolicy-resource",
	},
	Needs:     []audit.Resource{audit.NetworkPolicies},
	Namespace: networkPolicySelectsNothing,
})

func networkPolicySelectsNothing(ns *audit.Namespace, r *audit.Reporter) {
	for _, p := range ns.Policies {
		wrong := slices.ContainsFunc(p.Problems(), func(problem netpol.Problem) bool { return problem.Path == "spec.podSelector" })
		if wrong || p.Selector().Empty() || selectsAny(ns, p.Selector()) {
			continue // what is wrong with it another check says
		}
		if u := ns.MissingWorkloads(); u != nil {
			r.SkipUnavailable(u)
			return
		}
		r.Find(audit.Finding{
			Message: fmt.Sprintf("network policy %q must select Pods: spec.podSelector matches no Pod and no Pod template", p.Name),
			Object:  &v1alpha1.ObjectReference{Kind: "NetworkPolicy", Name: p.Name},
			Path:    "spec.podSelector",
		})
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Looks at all selectors, peers, ports and types of every NetworkPolicy. Allowed: what the API server would take today, and
// selectors that can match something. What it once took may be stored still.
var _ = register(audit.Check{
	ID:          "network-policy-invalid",
	Title:       "NetworkPolicies say what they are meant to",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryNetwork,
	Rationale:   "Networks take what is invalid in different ways, so that Pods may be open which the policy was meant to protect.",
	Remediation: "Set the field to a valid value, or remove the part of the policy.",
	Before:      "ingress:\n- from:\n  - ipBlock: {cidr: 010.0.0.0/8}",
	After:       "ingress:\n- from:\n  - ipBlock: {cidr: 10.0.0.0/8}",
	References: []string{
		"https://kubernetes.io/docs/reference/kubernetes-api/policy-resources/network-policy-v1/",
	},
	Needs:     []audit.Resource{audit.NetworkPolicies},
	Namespace: networkPolicyInvalid,
})

func networkPolicyInvalid(ns *audit.Namespace, r *audit.Reporter) {
	for _, p := range ns.Policies {
		for _, problem := range netpol.Problems(p.Spec) {
			r.Find(audit.Finding{
				Message: fmt.Sprintf("network policy %q: %q %s", p.Name, problem.Path, problem.Message),
				Object:  &v1alpha1.ObjectReference{Kind: "NetworkPolicy", Name: p.Name},
				Path:    problem.Path,
			})
		}
	}
}

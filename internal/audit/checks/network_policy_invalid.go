// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Looks at all selectors, peers, ports and types of every NetworkPolicy, and of every ClusterNetworkPolicy that may select Pods
// of the namespace; of one whose subject is not valid it does in every namespace. Allowed: what the API server would take
// today, and selectors that can match something. What it once took may be stored still, and of a custom resource it takes
// selectors that are none.
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
	Needs:     []audit.Resource{audit.NetworkPolicies, audit.ClusterNetworkPolicies},
	Namespace: networkPolicyInvalid,
})

func networkPolicyInvalid(ns *audit.Namespace, r *audit.Reporter) {
	find := func(what, kind, name string, problems []netpol.Problem) {
		for _, problem := range problems {
			if problem.Unjudged {
				continue
			}
			r.Find(audit.Finding{
				Message: fmt.Sprintf("%s %q: %q %s", what, name, problem.Path, problem.Message),
				Object:  &v1alpha1.ObjectReference{Kind: kind, Name: name},
				Path:    problem.Path,
			})
		}
	}
	for _, p := range ns.Policies {
		find("network policy", "NetworkPolicy", p.Name, p.Problems())
	}
	for _, p := range ns.ClusterPolicies {
		find("cluster network policy", "ClusterNetworkPolicy", p.Name, p.Problems)
	}
}

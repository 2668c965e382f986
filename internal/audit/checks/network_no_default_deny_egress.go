// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Looks at the NetworkPolicies of namespaces that have workloads. Allowed: one that selects all Pods, covers egress and has
// no egress rule; others may then allow what is needed. Without it Low while every Pod happens to be isolated by other
// policies, else Medium.
var _ = register(audit.Check{
	ID:          "no-default-deny-egress",
	Title:       "Namespaces deny egress by default",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryNetwork,
	Rationale:   "A compromised Pod that no policy isolates can send data anywhere, load tools, and attack the rest of the cluster and network.",
	Remediation: "Create a NetworkPolicy with podSelector {}, policyTypes [Egress] and no rules, then one for each connection that is needed, DNS first.",
	Before:      "# no NetworkPolicy that selects all Pods",
	After: `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Egress]`,
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.3.2"},
		{Framework: audit.FrameworkNSA, ID: "Network policies"},
		{Framework: audit.FrameworkOWASP, ID: "K07"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/network-policies/#default-deny-all-egress-traffic",
	},
	Needs:     []audit.Resource{audit.NetworkPolicies, audit.ClusterNetworkPolicies},
	Namespace: noDefaultDeny(netpol.Egress, "egress from", v1alpha1.SeverityLow),
})

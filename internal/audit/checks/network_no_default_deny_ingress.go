// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Looks at the NetworkPolicies of namespaces that have workloads. Allowed: one that selects all Pods, covers ingress and
// has no ingress rule; others may then allow what is needed. Without it Medium while every Pod happens to be isolated by
// other policies, else High.
var _ = register(audit.Check{
	ID:          "no-default-deny-ingress",
	Title:       "Namespaces deny ingress by default",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryNetwork,
	Rationale:   "A compromised Pod anywhere in the cluster can reach every port of the Pods that no policy isolates.",
	Remediation: "Create a NetworkPolicy with podSelector {}, policyTypes [Ingress] and no rules, then one for each connection that is needed.",
	Before:      "# no NetworkPolicy that selects all Pods",
	After: `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress]`,
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.3.2"},
		{Framework: audit.FrameworkNSA, ID: "Network policies"},
		{Framework: audit.FrameworkOWASP, ID: "K07"},
		{Framework: audit.FrameworkMITRE, ID: "T1046"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/network-policies/#default-deny-all-ingress-traffic",
	},
	Needs:     []audit.Resource{audit.NetworkPolicies, audit.ClusterNetworkPolicies},
	Namespace: noDefaultDeny(netpol.Ingress, "ingress to", v1alpha1.SeverityMedium),
})

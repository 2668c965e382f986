// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at rules of roles for create, update, patch, delete and deletecollection on networkpolicies, and on those for the whole
// cluster. Allowed: those with resourceNames.
var _ = register(audit.Check{
	ID:          "rbac-edits-network-policies",
	Title:       "Few may change network policies",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever changes network policies opens the way from the Pod that they hold to all that the policies keep apart.",
	Remediation: "Remove create, update, patch, delete and deletecollection on networkpolicies from the rule.",
	Before:      "kind: Role\nrules:\n- apiGroups: [networking.k8s.io]\n  resources: [networkpolicies]\n  verbs: [get, delete]",
	After:       "kind: Role\nrules:\n- apiGroups: [networking.k8s.io]\n  resources: [networkpolicies]\n  verbs: [get]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Network policies"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1562"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/network-policies/",
	},
	Needs:   audit.PowerResources,
	Role:    editsNetworkPolicies.role,
	Binding: given(editsNetworkPolicies.binding),
})

var editsNetworkPolicies = power{
	requests: slices.Concat(
		requestsFor("networking.k8s.io", []string{"networkpolicies"}, []string{"create", "update", "patch", "delete", "deletecollection"}),
		requestsFor("policy.networking.k8s.io", []string{
			"clusternetworkpolicies", "adminnetworkpolicies", "baselineadminnetworkpolicies",
		}, []string{"create", "update", "patch", "delete", "deletecollection"}),
	),
}

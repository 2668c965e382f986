// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at rules of roles for create, update, patch, delete and deletecollection on nodes, and update and patch on nodes/status.
// Allowed: those with resourceNames.
var _ = register(audit.Check{
	ID:          "rbac-edits-nodes",
	Title:       "Few may change nodes",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever changes nodes draws sensitive Pods to a node of their own by its labels and taints, sends the API server to another kubelet, or drives all Pods off.",
	Remediation: "Remove create, update, patch, delete and deletecollection on nodes and nodes/status from the rule.",
	Before:      "kind: ClusterRole\nrules:\n- apiGroups: [\"\"]\n  resources: [nodes]\n  verbs: [get, patch]",
	After:       "kind: ClusterRole\nrules:\n- apiGroups: [\"\"]\n  resources: [nodes]\n  verbs: [get]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1098"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/access-authn-authz/node/",
	},
	Needs:   audit.PowerResources,
	Role:    editsNodes.role,
	Binding: given(editsNodes.binding),
})

var editsNodes = power{
	requests: slices.Concat(
		requestsFor("", []string{"nodes"}, []string{"create", "update", "patch", "delete", "deletecollection"}),
		requestsFor("", []string{"nodes/status"}, []string{"update", "patch"}),
	),
}

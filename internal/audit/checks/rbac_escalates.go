// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at rules of roles for escalate and bind on roles, and impersonate on users, groups and serviceaccounts. Allowed: those with
// resourceNames; in namespaces it is High.
var _ = register(audit.Check{
	ID:          "rbac-escalates",
	Title:       "Nobody may escalate, bind or impersonate",
	Severity:    v1alpha1.SeverityCritical,
	Category:    audit.CategoryAccess,
	Rationale:   "These verbs lift the rule that nobody can give more than they have: whoever holds them makes themselves whatever they like.",
	Remediation: "Remove the verbs, or name the roles or users that they are needed for in resourceNames.",
	Before:      "kind: ClusterRole\nrules:\n- apiGroups: [rbac.authorization.k8s.io]\n  resources: [clusterroles]\n  verbs: [bind]",
	After:       "kind: ClusterRole\nrules:\n- apiGroups: [rbac.authorization.k8s.io]\n  resources: [clusterroles]\n  resourceNames: [view]\n  verbs: [bind]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.8"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1098.006"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#escalate-verb",
	},
	Needs:   audit.PowerResources,
	Role:    escalates.role,
	Binding: given(escalates.binding),
})

var escalates = power{
	requests: slices.Concat(
		requestsFor(rbacv1.GroupName, []string{"clusterroles", "roles"}, []string{"escalate", "bind"}),
		requestsFor("", []string{"users", "groups", "serviceaccounts"}, []string{"impersonate"}),
	),
	within: v1alpha1.SeverityHigh,
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Looks at subjects of bindings for system:authenticated and system:serviceaccounts. Allowed: roles that give no more than what an API server
// tells everybody of itself. Where it is everything, rbac-cluster-admin tells it.
var _ = register(audit.Check{
	ID:          "rbac-authenticated-group",
	Title:       "Nothing is given to all who have logged in",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Everybody with any credential of the cluster has these permissions, and each ServiceAccount in the first container that is taken over.",
	Remediation: "Bind the role to the group or the ServiceAccount that needs it.",
	Before:      "kind: ClusterRoleBinding\nsubjects: [{kind: Group, name: \"system:authenticated\"}]",
	After:       "kind: ClusterRoleBinding\nsubjects: [{kind: Group, name: developers}]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1078"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege",
	},
	Needs:   audit.PowerResources,
	Binding: given(authenticatedGroup),
})

func authenticatedGroup(b *audit.Binding, r *audit.Reporter) {
	who := subjectsOf(b, func(s rbac.Subject) bool { return slices.Contains(everybody, s) })
	if len(who) > 0 && !isOwn(b) && !isAdmin(b) && rbac.BeyondDiscovery(b.Rules) {
		findSubjects(b, r, who, "give "+b.RoleTitle()+" to %s")
	}
}

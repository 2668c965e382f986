// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Looks at subjects of bindings for system:anonymous and system:unauthenticated. Allowed: roles that give no more than what an API server
// tells everybody of itself.
var _ = register(audit.Check{
	ID:          "rbac-anonymous",
	Title:       "Who has not logged in may do nothing",
	Severity:    v1alpha1.SeverityCritical,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever reaches the API server's address has these permissions without any credential.",
	Remediation: "Delete the binding, or bind the role to those who need it.",
	Before:      "kind: ClusterRoleBinding\nsubjects: [{kind: User, name: \"system:anonymous\"}]",
	After:       "kind: ClusterRoleBinding\nsubjects: [{kind: Group, name: developers}]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkNSA, ID: "Authentication"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1190"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/access-authn-authz/authentication/#anonymous-requests",
	},
	Needs:   audit.PowerResources,
	Binding: given(anonymous),
})

func anonymous(b *audit.Binding, r *audit.Reporter) {
	who := subjectsOf(b, func(s rbac.Subject) bool { return slices.Contains(nobodies, s) })
	if len(who) > 0 && !isOwn(b) && rbac.BeyondDiscovery(b.Rules) {
		findSubjects(b, r, who, "give "+b.RoleTitle()+" to %s")
	}
}

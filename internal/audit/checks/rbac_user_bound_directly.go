// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Looks at subjects of bindings. Allowed: groups, ServiceAccounts, and users of Kubernetes' own, which are called "system:…".
var _ = register(audit.Check{
	ID:          "rbac-user-bound-directly",
	Title:       "People have permissions as members of groups",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryAccess,
	Rationale:   "A person who changes jobs or leaves keeps the permissions for as long as nobody searches all bindings for the name.",
	Remediation: "Bind a group that the identity provider keeps, and put the user into it.",
	Before:      "kind: RoleBinding\nsubjects: [{kind: User, name: alice}]",
	After:       "kind: RoleBinding\nsubjects: [{kind: Group, name: developers}]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1078"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#periodic-review",
	},
	Needs:   audit.PowerResources,
	Binding: userBoundDirectly,
})

func userBoundDirectly(b *audit.Binding, r *audit.Reporter) {
	if !b.Default {
		findSubjects(b, r, subjectsOf(b, func(s rbac.Subject) bool {
			return s.Kind == rbacv1.UserKind && !strings.HasPrefix(s.Name, "system:")
		}), "name %s: bind a group")
	}
}

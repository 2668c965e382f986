// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Looks at subjects of bindings for ServiceAccounts called default. Allowed: none, unless the role gives nothing.
var _ = register(audit.Check{
	ID:          "rbac-default-service-account",
	Title:       "ServiceAccounts called default have no permissions",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Every Pod that names no ServiceAccount has these permissions, whoever made it and whatever it is for.",
	Remediation: "Make a ServiceAccount for the workload that needs the role, name it in the Pod template, and bind the role to that.",
	Before:      "kind: RoleBinding\nsubjects: [{kind: ServiceAccount, name: default}]",
	After:       "kind: RoleBinding\nsubjects: [{kind: ServiceAccount, name: web}]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.5"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1078.001"},
	},
	References: []string{
		"https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/",
	},
	Needs:   audit.PowerResources,
	Binding: given(defaultAccountBound),
})

func defaultAccountBound(b *audit.Binding, r *audit.Reporter) {
	if givesAnything(b) {
		findSubjects(b, r, subjectsOf(b, func(s rbac.Subject) bool {
			return s.Kind == rbacv1.ServiceAccountKind && s.Name == "default"
		}), "give "+b.RoleTitle()+" to %s")
	}
}

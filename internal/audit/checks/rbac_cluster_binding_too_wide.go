// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Looks at ClusterRoleBindings for ServiceAccounts. Allowed: roles that are about anything that is in no namespace, or may be: kinds that
// Kubernetes does not have itself, and wildcards.
var _ = register(audit.Check{
	ID:          "rbac-cluster-binding-too-wide",
	Title:       "ServiceAccounts have permissions where they need them",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever takes over one container of the workload has the permissions in every namespace, and in those that are yet to come.",
	Remediation: "Bind the role with a RoleBinding in each namespace that the workload serves.",
	Before:      "kind: ClusterRoleBinding\nroleRef: {kind: ClusterRole, name: config-reader}\nsubjects: [{kind: ServiceAccount, namespace: shop, name: web}]",
	After:       "kind: RoleBinding\nmetadata: {namespace: shop}\nroleRef: {kind: ClusterRole, name: config-reader}\nsubjects: [{kind: ServiceAccount, name: web}]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege",
	},
	Needs:   audit.PowerResources,
	Binding: given(clusterBindingTooWide),
})

func clusterBindingTooWide(b *audit.Binding, r *audit.Reporter) {
	if givesAnything(b) && b.Namespace == "" && rbac.NamespacedOnly(b.Rules) {
		findSubjects(b, r, subjectsOf(b, func(s rbac.Subject) bool { return s.Kind == rbacv1.ServiceAccountKind }),
			"bind "+b.RoleTitle()+", which names only what is in namespaces, in all of them to %s")
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Looks at subjects of RoleBindings. Allowed: ServiceAccounts of their own namespace, users and groups; and in
// kube-system the role by which API servers that extend the cluster know who asks them
// (https://kubernetes.io/docs/tasks/extend-kubernetes/setup-extension-api-server/).
var _ = register(audit.Check{
	ID:          "rbac-cross-namespace",
	Title:       "Permissions in a namespace stay with it",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever takes over a Pod of the other namespace has these permissions here too: the boundary between both is open.",
	Remediation: "Bind a ServiceAccount of the namespace itself, or a ClusterRole to what serves all namespaces.",
	Before:      "kind: RoleBinding\nmetadata: {namespace: shop}\nsubjects: [{kind: ServiceAccount, namespace: tools, name: ci}]",
	After:       "kind: RoleBinding\nmetadata: {namespace: shop}\nsubjects: [{kind: ServiceAccount, name: ci}]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Namespaces"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/multi-tenancy/#access-controls",
	},
	Needs:   audit.PowerResources,
	Binding: given(crossNamespace),
})

var authenticationReader = rbac.RoleKey{Namespace: audit.SystemNamespace, Name: "extension-apiserver-authentication-reader"}

func crossNamespace(b *audit.Binding, r *audit.Reporter) {
	if givesAnything(b) && b.Namespace != "" && (!b.RoleDefault || b.Role != authenticationReader) {
		findSubjects(b, r, subjectsOf(b, func(s rbac.Subject) bool {
			return s.Kind == rbacv1.ServiceAccountKind && s.Namespace != b.Namespace
		}), "give "+b.RoleTitle()+" to %s of another namespace")
	}
}

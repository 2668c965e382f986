// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Looks at subjects of bindings for the group system:masters. Allowed: that of cluster-admin, which
// Kubernetes makes, whoever else is added to it.
var _ = register(audit.Check{
	ID:          "rbac-system-masters",
	Title:       "The group system:masters is not used",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever is in system:masters may do everything past RBAC, and nothing but new certificates for the whole cluster takes it back.",
	Remediation: "Bind the role to a group of your own, and issue no credentials for system:masters.",
	Before:      "kind: ClusterRoleBinding\nsubjects: [{kind: Group, name: \"system:masters\"}]",
	After:       "kind: ClusterRoleBinding\nsubjects: [{kind: Group, name: platform-team}]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.7"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1078"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege",
	},
	Needs:   audit.PowerResources,
	Binding: systemMasters,
})

// clusterAdminName is what Kubernetes calls the role of its administrators, and the binding of system:masters to it.
const clusterAdminName = "cluster-admin"

func systemMasters(b *audit.Binding, r *audit.Reporter) {
	if b.Default || b.BindingKey == (rbac.BindingKey{Name: clusterAdminName}) && b.Role == (rbac.RoleKey{Name: clusterAdminName}) {
		return
	}
	findSubjects(b, r, subjectsOf(b, func(s rbac.Subject) bool { return s == rbac.Group(rbac.Masters) }), "name %s")
}

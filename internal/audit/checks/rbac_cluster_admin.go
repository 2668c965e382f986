// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at ClusterRoleBindings to roles that allow everything. Allowed: those for system:masters that Kubernetes makes; of others for that
// group, and for who has not logged in, rbac-system-masters and rbac-anonymous tell.
var _ = register(audit.Check{
	ID:          "rbac-cluster-admin",
	Title:       "Nobody is cluster-admin for good",
	Severity:    v1alpha1.SeverityCritical,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever gets at one credential of the subject has the whole cluster, with all nodes, Secrets and backups that can be reached from it.",
	Remediation: "Bind a role that names what the subject needs, and keep cluster-admin for a group that people enter in an emergency.",
	Before:      "kind: ClusterRoleBinding\nroleRef: {kind: ClusterRole, name: cluster-admin}\nsubjects: [{kind: User, name: alice}]",
	After:       "kind: ClusterRoleBinding\nroleRef: {kind: ClusterRole, name: view}\nsubjects: [{kind: Group, name: developers}]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.1"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1078"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege",
	},
	Needs:   audit.PowerResources,
	Binding: given(clusterAdmin),
})

func clusterAdmin(b *audit.Binding, r *audit.Reporter) {
	if isAdmin(b) && !isOwn(b) && len(ordinary(b)) > 0 {
		findRoleRef(b, r, "", "give everything")
	}
}

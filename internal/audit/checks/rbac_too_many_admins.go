// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at how many subjects ClusterRoleBindings bind to roles that allow everything. Allowed: as many as spec.rbac.maxAdmins of the
// AuditConfiguration. It is told of one of these roles, cluster-admin if it is there.
var _ = register(audit.Check{
	ID:          "rbac-too-many-admins",
	Title:       "The cluster has no more administrators than it needs",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryAccess,
	Rationale:   "Each administrator more is one more credential that opens the whole cluster.",
	Remediation: "Delete ClusterRoleBindings to cluster-admin and to roles like it, or raise maxAdmins if all of them are meant.",
	Before:      "kind: ClusterRoleBinding\nroleRef: {kind: ClusterRole, name: cluster-admin}\nsubjects:\n- {kind: User, name: alice}\n- {kind: User, name: bob}",
	After:       "kind: ClusterRoleBinding\nroleRef: {kind: ClusterRole, name: cluster-admin}\nsubjects:\n- {kind: Group, name: emergency}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.1"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege",
	},
	Setting: "spec.rbac.maxAdmins is set",
	Applies: func(s *audit.Settings) bool { return s.MaxAdmins > 0 },
	Needs:   audit.PowerResources,
	Role:    tooManyAdmins,
})

func tooManyAdmins(role *audit.Role, r *audit.Reporter) {
	if most := r.Settings().MaxAdmins; role.Admins > most {
		r.Find(audit.Finding{
			Message: fmt.Sprintf(`%s, and others that allow everything, must not be bound to more than %d subjects: "spec.rbac.maxAdmins"`, role.Title(), most),
			Path:    "metadata.name",
		})
	}
}

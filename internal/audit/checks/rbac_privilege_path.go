// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at where the role of a binding leads, with all other roles and bindings. Allowed: nowhere near cluster-admin. What is on the way
// may be in other namespaces, so of a RoleBinding only the number of steps is told.
var _ = register(audit.Check{
	ID:          "rbac-privilege-path",
	Title:       "No binding leads to cluster-admin",
	Severity:    v1alpha1.SeverityCritical,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever gets at one credential of the subject takes these steps, one after the other, and has the whole cluster.",
	Remediation: "Take away what the first step needs, or bind the role where nothing powerful runs; \"kubersafe rbac explain\" prints the steps.",
	Before:      "kind: ClusterRoleBinding\nroleRef: {kind: ClusterRole, name: edit}\nsubjects: [{kind: ServiceAccount, namespace: shop, name: ci}]",
	After:       "kind: RoleBinding\nmetadata: {namespace: shop}\nroleRef: {kind: ClusterRole, name: edit}\nsubjects: [{kind: ServiceAccount, name: ci}]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1068"},
		{Framework: audit.FrameworkMITRE, ID: "T1078"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#privilege-escalation-risks",
	},
	Needs:   audit.PowerResources,
	Binding: given(privilegePath),
})

func privilegePath(b *audit.Binding, r *audit.Reporter) {
	if isOwn(b) || isAdmin(b) || len(ordinary(b)) == 0 {
		return
	}
	if b.Pending {
		r.Skip(v1alpha1.SkipSourceSyncing, "it is not known yet where "+b.Title()+" leads")
		return
	}
	if b.Steps == 0 {
		switch {
		case b.Leads && b.Unseen != nil:
			r.SkipUnavailable(b.Unseen)
		case b.Unsure:
			r.Skip(v1alpha1.SkipDataMissing, unsureWays)
		}
		return
	}
	message := fmt.Sprintf("%s must not give %s to %s: it leads to cluster-admin", b.Title(), b.RoleTitle(), subjects(ordinary(b)))
	switch {
	case b.Namespace == "":
		message += ": " + strings.Join(b.Way, "; ")
	case b.Steps == 1:
		message += " in one step"
	default:
		message += fmt.Sprintf(" in %d steps", b.Steps)
	}
	r.Find(audit.Finding{Message: message, Path: "roleRef"})
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Looks at who is bound to a role. Allowed: anybody; also as a part of an aggregated ClusterRole. A ClusterRole may also wait for
// somebody who binds it, as long as it gives none of the powers that few should have: operators bring such ones to read or edit their
// objects, and whoever deleted them would have them back with the next release. A Role is made for one namespace, by people who know
// who needs it.
var _ = register(audit.Check{
	ID:          "rbac-unused-role",
	Title:       "Roles are there to be used",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever may bind roles, or change them, finds permissions there that nobody watches over.",
	Remediation: "Delete the role, or bind it.",
	Before:      "kind: Role\nmetadata: {name: old-ci}\n# no binding names it",
	After:       "# no Role old-ci",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#periodic-review",
	},
	Needs: audit.PowerResources,
	Role:  unusedRole,
})

func unusedRole(role *audit.Role, r *audit.Reporter) {
	if role.Default || role.Collected || role.Bound != rbac.Unbound || role.Namespace == "" && !isPowerful(role.Rules) {
		return
	}
	if role.FromManifests {
		r.Skip(v1alpha1.SkipDataMissing, "manifests do not show who else is bound to "+role.Title())
		return
	}
	r.Find(audit.Finding{Message: role.Title() + " must not be there for nobody: no binding with subjects names it", Path: "metadata.name"})
}

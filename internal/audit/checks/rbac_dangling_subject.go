// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Looks at subjects of bindings. Allowed: ServiceAccounts that exist, users and groups. A RoleBinding's of another namespace are left aside:
// what is there is not told.
var _ = register(audit.Check{
	ID:          "rbac-dangling-subject",
	Title:       "Bindings name ServiceAccounts that exist",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever may create a ServiceAccount of that name gets the permissions with it.",
	Remediation: "Remove the subject, or create the ServiceAccount.",
	Before:      "kind: RoleBinding\nsubjects: [{kind: ServiceAccount, name: gone}]",
	After:       "kind: RoleBinding\nsubjects: [{kind: ServiceAccount, name: web}]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#periodic-review",
	},
	Needs:   append([]audit.Resource{audit.ServiceAccounts}, audit.PowerResources...),
	Binding: danglingSubject,
})

func danglingSubject(b *audit.Binding, r *audit.Reporter) {
	if b.Default {
		return
	}
	missing, assumed := b.Missing, b.Assumed
	if b.In != nil {
		missing = subjectsOf(b, func(s rbac.Subject) bool {
			return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == b.Namespace &&
				!slices.ContainsFunc(b.In.ServiceAccounts, func(a *audit.ServiceAccountRecord) bool { return a.Name == s.Name })
		})
		if b.In.FromManifests {
			missing, assumed = nil, missing
		}
	}
	findSubjects(b, r, missing, "name %s: there is none")
	if len(assumed) > 0 {
		r.Skip(v1alpha1.SkipDataMissing, "it is not known whether "+subjects(assumed)+" exists")
	}
}

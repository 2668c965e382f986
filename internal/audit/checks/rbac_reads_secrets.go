// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at rules of roles for get, list and watch on secrets. Allowed: those with resourceNames.
var _ = register(audit.Check{
	ID:          "rbac-reads-secrets",
	Title:       "Secrets are read by name, by few",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever reads Secrets has the credentials of all that use them, tokens of more powerful ServiceAccounts among them; a list tells their contents just as get does.",
	Remediation: "Remove secrets from the rule, or limit it to get with the Secrets' names in resourceNames.",
	Before:      "kind: Role\nrules:\n- apiGroups: [\"\"]\n  resources: [secrets]\n  verbs: [get, list]",
	After:       "kind: Role\nrules:\n- apiGroups: [\"\"]\n  resources: [secrets]\n  resourceNames: [web]\n  verbs: [get]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.2"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1552"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#listing-secrets",
	},
	Needs:   audit.PowerResources,
	Role:    readsSecrets.role,
	Binding: given(readsSecrets.binding),
})

var readsSecrets = power{
	requests: requestsFor("", []string{"secrets"}, []string{"get", "list", "watch"}),
}

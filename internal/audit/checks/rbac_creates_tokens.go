// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at rules of roles for create on serviceaccounts/token. Allowed: those with resourceNames.
var _ = register(audit.Check{
	ID:          "rbac-creates-tokens",
	Title:       "Few may create tokens of ServiceAccounts",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever creates tokens acts as every ServiceAccount there is, the most powerful one too, until the tokens expire.",
	Remediation: "Name the ServiceAccounts that tokens are needed of in resourceNames.",
	Before:      "kind: ClusterRole\nrules:\n- apiGroups: [\"\"]\n  resources: [serviceaccounts/token]\n  verbs: [create]",
	After:       "kind: ClusterRole\nrules:\n- apiGroups: [\"\"]\n  resources: [serviceaccounts/token]\n  resourceNames: [ci]\n  verbs: [create]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.13"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1528"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#token-request",
	},
	Needs:   audit.PowerResources,
	Role:    createsTokens.role,
	Binding: given(createsTokens.binding),
})

var createsTokens = power{
	requests: requestsFor("", []string{"serviceaccounts/token"}, []string{"create"}),
}

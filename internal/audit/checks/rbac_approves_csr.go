// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at rules of roles for update and patch on certificatesigningrequests/approval. Allowed: those with resourceNames.
var _ = register(audit.Check{
	ID:          "rbac-approves-csr",
	Title:       "Few may approve certificates",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever approves requests for certificates has one signed that makes them any user they like, and no role or binding shows it.",
	Remediation: "Remove certificatesigningrequests/approval from the rule, and leave approving to the controllers of Kubernetes.",
	Before:      "kind: ClusterRole\nrules:\n- apiGroups: [certificates.k8s.io]\n  resources: [certificatesigningrequests/approval]\n  verbs: [update]",
	After:       "kind: ClusterRole\nrules:\n- apiGroups: [certificates.k8s.io]\n  resources: [certificatesigningrequests]\n  verbs: [get, list]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.11"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1098"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#csrs-and-certificate-issuing",
	},
	Needs:   audit.PowerResources,
	Role:    approvesCSR.role,
	Binding: given(approvesCSR.binding),
})

var approvesCSR = power{
	requests: requestsFor("certificates.k8s.io", []string{"certificatesigningrequests/approval"}, []string{"update", "patch"}),
}

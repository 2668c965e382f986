// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at rules of roles for create, update, patch, delete and deletecollection on admission webhooks and policies. Allowed: those with
// resourceNames.
var _ = register(audit.Check{
	ID:          "rbac-edits-webhooks",
	Title:       "Few may change what admits",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever changes admission webhooks and policies reads and rewrites what anybody stores, Secrets and roles included, or switches the checks off that guard the cluster.",
	Remediation: "Remove the resources from the rule, or name the configurations that are needed in resourceNames.",
	Before:      "kind: ClusterRole\nrules:\n- apiGroups: [admissionregistration.k8s.io]\n  resources: [mutatingwebhookconfigurations]\n  verbs: [patch]",
	After:       "kind: ClusterRole\nrules:\n- apiGroups: [admissionregistration.k8s.io]\n  resources: [mutatingwebhookconfigurations]\n  resourceNames: [cert-manager]\n  verbs: [patch]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.12"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1562.001"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#control-admission-webhooks",
	},
	Needs:   audit.PowerResources,
	Role:    editsWebhooks.role,
	Binding: given(editsWebhooks.binding),
})

var editsWebhooks = power{
	requests: requestsFor("admissionregistration.k8s.io", []string{
		"validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings",
		"mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
	}, []string{"create", "update", "patch", "delete", "deletecollection"}),
}

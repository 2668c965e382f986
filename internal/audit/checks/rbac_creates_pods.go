// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at rules of roles for create on pods, and on what makes Pods of a template. Allowed: none.
var _ = register(audit.Check{
	ID:          "rbac-creates-pods",
	Title:       "Few may create Pods and what makes Pods",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever creates a Pod acts as any ServiceAccount of its namespace, mounts any Secret there, and with a lenient Pod Security level takes the node.",
	Remediation: "Remove create from the rule, or bind the role only to who deploys there, in the namespaces where they do.",
	Before:      "kind: Role\nrules:\n- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [get, create]",
	After:       "kind: Role\nrules:\n- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [get]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.4"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1610"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#workload-creation",
	},
	Needs:   audit.PowerResources,
	Role:    createsPods.role,
	Binding: given(createsPods.binding),
})

var createsPods = power{
	requests: slices.Concat(
		requestsFor("", []string{"pods", "replicationcontrollers"}, []string{"create"}),
		requestsFor("apps", []string{"deployments", "daemonsets", "statefulsets", "replicasets"}, []string{"create"}),
		requestsFor("batch", []string{"jobs", "cronjobs"}, []string{"create"}),
	),
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at rules of roles for any verb on nodes/proxy. Allowed: none; get suffices to run commands.
var _ = register(audit.Check{
	ID:          "rbac-node-proxy",
	Title:       "Nobody reaches kubelets through the API server",
	Severity:    v1alpha1.SeverityCritical,
	Category:    audit.CategoryAccess,
	Rationale:   "The kubelet runs commands in every Pod of its node for whoever may get nodes/proxy, past admission and past the audit log of what is run.",
	Remediation: "Replace nodes/proxy by nodes/metrics, nodes/stats, nodes/log, nodes/healthz or nodes/pods, whichever is needed.",
	Before:      "kind: ClusterRole\nrules:\n- apiGroups: [\"\"]\n  resources: [nodes/proxy]\n  verbs: [get]",
	After:       "kind: ClusterRole\nrules:\n- apiGroups: [\"\"]\n  resources: [nodes/metrics]\n  verbs: [get]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.10"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1609"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#access-to-proxy-subresource-of-nodes",
	},
	Needs:   audit.PowerResources,
	Role:    nodeProxy.role,
	Binding: given(nodeProxy.binding),
})

var nodeProxy = power{
	requests: requestsFor("", []string{"nodes/proxy"}, []string{"get", "create", "update", "patch", "delete"}),
	named:    true,
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the workloads of the namespace default. Allowed: none. Kubernetes itself has none there.
var _ = register(audit.Check{
	ID:          "default-namespace-used",
	Title:       "Workloads stay out of the namespace default",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryNamespaces,
	Rationale:   "What lands there shares permissions, quotas and network with everything else that named no namespace, so that one foothold is a foothold in all of it.",
	Remediation: "Set metadata.namespace to a namespace of the application's own and delete the workload in default.",
	Before:      "metadata: {name: cart, namespace: default}",
	After:       "metadata: {name: cart, namespace: shop}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.6.4"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/#initial-namespaces",
	},
	Namespace: defaultNamespaceUsed,
})

func defaultNamespaceUsed(ns *audit.Namespace, r *audit.Reporter) {
	if ns.Name == "default" && hasWorkloads(ns, r) {
		r.Find(audit.Finding{
			Message: `namespace "default" must not have workloads`,
			Path:    "metadata.name",
		})
	}
}

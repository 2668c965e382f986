// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the ResourceQuotas of namespaces that have workloads. Allowed: at least one.
var _ = register(audit.Check{
	ID:          "no-resource-quota",
	Title:       "Namespaces with workloads have a ResourceQuota",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryResources,
	Rationale:   "One compromised or faulty workload can take all CPU, memory and storage of the cluster and starve everyone else.",
	Remediation: "Create a ResourceQuota in the namespace that bounds pods, requests.cpu, requests.memory, limits.cpu and limits.memory.",
	Before:      "# no ResourceQuota in the namespace",
	After: `apiVersion: v1
kind: ResourceQuota
metadata: {name: compute, namespace: shop}
spec:
  hard: {pods: "20", requests.cpu: "4", requests.memory: 8Gi, limits.cpu: "8", limits.memory: 16Gi}`,
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Resource policies"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/policy/resource-quotas/",
	},
	Needs:     []audit.Resource{audit.ResourceQuotas},
	Namespace: noResourceQuota,
})

func noResourceQuota(ns *audit.Namespace, r *audit.Reporter) {
	if len(ns.Quotas) > 0 || !hasWorkloads(ns, r) {
		return
	}
	r.Find(audit.Finding{
		Message: `namespace "` + ns.Name + `" must have a ResourceQuota`,
		Path:    "metadata.name",
	})
}

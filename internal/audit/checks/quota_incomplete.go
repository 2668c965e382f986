// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.hard of the ResourceQuotas of namespaces that have workloads and at least one quota. Allowed: all of pods,
// requests.cpu, requests.memory, limits.cpu and limits.memory, or of what is configured, in quotas that together count every
// Pod.
var _ = register(audit.Check{
	ID:          "quota-incomplete",
	Title:       "ResourceQuotas bound Pods, CPU and memory",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryResources,
	Rationale:   "What no quota bounds, one compromised or faulty workload can take from the whole cluster.",
	Remediation: "Add pods, requests.cpu, requests.memory, limits.cpu and limits.memory to spec.hard of a ResourceQuota without scopes.",
	Before:      "spec:\n  hard: {pods: \"20\"}",
	After:       "spec:\n  hard: {pods: \"20\", requests.cpu: \"4\", requests.memory: 8Gi, limits.cpu: \"8\", limits.memory: 16Gi}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Resource policies"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/policy/resource-quotas/",
	},
	Needs:     []audit.Resource{audit.ResourceQuotas},
	Namespace: quotaIncomplete,
})

// podClasses is a set of the four sorts of Pods that the scopes of quotas tell apart.
type podClasses uint8

const (
	endingBestEffort podClasses = 1 << iota
	ending
	lastingBestEffort
	lasting

	withResources = ending | lasting // what is not BestEffort
	allPods       = withResources | endingBestEffort | lastingBestEffort
)

// scopeClasses has the scopes that halve all Pods. Others, such as a priority class, count as none.
var scopeClasses = map[corev1.ResourceQuotaScope]podClasses{
	corev1.ResourceQuotaScopeTerminating:    ending | endingBestEffort,
	corev1.ResourceQuotaScopeNotTerminating: lasting | lastingBestEffort,
	corev1.ResourceQuotaScopeBestEffort:     endingBestEffort | lastingBestEffort,
	corev1.ResourceQuotaScopeNotBestEffort:  withResources,
}

// toBound returns for which Pods a resource must be bounded: those that are BestEffort request no CPU or memory.
func toBound(resource corev1.ResourceName) podClasses {
	switch resource {
	case corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory:
		return withResources
	}
	return allPods
}

// sameBound has the other names that a quota may use.
var sameBound = map[string]corev1.ResourceName{
	"cpu": corev1.ResourceRequestsCPU, "memory": corev1.ResourceRequestsMemory, "count/pods": corev1.ResourcePods,
}

func quotaIncomplete(ns *audit.Namespace, r *audit.Reporter) {
	if len(ns.Quotas) == 0 || !hasWorkloads(ns, r) {
		return
	}
	bounded := make(map[corev1.ResourceName]podClasses)
	for _, quota := range ns.Quotas {
		counted := countedPods(quota)
		for _, usage := range quota.Usage {
			resource, ok := sameBound[usage.Resource]
			if !ok {
				resource = corev1.ResourceName(usage.Resource)
			}
			bounded[resource] |= counted
		}
	}
	var missing []string
	for _, resource := range r.Settings().QuotaResources {
		name, ok := sameBound[string(resource)]
		if !ok {
			name = resource
		}
		if pods := toBound(name); bounded[name]&pods != pods {
			missing = append(missing, string(resource))
		}
	}
	if len(missing) > 0 {
		r.Find(audit.Finding{
			Message: fmt.Sprintf("namespace %q must have ResourceQuotas that bound %s for all Pods", ns.Name, strings.Join(missing, ", ")),
			Path:    "metadata.name",
		})
	}
}

// countedPods returns the Pods that a quota counts: those that are in all of its scopes. A selector that picks by priority
// class is never complete.
func countedPods(quota *audit.QuotaRecord) podClasses {
	counted := allPods
	for _, scope := range quota.Scopes {
		counted &= scopeClasses[scope]
	}
	if quota.ScopeSelector != nil {
		for _, e := range quota.ScopeSelector.MatchExpressions {
			counted &= scopeClasses[e.ScopeName]
		}
	}
	return counted
}

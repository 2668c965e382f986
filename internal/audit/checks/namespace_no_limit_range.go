// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the LimitRanges of namespaces in which a container of a template, or of a Pod without one, lacks a request or
// limit of CPU or memory. Allowed: a LimitRange that gives containers defaults.
var _ = register(audit.Check{
	ID:          "no-limit-range",
	Title:       "Namespaces give containers default requests and limits",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryResources,
	Rationale:   "Containers that say nothing are bounded by nothing, and one that is compromised or faulty can starve its whole node.",
	Remediation: "Create a LimitRange of type Container with default and defaultRequest for cpu and memory.",
	Before:      "# no LimitRange in the namespace",
	After: `apiVersion: v1
kind: LimitRange
metadata: {name: defaults, namespace: shop}
spec:
  limits:
  - type: Container
    defaultRequest: {cpu: 100m, memory: 128Mi}
    default: {cpu: "1", memory: 256Mi}`,
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Resource policies"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/policy/limit-range/",
	},
	Needs:     []audit.Resource{audit.LimitRanges},
	Namespace: noLimitRange,
})

func noLimitRange(ns *audit.Namespace, r *audit.Reporter) {
	if slices.ContainsFunc(ns.LimitRanges, func(l *audit.LimitRangeRecord) bool {
		return len(l.DefaultRequests)+len(l.DefaultLimits) > 0
	}) {
		return
	}
	if slices.ContainsFunc(ns.Workloads, needsDefaults) {
		r.Find(audit.Finding{
			Message: fmt.Sprintf("namespace %q must have a LimitRange that gives containers default requests and limits", ns.Name),
			Path:    "metadata.name",
		})
	} else if u := ns.MissingWorkloads(); u != nil {
		r.SkipUnavailable(u)
	}
}

func needsDefaults(w *audit.Workload) bool {
	if w.Template != nil {
		return lacksAmounts.Of(w.Template)
	}
	return slices.ContainsFunc(w.Shapes(), lacksAmounts.Of)
}

// lacksAmounts says whether a container sets less than a LimitRange could give it.
var lacksAmounts = audit.NewFact(func(pod *audit.Pod) bool {
	for c := range pod.Containers() {
		if c.Ephemeral() {
			continue
		}
		for _, list := range []amounts{requests, limits} {
			for _, resource := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				if set, positive := amountOf(pod, c, list, resource); !set && !positive {
					return true
				}
			}
		}
	}
	return false
})

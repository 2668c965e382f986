// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].resources.limits.memory, init containers likewise. Allowed: more than 0, there, in the Pod's
// spec.resources, or by default of a LimitRange.
var _ = register(audit.Check{
	ID:          "no-memory-limit",
	Title:       "Containers have a memory limit",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryResources,
	Rationale:   "A compromised or leaking container can take all memory of its node, and the kernel then kills other Pods.",
	Remediation: "Set resources.limits.memory to the most that the container may ever use.",
	Before:      "resources:\n  requests: {memory: 128Mi}",
	After:       "resources:\n  requests: {memory: 128Mi}\n  limits: {memory: 256Mi}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Resource policies"},
		{Framework: audit.FrameworkOWASP, ID: "K01"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
		"https://kubernetes.io/docs/concepts/policy/limit-range/",
	},
	Needs:  []audit.Resource{audit.LimitRanges},
	Placed: mustSet(limits, corev1.ResourceMemory),
})

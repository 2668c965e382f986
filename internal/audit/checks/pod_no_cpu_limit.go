// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].resources.limits.cpu, init containers likewise. Allowed: more than 0, there, in the Pod's
// spec.resources, or by default of a LimitRange.
var _ = register(audit.Check{
	ID:          "no-cpu-limit",
	Title:       "Containers have a CPU limit",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryResources,
	Rationale:   "A compromised container can use all CPU of its node that others have not reserved, to mine coins or to slow them down.",
	Remediation: "Set resources.limits.cpu to the most that the container may ever use.",
	Before:      "resources:\n  requests: {cpu: 100m}",
	After:       "resources:\n  requests: {cpu: 100m}\n  limits: {cpu: \"1\"}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Resource policies"},
		{Framework: audit.FrameworkOWASP, ID: "K01"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
		"https://kubernetes.io/docs/concepts/policy/limit-range/",
	},
	Needs:  []audit.Resource{audit.LimitRanges},
	Placed: mustSet(limits, corev1.ResourceCPU),
})

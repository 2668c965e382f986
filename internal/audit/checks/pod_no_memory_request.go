// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].resources.requests.memory, init containers likewise. Allowed: more than 0, there, in the limit
// (which is the request where there is none), in the Pod's spec.resources, or by default of a LimitRange.
var _ = register(audit.Check{
	ID:          "no-memory-request",
	Title:       "Containers request memory",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryResources,
	Rationale:   "The scheduler packs such Pods onto nodes that have no memory left for them, and when a node runs out, the kernel kills them first.",
	Remediation: "Set resources.requests.memory to what the container uses under normal load.",
	Before:      "resources: {}",
	After:       "resources:\n  requests: {memory: 128Mi}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Resource policies"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/",
		"https://kubernetes.io/docs/concepts/policy/limit-range/",
	},
	Needs:  []audit.Resource{audit.LimitRanges},
	Placed: mustSet(requests, corev1.ResourceMemory),
})

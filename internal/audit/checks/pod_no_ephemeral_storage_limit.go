// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].resources.limits.ephemeral-storage, init containers likewise. Allowed: more than 0, there or by
// default of a LimitRange.
var _ = register(audit.Check{
	ID:          "no-ephemeral-storage-limit",
	Title:       "Containers have a limit of ephemeral storage",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryResources,
	Rationale:   "A compromised container can fill its node's disk with files or logs, and kubelet then evicts other Pods.",
	Remediation: "Set resources.limits.ephemeral-storage to the most that the container may write to its file system, logs and emptyDir volumes.",
	Before:      "resources: {}",
	After:       "resources:\n  limits: {ephemeral-storage: 1Gi}",
	References: []string{
		"https://kubernetes.io/docs/concepts/storage/ephemeral-storage/",
		"https://kubernetes.io/docs/concepts/policy/limit-range/",
	},
	Needs:  []audit.Resource{audit.LimitRanges},
	Placed: mustSet(limits, corev1.ResourceEphemeralStorage),
})

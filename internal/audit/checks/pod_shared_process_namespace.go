// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.shareProcessNamespace. Allowed: unset, false.
var _ = register(audit.Check{
	ID:          "shared-process-namespace",
	Title:       "Containers of a Pod do not share a process namespace",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over one container sees the others' processes, reads their environment and files through /proc, and can signal or trace them.",
	Remediation: "Remove shareProcessNamespace, and attach an ephemeral container with kubectl debug --target where somebody has to look.",
	Before:      "spec:\n  shareProcessNamespace: true",
	After:       "spec: {}",
	References: []string{
		"https://kubernetes.io/docs/tasks/configure-pod-container/share-process-namespace/",
	},
	Pod: sharedProcessNamespace,
})

func sharedProcessNamespace(pod *audit.Pod, r *audit.Reporter) {
	if share := pod.Spec.ShareProcessNamespace; share != nil && *share {
		r.Find(audit.Finding{
			Message:   `"spec" must not set shareProcessNamespace to true`,
			Path:      "spec.shareProcessNamespace",
			Suggested: "false",
		})
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].securityContext.readOnlyRootFilesystem, init containers likewise. Allowed: true. Windows
// cannot do it.
var _ = register(audit.Check{
	ID:          "writable-root-filesystem",
	Title:       "Containers cannot write to their root file system",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over the container can replace its programs and leave tools of their own in it.",
	Remediation: "Set securityContext.readOnlyRootFilesystem to true, and mount emptyDir volumes where the container must write.",
	Before:      "securityContext: {}",
	After:       "securityContext:\n  readOnlyRootFilesystem: true",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Immutable container file systems"},
		{Framework: audit.FrameworkOWASP, ID: "K01"},
	},
	References: []string{
		"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
		"https://kubernetes.io/docs/concepts/security/application-security-checklist/",
	},
	Pod: writableRootFilesystem,
})

func writableRootFilesystem(pod *audit.Pod, r *audit.Reporter) {
	if pod.Spec.OS != nil && pod.Spec.OS.Name == corev1.Windows {
		return
	}
	for c := range pod.Containers() {
		sc := c.SecurityContext
		if c.Ephemeral() || (sc != nil && sc.ReadOnlyRootFilesystem != nil && *sc.ReadOnlyRootFilesystem) {
			continue
		}
		r.Find(audit.Finding{
			Message:   ofContainer(c.Name, "must set securityContext.readOnlyRootFilesystem to true"),
			Container: c.Name,
			Path:      c.Path("securityContext.readOnlyRootFilesystem"),
			Suggested: "true",
		})
	}
}

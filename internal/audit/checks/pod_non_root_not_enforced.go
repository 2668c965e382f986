// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.securityContext.runAsNonRoot and spec.containers[*].securityContext.runAsNonRoot, init and ephemeral
// containers likewise. Allowed: true, or unset in a container while it is true for the Pod; anything in a user
// namespace.
var _ = register(audit.Check{
	ID:          "non-root-not-enforced",
	Title:       "Containers are kept from starting as root",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever can change the image decides that the container runs as root, and nothing stops it.",
	Remediation: "Set securityContext.runAsNonRoot to true.",
	Before:      "spec:\n  securityContext: {}",
	After:       "spec:\n  securityContext:\n    runAsNonRoot: true",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Restricted: Running as Non-root"},
		{Framework: audit.FrameworkCIS, ID: "5.2.7"},
		{Framework: audit.FrameworkNSA, ID: "Non-root containers and rootless container engines"},
		{Framework: audit.FrameworkOWASP, ID: "K01"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
		"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
	},
	Pod: decidedBy("runAsNonRoot", nil, nonRootNotEnforced),
})

func nonRootNotEnforced(d *denial) {
	for p := range d.places(&corev1.PodSecurityContext{RunAsNonRoot: new(true)}) {
		d.findAt(p, "securityContext.runAsNonRoot", "must set runAsNonRoot to true", "true")
	}
}

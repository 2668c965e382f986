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
		suggested := "true"
		if d.setsRoot(p) {
			suggested = "" // no node would start it: runAsUser must change first, and to what is not known
		}
		d.findAt(p, "securityContext.runAsNonRoot", "must set runAsNonRoot to true", suggested)
	}
}

// setsRoot says whether a container that a securityContext is for is to run as UID 0.
func (d *denial) setsRoot(p place) bool {
	if p.container.Container != nil {
		return isRoot(d.userOf(p.SecurityContext))
	}
	for c := range d.Containers() {
		sc := c.SecurityContext
		if sc == nil {
			sc = &noSecurityContext
		}
		if sc.RunAsNonRoot == nil && isRoot(d.userOf(sc)) {
			return true
		}
	}
	return false
}

// userOf returns the user that a container with that securityContext is to run as, or nil where the image decides.
func (d *denial) userOf(sc *corev1.SecurityContext) *int64 {
	if sc.RunAsUser == nil && d.Spec.SecurityContext != nil {
		return d.Spec.SecurityContext.RunAsUser
	}
	return sc.RunAsUser
}

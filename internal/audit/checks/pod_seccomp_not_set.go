// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.securityContext.seccompProfile.type and spec.containers[*].securityContext.seccompProfile.type, init
// and ephemeral containers likewise. Allowed: RuntimeDefault or Localhost, or unset in a container while the Pod has
// one of them. What seccomp-unconfined reports is left to it. Pods for Windows are exempt.
var _ = register(audit.Check{
	ID:          "seccomp-not-set",
	Title:       "A seccomp profile is set",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over the container may make every system call where the kubelet has no default of its own, and so use flaws of the kernel that a profile shields.",
	Remediation: "Set securityContext.seccompProfile.type to RuntimeDefault, once for the whole Pod.",
	Before:      "spec:\n  securityContext: {}",
	After:       "spec:\n  securityContext:\n    seccompProfile: {type: RuntimeDefault}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Restricted: Seccomp"},
		{Framework: audit.FrameworkCIS, ID: "5.6.2"},
		{Framework: audit.FrameworkNSA, ID: "Hardening container environments"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
		"https://kubernetes.io/docs/tutorials/security/seccomp/",
	},
	Pod: decidedBy("seccompProfile_restricted", withoutSeccompUnconfined, seccompNotSet),
})

func seccompNotSet(d *denial) {
	for p := range d.places(nil) {
		d.findAt(p, "securityContext.seccompProfile.type", `must set seccompProfile.type to "RuntimeDefault" or "Localhost"`, `"RuntimeDefault"`)
	}
}

// withoutSeccompUnconfined mends what seccomp-unconfined reports.
func withoutSeccompUnconfined(pod *audit.Pod) *audit.Pod {
	ask := newest[seccompBaseline]
	if ask(&noMeta, &pod.Spec).Allowed {
		return pod
	}
	rest := &audit.Pod{Meta: pod.Meta, Spec: *pod.Spec.DeepCopy()}
	for p := range (&denial{Pod: rest, ask: ask}).places(nil) {
		if p.SeccompProfile != nil {
			p.SeccompProfile.Type = corev1.SeccompProfileTypeRuntimeDefault
		}
	}
	return rest
}

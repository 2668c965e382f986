// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.securityContext.sysctls[*].name. Allowed: those that are namespaced and isolated, as the Pod Security
// Standards list them.
var _ = register(audit.Check{
	ID:          "unsafe-sysctls",
	Title:       "Pods set only safe sysctls",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever may set the sysctl changes the kernel for other Pods of the node, switches protections off or takes the node down.",
	Remediation: "Remove the sysctl from securityContext.sysctls.",
	Before:      "securityContext:\n  sysctls:\n  - {name: kernel.msgmax, value: \"65536\"}",
	After:       "securityContext:\n  sysctls: []",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: Sysctls"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
		"https://kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/",
	},
	Pod: decidedBy("sysctls", nil, unsafeSysctls),
})

func unsafeSysctls(d *denial) {
	if d.Spec.SecurityContext == nil {
		return
	}
	for _, sysctl := range d.Spec.SecurityContext.Sysctls {
		if d.denies(&corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{sysctl}}}) {
			d.find(audit.Finding{
				Message: fmt.Sprintf("sysctl %q must not be set", sysctl.Name),
				Path:    "spec.securityContext.sysctls[name=" + sysctl.Name + "]",
			})
		}
	}
}

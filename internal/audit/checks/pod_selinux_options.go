// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.securityContext.seLinuxOptions and spec.containers[*].securityContext.seLinuxOptions, init and
// ephemeral containers likewise. Allowed: no user, no role, and as type none, container_t, container_init_t,
// container_kvm_t or container_engine_t.
var _ = register(audit.Check{
	ID:          "selinux-options",
	Title:       "SELinux confines containers as usual",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over a container of another type, such as spc_t, reaches the node's files and processes as if SELinux were off.",
	Remediation: "Remove user and role from securityContext.seLinuxOptions, and set its type to container_t, or remove it.",
	Before:      "securityContext:\n  seLinuxOptions: {type: spc_t}",
	After:       "securityContext:\n  seLinuxOptions: {type: container_t}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: SELinux"},
		{Framework: audit.FrameworkNSA, ID: "Hardening container environments"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
		"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#assign-selinux-labels-to-a-container",
	},
	Pod: decidedBy("seLinuxOptions", nil, seLinuxOptions),
})

func seLinuxOptions(d *denial) {
	for p := range d.places(nil) {
		if p.SELinuxOptions == nil {
			continue
		}
		for field, alone := range map[string]corev1.SELinuxOptions{
			"type": {Type: p.SELinuxOptions.Type}, "user": {User: p.SELinuxOptions.User}, "role": {Role: p.SELinuxOptions.Role},
		} {
			suggested := `""`
			if field == "type" {
				suggested = `"container_t"`
			}
			if d.denies(&corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{SELinuxOptions: &alone}}) {
				field = "seLinuxOptions." + field
				d.findAt(p, "securityContext."+field, fmt.Sprintf("must not set %s to %q", field, alone.Type+alone.User+alone.Role), suggested)
			}
		}
	}
}

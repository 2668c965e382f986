// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].securityContext.privileged, init and ephemeral containers likewise. Allowed: unset, false.
var _ = register(audit.Check{
	ID:          "privileged-container",
	Title:       "Containers run unprivileged",
	Severity:    v1alpha1.SeverityCritical,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over a privileged container has root on the node, with all its devices, and through it every Pod that runs there.",
	Remediation: "Set securityContext.privileged to false, or remove it, and add the single capabilities that the container really needs.",
	Before:      "securityContext:\n  privileged: true",
	After:       "securityContext:\n  privileged: false",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: Privileged Containers"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
	},
	Pod: privilegedContainer,
})

func privilegedContainer(pod *audit.Pod, r *audit.Reporter) {
	for c := range pod.Containers() {
		if sc := c.SecurityContext; sc != nil && sc.Privileged != nil && *sc.Privileged {
			r.Find(audit.Finding{
				Message:   fmt.Sprintf("container %q must not run privileged", c.Name),
				Container: c.Name,
				Path:      c.Path("securityContext.privileged"),
				Suggested: "false",
			})
		}
	}
}

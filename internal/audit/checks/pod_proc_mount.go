// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].securityContext.procMount, init and ephemeral containers likewise. Allowed: unset,
// Default. In a user namespace, where Baseline allows the rest and Restricted does not, it is Medium.
var _ = register(audit.Check{
	ID:          "proc-mount",
	Title:       "Containers have a masked /proc",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over the container reads and writes what the runtime hides in /proc, such as the kernel's memory, keys and settings.",
	Remediation: "Set securityContext.procMount to Default, or remove it.",
	Before:      "securityContext:\n  procMount: Unmasked",
	After:       "securityContext:\n  procMount: Default",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: /proc Mount Type"},
		{Framework: audit.FrameworkPSS, ID: "Restricted: /proc Mount Type"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
	},
	Pod: decidedBy("procMount_restricted", nil, procMount),
})

func procMount(d *denial) {
	var severity v1alpha1.Severity
	if newest["procMount"](&d.Meta, &d.Spec).Allowed {
		severity = v1alpha1.SeverityMedium
	}
	for p := range d.places(nil) {
		if p.ProcMount != nil {
			d.find(audit.Finding{
				Severity:  severity,
				Message:   p.message(fmt.Sprintf("must not set procMount to %q", *p.ProcMount)),
				Container: p.name(),
				Path:      p.path("securityContext.procMount"),
				Suggested: `"Default"`,
			})
		}
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].securityContext.privileged, init and ephemeral containers likewise. Allowed: unset,
// false.
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
		{Framework: audit.FrameworkCIS, ID: "5.2.2"},
		{Framework: audit.FrameworkNSA, ID: "Pod security enforcement"},
		{Framework: audit.FrameworkOWASP, ID: "K01"},
		{Framework: audit.FrameworkMITRE, ID: "T1611"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
	},
	Pod: decidedBy("privileged", nil, privilegedContainer),
})

func privilegedContainer(d *denial) {
	for p := range d.places(nil) {
		d.findAt(p, "securityContext.privileged", "must not run privileged", "false")
	}
}

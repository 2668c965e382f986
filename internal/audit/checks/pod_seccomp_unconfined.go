// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"k8s.io/pod-security-admission/policy"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.securityContext.seccompProfile.type and spec.containers[*].securityContext.seccompProfile.type, init
// and ephemeral containers likewise. Allowed: unset, RuntimeDefault, Localhost.
var _ = register(audit.Check{
	ID:          "seccomp-unconfined",
	Title:       "No seccomp profile is switched off",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over the container may make every system call, and so use flaws of the kernel that the default profile shields.",
	Remediation: "Set securityContext.seccompProfile.type to RuntimeDefault.",
	Before:      "securityContext:\n  seccompProfile: {type: Unconfined}",
	After:       "securityContext:\n  seccompProfile: {type: RuntimeDefault}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: Seccomp"},
		{Framework: audit.FrameworkCIS, ID: "5.6.2"},
		{Framework: audit.FrameworkNSA, ID: "Hardening container environments"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
		"https://kubernetes.io/docs/tutorials/security/seccomp/",
	},
	Pod: decidedBy(seccompBaseline, nil, seccompUnconfined),
})

const seccompBaseline policy.CheckID = "seccompProfile_baseline"

func seccompUnconfined(d *denial) {
	for p := range d.places(nil) {
		if profile := p.SeccompProfile; profile != nil {
			d.findAt(p, "securityContext.seccompProfile.type", fmt.Sprintf("must not set seccompProfile.type to %q", profile.Type), `"RuntimeDefault"`)
		}
	}
}

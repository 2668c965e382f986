// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].securityContext.allowPrivilegeEscalation, init and ephemeral containers likewise.
// Allowed: false. Pods for Windows are exempt.
var _ = register(audit.Check{
	ID:          "privilege-escalation-allowed",
	Title:       "Containers cannot gain privileges",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over the container as an ordinary user becomes root in it through any set-user-ID program of the image.",
	Remediation: "Set securityContext.allowPrivilegeEscalation to false.",
	Before:      "securityContext: {}",
	After:       "securityContext:\n  allowPrivilegeEscalation: false",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Restricted: Privilege Escalation"},
		{Framework: audit.FrameworkCIS, ID: "5.2.6"},
		{Framework: audit.FrameworkNSA, ID: "Pod security enforcement"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
		"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
	},
	Pod: decidedBy("allowPrivilegeEscalation", nil, privilegeEscalationAllowed),
})

func privilegeEscalationAllowed(d *denial) {
	for p := range d.places(nil) {
		d.findAt(p, "securityContext.allowPrivilegeEscalation", "must set allowPrivilegeEscalation to false", "false")
	}
}

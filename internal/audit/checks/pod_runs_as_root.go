// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.securityContext.runAsUser and spec.containers[*].securityContext.runAsUser, init and ephemeral
// containers likewise. Allowed: unset, other than 0; anything in a user namespace.
var _ = register(audit.Check{
	ID:          "runs-as-root",
	Title:       "Containers do not run as root",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over the container is root in it, and any flaw of the kernel or container runtime makes that root on the node.",
	Remediation: "Set securityContext.runAsUser to a user ID other than 0, such as 10001, that the image can run as.",
	Before:      "securityContext:\n  runAsUser: 0",
	After:       "securityContext:\n  runAsUser: 10001",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Restricted: Running as Non-root user"},
		{Framework: audit.FrameworkCIS, ID: "5.2.7"},
		{Framework: audit.FrameworkNSA, ID: "Non-root containers and rootless container engines"},
		{Framework: audit.FrameworkOWASP, ID: "K01"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
		"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
	},
	Pod: decidedBy("runAsUser", nil, runsAsRoot),
})

func runsAsRoot(d *denial) {
	for p := range d.places(nil) {
		d.findAt(p, "securityContext.runAsUser", "must not set runAsUser to 0", "")
	}
}

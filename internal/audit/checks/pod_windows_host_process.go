// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.securityContext.windowsOptions.hostProcess and
// spec.containers[*].securityContext.windowsOptions.hostProcess, init and ephemeral containers likewise. Allowed:
// unset, false.
var _ = register(audit.Check{
	ID:          "windows-host-process",
	Title:       "Windows containers are no processes of the node",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over such a container is a process of the Windows node, with its files, its network and mostly its administrator's rights.",
	Remediation: "Set securityContext.windowsOptions.hostProcess to false, or remove it.",
	Before:      "securityContext:\n  windowsOptions: {hostProcess: true}",
	After:       "securityContext:\n  windowsOptions: {hostProcess: false}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: HostProcess"},
		{Framework: audit.FrameworkCIS, ID: "5.2.10"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
		"https://kubernetes.io/docs/tasks/configure-pod-container/create-hostprocess-pod/",
	},
	Pod: decidedBy("windowsHostProcess", nil, windowsHostProcess),
})

func windowsHostProcess(d *denial) {
	for p := range d.places(nil) {
		d.findAt(p, "securityContext.windowsOptions.hostProcess", "must not set windowsOptions.hostProcess to true", "false")
	}
}

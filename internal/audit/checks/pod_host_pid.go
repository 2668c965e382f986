// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.hostPID. Allowed: unset, false.
var _ = register(audit.Check{
	ID:          "host-pid",
	Title:       "Pods see only their own processes",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over such a Pod sees all processes of the node with their arguments and, as root, reads their memory, environment and files.",
	Remediation: "Set hostPID to false, or remove it.",
	Before:      "spec:\n  hostPID: true",
	After:       "spec:\n  hostPID: false",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: Host Namespaces"},
		{Framework: audit.FrameworkCIS, ID: "5.2.3"},
		{Framework: audit.FrameworkNSA, ID: "Pod security enforcement"},
		{Framework: audit.FrameworkMITRE, ID: "T1611"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
	},
	Pod: decidedBy("hostNamespaces", onlyHostPID, hostPID),
})

func hostPID(d *denial) {
	if d.Spec.HostPID {
		d.find(audit.Finding{Message: `"hostPID" must not be true`, Path: "spec.hostPID", Suggested: "false"})
	}
}

// onlyHostPID leaves the other namespaces to their own checks.
func onlyHostPID(pod *audit.Pod) *audit.Pod {
	rest := *pod
	rest.Spec.HostNetwork, rest.Spec.HostIPC = false, false
	return &rest
}

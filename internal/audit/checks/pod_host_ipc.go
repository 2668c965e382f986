// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.hostIPC. Allowed: unset, false.
var _ = register(audit.Check{
	ID:          "host-ipc",
	Title:       "Pods share no memory with the node",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over such a Pod reads and changes the shared memory and message queues of the node's processes.",
	Remediation: "Set hostIPC to false, or remove it, and share memory between containers of one Pod through an emptyDir volume of medium Memory.",
	Before:      "spec:\n  hostIPC: true",
	After:       "spec:\n  hostIPC: false",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: Host Namespaces"},
		{Framework: audit.FrameworkCIS, ID: "5.2.4"},
		{Framework: audit.FrameworkNSA, ID: "Pod security enforcement"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
	},
	Pod: decidedBy("hostNamespaces", onlyHostIPC, hostIPC),
})

func hostIPC(d *denial) {
	if d.Spec.HostIPC {
		d.find(audit.Finding{Message: `"hostIPC" must not be true`, Path: "spec.hostIPC", Suggested: "false"})
	}
}

// onlyHostIPC leaves the other namespaces to their own checks.
func onlyHostIPC(pod *audit.Pod) *audit.Pod {
	rest := *pod
	rest.Spec.HostNetwork, rest.Spec.HostPID = false, false
	return &rest
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.hostNetwork. Allowed: unset, false.
var _ = register(audit.Check{
	ID:          "host-network",
	Title:       "Pods have a network of their own",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over such a Pod listens to the node's traffic, reaches services that trust localhost, and is bound by no NetworkPolicy.",
	Remediation: "Set hostNetwork to false, or remove it, and publish ports through a Service.",
	Before:      "spec:\n  hostNetwork: true",
	After:       "spec:\n  hostNetwork: false",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: Host Namespaces"},
		{Framework: audit.FrameworkCIS, ID: "5.2.5"},
		{Framework: audit.FrameworkNSA, ID: "Pod security enforcement"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
	},
	Pod: decidedBy("hostNamespaces", onlyHostNetwork, hostNetwork),
})

func hostNetwork(d *denial) {
	if d.Spec.HostNetwork {
		d.find(audit.Finding{Message: `"hostNetwork" must not be true`, Path: "spec.hostNetwork", Suggested: "false"})
	}
}

// onlyHostNetwork leaves the other namespaces to their own checks.
func onlyHostNetwork(pod *audit.Pod) *audit.Pod {
	rest := *pod
	rest.Spec.HostPID, rest.Spec.HostIPC = false, false
	return &rest
}

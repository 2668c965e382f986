// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].securityContext.capabilities, init and ephemeral containers likewise. Allowed: drop has
// ALL, and add nothing but NET_BIND_SERVICE. What capabilities-added reports is left to it.
var _ = register(audit.Check{
	ID:          "capabilities-not-dropped",
	Title:       "Containers drop all capabilities",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever takes over the container as root keeps capabilities that most programs never use, such as forging network packets or passing any file's permissions.",
	Remediation: "Set securityContext.capabilities.drop to [ALL], and add back nothing but NET_BIND_SERVICE where the container must open a port below 1024.",
	Before:      "securityContext:\n  capabilities: {drop: [NET_RAW], add: [CHOWN]}",
	After:       "securityContext:\n  capabilities: {drop: [ALL]}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Restricted: Capabilities"},
		{Framework: audit.FrameworkCIS, ID: "5.2.8"},
		{Framework: audit.FrameworkCIS, ID: "5.2.9"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted",
		"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/#set-capabilities-for-a-container",
	},
	Pod: decidedBy("capabilities_restricted", withoutCapabilitiesAdded, capabilitiesNotDropped),
})

func capabilitiesNotDropped(d *denial) {
	for p := range d.places(nil) {
		c := p.Capabilities
		if c == nil || len(c.Add) == 0 || !allowsCapabilities(d.ask, corev1.Capabilities{Drop: c.Drop}) {
			d.findAt(p, "securityContext.capabilities.drop", `must drop capability "ALL"`, `["ALL"]`)
		}
		if denied := deniedCapabilities(d.ask, p.Capabilities); len(denied) > 0 {
			d.findAt(p, "securityContext.capabilities.add", "must not add "+quoteCapabilities(denied), without(p.Capabilities.Add, denied))
		}
	}
}

// withoutCapabilitiesAdded takes out what capabilities-added reports.
func withoutCapabilitiesAdded(pod *audit.Pod) *audit.Pod {
	ask := newest[capabilitiesBaseline]
	if ask(&noMeta, &pod.Spec).Allowed {
		return pod
	}
	rest := &audit.Pod{Meta: pod.Meta, Spec: *pod.Spec.DeepCopy()}
	for c := range rest.Containers() {
		if c.SecurityContext == nil || c.SecurityContext.Capabilities == nil {
			continue
		}
		capabilities := c.SecurityContext.Capabilities
		denied := deniedCapabilities(ask, capabilities)
		capabilities.Add = slices.DeleteFunc(capabilities.Add, func(c corev1.Capability) bool { return slices.Contains(denied, c) })
	}
	return rest
}

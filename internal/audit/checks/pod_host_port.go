// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].ports[*].hostPort, init containers likewise. Allowed: unset, 0. High for 22, the node's
// own SSH.
var _ = register(audit.Check{
	ID:          "host-port",
	Title:       "Containers take no port of the node",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever reaches the node's address reaches the container past Services and, with many network plugins, past NetworkPolicies; port 22 poses as the node's own SSH.",
	Remediation: "Remove hostPort, and publish the port through a Service.",
	Before:      "ports:\n- containerPort: 8080\n  hostPort: 8080",
	After:       "ports:\n- containerPort: 8080",
	Controls: []audit.Control{
		{Framework: audit.FrameworkPSS, ID: "Baseline: Host Ports"},
		{Framework: audit.FrameworkCIS, ID: "5.2.12"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-standards/#baseline",
		"https://kubernetes.io/docs/concepts/services-networking/service/",
	},
	Pod: decidedBy("hostPorts", nil, hostPort),
})

func hostPort(d *denial) {
	for c := range d.Containers() {
		for _, port := range c.Ports {
			if port.HostPort == 0 {
				continue
			}
			f := audit.Finding{
				Message:   fmt.Sprintf("container %q must not use hostPort %d", c.Name, port.HostPort),
				Container: c.Name,
				Path:      c.Path(fmt.Sprintf("ports[hostPort=%d].hostPort", port.HostPort)),
			}
			if port.HostPort == 22 {
				f.Severity = v1alpha1.SeverityHigh
			}
			if !d.Spec.HostNetwork { // or it would be the containerPort again
				f.Suggested = "0"
			}
			d.find(f)
		}
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --insecure-port of API servers. Allowed: 0, and unset where that is 0, from Kubernetes 1.20 on, which took the port away.
// Kubernetes 1.24 took the flag away too.
var _ = register(audit.Check{
	ID:          "api-server-insecure-port",
	Title:       "The API server has no port without authentication",
	Severity:    v1alpha1.SeverityCritical,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever reaches the port may do anything in the cluster, without any credentials.",
	Remediation: "Remove --insecure-port and --insecure-bind-address, and update Kubernetes.",
	Before:      "command:\n- kube-apiserver\n- --insecure-port=8080",
	After:       "command:\n- kube-apiserver",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Control plane hardening"},
		{Framework: audit.FrameworkOWASP, ID: "K09"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: apiServerInsecurePort,
})

func apiServerInsecurePort(c *audit.Cluster, r *audit.Reporter) {
	eachProgram(c, r, audit.APIServer, func(server *audit.Component) {
		const flag = "insecure-port"
		switch port := server.Flags.Get(flag); {
		case port == "" && olderThan(c, 20):
			r.Find(server.Finding(flag, fmt.Sprintf("%q must set flag %q to 0: unless it is set, it is 8080", server.Program, "--"+flag)))
		case port != "" && port != "0":
			r.Find(server.Finding(flag, fmt.Sprintf("%q must not set flag %q: it is %q", server.Program, "--"+flag, port)))
		}
	})
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --insecure-port and --insecure-bind-address of API servers. Allowed: unset, and a port of 0. Kubernetes 1.20 took
// the port away, and 1.24 the flag.
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
		for _, flag := range []string{"insecure-port", "insecure-bind-address"} {
			if value := server.Flags.Get(flag); value != "" && value != "0" {
				r.Find(server.Finding(flag, fmt.Sprintf("%q must not set flag %q: it is %q", server.Program, "--"+flag, value)))
			}
		}
	})
}

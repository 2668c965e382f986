// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --audit-log-path and --audit-webhook-config-file of API servers. Allowed: either.
var _ = register(audit.Check{
	ID:          "audit-log-disabled",
	Title:       "Requests to the API server are logged",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Nobody can tell afterwards who did what in the cluster, whose credentials it took, and what was read.",
	Remediation: "Set --audit-policy-file and --audit-log-path, or --audit-webhook-config-file.",
	Before:      "command:\n- kube-apiserver",
	After:       "command:\n- kube-apiserver\n- --audit-policy-file=/etc/kubernetes/audit-policy.yaml\n- --audit-log-path=/var/log/kubernetes/audit.log",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "1.2.16"},
		{Framework: audit.FrameworkNSA, ID: "Logging"},
		{Framework: audit.FrameworkOWASP, ID: "K05"},
		{Framework: audit.FrameworkMITRE, ID: "T1562.001"},
	},
	References: []string{
		"https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/",
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: auditLogDisabled,
})

func auditLogDisabled(c *audit.Cluster, r *audit.Reporter) {
	eachProgram(c, r, audit.APIServer, func(server *audit.Component) {
		if server.Flags.Get("audit-log-path") == "" && server.Flags.Get("audit-webhook-config-file") == "" {
			r.Find(server.Finding("audit-log-path", fmt.Sprintf("%q must set flag %q or %q", server.Program, "--audit-log-path", "--audit-webhook-config-file")))
		}
	})
}

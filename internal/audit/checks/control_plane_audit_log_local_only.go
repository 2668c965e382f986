// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --audit-webhook-config-file of API servers that log. Allowed: set. An agent that sends the file elsewhere cannot be
// told from any other Pod.
var _ = register(audit.Check{
	ID:          "audit-log-local-only",
	Title:       "Audit logs leave the nodes of the control plane",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Whoever takes over a node of the control plane deletes the log there, and the traces with it.",
	Remediation: "Set --audit-webhook-config-file to a collector outside of the cluster, or exempt this finding where an agent ships the file.",
	Before:      "command:\n- kube-apiserver\n- --audit-log-path=/var/log/kubernetes/audit.log",
	After:       "command:\n- kube-apiserver\n- --audit-webhook-config-file=/etc/kubernetes/audit-webhook.yaml",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Logging"},
		{Framework: audit.FrameworkOWASP, ID: "K05"},
		{Framework: audit.FrameworkMITRE, ID: "T1070"},
	},
	References: []string{
		"https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/",
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: auditLogLocalOnly,
})

func auditLogLocalOnly(c *audit.Cluster, r *audit.Reporter) {
	eachProgram(c, r, audit.APIServer, func(server *audit.Component) {
		path := server.Flags.Get("audit-log-path")
		switch {
		case path == "" || server.Flags.Get("audit-webhook-config-file") != "":
		case path == "-":
			r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("%q writes its audit log into that of its container, and who collects that is not seen", server.Program))
		default:
			r.Find(server.Finding("audit-webhook-config-file", fmt.Sprintf("%q must set flag %q: its audit log is a file on its own node", server.Program, "--audit-webhook-config-file")))
		}
	})
}

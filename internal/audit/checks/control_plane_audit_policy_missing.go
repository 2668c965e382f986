// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --audit-policy-file of API servers. Allowed: any file. What it says cannot be seen.
var _ = register(audit.Check{
	ID:          "audit-policy-missing",
	Title:       "The API server has an audit policy",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Without a policy nothing is logged, whatever the log is set to.",
	Remediation: "Write an audit Policy, and set --audit-policy-file to it.",
	Before:      "command:\n- kube-apiserver\n- --audit-log-path=/var/log/kubernetes/audit.log",
	After:       "command:\n- kube-apiserver\n- --audit-policy-file=/etc/kubernetes/audit-policy.yaml\n- --audit-log-path=/var/log/kubernetes/audit.log",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "3.2.1"},
		{Framework: audit.FrameworkNSA, ID: "Logging"},
		{Framework: audit.FrameworkOWASP, ID: "K05"},
	},
	References: []string{
		"https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/",
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: auditPolicyMissing,
})

func auditPolicyMissing(c *audit.Cluster, r *audit.Reporter) {
	eachProgram(c, r, audit.APIServer, func(server *audit.Component) {
		if server.Flags.Get("audit-policy-file") == "" {
			r.Find(server.Finding("audit-policy-file", fmt.Sprintf("%q must set flag %q", server.Program, "--audit-policy-file")))
		}
	})
}

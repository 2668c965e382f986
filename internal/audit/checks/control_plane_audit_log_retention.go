// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strconv"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --audit-log-maxage, --audit-log-maxbackup and --audit-log-maxsize of API servers that log to a file. Allowed: unset,
// where the defaults are as long or longer, 0, which is without bound, and 30 days, 10 files, 100 MB or more.
var _ = register(audit.Check{
	ID:          "audit-log-retention",
	Title:       "Audit logs are kept for a while",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "By the time an attack is noticed, what it began with is gone from the logs.",
	Remediation: "Set --audit-log-maxage=30, --audit-log-maxbackup=10 and --audit-log-maxsize=100, or more, or send the log elsewhere with --audit-webhook-config-file.",
	Before:      "command:\n- kube-apiserver\n- --audit-log-maxage=3",
	After:       "command:\n- kube-apiserver\n- --audit-log-maxage=30",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Logging"},
		{Framework: audit.FrameworkOWASP, ID: "K05"},
	},
	References: []string{
		"https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/",
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: auditLogRetention,
})

func auditLogRetention(c *audit.Cluster, r *audit.Reporter) {
	eachProgram(c, r, audit.APIServer, func(server *audit.Component) {
		path := server.Flags.Get("audit-log-path")
		if path == "" || path == "-" || server.Flags.Get("audit-webhook-config-file") != "" {
			return // there are no files, or they are not all there is
		}
		for _, least := range leastRetention {
			n, err := strconv.Atoi(server.Flags.Get(least.flag))
			if err == nil && n > 0 && n < least.n {
				r.Find(server.Finding(least.flag, fmt.Sprintf("%q must set flag %q to %d or more: it is %d", server.Program, "--"+least.flag, least.n, n)))
			}
		}
	})
}

// leastRetention is what the CIS Kubernetes Benchmark recommends, in 1.2.17 to 1.2.19.
var leastRetention = []struct {
	flag string
	n    int
}{{"audit-log-maxage", 30}, {"audit-log-maxbackup", 10}, {"audit-log-maxsize", 100}}

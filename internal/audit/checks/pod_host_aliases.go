// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.hostAliases. Allowed: none.
var _ = register(audit.Check{
	ID:          "host-aliases",
	Title:       "Pods resolve names through DNS alone",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryNetwork,
	Rationale:   "Entries in /etc/hosts send connections elsewhere than everybody reads in DNS, past what is monitored there.",
	Remediation: "Remove hostAliases, and publish the names through DNS or a Service.",
	Before:      "hostAliases:\n- {ip: 192.0.2.1, hostnames: [db.example.com]}",
	After:       "# no hostAliases",
	References: []string{
		"https://kubernetes.io/docs/tasks/network/customize-hosts-file-for-pods/",
	},
	Pod: hostAliases,
})

func hostAliases(pod *audit.Pod, r *audit.Reporter) {
	for i, alias := range pod.Spec.HostAliases {
		r.Find(audit.Finding{
			Message: fmt.Sprintf("\"hostAliases\" must not send %q to %q", alias.Hostnames, alias.IP),
			Path:    fmt.Sprintf("spec.hostAliases[%d]", i),
		})
	}
}

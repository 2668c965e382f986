// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.taints of nodes that have a label with one of the configured keys of dedicated nodes. Allowed: a taint with one
// of these keys that keeps Pods off, NoSchedule or NoExecute.
var _ = register(audit.Check{
	ID:          "sensitive-pool-not-tainted",
	Title:       "Dedicated nodes keep other Pods off",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Any Pod is scheduled onto the node, and who breaks out of it has the sensitive workloads there.",
	Remediation: "Taint the nodes of the pool: kubectl taint nodes -l <key> <key>=<value>:NoSchedule.",
	Before:      "metadata:\n  labels: {dedicated: payment}",
	After:       "metadata:\n  labels: {dedicated: payment}\nspec:\n  taints:\n  - {key: dedicated, value: payment, effect: NoSchedule}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Worker node segmentation"},
		{Framework: audit.FrameworkMITRE, ID: "T1611"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/#example-use-cases",
	},
	Setting: "spec.sensitiveWorkloads.dedicatedNodeKeys is set",
	Applies: tellDedicated,
	Node:    sensitivePoolNotTainted,
})

func sensitivePoolNotTainted(n *audit.Node, r *audit.Reporter) {
	key := dedicatedKey(n.LabelKeys, r.Settings())
	if key != "" && dedicatedKey(n.TaintKeys, r.Settings()) == "" {
		r.Find(audit.Finding{
			Message: fmt.Sprintf("node %q must have a taint that keeps other Pods off: its label %q says that it is dedicated", n.Name, key),
			Path:    "spec.taints",
		})
	}
}

func tellDedicated(s *audit.Settings) bool { return len(s.DedicatedNodeKeys) > 0 }

// dedicatedKey returns the first of the keys of dedicated nodes among lines of keys, or "".
func dedicatedKey(lines string, s *audit.Settings) string {
	for key := range strings.SplitSeq(lines, "\n") {
		if s.DedicatedNodeKeys[key] {
			return key
		}
	}
	return ""
}

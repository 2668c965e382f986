// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the programs in spec.containers[*].command, args, probes and hooks, init and ephemeral containers likewise.
// Allowed: all but sudo and su.
var _ = register(audit.Check{
	ID:          "sudo-in-command",
	Title:       "Containers do not change users with sudo or su",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "What sudo lets the application do it lets whoever takes it over do: become root, which is why the container had to be allowed privilege escalation.",
	Remediation: "Set securityContext.runAsUser to the user that the command needs, and take sudo or su out of command and args.",
	Before:      "command: [sh, -c, \"sudo chown app /data && ./server\"]",
	After:       "command: [./server]\nsecurityContext: {runAsUser: 10001, runAsGroup: 10001}",
	References: []string{
		"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
	},
	Pod: sudoInCommand,
})

var userChangers = []string{"sudo", "su"}

func sudoInCommand(pod *audit.Pod, r *audit.Reporter) {
	findProgram(pod, r, userChangers,
		func(p program) bool { return slices.Contains(userChangers, p.name) },
		func(c audit.Container, p program) string {
			return fmt.Sprintf("container %q must not run %q", c.Name, p.name)
		})
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at rules of roles for create and get on pods/exec, pods/attach and pods/portforward. Allowed: none; in namespaces it is Low,
// for it is better than SSH, unless a privileged Pod is there: of a ClusterRole that is told of its RoleBinding.
var _ = register(audit.Check{
	ID:          "rbac-execs-pods",
	Title:       "Few may run commands in Pods",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever runs commands in a Pod or connects to its ports has what the Pod has: its token, its Secrets, its network, and its node if it is privileged.",
	Remediation: "Remove pods/exec, pods/attach and pods/portforward from the rule, or bind the role in the namespaces where somebody needs it.",
	Before:      "kind: ClusterRole\nrules:\n- apiGroups: [\"\"]\n  resources: [pods, pods/exec]\n  verbs: [get, create]",
	After:       "kind: ClusterRole\nrules:\n- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [get]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1609"},
	},
	References: []string{
		"https://kubernetes.io/docs/tasks/debug/debug-application/get-shell-running-container/",
	},
	Needs:   audit.PowerResources,
	Role:    execsPods.role,
	Binding: given(execsPods.binding),
})

var execsPods = power{
	requests: requestsFor("", []string{"pods/exec", "pods/attach", "pods/portforward"}, []string{"create", "get"}),
	named:    true,
	within:   v1alpha1.SeverityLow,
	worse:    privilegedIn,
}

// privilegedIn says whether a namespace has a privileged Pod.
func privilegedIn(ns *audit.Namespace) bool { return slices.ContainsFunc(ns.Workloads, runsPrivileged) }

// runsPrivileged says whether some live Pod of a workload, or one to come, has a privileged container.
func runsPrivileged(w *audit.Workload) bool {
	return slices.ContainsFunc(append(w.Shapes(), w.Template), func(s *audit.Shape) bool {
		if s == nil {
			return false
		}
		for c := range s.Pod().Containers() {
			if c.SecurityContext != nil && c.SecurityContext.Privileged != nil && *c.SecurityContext.Privileged {
				return true
			}
		}
		return false
	})
}

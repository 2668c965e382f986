// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.hostUsers. Allowed: false. Pods that share another namespace of the node cannot have a user namespace, and
// are found by the checks on those; Windows has none.
var _ = register(audit.Check{
	ID:          "no-user-namespace",
	Title:       "Pods have a user namespace of their own",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Who breaks out of the container is the same user on the node as inside, and root there if it was root here.",
	Remediation: "Set hostUsers to false, where the nodes' kernel and container runtime support it.",
	Before:      "spec:\n  hostUsers: true",
	After:       "spec:\n  hostUsers: false",
	Controls: []audit.Control{
		{Framework: audit.FrameworkMITRE, ID: "T1611"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/",
	},
	Off: true, // not every node can do it yet
	Pod: noUserNamespace,
})

func noUserNamespace(pod *audit.Pod, r *audit.Reporter) {
	spec := &pod.Spec
	if spec.HostUsers != nil && !*spec.HostUsers || spec.HostNetwork || spec.HostPID || spec.HostIPC ||
		spec.OS != nil && spec.OS.Name == corev1.Windows {
		return
	}
	r.Find(audit.Finding{
		Message:   `"spec" must set hostUsers to false`,
		Path:      "spec.hostUsers",
		Suggested: "false",
	})
}

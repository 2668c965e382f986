// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.runtimeClassName and spec.hostUsers of sensitive workloads. Allowed: one of the configured RuntimeClasses that
// sandbox, or a user namespace of its own.
var _ = register(audit.Check{
	ID:          "not-sandboxed",
	Title:       "Sensitive workloads run in a sandbox",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Containers share the kernel of their node, so one flaw in it leads from any container to the sensitive one, and out of it.",
	Remediation: "Set runtimeClassName to a RuntimeClass that sandboxes (gVisor, Kata Containers), or hostUsers to false.",
	Before:      "spec:\n  containers: […]",
	After:       "spec:\n  runtimeClassName: gvisor\n  containers: […]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkMITRE, ID: "T1611"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/containers/runtime-class/",
		"https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/",
	},
	Setting: "spec.sensitiveWorkloads.selector or .namespaces is set",
	Applies: (*audit.Settings).TellSensitive,
	Placed:  notSandboxed,
})

func notSandboxed(pod *audit.PlacedPod, r *audit.Reporter) {
	class, hostUsers := pod.Spec.RuntimeClassName, pod.Spec.HostUsers
	if !pod.Sensitive || hostUsers != nil && !*hostUsers || class != nil && r.Settings().SandboxRuntimeClasses[*class] {
		return
	}
	why := "it has none"
	if class != nil {
		why = fmt.Sprintf("%q is no RuntimeClass that sandboxes", *class)
	}
	r.Find(audit.Finding{
		Message: fmt.Sprintf("sensitive workload %q must run in a sandbox or a user namespace: %s", pod.Subject.Name, why),
		Path:    "spec.runtimeClassName",
	})
}

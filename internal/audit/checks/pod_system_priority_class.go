// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.priorityClassName outside kube-system, kube-public and kube-node-lease. Allowed: any class but
// system-node-critical and system-cluster-critical.
var _ = register(audit.Check{
	ID:          "system-priority-class",
	Title:       "Only the system's own Pods have its priority classes",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryResources,
	Rationale:   "Such a Pod evicts any other that is in its way, cluster add-ons and their safeguards among them, and is never evicted itself.",
	Remediation: "Set priorityClassName to a PriorityClass of your own with a lower value, or remove it.",
	Before:      "priorityClassName: system-cluster-critical",
	After:       "priorityClassName: shop-important",
	References: []string{
		"https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/",
		"https://kubernetes.io/docs/tasks/administer-cluster/guaranteed-scheduling-critical-addon-pods/",
	},
	Placed: systemPriorityClass,
})

// systemPriorityClasses are the two that Kubernetes itself defines; nobody else may define any that begins with "system-".
var systemPriorityClasses = map[string]bool{"system-node-critical": true, "system-cluster-critical": true}

func systemPriorityClass(pod *audit.PlacedPod, r *audit.Reporter) {
	if class := pod.Spec.PriorityClassName; systemPriorityClasses[class] && !r.Settings().SystemNamespaces[pod.Around.Name] {
		r.Find(audit.Finding{
			Message: fmt.Sprintf("%q must not be %q outside kube-system", "priorityClassName", class),
			Path:    "spec.priorityClassName",
		})
	}
}

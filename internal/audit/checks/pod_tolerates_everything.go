// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.tolerations. Allowed: those with a key. Left out are Pods of DaemonSets and static Pods, which are meant for
// every node, and the namespaces kube-system, kube-public and kube-node-lease.
var _ = register(audit.Check{
	ID:          "tolerates-everything",
	Title:       "Pods tolerate only the taints that they name",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Such a Pod may land on nodes set apart for sensitive workloads or for the control plane, and whoever takes it over is next to them.",
	Remediation: "Set key, and value or effect, of the toleration to those of the taint that is meant.",
	Before:      "tolerations:\n- operator: Exists",
	After:       "tolerations:\n- {key: dedicated, operator: Equal, value: batch, effect: NoSchedule}",
	References: []string{
		"https://kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration/",
	},
	Placed: toleratesEverything,
})

func toleratesEverything(pod *audit.PlacedPod, r *audit.Reporter) {
	if r.Settings().SystemNamespaces[pod.Around.Name] || pod.Subject.KindLabel() == "DaemonSet" || pod.Static {
		return
	}
	for i, t := range pod.Spec.Tolerations {
		if t.Key != "" || t.Operator != corev1.TolerationOpExists {
			continue
		}
		taints := "every taint"
		if t.Effect != "" {
			taints = fmt.Sprintf("every taint with effect %q", t.Effect)
		}
		r.Find(audit.Finding{
			Message: fmt.Sprintf(`"tolerations" must name a key: %q without one tolerates %s`, t.Operator, taints),
			Path:    fmt.Sprintf("spec.tolerations[%d]", i),
		})
	}
}

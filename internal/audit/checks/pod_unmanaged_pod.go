// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at metadata.ownerReferences of Pods. Allowed: a controller that is there. Static Pods, which a node makes, are left
// out.
var _ = register(audit.Check{
	ID:          "unmanaged-pod",
	Title:       "Pods have a controller",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryAvailability,
	Rationale:   "Nobody rolls security updates out to such a Pod or replaces it, and one that somebody started by hand stays unnoticed for as long as it likes.",
	Remediation: "Create a Deployment, StatefulSet, DaemonSet or Job with the Pod's spec as template, and delete the Pod.",
	Before:      "kind: Pod\nmetadata: {name: cart}",
	After:       "kind: Deployment\nmetadata: {name: cart}",
	References: []string{
		"https://kubernetes.io/docs/concepts/configuration/overview/#naked-pods-vs-replicasets-deployments-and-jobs",
		"https://kubernetes.io/docs/concepts/workloads/controllers/",
	},
	Placed: unmanagedPod,
})

func unmanagedPod(pod *audit.PlacedPod, r *audit.Reporter) {
	if pod.Subject.APIVersion == "v1" && pod.Subject.Kind == "Pod" && !pod.Static {
		r.Find(audit.Finding{
			Message: `"metadata" must have the controller of the Pod in ownerReferences: create a Deployment, StatefulSet, DaemonSet or Job instead`,
			Path:    "metadata.ownerReferences",
		})
	}
}

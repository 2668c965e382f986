// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.ephemeralContainers. Allowed: none.
var _ = register(audit.Check{
	ID:          "ephemeral-container",
	Title:       "No debug container is attached to a running Pod",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Somebody runs an image of their choice inside the Pod, with its network and credentials, which no template shows; it cannot be removed from the Pod.",
	Remediation: "Delete the Pod once debugging is over, so that its controller makes a clean one, and find out who attached the container.",
	Before:      "spec:\n  ephemeralContainers:\n  - {name: debugger, image: busybox}",
	After:       "spec: {}",
	References: []string{
		"https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/",
	},
	LiveOnly: "which containers were attached to live Pods",
	Pod:      ephemeralContainer,
})

func ephemeralContainer(pod *audit.Pod, r *audit.Reporter) {
	for c := range pod.Containers() {
		if c.Ephemeral() {
			r.Find(audit.Finding{
				Message:   fmt.Sprintf("ephemeral container %q with image %q must not be attached", c.Name, c.Image),
				Container: c.Name,
				Path:      c.Path(""),
			})
		}
	}
}

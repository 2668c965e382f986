// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.securityContext.runAsGroup, fsGroup and supplementalGroups, and at runAsGroup of containers, init and
// ephemeral ones likewise. Allowed: unset, any group but 0.
var _ = register(audit.Check{
	ID:          "root-group",
	Title:       "Containers do not run with the root group",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Files that only root's group may read or write, those on the node that the Pod mounts among them, are open to whoever takes over the container.",
	Remediation: "Set runAsGroup and fsGroup to a group of the application's own, such as 10001, and take 0 out of supplementalGroups.",
	Before:      "securityContext: {runAsUser: 10001, runAsGroup: 0}",
	After:       "securityContext: {runAsUser: 10001, runAsGroup: 10001}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Non-root containers and rootless container engines"},
	},
	References: []string{
		"https://kubernetes.io/docs/tasks/configure-pod-container/security-context/",
	},
	Pod: rootGroup,
})

func rootGroup(pod *audit.Pod, r *audit.Reporter) {
	find := func(subject, path, container, field string) {
		r.Find(audit.Finding{
			Message:   fmt.Sprintf("%s must not set %s to 0, the root group", subject, field),
			Container: container,
			Path:      path + "securityContext." + field,
		})
	}
	if sc := pod.Spec.SecurityContext; sc != nil {
		if isRoot(sc.RunAsGroup) {
			find(`"spec.securityContext"`, "spec.", "", "runAsGroup")
		}
		if isRoot(sc.FSGroup) {
			find(`"spec.securityContext"`, "spec.", "", "fsGroup")
		}
		if slices.Contains(sc.SupplementalGroups, 0) {
			r.Find(audit.Finding{
				Message:   `"spec.securityContext" must not have 0, the root group, in supplementalGroups`,
				Path:      "spec.securityContext.supplementalGroups",
				Suggested: without(sc.SupplementalGroups, []int64{0}),
			})
		}
	}
	for c := range pod.Containers() {
		if c.SecurityContext != nil && isRoot(c.SecurityContext.RunAsGroup) {
			find(fmt.Sprintf("container %q", c.Name), c.Path("")+".", c.Name, "runAsGroup")
		}
	}
}

func isRoot(id *int64) bool { return id != nil && *id == 0 }

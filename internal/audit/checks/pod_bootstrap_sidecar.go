// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at status.containerStatuses[*] of live Pods, init containers with restartPolicy Always likewise. Found: containers
// that have been restarted three times or more, the last time with exit code 0 after less than ten minutes, and have not run
// for as long since, while another runs. Left out are containers with a liveness or startup probe, which may have been stopped
// by it.
var _ = register(audit.Check{
	ID:          "bootstrap-sidecar",
	Title:       "What is done once is done in init containers",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryAvailability,
	Rationale:   "The container has finished and is started again and again, with all that it may do and read, beside an application that needs none of it any more.",
	Remediation: "Move the container from containers to initContainers, which end before the application starts.",
	Before:      "containers:\n- {name: app, image: registry.example.com/app:1.4.2}\n- {name: migrate, image: registry.example.com/migrate:1.4.2}",
	After:       "initContainers:\n- {name: migrate, image: registry.example.com/migrate:1.4.2}\ncontainers:\n- {name: app, image: registry.example.com/app:1.4.2}",
	References: []string{
		"https://kubernetes.io/docs/concepts/workloads/pods/init-containers/",
		"https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy",
	},
	LiveOnly: "how containers end",
	Running:  bootstrapSidecar,
})

func bootstrapSidecar(w *audit.RunningWorkload, r *audit.Reporter) {
	for i := range w.Runs {
		for c := range w.Runs[i].Containers() {
			if w.Runs[i].Completes(c.Name) {
				r.Find(audit.Finding{
					Message:   fmt.Sprintf("container %q must not end with exit code 0 again and again: it belongs in initContainers", c.Name),
					Container: c.Name,
					Path:      w.Path(c.Path("")),
				})
			}
		}
	}
}

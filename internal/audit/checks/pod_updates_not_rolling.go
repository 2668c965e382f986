// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.paused of Deployments, and at spec.updateStrategy.type of StatefulSets and DaemonSets. Allowed: unset, false;
// unset, RollingUpdate.
var _ = register(audit.Check{
	ID:          "updates-not-rolling",
	Title:       "A new template reaches the Pods",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryAvailability,
	Rationale:   "Pods keep running what the old template says, a vulnerable image for instance, long after everybody believes it mended.",
	Remediation: "Resume the Deployment with kubectl rollout resume, or set spec.updateStrategy.type to RollingUpdate.",
	Before:      "updateStrategy: {type: OnDelete}",
	After:       "updateStrategy: {type: RollingUpdate}",
	References: []string{
		"https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#pausing-and-resuming-a-deployment",
		"https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#update-strategies",
		"https://kubernetes.io/docs/tasks/manage-daemon/update-daemon-set/",
	},
	Running: updatesNotRolling,
})

func updatesNotRolling(w *audit.RunningWorkload, r *audit.Reporter) {
	if w.Unread != nil {
		r.SkipUnavailable(w.Unread)
		return
	}
	if w.Rollout.Paused {
		r.Find(audit.Finding{
			Message:   "\"spec\" must not set paused to true: a new template reaches no Pod",
			Path:      "spec.paused",
			Suggested: "false",
		})
	}
	if w.Rollout.OnDelete {
		r.Find(audit.Finding{
			Message:   "\"spec.updateStrategy\" must not set type to \"OnDelete\": a new template reaches no Pod before somebody deletes it",
			Path:      "spec.updateStrategy.type",
			Suggested: `"RollingUpdate"`,
		})
	}
}

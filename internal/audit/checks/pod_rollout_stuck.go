// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at status.conditions, replicas and updatedReplicas of Deployments. Allowed: no condition Progressing that is False
// for ProgressDeadlineExceeded while Pods of an older template run. StatefulSets and DaemonSets have no deadline, and their
// status does not say since when they roll out, so one that is slow cannot be told from one that is stuck.
var _ = register(audit.Check{
	ID:          "rollout-stuck",
	Title:       "Rollouts of Deployments come to an end",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryAvailability,
	Rationale:   "What the new template mends, a vulnerable image for instance, is still open to attack in the old Pods, which nobody expects to be there; StatefulSets and DaemonSets have no deadline to judge theirs by.",
	Remediation: "Find out with kubectl rollout status and kubectl describe pod why the new Pods do not become ready, and mend the template.",
	Before:      "status:\n  conditions:\n  - {type: Progressing, status: \"False\", reason: ProgressDeadlineExceeded}",
	After:       "status:\n  conditions:\n  - {type: Progressing, status: \"True\", reason: NewReplicaSetAvailable}",
	References: []string{
		"https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#failed-deployment",
	},
	LiveOnly: "how far rollouts have come",
	Running:  rolloutStuck,
})

func rolloutStuck(w *audit.RunningWorkload, r *audit.Reporter) {
	if w.Unread != nil {
		r.SkipUnavailable(w.Unread)
		return
	}
	if w.Rollout.Stuck {
		r.Find(audit.Finding{
			Message: "\"status\" must not be past progressDeadlineSeconds: Pods of an older template still run",
			Path:    "status.conditions[type=Progressing]",
		})
	}
}

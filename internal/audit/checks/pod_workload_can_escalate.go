// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Looks at spec.serviceAccountName, where a token is mounted, and at all roles and bindings. Allowed: a ServiceAccount of which no
// way to cluster-admin is known. What is on the way is in other namespaces, and not told here.
var _ = register(audit.Check{
	ID:          "workload-can-escalate",
	Title:       "No workload can become cluster-admin",
	Severity:    v1alpha1.SeverityCritical,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever takes over one container of the workload gets the whole cluster with the token that is mounted there.",
	Remediation: "Take away from the ServiceAccount what \"kubersafe rbac explain\" prints as its first step, or set automountServiceAccountToken to false if the workload does not call the API.",
	Before:      "kind: ClusterRole\nrules:\n- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [\"*\"]",
	After:       "kind: ClusterRole\nrules:\n- apiGroups: [\"\"]\n  resources: [pods]\n  verbs: [get, list, watch]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1078"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#privilege-escalation-risks",
	},
	Needs:  append([]audit.Resource{audit.ServiceAccounts}, audit.PowerResources...),
	Placed: workloadCanEscalate,
})

func workloadCanEscalate(pod *audit.PlacedPod, r *audit.Reporter) {
	power := mountedPower(pod)
	if unseen := pod.Around.Powers.Unseen; power.Granted && power.Steps == 0 && unseen != nil {
		r.SkipUnavailable(unseen)
	}
	if power.Steps == 0 {
		return
	}
	within := "one step"
	if power.Steps > 1 {
		within = fmt.Sprintf("%d steps", power.Steps)
	}
	r.Find(audit.Finding{
		Message: fmt.Sprintf(`"serviceAccountName" must not name %q: it can become cluster-admin in %s`, audit.AccountOf(&pod.Spec), within),
		Path:    "spec.serviceAccountName",
	})
}

// mountedPower returns what may be done with the token that a Pod mounts; nothing if it mounts none.
func mountedPower(pod *audit.PlacedPod) rbac.Power {
	if isMirror(pod) || !mountsToken(pod) && !audit.ProjectsToken(&pod.Spec) {
		return rbac.Power{}
	}
	return pod.Around.Powers.Of(audit.AccountOf(&pod.Spec))
}

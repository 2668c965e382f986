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
	power, known := mountedPower(pod, r)
	if !known {
		return
	}
	if power.Steps == 0 {
		skipUnknownWays(pod, &power, r)
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

// mountedPower returns what may be done with the token that a Pod mounts. It returns false if it mounts none, or if that is not known
// yet, and then the check is skipped.
func mountedPower(pod *audit.PlacedPod, r *audit.Reporter) (power rbac.Power, ok bool) {
	if isMirror(pod) || !mountsToken(pod) && !audit.ProjectsToken(&pod.Spec) && !audit.MountsTokenSecret(&pod.Spec) {
		return rbac.Power{}, false
	}
	name := audit.AccountOf(&pod.Spec)
	if !pod.Around.Powers.Known(name) {
		r.Skip(v1alpha1.SkipSourceSyncing, fmt.Sprintf("it is not known yet what %q may do", name))
		return rbac.Power{}, false
	}
	return pod.Around.Powers.Of(name), true
}

// unsureWays is why it is not known whether there is a way.
const unsureWays = "whether there is a way to cluster-admin depends on what is not seen: Pods of other shards, or what objects are that a role names"

// skipUnknownWays skips a check that has found no way to cluster-admin, unless there is none.
func skipUnknownWays(pod *audit.PlacedPod, power *rbac.Power, r *audit.Reporter) {
	switch unseen := pod.Around.Powers.Unseen; {
	case power.Granted && unseen != nil:
		r.SkipUnavailable(unseen)
	case power.Unsure:
		r.Skip(v1alpha1.SkipDataMissing, unsureWays)
	default:
		skipPartial(pod, r)
	}
}

// skipPartial skips a check that has found nothing to be granted where manifests are all that is known.
func skipPartial(pod *audit.PlacedPod, r *audit.Reporter) {
	if pod.Around.FromManifests {
		r.Skip(v1alpha1.SkipDataMissing, "manifests do not show all roles and bindings")
	}
}

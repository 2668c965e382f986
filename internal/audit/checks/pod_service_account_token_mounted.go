// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at automountServiceAccountToken of the Pod and, where that is unset, of the ServiceAccount, and at all roles and bindings.
// Allowed: false, unless the ServiceAccount may do anything that not all of them may by what Kubernetes makes itself. A token that
// the Pod projects by itself or takes from a Secret, for whatever that is for, is left alone.
var _ = register(audit.Check{
	ID:          "service-account-token-mounted",
	Title:       "Tokens are mounted only where they are of use",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryAccess,
	Rationale:   "The token opens nothing to the workload, but shows whoever takes it over what API there is, and what is granted to its ServiceAccount one day falls to him.",
	Remediation: "Set automountServiceAccountToken to false.",
	Before:      "spec:\n  serviceAccountName: web # which no binding names",
	After:       "spec:\n  serviceAccountName: web\n  automountServiceAccountToken: false",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.6"},
		{Framework: audit.FrameworkNSA, ID: "Protecting Pod service account tokens"},
		{Framework: audit.FrameworkMITRE, ID: "T1528"},
	},
	References: []string{
		"https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#opt-out-of-api-credential-automounting",
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege",
	},
	Needs:  append([]audit.Resource{audit.ServiceAccounts}, audit.PowerResources...),
	Placed: serviceAccountTokenMounted,
})

func serviceAccountTokenMounted(pod *audit.PlacedPod, r *audit.Reporter) {
	if !mountsToken(pod) {
		return
	}
	power, known := mountedPower(pod, r)
	if !known || power.Granted {
		return
	}
	if pod.Around.FromManifests {
		skipPartial(pod, r)
		return
	}
	// No value is suggested: to take a token away that is used after all, such as to be recognized, breaks the workload.
	r.Find(audit.Finding{
		Message: fmt.Sprintf(`"automountServiceAccountToken" must be false: nothing is granted to %q`, audit.AccountOf(&pod.Spec)),
		Path:    "spec.automountServiceAccountToken",
	})
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.serviceAccountName. Allowed: a ServiceAccount of the namespace, default, unset.
var _ = register(audit.Check{
	ID:          "service-account-missing",
	Title:       "Pods name a ServiceAccount that exists",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever creates the missing ServiceAccount decides what the workload may do, and role bindings on a name that nobody holds wait for them.",
	Remediation: "Create the ServiceAccount, or set serviceAccountName to one that exists.",
	Before:      "spec:\n  serviceAccountName: cart # no such ServiceAccount",
	After:       "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: cart, namespace: shop}\nautomountServiceAccountToken: false",
	References: []string{
		"https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/",
		"https://kubernetes.io/docs/concepts/security/service-accounts/",
	},
	Needs:  []audit.Resource{audit.ServiceAccounts},
	Placed: serviceAccountMissing,
})

func serviceAccountMissing(pod *audit.PlacedPod, r *audit.Reporter) {
	name := audit.AccountOf(&pod.Spec)
	if name == defaultAccount || serviceAccountNamed(pod.Around, name) != nil {
		return
	}
	r.Find(audit.Finding{
		Message: fmt.Sprintf(`"serviceAccountName" must name a ServiceAccount of the namespace: there is no %q`, name),
		Path:    "spec.serviceAccountName",
	})
}

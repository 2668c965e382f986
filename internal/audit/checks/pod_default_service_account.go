// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.serviceAccountName together with automountServiceAccountToken of the Pod and, where that is unset, of the
// ServiceAccount. Allowed: a ServiceAccount other than default, or no token.
var _ = register(audit.Check{
	ID:          "default-service-account",
	Title:       "Pods do not use the token of the default ServiceAccount",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryAccess,
	Rationale:   "All Pods of the namespace that name no ServiceAccount share this one, so what is granted to it for one of them falls to whoever takes over any other.",
	Remediation: "Set automountServiceAccountToken to false, or serviceAccountName to a ServiceAccount of the workload's own if it calls the API.",
	Before:      "spec:\n  serviceAccountName: default",
	After:       "spec:\n  automountServiceAccountToken: false",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.5"},
		{Framework: audit.FrameworkNSA, ID: "Protecting Pod service account tokens"},
		{Framework: audit.FrameworkMITRE, ID: "T1528"},
	},
	References: []string{
		"https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#opt-out-of-api-credential-automounting",
		"https://kubernetes.io/docs/concepts/security/service-accounts/",
	},
	Needs:  []audit.Resource{audit.ServiceAccounts},
	Placed: defaultServiceAccount,
})

// defaultAccount is the ServiceAccount that every namespace has, and that Pods run as which name none.
const defaultAccount = "default"

func defaultServiceAccount(pod *audit.PlacedPod, r *audit.Reporter) {
	if audit.AccountOf(&pod.Spec) == defaultAccount && mountsToken(pod) && !isMirror(pod) {
		r.Find(audit.Finding{
			Message: `"serviceAccountName" must not be "default" while its token is mounted: set automountServiceAccountToken to false`,
			Path:    "spec.serviceAccountName",
		})
	}
}

func mountsToken(pod *audit.PlacedPod) bool {
	if pod.Token {
		return true
	}
	if mounts := pod.Spec.AutomountServiceAccountToken; mounts != nil {
		return *mounts
	}
	account := serviceAccountNamed(pod.Around, audit.AccountOf(&pod.Spec))
	return account == nil || account.MountsToken
}

func serviceAccountNamed(around *audit.Surroundings, name string) *audit.ServiceAccountRecord {
	for _, a := range around.ServiceAccounts {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// isMirror says whether a Pod stands for a static one, which has no ServiceAccount. No other can pass for one: admission
// gives every other a ServiceAccount.
func isMirror(pod *audit.PlacedPod) bool { return pod.Static && pod.Spec.ServiceAccountName == "" }

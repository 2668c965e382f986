// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.validationActions of ValidatingAdmissionPolicyBindings. Allowed: lists with Deny, or a policy that another binding
// makes deny.
var _ = register(audit.Check{
	ID:          "admission-only-warns",
	Title:       "Admission policies deny what they forbid",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "What the policy forbids is let in all the same, and told to the one who tries.",
	Remediation: "Add Deny to validationActions once nothing that must run violates the policy.",
	Before:      "validationActions: [Warn, Audit]",
	After:       "validationActions: [Deny, Audit]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkOWASP, ID: "K04"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#validation-actions",
	},
	Needs:     []audit.Resource{audit.AdmissionPolicyBindings},
	Admission: admissionOnlyWarns,
})

func admissionOnlyWarns(c *audit.Cluster, r *audit.Reporter) {
	for _, b := range c.Bindings {
		denied := b.Denies || slices.ContainsFunc(c.Bindings, func(other *audit.AdmissionBindingRecord) bool {
			return other.Policy == b.Policy && other.Denies
		})
		if !denied {
			r.Find(audit.Finding{
				Message: fmt.Sprintf("binding %q must deny what policy %q forbids", b.Name, b.Policy),
				Object:  &v1alpha1.ObjectReference{Kind: "ValidatingAdmissionPolicyBinding", Name: b.Name}, Path: "spec.validationActions",
			})
		}
	}
}

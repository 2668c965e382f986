// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.validationActions and spec.policyName of ValidatingAdmissionPolicyBindings. Allowed: a policy that there is, and
// lists with Deny or other bindings that make the policy deny in all namespaces that this one selects.
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
	Needs:     []audit.Resource{audit.Namespaces, audit.AdmissionPolicies, audit.AdmissionPolicyBindings},
	Admission: admissionOnlyWarns,
})

func admissionOnlyWarns(c *audit.Cluster, r *audit.Reporter) {
	policies, denying := make(map[string]bool), make(map[string][]*audit.AdmissionBindingRecord)
	for _, p := range c.Policies {
		policies[p.Name] = true
	}
	for _, b := range c.Bindings {
		if b.Denies {
			denying[b.Policy] = append(denying[b.Policy], b)
		}
	}
	for _, b := range c.Bindings {
		f := audit.Finding{Object: &v1alpha1.ObjectReference{Kind: "ValidatingAdmissionPolicyBinding", Name: b.Name}}
		switch {
		case !policies[b.Policy] && !c.FromManifests:
			f.Message, f.Path = fmt.Sprintf("binding %q must name a policy that exists: there is no %q", b.Name, b.Policy), "spec.policyName"
		case !b.Denies && !deniedElsewhere(c, b, denying[b.Policy]):
			f.Message, f.Path = fmt.Sprintf("binding %q must deny what policy %q forbids", b.Name, b.Policy), "spec.validationActions"
		default:
			continue
		}
		r.Find(f)
	}
}

// deniedElsewhere says whether other bindings of its policy deny whatever a binding only warns of: each all of it, or all in the
// namespaces that it selects.
func deniedElsewhere(c *audit.Cluster, b *audit.AdmissionBindingRecord, denying []*audit.AdmissionBindingRecord) bool {
	denying = slices.DeleteFunc(slices.Clone(denying), func(d *audit.AdmissionBindingRecord) bool { return !d.Pods || d.Partial != "" })
	return slices.ContainsFunc(denying, func(d *audit.AdmissionBindingRecord) bool { return d.Namespaces.Empty() }) ||
		len(denying) > 0 && !slices.ContainsFunc(c.Namespaces, func(n *audit.NamespaceRecord) bool {
			return b.Covers(n) && !slices.ContainsFunc(denying, func(d *audit.AdmissionBindingRecord) bool { return d.Covers(n) })
		})
}

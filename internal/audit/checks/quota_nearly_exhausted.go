// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at status.used against spec.hard of every ResourceQuota. Allowed: below 90 % of what is bounded. What was found
// at 90 % stays until it falls below 85 %, what was found at 100 % until it falls below 95 %, so that a quota that hovers
// at a bound does not flap.
var _ = register(audit.Check{
	ID:          "quota-nearly-exhausted",
	Title:       "ResourceQuotas leave headroom",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryResources,
	Rationale:   "At the bound nothing can be scaled, rolled out or replaced, security updates included, and a flood of Pods shows itself here first.",
	Remediation: "Find out what uses the quota (kubectl describe resourcequota), then remove it or raise spec.hard.",
	Before:      "spec:\n  hard: {pods: \"10\"}\nstatus:\n  used: {pods: \"9\"}",
	After:       "spec:\n  hard: {pods: \"20\"}\nstatus:\n  used: {pods: \"9\"}",
	References: []string{
		"https://kubernetes.io/docs/concepts/policy/resource-quotas/",
	},
	Needs:     []audit.Resource{audit.ResourceQuotas},
	Namespace: quotaNearlyExhausted,
})

func quotaNearlyExhausted(ns *audit.Namespace, r *audit.Reporter) {
	for _, quota := range ns.Quotas {
		for _, usage := range quota.Usage {
			if usage.Band == audit.QuotaUnknown {
				r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("resource quota %q does not say yet how much of %q is used", quota.Name, usage.Resource))
				continue
			}
			f := audit.Finding{
				Object: &v1alpha1.ObjectReference{Kind: "ResourceQuota", Name: quota.Name},
				Path:   "spec.hard[" + usage.Resource + "]",
			}
			percent := "90"
			switch reached(usage.Band, ns.StandingSeverity(r, f)) {
			case v1alpha1.SeverityHigh:
				percent = "100"
				f.Severity = v1alpha1.SeverityHigh
			case v1alpha1.SeverityMedium:
			default:
				continue
			}
			f.Message = fmt.Sprintf("resource quota %q must leave headroom: %q has reached %s %% of its bound", quota.Name, usage.Resource, percent)
			r.Find(f)
		}
	}
}

// reached returns the severity of a band, given at which severity the finding stands.
func reached(band audit.QuotaBand, standing v1alpha1.Severity) v1alpha1.Severity {
	switch {
	case band == audit.QuotaFull, band == audit.QuotaFrom95 && standing == v1alpha1.SeverityHigh:
		return v1alpha1.SeverityHigh
	case band >= audit.QuotaFrom90, band == audit.QuotaFrom85 && standing != "":
		return v1alpha1.SeverityMedium
	}
	return ""
}

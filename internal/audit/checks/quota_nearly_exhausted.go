// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at status.used against spec.hard of every ResourceQuota. Allowed: below 90 % of what is bounded, or what is
// configured. What was found there stays until it falls 5 points below, and so does what was found at 100 %, so that a quota
// that hovers at a bound does not flap.
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
			if usage.Level == audit.QuotaUnknown {
				r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("resource quota %q does not say yet how much of %q is used", quota.Name, usage.Resource))
				continue
			}
			f := audit.Finding{
				Object: &v1alpha1.ObjectReference{Kind: "ResourceQuota", Name: quota.Name},
				Path:   "spec.hard[" + usage.Resource + "]",
			}
			percent := r.Settings().QuotaNearlyExhausted
			switch reached(usage.Level, percent, ns.StandingSeverity(r, f)) {
			case v1alpha1.SeverityHigh:
				percent = 100
				f.Severity = v1alpha1.SeverityHigh
			case v1alpha1.SeverityMedium:
			default:
				continue
			}
			f.Message = fmt.Sprintf("resource quota %q must leave headroom: %q has reached %d %% of its bound", quota.Name, usage.Resource, percent)
			r.Find(f)
		}
	}
}

// headroom is how many points a usage must fall below what it was found at.
const headroom = 5

// reached returns the severity of a usage, given from which percentage it is found and at which severity the finding stands.
func reached(level audit.QuotaLevel, percent int, standing v1alpha1.Severity) v1alpha1.Severity {
	used := int(level)
	switch {
	case used >= 100, used >= 100-headroom && standing == v1alpha1.SeverityHigh:
		return v1alpha1.SeverityHigh
	case used >= percent, used >= percent-headroom && standing != "":
		return v1alpha1.SeverityMedium
	}
	return ""
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the workloads of a namespace. Allowed: sensitive ones or others, not both.
var _ = register(audit.Check{
	ID:          "sensitive-namespace-shared",
	Title:       "Sensitive workloads have namespaces of their own",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryNamespaces,
	Rationale:   "Whoever may create Pods in the namespace for the other workloads may mount what the sensitive ones have: their Secrets, tokens and volumes.",
	Remediation: "Move the sensitive workloads, or the others, to a namespace of their own.",
	Before:      "# namespace shop\nmetadata: {name: payment, namespace: shop, labels: {tier: sensitive}}\n---\nmetadata: {name: frontend, namespace: shop}",
	After:       "metadata: {name: payment, namespace: payment, labels: {tier: sensitive}}\n---\nmetadata: {name: frontend, namespace: shop}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Namespaces"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/multi-tenancy/#namespaces",
	},
	Setting:   "spec.sensitiveWorkloads.selector or .namespaces is set",
	Applies:   (*audit.Settings).TellSensitive,
	Namespace: sensitiveNamespaceShared,
})

func sensitiveNamespaceShared(ns *audit.Namespace, r *audit.Reporter) {
	var sensitive, other *audit.Workload
	for _, w := range ns.Workloads {
		if r.Settings().IsSensitive(w) {
			if sensitive == nil {
				sensitive = w
			}
		} else if other == nil {
			other = w
		}
	}
	if sensitive != nil && other != nil {
		r.Find(audit.Finding{
			Message: fmt.Sprintf("namespace %q must not hold sensitive workloads and others: %s %q is sensitive, %s %q is not",
				ns.Name, sensitive.Kind, sensitive.Name, other.Kind, other.Name),
			Path: "metadata.name",
		})
		return
	}
	if u := ns.MissingWorkloads(); u != nil {
		r.SkipUnavailable(u)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.selector of Services. Allowed: none, or one that a live Pod or a Pod template matches.
var _ = register(audit.Check{
	ID:          "service-selects-nothing",
	Title:       "Services select Pods",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryNetwork,
	Rationale:   "Whoever may create Pods with these labels gets the traffic that others still send to the Service, credentials included.",
	Remediation: "Set spec.selector to the labels of the Pods that are meant, or delete the Service.",
	Before:      "spec:\n  selector: {app: crat}",
	After:       "spec:\n  selector: {app: cart}",
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/service/#defining-a-service",
	},
	Needs:     []audit.Resource{audit.Services},
	Namespace: serviceSelectsNothing,
})

func serviceSelectsNothing(ns *audit.Namespace, r *audit.Reporter) {
	for _, s := range ns.Services {
		if s.Selector == nil || s.Type == corev1.ServiceTypeExternalName || selectsAny(ns, s.Selector.Selector()) {
			continue
		}
		if u := ns.MissingWorkloads(); u != nil {
			r.SkipUnavailable(u)
			return
		}
		r.Find(audit.Finding{
			Message: fmt.Sprintf("service %q must select Pods: spec.selector matches no Pod and no Pod template", s.Name),
			Object:  &v1alpha1.ObjectReference{Kind: "Service", Name: s.Name},
			Path:    "spec.selector",
		})
	}
}

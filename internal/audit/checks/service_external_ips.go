// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.externalIPs of Services. Allowed: none.
var _ = register(audit.Check{
	ID:          "service-external-ips",
	Title:       "Services claim no external IP addresses",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryNetwork,
	Rationale:   "Nodes send what is meant for that address to the Service's Pods instead, so whoever may create Services intercepts other people's traffic (CVE-2020-8554).",
	Remediation: "Remove spec.externalIPs, use type LoadBalancer, and deny the field with the admission plugin DenyServiceExternalIPs.",
	Before:      "spec:\n  externalIPs: [198.51.100.7]",
	After:       "spec:\n  type: LoadBalancer",
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/service/#external-ips",
		"https://github.com/kubernetes/kubernetes/issues/97076",
	},
	Needs:     []audit.Resource{audit.Services},
	Namespace: serviceExternalIPs,
})

func serviceExternalIPs(ns *audit.Namespace, r *audit.Reporter) {
	for _, s := range ns.Services {
		if len(s.ExternalIPs) > 0 {
			r.Find(audit.Finding{
				Message:   fmt.Sprintf("service %q must not claim externalIPs %q", s.Name, s.ExternalIPs),
				Object:    &v1alpha1.ObjectReference{Kind: "Service", Name: s.Name},
				Path:      "spec.externalIPs",
				Suggested: "[]",
			})
		}
	}
}

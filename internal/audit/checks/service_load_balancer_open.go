// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.loadBalancerSourceRanges of Services of type LoadBalancer, and at the annotation that it was before. Allowed:
// ranges other than 0.0.0.0/0 and ::/0, or an annotation that keeps the load balancer inside the provider's network. High
// where the load balancer has a public IP address.
var _ = register(audit.Check{
	ID:          "service-load-balancer-open",
	Title:       "Load balancers let only known addresses in",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryNetwork,
	Rationale:   "Whoever reaches the load balancer, which may be the whole internet, reaches the application and can try its faults.",
	Remediation: "Set spec.loadBalancerSourceRanges to the networks that are meant, or the provider's annotation for an internal load balancer.",
	Before:      "spec:\n  type: LoadBalancer",
	After:       "spec:\n  type: LoadBalancer\n  loadBalancerSourceRanges: [203.0.113.0/24]",
	References: []string{
		"https://kubernetes.io/docs/tasks/access-application-cluster/create-external-load-balancer/",
		"https://kubernetes.io/docs/concepts/services-networking/service/#internal-load-balancer",
	},
	Needs:     []audit.Resource{audit.Services},
	Namespace: serviceLoadBalancerOpen,
})

func serviceLoadBalancerOpen(ns *audit.Namespace, r *audit.Reporter) {
	for _, s := range ns.Services {
		if s.Type != corev1.ServiceTypeLoadBalancer || s.Internal || !audit.OpenRanges(s.SourceRanges) {
			continue
		}
		f := audit.Finding{
			Message: fmt.Sprintf("service %q must set loadBalancerSourceRanges to the networks that may reach it", s.Name),
			Object:  &v1alpha1.ObjectReference{Kind: "Service", Name: s.Name},
			Path:    "spec.loadBalancerSourceRanges",
		}
		if s.PublicAddress != "" {
			f.Severity = v1alpha1.SeverityHigh
			f.Message += fmt.Sprintf(": its load balancer has the public address %q", s.PublicAddress)
		}
		r.Find(f)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.hard of the ResourceQuotas of namespaces that have Services of type NodePort or LoadBalancer. Allowed:
// services.nodeports and services.loadbalancers, whichever there are Services of.
var _ = register(audit.Check{
	ID:          "quota-exposes",
	Title:       "ResourceQuotas bound how many Services are exposed",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryResources,
	Rationale:   "Whoever may create Services can open as many doors as they like, each load balancer of which costs money, and use up the nodes' ports for everybody.",
	Remediation: "Add services.loadbalancers and services.nodeports to spec.hard of a ResourceQuota, with what the namespace needs.",
	Before:      "spec:\n  hard: {pods: \"20\"}",
	After:       "spec:\n  hard: {pods: \"20\", services.loadbalancers: \"1\", services.nodeports: \"1\"}",
	References: []string{
		"https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-on-object-count",
	},
	Needs:     []audit.Resource{audit.Services, audit.ResourceQuotas},
	Namespace: quotaExposes,
})

func quotaExposes(ns *audit.Namespace, r *audit.Reporter) {
	var missing []string
	for _, exposed := range []struct {
		kind  corev1.ServiceType
		bound corev1.ResourceName
	}{
		{corev1.ServiceTypeLoadBalancer, corev1.ResourceServicesLoadBalancers},
		{corev1.ServiceTypeNodePort, corev1.ResourceServicesNodePorts},
	} {
		if slices.ContainsFunc(ns.Services, func(s *audit.ServiceRecord) bool { return s.Type == exposed.kind }) && !bounds(ns, exposed.bound) {
			missing = append(missing, string(exposed.bound))
		}
	}
	if len(missing) > 0 {
		r.Find(audit.Finding{
			Message: fmt.Sprintf("namespace %q must have a ResourceQuota that bounds %s: it has such Services", ns.Name, strings.Join(missing, ", ")),
			Path:    "metadata.name",
		})
	}
}

func bounds(ns *audit.Namespace, resource corev1.ResourceName) bool {
	return slices.ContainsFunc(ns.Quotas, func(q *audit.QuotaRecord) bool {
		return slices.ContainsFunc(q.Usage, func(u audit.QuotaUsage) bool { return u.Resource == string(resource) })
	})
}

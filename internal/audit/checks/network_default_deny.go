// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// noDefaultDeny returns the function of a check that wants a policy which denies a direction to all Pods. covered is the
// severity while every Pod happens to be isolated by other policies.
func noDefaultDeny(d netpol.Direction, denies string, covered v1alpha1.Severity) func(*audit.Namespace, *audit.Reporter) {
	return func(ns *audit.Namespace, r *audit.Reporter) {
		specs := make([]*networkingv1.NetworkPolicySpec, 0, len(ns.NetworkPolicies))
		for _, p := range ns.NetworkPolicies {
			if netpol.DefaultDenies(&p.Spec, d) {
				return
			}
			specs = append(specs, &p.Spec)
		}
		if !hasWorkloads(ns, r) {
			return
		}
		f := audit.Finding{
			Message: fmt.Sprintf("namespace %q must have a NetworkPolicy that denies %s all Pods by default", ns.Name, denies),
			Path:    "metadata.name",
		}
		// An invalid selector isolates nothing, so its error makes no difference here.
		if isolator, _ := netpol.NewIsolator(specs, d); ns.MissingWorkloads() == nil && allIsolated(ns, isolator) {
			f.Severity = covered
		}
		r.Find(f)
	}
}

func allIsolated(ns *audit.Namespace, isolator *netpol.Isolator) bool {
	for _, w := range ns.Workloads {
		if w.Template != nil && !isolator.Isolates(w.TemplateLabels) {
			return false
		}
		for _, p := range w.Pods {
			if !isolator.Isolates(p.Labels) {
				return false
			}
		}
	}
	return true
}

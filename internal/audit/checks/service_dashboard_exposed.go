// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at Services of type NodePort or LoadBalancer that select Pods of the Kubernetes Dashboard, which are told by their images.
// Allowed: none.
var _ = register(audit.Check{
	ID:          "dashboard-exposed",
	Title:       "The dashboard is not exposed",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever reaches it can try tokens on the API server through it, and uses what its own ServiceAccount may do.",
	Remediation: "Set the type of the Service to ClusterIP, and reach the dashboard through kubectl port-forward.",
	Before:      "kind: Service\nmetadata: {name: kubernetes-dashboard}\nspec:\n  type: NodePort",
	After:       "kind: Service\nmetadata: {name: kubernetes-dashboard}\nspec:\n  type: ClusterIP",
	Controls: []audit.Control{
		{Framework: audit.FrameworkOWASP, ID: "K06"},
		{Framework: audit.FrameworkOWASP, ID: "K09"},
		{Framework: audit.FrameworkMITRE, ID: "T1133"},
	},
	References: []string{
		"https://kubernetes.io/docs/tasks/access-application-cluster/web-ui-dashboard/",
	},
	Needs:     []audit.Resource{audit.Services},
	Namespace: dashboardExposed,
})

// dashboards are repositories of the dashboard's images; those of its metrics scraper serve nobody else.
var dashboards = []string{"kubernetesui/dashboard", "kubernetesui/dashboard-web", "kubernetesui/dashboard-api", "kubernetesui/dashboard-auth", "kubernetes-dashboard-amd64"}

var isDashboard = audit.NewFact(func(pod *audit.Pod) bool {
	for c := range pod.Containers() {
		repository := audit.ReferenceOf(c.Image).Repository
		if slices.ContainsFunc(dashboards, func(name string) bool { return repository == name || strings.HasSuffix(repository, "/"+name) }) {
			return true
		}
	}
	return false
})

func dashboardExposed(ns *audit.Namespace, r *audit.Reporter) {
	for _, s := range ns.Services {
		if s.Selector == nil || !s.Exposed() {
			continue
		}
		if u := ns.MissingWorkloads(); u != nil {
			r.SkipUnavailable(u)
			return
		}
		selector := s.Selector.Selector()
		if slices.ContainsFunc(ns.Selectable, func(p audit.Selectable) bool { return selector.Matches(p.Labels) && isDashboard.Of(p.Shape) }) {
			r.Find(audit.Finding{
				Message: fmt.Sprintf("service %q must not expose the Kubernetes Dashboard: its type is %s", s.Name, s.Type),
				Object:  &v1alpha1.ObjectReference{Kind: "Service", Name: s.Name}, Path: "spec.type",
			})
		}
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the workloads of kube-system, kube-public and kube-node-lease. Allowed: static Pods, and add-ons, which have a
// label that Kubernetes gives them or one of the system's priority classes.
var _ = register(audit.Check{
	ID:          "workload-in-system-namespace",
	Title:       "The system's namespaces hold only the system",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryNamespaces,
	Rationale:   "Whoever takes such a workload over is among the cluster's own components, with no Pod Security Standard to pass, and near their tokens.",
	Remediation: "Set metadata.namespace to a namespace of the application's own and delete the workload here.",
	Before:      "metadata: {name: cart, namespace: kube-system}",
	After:       "metadata: {name: cart, namespace: shop}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Namespaces"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/#initial-namespaces",
	},
	Namespace: workloadInSystemNamespace,
})

// addOnLabels are what the manifests of Kubernetes and its distributions give add-ons.
var addOnLabels = []string{"k8s-app", "kubernetes.io/cluster-service", "addonmanager.kubernetes.io/mode"}

var hasSystemPriority = audit.NewFact(func(pod *audit.Pod) bool { return systemPriorityClasses[pod.Spec.PriorityClassName] })

func workloadInSystemNamespace(ns *audit.Namespace, r *audit.Reporter) {
	if !r.Settings().SystemNamespaces[ns.Name] {
		return
	}
	for _, w := range ns.Workloads {
		if !w.Static && !isAddOn(w) {
			r.Find(audit.Finding{
				Message: fmt.Sprintf("%s %q must not be in namespace %q", w.Kind, w.Name, ns.Name),
				Object:  &v1alpha1.ObjectReference{Kind: w.Kind, Name: w.Name},
				Path:    "metadata.namespace",
			})
		}
	}
	if u := ns.MissingWorkloads(); u != nil {
		r.SkipUnavailable(u)
	}
}

func isAddOn(w *audit.Workload) bool {
	labelled := func(labels *audit.Labels) bool {
		for _, key := range addOnLabels {
			if labels.Has(key) {
				return true
			}
		}
		return labels.Get("tier") == "control-plane"
	}
	if w.Template != nil {
		return labelled(w.TemplateLabels) || hasSystemPriority.Of(w.Template)
	}
	for _, p := range w.Pods {
		if !labelled(p.Labels) && !hasSystemPriority.Of(p.Shape) {
			return false
		}
	}
	return true
}

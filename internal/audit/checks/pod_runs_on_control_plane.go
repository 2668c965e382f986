// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.nodeName of live Pods. Allowed: nodes without the label node-role.kubernetes.io/control-plane or …/master,
// where there are such. Left out is what belongs there: Pods of DaemonSets and static Pods, those of kube-system, kube-public
// and kube-node-lease, and those with one of the system's priority classes.
var _ = register(audit.Check{
	ID:          "runs-on-control-plane",
	Title:       "The control plane's nodes run the control plane",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Whoever breaks out of a container there has the keys of etcd and of the API server, and so the whole cluster.",
	Remediation: "Give the nodes the taint node-role.kubernetes.io/control-plane:NoSchedule, and remove tolerations of it from the Pod.",
	Before:      "tolerations:\n- {key: node-role.kubernetes.io/control-plane, operator: Exists}",
	After:       "tolerations: []",
	References: []string{
		"https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/create-cluster-kubeadm/#control-plane-node-isolation",
		"https://kubernetes.io/docs/reference/labels-annotations-taints/#node-role-kubernetes-io-control-plane",
	},
	Needs:    []audit.Resource{audit.Nodes},
	LiveOnly: "which nodes Pods are on",
	Running:  runsOnControlPlane,
})

func runsOnControlPlane(w *audit.RunningWorkload, r *audit.Reporter) {
	if w.Static || w.KindLabel() == "DaemonSet" || r.Settings().SystemNamespaces[w.Namespace] {
		return
	}
	for i := range w.Runs {
		run := &w.Runs[i]
		switch {
		case systemPriorityClasses[run.Spec.PriorityClassName]:
		case run.NodeUnknown:
			r.Skip(v1alpha1.SkipDataMissing, "the node of a Pod is not known")
		case run.ControlPlane && w.Workers:
			r.Find(audit.Finding{
				Message: "\"nodeName\" must not be a node of the control plane: there are others",
				Path:    w.Path("spec.nodeName"),
			})
		}
	}
}

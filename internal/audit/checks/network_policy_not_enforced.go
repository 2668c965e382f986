// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Looks at the DaemonSets of networks (CNI plugins) and, where there are none, at what networks have annotated nodes with, in
// namespaces with NetworkPolicies. Allowed: a network that enforces them. If none is known it cannot tell.
var _ = register(audit.Check{
	ID:          "network-policy-not-enforced",
	Title:       "The network enforces NetworkPolicies",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryNetwork,
	Rationale:   "Policies that nothing enforces stop no connection, while everybody relies on them.",
	Remediation: "Install a network that enforces NetworkPolicies, such as Calico, Cilium or Antrea, or kube-network-policies beside the one that is there.",
	Before:      "# kube-flannel-ds alone",
	After:       "# kube-flannel-ds and kube-network-policies",
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/network-policies/#prerequisites",
		"https://github.com/kubernetes-sigs/kube-network-policies",
	},
	Needs:     []audit.Resource{audit.NetworkPolicies, audit.DaemonSets},
	Namespace: networkPolicyNotEnforced,
})

func networkPolicyNotEnforced(ns *audit.Namespace, r *audit.Reporter) {
	if len(ns.NetworkPolicies) == 0 {
		return
	}
	switch cni := ns.Network.CNI; cni.Enforces {
	case netpol.NotEnforced:
		r.Find(audit.Finding{
			Message: fmt.Sprintf("namespace %q must not rely on its network policies: %q does not enforce them", ns.Name, cni.Name),
			Path:    "metadata.name",
		})
	case netpol.UnknownEnforcement:
		reason, seen := v1alpha1.SkipDataMissing, "no network that is known is seen"
		if unknown := ns.Network.NodesUnknown; cni.Name != "" {
			seen = fmt.Sprintf("%q does so only in some versions or settings", cni.Name)
		} else if unknown != nil {
			reason, seen = unknown.Reason, unknown.Message
		}
		r.Skip(reason, "cannot tell whether NetworkPolicies are enforced: "+seen)
	case netpol.Enforced:
	}
}

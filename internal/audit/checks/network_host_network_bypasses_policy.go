// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.hostNetwork in namespaces with NetworkPolicies. Allowed: not true.
var _ = register(audit.Check{
	ID:          "host-network-bypasses-policy",
	Title:       "No Pod escapes the network policies of its namespace",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryNetwork,
	Rationale:   "No NetworkPolicy applies to a Pod with its node's network: it can be reached and can connect as if there were none.",
	Remediation: "Remove hostNetwork, or move the workload to a namespace of its own.",
	Before:      "hostNetwork: true",
	After:       "# no hostNetwork",
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/network-policies/#networkpolicy-and-hostnetwork-pods",
	},
	Needs:     []audit.Resource{audit.NetworkPolicies, audit.ClusterNetworkPolicies},
	Connected: hostNetworkBypassesPolicy,
})

func hostNetworkBypassesPolicy(pod *audit.ConnectedPod, r *audit.Reporter) {
	if pod.HostNetwork && !pod.Network.View.Empty() {
		r.Find(audit.Finding{
			Message:   `"hostNetwork" must not be true: the network policies of the namespace do not apply to the Pod`,
			Path:      "spec.hostNetwork",
			Suggested: "false",
		})
	}
}

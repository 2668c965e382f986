// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at whom policies let connect to Pods. Allowed: fewer than every Pod of every other namespace. The namespace is judged
// by a Pod that no policy selects by labels, if any Pod is as open; workloads only by ports on which such a Pod is not open.
var _ = register(audit.Check{
	ID:          "cross-namespace-ingress-open",
	Title:       "Pods are reachable from chosen namespaces only",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryNetwork,
	Rationale:   "A foothold in any namespace, however unimportant, is enough to attack the ports that are open to all.",
	Remediation: "Name the namespaces in from that need to connect, by the label kubernetes.io/metadata.name or one of their own.",
	Before:      "ingress:\n- from:\n  - namespaceSelector: {}\n  ports:\n  - port: 8080",
	After:       "ingress:\n- from:\n  - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}\n  ports:\n  - port: 8080",
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/network-policies/#targeting-a-namespace-by-its-name",
	},
	Needs:     []audit.Resource{audit.NetworkPolicies, audit.ClusterNetworkPolicies},
	Connected: podOpenToEverywhere,
	Namespace: namespaceOpenToEverywhere,
})

func namespaceOpenToEverywhere(ns *audit.Namespace, r *audit.Reporter) {
	n := &ns.Network
	switch {
	case !n.FromEverywhere.Empty():
		r.Find(audit.Finding{
			Message: fmt.Sprintf("namespace %q must not be reachable from every namespace on %s", ns.Name, n.FromEverywhere),
			Path:    "metadata.name",
		})
	case !n.View.FromEverywhere(n.Unselected()).Empty() && ns.MissingWorkloads() != nil:
		r.SkipUnavailable(ns.MissingWorkloads()) // those that are open may be among them
	}
}

func podOpenToEverywhere(pod *audit.ConnectedPod, r *audit.Reporter) {
	if pod.HostNetwork {
		return // reachable like its node, which is another check
	}
	view := pod.Network.View
	if open := view.FromEverywhere(pod.Pod).Minus(view.FromEverywhere(pod.Network.Unselected())); !open.Empty() {
		r.Find(audit.Finding{
			Message: fmt.Sprintf("policies that select \"metadata.labels\" must not allow ingress from every namespace on %s", open),
			Path:    "metadata.labels",
		})
	}
}

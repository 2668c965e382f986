// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Looks at what policies let Pods connect to. Allowed: not 169.254.169.254 on TCP 80; neither fd00:ec2::254 where Pods have
// IPv6; neither 169.254.170.23, fd00:ec2::23 (AWS), 168.63.129.16 (Azure), 100.100.100.200 (Alibaba) and fd20:ce::254 (Google)
// where nodes name that cloud. High where they name any, else Medium. The namespace is judged by a Pod that no policy selects
// by labels, if any Pod is as open; workloads only if they reach more than such a Pod does.
var _ = register(audit.Check{
	ID:          "metadata-endpoint-reachable",
	Title:       "Pods cannot reach the metadata endpoint of clouds",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryNetwork,
	Rationale:   "On most clouds the endpoint hands out the node's credentials to whoever asks, and with them what the node may do.",
	Remediation: "Deny egress by default, and except 169.254.169.254/32 where policies allow wide address ranges; kubersafe network suggest prints such policies.",
	Before:      "egress:\n- to:\n  - ipBlock: {cidr: 0.0.0.0/0}",
	After:       "egress:\n- to:\n  - ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}",
	References: []string{
		"https://kubernetes.io/docs/concepts/security/security-checklist/#network-security",
		"https://media.defense.gov/2022/Aug/29/2003066362/-1/-1/0/CTR_KUBERNETES_HARDENING_GUIDANCE_1.2_20220829.PDF",
	},
	Needs:     []audit.Resource{audit.NetworkPolicies, audit.ClusterNetworkPolicies},
	Connected: podReachesMetadata,
	Namespace: namespaceReachesMetadata,
})

func namespaceReachesMetadata(ns *audit.Namespace, r *audit.Reporter) {
	n := &ns.Network
	switch {
	case len(n.Metadata) > 0:
		r.Find(audit.Finding{
			Message:  fmt.Sprintf("namespace %q must deny its Pods egress to the metadata %s", ns.Name, endpoints(n.Metadata)),
			Path:     "metadata.name",
			Severity: metadataSeverity(n),
		})
	case len(n.View.Reached(n.Unselected(), n.Endpoints)) > 0 && ns.MissingWorkloads() != nil:
		r.SkipUnavailable(ns.MissingWorkloads()) // those that reach it may be among them
	case len(n.View.Reached(n.Unselected(), n.Doubtful)) > 0 && hasWorkloads(ns, r):
		r.SkipUnavailable(n.NodesUnknown)
	}
}

func podReachesMetadata(pod *audit.ConnectedPod, r *audit.Reporter) {
	n := pod.Network
	beyond := func(endpoints []netpol.Metadata) []netpol.Metadata {
		others := n.View.Reached(n.Unselected(), endpoints)
		return slices.DeleteFunc(n.View.Reached(pod.Pod, endpoints), func(m netpol.Metadata) bool { return slices.Contains(others, m) })
	}
	switch more := beyond(n.Endpoints); {
	case len(more) == 0 && len(beyond(n.Doubtful)) > 0:
		r.SkipUnavailable(n.NodesUnknown)
	case len(more) == 0:
	case pod.HostNetwork:
		r.Find(audit.Finding{
			Message:   fmt.Sprintf("\"hostNetwork\" must not be true: no policy keeps the Pod from the metadata %s", endpoints(more)),
			Path:      "spec.hostNetwork",
			Severity:  metadataSeverity(n),
			Suggested: "false",
		})
	default:
		r.Find(audit.Finding{
			Message:  fmt.Sprintf("policies that select \"metadata.labels\" must not allow egress to the metadata %s", endpoints(more)),
			Path:     "metadata.labels",
			Severity: metadataSeverity(n),
		})
	}
}

func metadataSeverity(n *audit.Network) v1alpha1.Severity {
	if n.OnCloud {
		return v1alpha1.SeverityHigh
	}
	return "" // the check's own
}

// endpoints returns "endpoint 169.254.169.254 on TCP 80", "endpoints 169.254.169.254, fd00:ec2::254 on TCP 80". They all have
// the same port.
func endpoints(of []netpol.Metadata) string {
	addresses := make([]string, 0, len(of))
	for _, m := range of {
		addresses = append(addresses, m.Address.String())
	}
	noun := "endpoint"
	if len(of) > 1 {
		noun = "endpoints"
	}
	return fmt.Sprintf("%s %s on TCP %d", noun, strings.Join(addresses, ", "), of[0].Port)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Looks at what policies let Pods connect to. Allowed: not 169.254.169.254 on TCP 80. The namespace is judged by a Pod that
// no policy selects by labels; workloads only if they reach it although such a Pod does not.
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
	Needs:     []audit.Resource{audit.NetworkPolicies},
	Connected: podReachesMetadata,
	Namespace: namespaceReachesMetadata,
})

func namespaceReachesMetadata(ns *audit.Namespace, r *audit.Reporter) {
	if unselectedReachesMetadata(&ns.Network) && hasWorkloads(ns, r) {
		r.Find(audit.Finding{
			Message: fmt.Sprintf("namespace %q must deny its Pods egress to the metadata endpoint %s", ns.Name, metadataEndpoint),
			Path:    "metadata.name",
		})
	}
}

func podReachesMetadata(pod *audit.ConnectedPod, r *audit.Reporter) {
	switch {
	case unselectedReachesMetadata(pod.Network) || !pod.Network.View.Reaches(pod.Pod, netpol.MetadataIPv4):
	case pod.HostNetwork:
		r.Find(audit.Finding{
			Message: fmt.Sprintf("\"hostNetwork\" must not be true: no policy keeps the Pod from the metadata endpoint %s", metadataEndpoint),
			Path:    "spec.hostNetwork",
		})
	default:
		r.Find(audit.Finding{
			Message: fmt.Sprintf("policies that select \"metadata.labels\" must not allow egress to the metadata endpoint %s", metadataEndpoint),
			Path:    "metadata.labels",
		})
	}
}

// metadataEndpoint in messages.
var metadataEndpoint = fmt.Sprintf("%s on TCP %d", netpol.MetadataIPv4.Address, netpol.MetadataIPv4.Port)

func unselectedReachesMetadata(n *audit.Network) bool {
	return n.View.Reaches(n.Unselected(), netpol.MetadataIPv4)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the addresses in the EndpointSlices of the Service kubernetes, which API servers write themselves, and at those of the
// nodes that their static Pods listen on. Allowed: private ones, where all of these are seen and no node is in a cloud. Elsewhere, as
// on managed clusters and behind load balancers, private ones prove nothing.
var _ = register(audit.Check{
	ID:          "api-server-public",
	Title:       "The API server has no public address",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryNetwork,
	Rationale:   "The whole internet can try stolen credentials, and the next flaw in the API server, on it.",
	Remediation: "Give the API server a private address, and reach it through a VPN or a bastion host.",
	Before:      "endpoints:\n- addresses: [203.0.113.10]",
	After:       "endpoints:\n- addresses: [10.0.0.10]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Control plane hardening"},
		{Framework: audit.FrameworkMITRE, ID: "T1133"},
		{Framework: audit.FrameworkMITRE, ID: "T1190"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/controlling-access/",
	},
	Needs:        []audit.Resource{audit.EndpointSlices, audit.Pods},
	ControlPlane: apiServerPublic,
})

func apiServerPublic(c *audit.Cluster, r *audit.Reporter) {
	known, public := false, false
	for _, e := range c.Endpoints {
		for _, address := range slices.Compact(slices.Clone(e.Addresses)) {
			known = true
			if audit.IsPublic(address) {
				public = true
				r.Find(audit.Finding{
					Message: fmt.Sprintf("the API server must not have the public address %q", address),
					Object:  &v1alpha1.ObjectReference{Kind: "EndpointSlice", Name: e.Name},
					Path:    fmt.Sprintf("endpoints[addresses=%s]", address),
				})
			}
		}
	}
	switch u := c.Missing(audit.Nodes); {
	case public:
	case !known:
		r.Skip(v1alpha1.SkipDataMissing, "the addresses of the API server are not known")
	case len(c.Programs(audit.APIServer)) == 0:
		r.Skip(v1alpha1.SkipDataMissing, "the API server is reached at private addresses from within, which does not tell whether it has public ones too")
	case u != nil:
		r.SkipUnavailable(u)
	default:
		eachProgram(c, r, audit.APIServer, func(server *audit.Component) { nodeOfAPIServerPublic(c, r, server) })
		if c.InCloud {
			r.Skip(v1alpha1.SkipDataMissing, "nodes are in a cloud, which may have a public load balancer before the API server")
		}
	}
}

// nodeOfAPIServerPublic judges the addresses of the node that an API server runs on and listens at.
func nodeOfAPIServerPublic(c *audit.Cluster, r *audit.Reporter, server *audit.Component) {
	if at, err := netip.ParseAddr(server.Flags.Get("bind-address")); err == nil && !at.IsUnspecified() && !audit.IsPublic(at.String()) {
		return
	}
	at := slices.IndexFunc(c.Nodes, func(n *audit.NodeRecord) bool { return n.Name == server.Node })
	switch {
	case at < 0 || c.Nodes[at].MaybePublic():
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("whether the internet reaches the node of the API server %q is not seen", server.Pod))
	case c.Nodes[at].Public != "":
		n := c.Nodes[at]
		r.Find(audit.Finding{
			Message: fmt.Sprintf("the API server must not have the public address %q: it listens on node %q, which has it", n.Public, n.Name),
			Object:  &v1alpha1.ObjectReference{Kind: audit.KindNode, Name: n.Name},
			Path:    fmt.Sprintf("status.addresses[type=%s]", n.PublicType),
		})
	}
}

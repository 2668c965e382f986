// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at status.addresses of nodes. Allowed: addresses of private networks. Whether the internet reaches an internal address that
// is a public one of version 6 cannot be seen.
var _ = register(audit.Check{
	ID:          "node-public-ip",
	Title:       "Nodes have no public address",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryNetwork,
	Rationale:   "The whole internet can try the node's kubelet, its SSH server and every node port, and the flaws they have.",
	Remediation: "Put nodes into private subnets behind a NAT gateway, and reach them through a VPN or a bastion host.",
	Before:      "status:\n  addresses:\n  - {type: ExternalIP, address: 203.0.113.7}",
	After:       "status:\n  addresses:\n  - {type: InternalIP, address: 10.0.0.7}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Worker node segmentation"},
		{Framework: audit.FrameworkMITRE, ID: "T1133"},
		{Framework: audit.FrameworkMITRE, ID: "T1190"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/node/node-status/#addresses",
	},
	Node: nodePublicIP,
})

func nodePublicIP(n *audit.Node, r *audit.Reporter) {
	f := audit.Finding{
		Message: fmt.Sprintf("node %q must not have the public address %q", n.Name, n.Public),
		Path:    fmt.Sprintf("status.addresses[type=%s]", n.PublicType),
	}
	switch {
	case n.Public == "":
		return
	case n.MaybePublic():
		r.Skip(v1alpha1.SkipDataMissing, "the node's internal address is a public one of version 6, and whether the internet reaches it is not seen")
		return
	case n.PublicType == corev1.NodeInternalIP:
		f.Severity = v1alpha1.SeverityMedium // some use public addresses as if they were private
		f.Message += " as its internal one"
	}
	r.Find(f)
}

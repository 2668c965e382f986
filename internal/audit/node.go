// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

// NodeRecord is what is kept of a Node.
type NodeRecord struct {
	Object
	NodeFacts
}

// NodeFacts are what is audited of a Node.
type NodeFacts struct {
	// Cloud that the node is in, such as aws, or "".
	Cloud string
	// IPv6: Pods on the node may have it.
	IPv6 bool
	// CNI is the network that has annotated the node.
	CNI netpol.CNI
	// Platform, such as "linux/amd64", or "".
	Platform string
	// ControlPlane says that it is one of the control plane's.
	ControlPlane bool
}

// Equal says whether nothing that is audited differs.
func (n *NodeRecord) Equal(o *NodeRecord) bool { return n.UID == o.UID && n.NodeFacts == o.NodeFacts }

// Infrastructure is what all nodes together tell of the cluster.
type Infrastructure struct {
	// Clouds that nodes are in, sorted.
	Clouds []string
	// IPv6: Pods may have it.
	IPv6 bool
	// CNI is the network that has annotated the nodes.
	CNI netpol.CNI
	// Workers: there are nodes besides those of the control plane.
	Workers bool
}

// InfrastructureOf sums nodes up.
func InfrastructureOf(nodes []*NodeRecord) Infrastructure {
	var i Infrastructure
	cnis := make([]netpol.CNI, 0, len(nodes))
	for _, n := range nodes {
		if n.Cloud != "" && !slices.Contains(i.Clouds, n.Cloud) {
			i.Clouds = append(i.Clouds, n.Cloud)
		}
		i.IPv6 = i.IPv6 || n.IPv6
		i.Workers = i.Workers || !n.ControlPlane
		cnis = append(cnis, n.CNI)
	}
	slices.Sort(i.Clouds)
	i.CNI = netpol.SeeNodes(cnis)
	return i
}

// Equal says whether nothing differs.
func (i *Infrastructure) Equal(j *Infrastructure) bool {
	return slices.Equal(i.Clouds, j.Clouds) && i.IPv6 == j.IPv6 && i.CNI == j.CNI && i.Workers == j.Workers
}

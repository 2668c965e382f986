// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"math"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

// NodeRecord is what is kept of a Node.
type NodeRecord struct {
	Object
	NodeFacts
	NodeDetails
	// Images that it lists, shared by records with the same list; nil if there are none.
	Images *NodeImages
}

// NodeFacts are what is audited of a Node and may concern Pods on it.
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
	// Unlisted is the size in MiB that no image exceeds which the node has and does not list. It is 0 if it lists all, else
	// SmallestImage or some power of two times that, so that it seldom changes.
	Unlisted uint32
}

// NodeDetails are what is audited of a Node and concerns no Pods on it.
type NodeDetails struct {
	// KubeletVersion is the kubelet's, such as "v1.37.2".
	KubeletVersion string
	// Runtime is the container runtime with its version, such as "containerd://2.3.7".
	Runtime string
	// Public is an address of the node that is public, and PublicType what the node calls it; "" if there is none. An internal one
	// of version 6 is there only for want of others.
	Public     string
	PublicType corev1.NodeAddressType
	// Provider is whom its providerID names, such as aws or kind; "" if there is none.
	Provider string
	// LabelKeys and TaintKeys are the keys of its labels, and of its taints that keep Pods off, as lines of text, sorted. Those
	// of taints that come and go with the node's condition are left out.
	LabelKeys, TaintKeys string
}

// MaybePublic says whether all that the node has of public addresses is an internal one of version 6. That says little: clouds give
// them out behind gateways that let nobody in.
func (n *NodeDetails) MaybePublic() bool {
	ip, err := netip.ParseAddr(n.Public)
	return err == nil && n.PublicType == corev1.NodeInternalIP && ip.Is6()
}

// Equal says whether nothing that is audited differs.
func (n *NodeRecord) Equal(o *NodeRecord) bool {
	return n.UID == o.UID && n.NodeFacts == o.NodeFacts && n.NodeDetails == o.NodeDetails && n.Images == o.Images
}

// SmallestImage is the size in MiB from which on the sizes of images are kept. Nobody minds smaller ones.
const SmallestImage = 128

// Mebibytes rounds a number of bytes up to MiB.
func Mebibytes(size int64) uint32 {
	const mebibyte = 1 << 20
	whole := max(0, size) / mebibyte
	if size > whole*mebibyte {
		whole++
	}
	return uint32(min(whole, math.MaxUint32))
}

// NodeImages are the images that a node lists, as far as they are kept.
type NodeImages struct {
	// Sum stands for the list that they come from.
	Sum    uint64
	Images []*NodeImage
}

// NodeImage is what is kept of an image that a node lists, shared by all nodes that list the same.
type NodeImage struct {
	// MiB is its size, rounded up.
	MiB uint32
	// Keys of its names, sorted.
	Keys []ImageKey
	// Digests, in bytes of SHA-256 one after the other, sorted; "" if it has no more than one.
	Digests string
}

// ImageFacts are what all nodes together tell of the images of one name.
type ImageFacts struct {
	// MiB is the size of the largest, rounded up.
	MiB uint32
	// Digests of an image that has several, as in NodeImage: all that are known for the same on any node.
	Digests string
}

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

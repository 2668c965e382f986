// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Network is what network policies make of a namespace. What else the cluster holds makes no difference: verdicts are about
// what the policies on its Pods say.
type Network struct {
	View *netpol.View
	CNI  netpol.CNI
	// OnCloud: the cluster's nodes name a cloud.
	OnCloud bool
	// Endpoints are the metadata endpoints of the cluster, and Doubtful those that it may have too where its nodes cannot be
	// read.
	Endpoints, Doubtful []netpol.Metadata
	// NodesUnknown says why nodes cannot be read; nil if they can.
	NodesUnknown *Unavailable
	// FromEverywhere are the ports on which every Pod of every other namespace may connect to Pods that no policy singles out
	// and to some Pod or template that there is.
	FromEverywhere netpol.Ports
	// Metadata are the Endpoints that Pods reach which no policy singles out, and some Pod or template that there is.
	Metadata []netpol.Metadata
	// Workloads is how many there are.
	Workloads int
	// Unisolated is how many workloads have Pods, or a template, that are not isolated in a direction.
	Unisolated map[netpol.Direction]int
	// Isolated is how many have any that are.
	Isolated map[netpol.Direction]int
	// ReachMetadata is how many have any that reach a metadata endpoint.
	ReachMetadata int
}

// ConnectedPod is a Pod or Pod template of a namespace as network policies see it.
type ConnectedPod struct {
	*netpol.Pod
	Network *Network
}

// Unselected returns a Pod of the namespace that no policy singles out, for it has no labels.
func (n *Network) Unselected() *netpol.Pod { return n.View.Unselected() }

// Summary returns what a report says of the network.
func (n *Network) Summary() *v1alpha1.Network {
	exposure := func(d netpol.Direction) v1alpha1.NetworkExposure {
		switch {
		case n.View.DefaultDenies(d):
			return v1alpha1.NetworkDefaultDeny
		case n.Isolated[d] > 0:
			return v1alpha1.NetworkPartial
		}
		return v1alpha1.NetworkOpen
	}
	endpoint := v1alpha1.MetadataBlocked
	if n.ReachMetadata > 0 || n.Workloads == 0 && len(n.View.Reached(n.Unselected(), n.Endpoints)) > 0 {
		endpoint = v1alpha1.MetadataReachable
	}
	return &v1alpha1.Network{
		Ingress: exposure(netpol.Ingress), Egress: exposure(netpol.Egress), MetadataEndpoint: endpoint,
		Enforcement: v1alpha1.NetworkEnforcement(n.CNI.Enforces),
	}
}

// hostNetwork is asked of every Pod of a namespace.
var hostNetwork = NewFact(func(p *Pod) bool { return p.Spec.HostNetwork })

// look fills in the namespace's network and the ways into it, once its workloads are known.
func (n *Namespace) look() {
	n.findDoors()
	labels := n.Namespace.GetLabels()
	n.Policies = make([]*netpol.Policy, 0, len(n.NetworkPolicies))
	for _, p := range n.NetworkPolicies {
		n.Policies = append(n.Policies, netpol.Compile(n.Name, netpol.Named{Name: p.Name, Spec: p.Spec()}))
	}
	clusterPolicies := make([]*netpol.ClusterPolicy, 0, len(n.ClusterPolicies))
	for _, p := range n.ClusterPolicies {
		if p.Policy != nil {
			clusterPolicies = append(clusterPolicies, p.Policy)
		}
	}
	network := Network{
		View: netpol.NewView(n.Name, labels, n.Policies, clusterPolicies), CNI: n.CNI,
		OnCloud: len(n.Nodes.Clouds) > 0, Endpoints: netpol.MetadataOf(n.Nodes.Clouds, n.Nodes.IPv6), Workloads: len(n.Workloads),
		Unisolated: make(map[netpol.Direction]int), Isolated: make(map[netpol.Direction]int),
	}
	if network.NodesUnknown = n.Missing(Nodes); network.NodesUnknown != nil {
		network.Doubtful = slices.DeleteFunc(netpol.AllMetadata(), func(m netpol.Metadata) bool { return slices.Contains(network.Endpoints, m) })
	}
	network.CNI.Enforces = cmp.Or(network.CNI.Enforces, netpol.UnknownEnforcement)
	open, endpoints := network.View.FromEverywhere(network.Unselected()), make(map[netpol.Metadata]bool)
	for _, w := range n.Workloads {
		reaches, isolated, unisolated := false, make(map[netpol.Direction]bool), make(map[netpol.Direction]bool)
		for _, v := range w.sides(lens{view: network.View}) {
			pod := n.pod(v)
			for _, m := range network.View.Reached(pod, network.Endpoints) {
				reaches, endpoints[m] = true, true
			}
			if !pod.HostNetwork && !network.FromEverywhere.Equal(open) {
				pod.Ports = netpol.NamedPorts(&v.shape.Pod().Spec)
				network.FromEverywhere = network.FromEverywhere.Union(network.View.FromEverywhere(pod).Intersect(open))
			}
			for _, d := range directions {
				if network.View.Isolation(pod, d) == netpol.Isolated {
					isolated[d] = true
				} else {
					unisolated[d] = true
				}
			}
		}
		for d := range isolated {
			network.Isolated[d]++
		}
		for d := range unisolated {
			network.Unisolated[d]++
		}
		if reaches {
			network.ReachMetadata++
		}
	}
	for _, m := range network.View.Reached(network.Unselected(), network.Endpoints) {
		if endpoints[m] {
			network.Metadata = append(network.Metadata, m)
		}
	}
	n.Network = network
}

var directions = []netpol.Direction{netpol.Ingress, netpol.Egress}

// pod returns what decides over a Pod's isolation.
func (n *Namespace) pod(v variant) *netpol.Pod {
	return &netpol.Pod{Namespace: n.Name, Labels: maps.Collect(LabelsOf(v.labels).All()), HostNetwork: hostNetwork.Of(v.shape)}
}

// variant is what Pods of a workload have in common that nothing which judges them tells apart.
type variant struct {
	shape *Shape
	// labels that some policy selects by, encoded.
	labels string
	// own are all labels that replicas have in common, encoded, where some check looks at them.
	own string
	// token says that they mount a token of their ServiceAccount all the same: they are from before it was said that none is mounted.
	token bool
}

func compareVariants(a, b variant) int {
	order := cmp.Or(cmp.Compare(a.shape.id, b.shape.id), strings.Compare(a.labels, b.labels), strings.Compare(a.own, b.own))
	switch {
	case order != 0 || a.token == b.token:
		return order
	case b.token:
		return -1
	}
	return 1
}

// lens is what tells Pods of the same shape apart.
type lens struct {
	view *netpol.View
	// labelled: there are checks that look at labels.
	labelled bool
	// namespace are the labels of the namespace, if checks look at them and it has been seen.
	namespace *Labels
	// accounts are the ServiceAccounts of the namespace, if it makes a difference what they say.
	accounts []*ServiceAccountRecord
}

// withholdsToken says whether Pods of a shape that are made now mount no token.
func (l lens) withholdsToken(s *Shape) bool {
	if s.tokens != asAccount {
		return s.tokens == notMounted
	}
	name := cmp.Or(s.account, defaultAccount)
	i := slices.IndexFunc(l.accounts, func(a *ServiceAccountRecord) bool { return a.Name == name })
	return i >= 0 && !l.accounts[i].MountsToken
}

func (s *Set) lens(ns *Namespace) lens {
	l := lens{view: ns.Network.View, labelled: len(s.labelled) > 0, accounts: ns.ServiceAccounts}
	if l.labelled && ns.Namespace != nil {
		l.namespace = NewLabels(ns.Namespace.Labels)
	}
	return l
}

// variantOf returns the variant of a Pod or template.
func (l lens) variantOf(shape *Shape, labels *Labels) variant {
	v := variant{shape: shape}
	if l.labelled {
		v.own = labels.common()
	}
	if l.view.Selects() {
		v.labels = labels.only(l.view.SelectsBy)
	}
	return v
}

// sides returns the variants of a workload's template and Pods.
func (w *Workload) sides(l lens) []variant {
	variants := w.variants(l)
	if w.Template != nil {
		variants = append(slices.Clone(variants), l.variantOf(w.Template, w.TemplateLabels))
	}
	return variants
}

// variants returns those that are live or about to be, of a workload's Pods and of what it owns, each once, in an order that
// is the same whenever they are. Of what it owns, the template itself is left out.
func (w *Workload) variants(l lens) []variant {
	var variants []variant
	withheld := make(map[*Shape]bool)
	for i, p := range w.Pods {
		if i > 0 && p.Shape == w.Pods[i-1].Shape && p.Labels == w.Pods[i-1].Labels && p.Token == w.Pods[i-1].Token {
			continue // replicas share them
		}
		if _, known := withheld[p.Shape]; !known {
			withheld[p.Shape] = l.accounts != nil && l.withholdsToken(p.Shape)
		}
		v := l.variantOf(p.Shape, p.Labels)
		v.token = p.Token && withheld[p.Shape]
		if n := len(variants); n == 0 || variants[n-1] != v {
			variants = append(variants, v)
		}
	}
	for _, owned := range w.Owned {
		v := l.variantOf(owned.Shape, owned.Labels)
		if w.Template == nil || v != l.variantOf(w.Template, w.TemplateLabels) {
			variants = append(variants, v)
		}
	}
	if len(variants) > 1 {
		slices.SortFunc(variants, compareVariants)
		variants = slices.Clip(slices.Compact(variants))
	}
	return variants
}

// connected returns a variant as policies see it.
func (n *Namespace) connected(v variant, pod *Pod) *ConnectedPod {
	p := n.pod(v)
	p.Ports = netpol.NamedPorts(&pod.Spec)
	return &ConnectedPod{Pod: p, Network: &n.Network}
}

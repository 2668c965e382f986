// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"cmp"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"
)

// action is what a rule does with what it matches. Rules of NetworkPolicies accept.
type action string

const (
	accept = action(v1alpha2.ClusterNetworkPolicyRuleActionAccept)
	deny   = action(v1alpha2.ClusterNetworkPolicyRuleActionDeny)
	pass   = action(v1alpha2.ClusterNetworkPolicyRuleActionPass)
)

// Tiers of ClusterNetworkPolicies: one before NetworkPolicies, one after them.
const (
	admin = iota
	baseline
)

// ClusterPolicy is a compiled ClusterNetworkPolicy. It does not change.
type ClusterPolicy struct {
	name     string
	tier     int
	priority int32
	// namespaces is nil if the subject is invalid: then no Pod is selected.
	namespaces *selector
	// pods is nil for all of them.
	pods  *selector
	rules [2][]rule
}

func (p *ClusterPolicy) selects(pod *Pod, namespaceLabels map[string]string) bool {
	return p.selectsIn(namespaceLabels) && (p.pods == nil || p.pods.matches(pod.Labels))
}

func (p *ClusterPolicy) selectsIn(namespaceLabels map[string]string) bool {
	return p.namespaces != nil && p.namespaces.matches(namespaceLabels)
}

// SelectsIn says whether the policy may select Pods of a namespace with those labels.
func (p *ClusterPolicy) SelectsIn(namespace string, labels map[string]string) bool {
	return p.selectsIn(named(labels, namespace))
}

func compareClusterPolicies(a, b *ClusterPolicy) int {
	return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.name, b.name))
}

// CompileClusterPolicy compiles a ClusterNetworkPolicy, or returns nil for one that has no effect, whatever there is. The
// problems are what is wrong with it, and what of it cannot be judged, in the order of its fields.
func CompileClusterPolicy(name string, spec *v1alpha2.ClusterNetworkPolicySpec) (*ClusterPolicy, []Problem) {
	var c compiler
	p := c.clusterPolicy(name, spec)
	return p, c.problems
}

// clusterPolicy returns nil for a policy of an unknown tier, which has no place in the order.
func (c *compiler) clusterPolicy(name string, spec *v1alpha2.ClusterNetworkPolicySpec) *ClusterPolicy {
	p := &ClusterPolicy{name: name, priority: spec.Priority}
	switch spec.Tier {
	case v1alpha2.AdminTier:
		p.tier = admin
	case v1alpha2.BaselineTier:
		p.tier = baseline
	default:
		c.problem("spec.tier", "must be %q or %q, not %q", v1alpha2.AdminTier, v1alpha2.BaselineTier, spec.Tier)
		return nil
	}
	subject, ok := c.pods("spec.subject", spec.Subject.Namespaces, spec.Subject.Pods)
	if ok {
		p.namespaces, p.pods = subject.namespaces, subject.pods
	}
	for i := range spec.Ingress {
		r := &spec.Ingress[i]
		peers := make([]v1alpha2.ClusterNetworkPolicyEgressPeer, 0, len(r.From))
		for _, from := range r.From {
			peers = append(peers, v1alpha2.ClusterNetworkPolicyEgressPeer{Namespaces: from.Namespaces, Pods: from.Pods})
		}
		c.clusterRule(p, in, fmt.Sprintf("spec.ingress[%d]", i), "from", r.Action, peers, r.Protocols)
	}
	for i := range spec.Egress {
		r := &spec.Egress[i]
		c.clusterRule(p, out, fmt.Sprintf("spec.egress[%d]", i), "to", r.Action, r.To, r.Protocols)
	}
	return p
}

// clusterRule fails closed on what it does not know, as the API asks for: it may be of a newer version. Such a rule, if it
// accepts, matches nothing; else it denies everything.
func (c *compiler) clusterRule(
	p *ClusterPolicy, d direction, path, field string, does v1alpha2.ClusterNetworkPolicyRuleAction,
	peers []v1alpha2.ClusterNetworkPolicyEgressPeer, protocols []v1alpha2.ClusterNetworkPolicyProtocol,
) {
	r := rule{path: path, action: action(does)}
	if r.action != accept && r.action != deny && r.action != pass {
		c.problem(path+".action", "must be %q, %q or %q, not %q", accept, deny, pass, does)
		return
	}
	known := true
	for i := range peers {
		known = c.clusterPeer(fmt.Sprintf("%s.%s[%d]", path, field, i), &peers[i], &r) && known
	}
	if len(peers) == 0 {
		c.problem(path+"."+field, "must name a peer: the rule matches nobody")
	}
	if len(protocols) == 0 {
		r.ports = AllPorts()
	}
	for i := range protocols {
		known = c.clusterProtocol(fmt.Sprintf("%s.protocols[%d]", path, i), &protocols[i], &r) && known
	}
	switch {
	case known:
		p.rules[d] = append(p.rules[d], r)
	case r.action != accept:
		p.rules[d] = append(p.rules[d], rule{path: path, action: deny, anyPeer: true, ports: AllPorts()})
	}
}

func (c *compiler) clusterPeer(path string, p *v1alpha2.ClusterNetworkPolicyEgressPeer, r *rule) bool {
	set := 0
	for _, is := range []bool{p.Namespaces != nil, p.Pods != nil, p.Nodes != nil, len(p.Networks) > 0, len(p.DomainNames) > 0} {
		if is {
			set++
		}
	}
	switch {
	case set != 1:
		c.problem(path, "must have exactly one field that is known")
		return false
	case p.Nodes != nil:
		c.unjudged(path+".nodes", "cannot be judged: addresses of nodes are not read")
		return true
	case len(p.DomainNames) > 0:
		c.unjudged(path+".domainNames", "cannot be judged: names are not resolved")
		return true
	case len(p.Networks) > 0:
		ok := true
		for i, network := range p.Networks {
			cidr := c.cidr(fmt.Sprintf("%s.networks[%d]", path, i), string(network))
			ok = ok && cidr.IsValid()
			r.peers = append(r.peers, peer{block: &block{cidr: cidr}})
		}
		return ok
	}
	pods, ok := c.pods(path, p.Namespaces, p.Pods)
	r.peers = append(r.peers, pods)
	return ok
}

// pods compiles a subject or peer that selects Pods.
func (c *compiler) pods(path string, namespaces *metav1.LabelSelector, pods *v1alpha2.NamespacedPod) (peer, bool) {
	switch {
	case (namespaces == nil) == (pods == nil):
		c.problem(path, "must have exactly one field that is known")
		return peer{}, false
	case namespaces != nil:
		compiled := c.selector(path+".namespaces", namespaces)
		return peer{namespaces: compiled}, compiled != nil
	}
	p := peer{
		namespaces: c.selector(path+".pods.namespaceSelector", &pods.NamespaceSelector),
		pods:       c.selector(path+".pods.podSelector", &pods.PodSelector),
	}
	if p.namespaces == nil || p.pods == nil {
		return peer{}, false
	}
	if p.pods.everything() {
		p.pods = nil
	}
	return p, true
}

func (c *compiler) clusterProtocol(path string, p *v1alpha2.ClusterNetworkPolicyProtocol, r *rule) bool {
	type entry struct {
		protocol corev1.Protocol
		port     *v1alpha2.Port
	}
	var set []entry
	if p.TCP != nil {
		set = append(set, entry{corev1.ProtocolTCP, p.TCP.DestinationPort})
	}
	if p.UDP != nil {
		set = append(set, entry{corev1.ProtocolUDP, p.UDP.DestinationPort})
	}
	if p.SCTP != nil {
		set = append(set, entry{corev1.ProtocolSCTP, p.SCTP.DestinationPort})
	}
	switch {
	case len(set) == 0 && p.DestinationNamedPort != "":
		r.named = append(r.named, namedPort{name: p.DestinationNamedPort})
		return true
	case len(set) != 1 || p.DestinationNamedPort != "":
		c.problem(path, "must have exactly one field that is known")
		return false
	}
	ports := PortRange{Protocol: set[0].protocol}
	switch port := set[0].port; {
	case port == nil || (port.Number == 0) == (port.Range == nil):
		c.problem(path, "must have a destination port: a number or a range")
		return false
	case port.Range != nil:
		ports.First, ports.Last = port.Range.Start, port.Range.End
	default:
		ports.First, ports.Last = port.Number, port.Number
	}
	if ports.First < firstPort || ports.Last > lastPort || ports.First > ports.Last {
		c.problem(path, "must be ports from %d to %d in ascending order, not %d to %d", firstPort, lastPort, ports.First, ports.Last)
		return false
	}
	r.ports = r.ports.Union(PortsOf(ports))
	return true
}

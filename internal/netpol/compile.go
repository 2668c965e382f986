// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Problem is a part of a stored policy that the API server would refuse today, or that can never match. Such a part matches
// nothing: it allows nobody and isolates nobody.
type Problem struct {
	// Path of the part from the root of the policy.
	Path string
	// Message says what must be, without the subject: "must be a CIDR, not \"10.0.0/8\"".
	Message string
	// Unjudged: it is valid, but what it matches cannot be known, so it is taken to match nothing.
	Unjudged bool
}

// direction is a Direction as an index.
type direction int

const (
	in direction = iota
	out
)

func indexOf(d Direction) direction {
	if d == Egress {
		return out
	}
	return in
}

// policy is a compiled NetworkPolicy.
type policy struct {
	namespace, name string
	// subject is nil if it is invalid: then no Pod is selected.
	subject *selector
	// problems are what is wrong with it, in the order of its fields.
	problems []Problem
	covers   [2]bool
	// deniesAll: it selects all Pods and allows nothing.
	deniesAll [2]bool
	rules     [2][]rule
}

// selects says whether the policy isolates a Pod of its namespace in a direction.
func (p *policy) selects(pod *Pod, d direction) bool {
	return p.covers[d] && p.subject != nil && p.subject.matches(pod.Labels)
}

// rule is a rule of any policy.
type rule struct {
	path   string
	action action
	// anyPeer: the rule names no peers, and so means everybody.
	anyPeer bool
	peers   []peer
	// ports that are given by number, or all.
	ports Ports
	named []namedPort
}

// namedPort is a port that is looked up on the Pod that is connected to. Without a protocol it is one of any protocol.
type namedPort struct {
	name     string
	protocol corev1.Protocol
}

// peer is whom a rule is about: the addresses of a block, or the Pods that selectors match.
type peer struct {
	block *block
	// namespaces is nil for the policy's own.
	namespaces *selector
	// pods is nil for all of them.
	pods *selector
}

// compiler compiles one policy and notes what is wrong with it.
type compiler struct {
	problems []Problem
}

func (c *compiler) problem(path, format string, args ...any) {
	c.problems = append(c.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...)})
}

func (c *compiler) unjudged(path, why string) {
	c.problems = append(c.problems, Problem{Path: path, Message: why, Unjudged: true})
}

// Policy is a NetworkPolicy that has been compiled once for all who ask about it. It never changes.
type Policy struct {
	Named
	compiled *policy
}

// Compile compiles a NetworkPolicy of a namespace.
func Compile(namespace string, n Named) *Policy {
	return &Policy{Named: n, compiled: compile(namespace, n.Name, n.Spec)}
}

// Problems are what is wrong with the policy, in the order of its fields.
func (p *Policy) Problems() []Problem { return p.compiled.problems }

// Selector returns what selects the Pods that the policy is about, or nil if that is invalid.
func (p *Policy) Selector() labels.Selector {
	if p.compiled.subject == nil {
		return nil
	}
	return p.compiled.subject.compiled
}

// Problems returns what is wrong with a NetworkPolicy, in the order of its fields.
func Problems(spec *networkingv1.NetworkPolicySpec) []Problem {
	return compile("", "", spec).problems
}

func compile(namespace, name string, spec *networkingv1.NetworkPolicySpec) *policy {
	var c compiler
	p := &policy{namespace: namespace, name: name, subject: c.selector("spec.podSelector", &spec.PodSelector)}
	for i, t := range spec.PolicyTypes {
		if t != Ingress && t != Egress {
			c.problem(fmt.Sprintf("spec.policyTypes[%d]", i), "must be %q or %q, not %q", Ingress, Egress, t)
		}
	}
	for _, d := range []Direction{Ingress, Egress} {
		i := indexOf(d)
		p.covers[i], p.deniesAll[i] = covers(spec, d), DefaultDenies(spec, d)
		for _, r := range Rules(spec, d) {
			p.rules[i] = append(p.rules[i], c.rule(r))
		}
	}
	p.problems = c.problems
	return p
}

func (c *compiler) rule(r Rule) rule {
	compiled := rule{path: r.Path, action: accept, anyPeer: len(r.Peers) == 0}
	for i := range r.Peers {
		if p, ok := c.peer(r.PeerPath(i), &r.Peers[i]); ok {
			compiled.peers = append(compiled.peers, p)
		}
	}
	if len(r.Ports) == 0 {
		compiled.ports = AllPorts()
	}
	for i := range r.Ports {
		c.port(fmt.Sprintf("%s.ports[%d]", r.Path, i), &r.Ports[i], &compiled)
	}
	return compiled
}

// selector returns nil, and so nothing that matches, for a selector that is invalid.
func (c *compiler) selector(path string, s *metav1.LabelSelector) *selector {
	compiled, err := newSelector(s)
	if err != nil {
		c.problem(path, "must be a valid selector: %v", err)
		return nil
	}
	if why := compiled.contradiction(); why != "" {
		c.problem(path, "must be a selector that can match: %s", why)
	}
	return compiled
}

func (c *compiler) peer(path string, p *networkingv1.NetworkPolicyPeer) (peer, bool) {
	switch {
	case p.IPBlock == nil && p.PodSelector == nil && p.NamespaceSelector == nil:
		c.problem(path, "must have a selector or an ipBlock: it matches nobody")
		return peer{}, false
	case p.IPBlock != nil && (p.PodSelector != nil || p.NamespaceSelector != nil):
		c.problem(path, "must not have both an ipBlock and a selector: it matches nobody")
		return peer{}, false
	case p.IPBlock != nil:
		b := c.block(path+".ipBlock", p.IPBlock)
		return peer{block: b}, b != nil
	}
	var compiled peer
	if p.NamespaceSelector != nil {
		if compiled.namespaces = c.selector(path+".namespaceSelector", p.NamespaceSelector); compiled.namespaces == nil {
			return peer{}, false
		}
	}
	if p.PodSelector != nil {
		pods := c.selector(path+".podSelector", p.PodSelector)
		if pods == nil {
			return peer{}, false
		}
		if !pods.everything() {
			compiled.pods = pods
		}
	}
	return compiled, true
}

// block returns nil if a part of it cannot be read: without an exception it would allow what is excepted.
func (c *compiler) block(path string, b *networkingv1.IPBlock) *block {
	cidr := c.cidr(path+".cidr", b.CIDR)
	compiled := &block{cidr: cidr}
	ok := cidr.IsValid()
	for i, text := range b.Except {
		at := fmt.Sprintf("%s.except[%d]", path, i)
		except := c.cidr(at, text)
		if !except.IsValid() {
			ok = false
			continue
		}
		if cidr.IsValid() && (except.Bits() <= cidr.Bits() || !cidr.Contains(except.Addr())) {
			c.problem(at, "must be a part of %q, not %q", b.CIDR, text)
		}
		compiled.except = append(compiled.except, except)
	}
	if !ok {
		return nil
	}
	return compiled
}

// cidr returns the zero Prefix, which is not valid, for what cannot be read.
func (c *compiler) cidr(path, text string) netip.Prefix {
	prefix, err := parseCIDR(text)
	if err != nil {
		c.problem(path, "must be a CIDR, not %q: %v", text, err)
		return netip.Prefix{}
	}
	return prefix
}

func (c *compiler) port(path string, p *networkingv1.NetworkPolicyPort, r *rule) {
	protocol := corev1.ProtocolTCP
	if p.Protocol != nil {
		protocol = *p.Protocol
	}
	if !slices.Contains(protocols[:], protocol) {
		c.problem(path+".protocol", "must be TCP, UDP or SCTP, not %q", protocol)
		return
	}
	ports := PortRange{protocol, firstPort, lastPort}
	switch {
	case p.Port == nil && p.EndPort != nil:
		c.problem(path+".endPort", "must not be set without a port")
		return
	case p.Port == nil:
	case p.Port.Type == intstr.String && p.EndPort != nil:
		c.problem(path+".endPort", "must not be set with a port that is a name")
		return
	case p.Port.Type == intstr.String:
		if p.Port.StrVal == "" {
			c.problem(path+".port", "must be a port or its name, not empty")
			return
		}
		r.named = append(r.named, namedPort{p.Port.StrVal, protocol})
		return
	default:
		ports.First, ports.Last = p.Port.IntVal, p.Port.IntVal
		if p.EndPort != nil {
			ports.Last = *p.EndPort
		}
		if ports.First < firstPort || ports.Last > lastPort || ports.First > ports.Last {
			c.problem(path, "must be ports from %d to %d in ascending order, not %d to %d", firstPort, lastPort, ports.First, ports.Last)
			return
		}
	}
	r.ports = r.ports.Union(PortsOf(ports))
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"net/netip"
	"slices"
)

// kind is what the other end of a connection is.
type kind int

const (
	onePod kind = iota
	address
	// anyPod of any other namespace, with any labels.
	anyPod
	// somePod of a namespace that is given by its labels.
	somePod
	// stranger: a Pod that only a peer matches that matches everybody.
	stranger
	// outside: an address outside of the cluster that only a peer matches that matches everybody.
	outside
)

// other is the other end of a connection, seen from the Pod whose policies are asked.
type other struct {
	kind    kind
	pod     *Pod
	address netip.Addr
	// labels of the Pods' namespace.
	labels map[string]string
	// namespace of the Pods, and which selectors match any of them, for somePod.
	namespace string
	holds     func(*selector) bool
}

// extent is how much of the other end a peer matches.
type extent int

const (
	none extent = iota
	some
	whole
)

// quantifier says what a verdict on several Pods at once is about.
type quantifier int

const (
	// exists: ports that at least one of them may use.
	exists quantifier = iota
	// all: ports that every one of them may use.
	all
)

// evaluation is one question about one connection, or about many at once.
type evaluation struct {
	// within are the ports that are asked about.
	within     Ports
	quantifier quantifier
	// sameNode: one end has the network of the node that the other runs on.
	sameNode           bool
	ignorePodAddresses bool

	usedPodAddresses bool
	ambiguous        Ports
	trace            *trace
}

// allowed returns the ports that the policies on a Pod allow in a direction.
func (e *evaluation) allowed(v *View, pod *Pod, d direction, o *other) Ports {
	if pod.HostNetwork {
		e.trace.because("the Pod has the network of its node, and no policy applies to it")
		return e.within
	}
	return e.tier(admin, v, pod, d, o, e.within)
}

// possible returns the ports that may be allowed: those on which policies of the cluster disagree are among them.
func (e *evaluation) possible(v *View, pod *Pod, d direction, o *other) Ports {
	allowed := e.allowed(v, pod, d, o)
	return allowed.Union(e.ambiguous)
}

// tier returns which of those ports are allowed by the policies of a tier and, where they leave it to them, by what comes
// after it.
func (e *evaluation) tier(tier int, v *View, pod *Pod, d direction, o *other, ports Ports) Ports {
	after := func(left Ports) Ports { return left }
	if tier == admin {
		after = func(left Ports) Ports { return e.namespaced(v, pod, d, o, left) }
	}
	if len(v.tiers[tier]) == 0 {
		return after(ports)
	}
	made := e.decide(v.tiers[tier], v, pod, d, o, ports)
	left := made.left.Union(made.passed)
	later := made.accepted
	if asked := left.Union(made.maybe); !asked.Empty() {
		lower := after(asked)
		switch e.quantifier {
		case exists:
			return made.accepted.Union(lower)
		case all:
			// Some of the Pods are past this tier on these ports already: they all must be allowed there as well.
			later = later.Minus(made.maybe.Minus(lower))
			return later.Union(lower.Intersect(left))
		}
	}
	return later
}

// outcome is what a tier makes of ports.
type outcome struct {
	accepted, passed, left Ports
	// maybe are ports that a rule passes for some of the Pods that are asked about.
	maybe Ports
}

// decide goes through policies of a tier by priority. Of those with the same priority the first name counts, which is as
// good as any: where they disagree, the API leaves it open.
func (e *evaluation) decide(policies []*ClusterPolicy, v *View, pod *Pod, d direction, o *other, ports Ports) outcome {
	total := outcome{left: ports}
	for len(policies) > 0 {
		n := slices.IndexFunc(policies, func(p *ClusterPolicy) bool { return p.priority != policies[0].priority })
		if n < 0 {
			n = len(policies)
		}
		peers := policies[:n]
		policies = policies[n:]
		asked := total.left
		var seen [3]Ports // accepted, denied, passed by an earlier one of this priority
		for _, p := range peers {
			if len(p.rules[d]) == 0 || !p.selects(pod, v.labels) {
				continue
			}
			own := e.apply(p, v, pod, d, o, asked)
			made := [3]Ports{own.accepted, asked.Minus(own.left).Minus(own.accepted).Minus(own.passed), own.passed}
			for i := range made {
				for j := range seen {
					if i != j {
						e.ambiguous = e.ambiguous.Union(made[i].Intersect(seen[j]))
					}
				}
			}
			for i := range made {
				seen[i] = seen[i].Union(made[i])
			}
			total.accepted = total.accepted.Union(own.accepted.Intersect(total.left))
			total.passed = total.passed.Union(own.passed.Intersect(total.left))
			total.maybe = total.maybe.Union(own.maybe.Intersect(total.left))
			total.left = total.left.Intersect(own.left)
		}
	}
	return total
}

// apply goes through the rules of one policy in their order.
func (e *evaluation) apply(p *ClusterPolicy, v *View, pod *Pod, d direction, o *other, ports Ports) outcome {
	made := outcome{left: ports}
	for i := range p.rules[d] {
		r := &p.rules[d][i]
		extent := e.extent(r, v, o)
		if extent == none {
			continue
		}
		matched := made.left.Intersect(r.on(destination(pod, d, o)))
		if matched.Empty() {
			continue
		}
		e.trace.note(r.action, Reference{Kind: kindClusterPolicy, Name: p.name, Path: r.path})
		e.trace.because("a policy of the cluster decides")
		if extent == some {
			switch {
			case r.action == accept && e.quantifier == exists:
				made.accepted = made.accepted.Union(matched)
			case r.action == deny && e.quantifier == all:
				made.left = made.left.Minus(matched)
			case r.action == pass:
				made.maybe = made.maybe.Union(matched)
			}
			continue // for the others of them it goes on
		}
		switch r.action {
		case accept:
			made.accepted = made.accepted.Union(matched)
		case pass:
			made.passed = made.passed.Union(matched)
		case deny:
		}
		made.left = made.left.Minus(matched)
	}
	return made
}

// namespaced returns which of those ports NetworkPolicies allow or, where none selects the Pod, what comes after them.
func (e *evaluation) namespaced(v *View, pod *Pod, d direction, o *other, ports Ports) Ports {
	if e.sameNode {
		e.trace.because("a Pod and its own node always reach each other")
		return ports
	}
	var (
		isolated bool
		allowed  Ports
	)
	for _, p := range v.policies {
		if !p.selects(pod, d) {
			continue
		}
		isolated = true
		e.trace.note(deny, Reference{Kind: kindPolicy, Namespace: p.namespace, Name: p.name})
		for i := range p.rules[d] {
			r := &p.rules[d][i]
			if extent := e.extent(r, v, o); extent == none || extent == some && e.quantifier == all {
				continue
			}
			matched := ports.Intersect(r.on(destination(pod, d, o)))
			if matched.Empty() {
				continue
			}
			e.trace.note(accept, Reference{Kind: kindPolicy, Namespace: p.namespace, Name: p.name, Path: r.path})
			allowed = allowed.Union(matched)
		}
		if e.trace == nil && allowed.Equal(ports) {
			return allowed
		}
	}
	if isolated {
		if allowed.Empty() {
			e.trace.because("the Pod is isolated, and no rule allows it")
		} else {
			e.trace.because("the Pod is isolated, and a rule allows it")
		}
		return allowed
	}
	e.trace.because("no policy isolates the Pod")
	return e.tier(baseline, v, pod, d, o, ports)
}

// destination returns the Pod on which named ports are looked up, or nil.
func destination(pod *Pod, d direction, o *other) *Pod {
	if d == in {
		return pod
	}
	return o.pod
}

// on returns the ports that a rule is about on a Pod, which may be nil.
func (r *rule) on(pod *Pod) Ports {
	ports := r.ports
	for _, n := range r.named {
		ports = ports.Union(pod.lookUp(n))
	}
	return ports
}

// extent returns how much of the other end a rule's peers match.
func (e *evaluation) extent(r *rule, v *View, o *other) extent {
	if r.anyPeer {
		return whole
	}
	most := none
	for i := range r.peers {
		if most = max(most, e.match(&r.peers[i], v, o)); most == whole {
			break
		}
	}
	return most
}

func (e *evaluation) match(p *peer, v *View, o *other) extent {
	switch o.kind {
	case onePod:
		return extentOf(e.matchPod(p, v, o))
	case address:
		return extentOf(p.block != nil && p.block.contains(o.address))
	case anyPod, stranger:
		switch {
		case p.block != nil && p.block.containsUnknown(),
			p.namespaces != nil && p.pods == nil && p.namespaces.everyNamespace(v.namespace):
			return whole
		case o.kind == stranger:
			return none
		}
		return some
	case outside:
		return extentOf(p.block != nil && p.block.containsUnknown())
	case somePod:
		return matchSomePod(p, v, o)
	}
	return none
}

func extentOf(matches bool) extent {
	if matches {
		return whole
	}
	return none
}

func (e *evaluation) matchPod(p *peer, v *View, o *other) bool {
	if p.block == nil {
		return !o.pod.HostNetwork && p.inNamespace(v, o.pod.Namespace, o.labels) && (p.pods == nil || p.pods.matches(o.pod.Labels))
	}
	if e.ignorePodAddresses {
		return false
	}
	matches := slices.ContainsFunc(o.pod.Addresses, p.block.contains) ||
		len(o.pod.Addresses) == 0 && p.block.containsUnknown()
	e.usedPodAddresses = e.usedPodAddresses || matches
	return matches
}

// inNamespace says whether a peer is about Pods of a namespace, given by its name and labels.
func (p *peer) inNamespace(v *View, name string, labels map[string]string) bool {
	if p.namespaces == nil {
		return name == v.namespace
	}
	return p.namespaces.matches(labels)
}

func matchSomePod(p *peer, v *View, o *other) extent {
	switch {
	case p.block != nil:
		return extentOf(p.block.containsUnknown())
	case !p.inNamespace(v, o.namespace, o.labels):
		return none
	case p.pods == nil:
		return whole
	case o.holds(p.pods):
		return some
	}
	return none
}

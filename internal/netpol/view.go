// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// View is all that verdicts on the Pods of one namespace depend on, apart from the other end of a connection. It never
// changes.
type View struct {
	namespace string
	labels    map[string]string
	// policies of the namespace, sorted by name.
	policies []*policy
	// tiers hold the policies of the cluster that may select Pods of the namespace, in the order in which they count.
	tiers [2][]*ClusterPolicy
	// selectsBy are the keys of labels that policies select Pods of the namespace by. Only NewView fills it in.
	selectsBy map[string]bool
}

// Named is the specification of a NetworkPolicy with the policy's name.
type Named struct {
	Name string
	Spec *networkingv1.NetworkPolicySpec
}

// NewView returns the view of one namespace from its labels, its own policies, compiled for it, and those of the cluster. None
// of them is nil.
func NewView(namespace string, labels map[string]string, policies []*Policy, cluster []*ClusterPolicy) *View {
	v := &View{namespace: namespace, labels: named(labels, namespace)}
	for _, p := range policies {
		v.policies = append(v.policies, p.compiled)
		v.note(p.compiled.subject)
	}
	slices.SortFunc(v.policies, func(a, b *policy) int { return strings.Compare(a.name, b.name) })
	for _, p := range cluster {
		if p.selectsIn(v.labels) {
			v.tiers[p.tier] = append(v.tiers[p.tier], p)
			v.note(p.pods)
		}
	}
	for _, policies := range v.tiers {
		slices.SortFunc(policies, compareClusterPolicies)
	}
	return v
}

// Selects says whether a policy may select some Pods of the namespace and not others.
func (v *View) Selects() bool { return len(v.selectsBy) > 0 }

// SelectsBy says whether a policy selects Pods of the namespace by that label. Verdicts on Pods that agree in all such labels
// are the same.
func (v *View) SelectsBy(key string) bool { return v.selectsBy[key] }

// note notes the labels that a selector selects Pods by.
func (v *View) note(s *selector) {
	if s == nil {
		return
	}
	for _, key := range s.keys {
		if v.selectsBy == nil {
			v.selectsBy = make(map[string]bool)
		}
		v.selectsBy[key] = true
	}
}

// Isolation says if anything but what is allowed expressly can connect.
type Isolation string

// The kinds of isolation.
const (
	// Isolated: some policy selects the Pod.
	Isolated Isolation = "Isolated"
	// Open: none does.
	Open Isolation = "Open"
	// Unprotected: none can, because the Pod has the network of its node.
	Unprotected Isolation = "Unprotected"
)

// Isolation returns whether a Pod of the namespace is isolated in a direction. What is isolated may still be allowed
// everything.
func (v *View) Isolation(pod *Pod, d Direction) Isolation {
	i := indexOf(d)
	switch {
	case pod.HostNetwork:
		return Unprotected
	case slices.ContainsFunc(v.policies, func(p *policy) bool { return p.selects(pod, i) }):
		return Isolated
	case v.strangersDenied(pod, i, v.tiers):
		return Isolated
	}
	return Open
}

// Unselected returns a Pod of the namespace that no policy singles out, for it has no labels.
func (v *View) Unselected() *Pod { return &Pod{Namespace: v.namespace} }

// Empty says whether there is no policy at all that may apply to a Pod of the namespace.
func (v *View) Empty() bool { return len(v.policies)+len(v.tiers[admin])+len(v.tiers[baseline]) == 0 }

// DefaultDenies says whether a policy denies everything in a direction to all Pods of the namespace, so that others have to
// allow what is needed.
func (v *View) DefaultDenies(d Direction) bool {
	i := indexOf(d)
	if slices.ContainsFunc(v.policies, func(p *policy) bool { return p.deniesAll[i] }) {
		return true
	}
	var whole [2][]*ClusterPolicy
	for tier, policies := range v.tiers {
		whole[tier] = slices.DeleteFunc(slices.Clone(policies), func(p *ClusterPolicy) bool { return p.pods != nil })
	}
	return v.strangersDenied(v.Unselected(), i, whole)
}

// strangersDenied says whether policies of the cluster deny every connection with somebody whom no rule names. Of ingress they
// cannot name anybody but Pods.
func (v *View) strangersDenied(pod *Pod, d direction, tiers [2][]*ClusterPolicy) bool {
	if len(tiers[admin])+len(tiers[baseline]) == 0 {
		return false
	}
	without := &View{namespace: v.namespace, labels: v.labels, tiers: tiers}
	denied := func(k kind) bool {
		e := evaluation{within: AllPorts()}
		return e.possible(without, pod, d, &other{kind: k}).Empty()
	}
	return denied(stranger) && (d == in || denied(outside))
}

// FromEverywhere returns the ports that every Pod of every other namespace may connect to, whatever its labels, as far as
// the policies on this Pod go. Neither do they need to look at those other Pods. Where policies of the cluster disagree, it
// may.
func (v *View) FromEverywhere(pod *Pod) Ports {
	e := evaluation{within: AllPorts(), quantifier: all}
	return e.possible(v, pod, in, &other{kind: anyPod})
}

// To returns the ports of an address outside the cluster that a Pod may connect to.
func (v *View) To(pod *Pod, a netip.Addr) Ports {
	e := evaluation{within: AllPorts()}
	return e.allowed(v, pod, out, &other{kind: address, address: a})
}

// Internet returns the ports of any address of the internet that a Pod may connect to or, for ingress, that any of them may
// connect to.
func (v *View) Internet(pod *Pod, d Direction) Ports {
	var (
		i       = indexOf(d)
		allowed Ports
		blocks  []*block
	)
	collect := func(rules []rule) {
		for _, r := range rules {
			for _, p := range r.peers {
				if p.block != nil {
					blocks = append(blocks, p.block)
				}
			}
		}
	}
	for _, p := range v.policies {
		if p.selects(pod, i) {
			collect(p.rules[i])
		}
	}
	for _, p := range slices.Concat(v.tiers[admin], v.tiers[baseline]) {
		collect(p.rules[i])
	}
	for _, a := range samples(blocks) {
		e := evaluation{within: AllPorts()}
		allowed = allowed.Union(e.allowed(v, pod, i, &other{kind: address, address: a}))
		if allowed.All() {
			break
		}
	}
	return allowed
}

// Reaches says whether a Pod may connect to a metadata endpoint. Where policies of the cluster disagree, it may.
func (v *View) Reaches(pod *Pod, m Metadata) bool {
	e := evaluation{within: PortsOf(PortRange{corev1.ProtocolTCP, m.Port, m.Port})}
	return !e.possible(v, pod, out, &other{kind: address, address: m.Address}).Empty()
}

// Reached returns those metadata endpoints that a Pod may connect to, in their order.
func (v *View) Reached(pod *Pod, of []Metadata) []Metadata {
	var reached []Metadata
	for _, m := range of {
		if v.Reaches(pod, m) {
			reached = append(reached, m)
		}
	}
	return reached
}

// Verdict is what may connect from one end to another.
type Verdict struct {
	// Allowed by the policies on both ends.
	Allowed Ports
	// Ambiguous are ports on which policies of the cluster with the same priority disagree: it is up to the network.
	Ambiguous Ports
	// OnPodAddresses: it would be another verdict if ipBlocks did not match the addresses of Pods. In some networks they
	// do not.
	OnPodAddresses bool
	// Decisions say why, egress first, if that was asked for.
	Decisions []Decision
}

// Decision is what one end's policies make of a connection.
type Decision struct {
	Direction Direction
	Allowed   bool
	// Reason in a few words.
	Reason string
	// By are the policies and rules that decide, sorted.
	By []Reference
}

// Reference names a policy, and one of its rules if Path is not "".
type Reference struct {
	// Kind is NetworkPolicy or ClusterNetworkPolicy.
	Kind            string
	Namespace, Name string
	Path            string
}

// String returns "network policy \"shop/allow-web\" spec.ingress[0]".
func (r Reference) String() string {
	text := "cluster network policy \"" + r.Name + "\""
	if r.Kind == kindPolicy {
		text = "network policy \"" + r.Namespace + "/" + r.Name + "\""
	}
	if r.Path != "" {
		text += " " + r.Path
	}
	return text
}

const (
	kindPolicy        = "NetworkPolicy"
	kindClusterPolicy = "ClusterNetworkPolicy"
)

// side is an end of a connection with the policies on it.
type side struct {
	End
	view *View
}

// connect judges all connections from one end to another.
func connect(from, to side, within Ports, explain bool) Verdict {
	if from.Pod != nil && from.Pod == to.Pod {
		return Verdict{Allowed: within, Decisions: []Decision{{Egress, true, "a Pod reaches itself", nil}}}
	}
	e := evaluation{within: within}
	verdict := e.connect(from, to, explain)
	if e.usedPodAddresses {
		without := evaluation{within: within, ignorePodAddresses: true}
		verdict.OnPodAddresses = !without.connect(from, to, false).Allowed.Equal(verdict.Allowed)
	}
	verdict.Ambiguous = e.ambiguous
	return verdict
}

func (e *evaluation) connect(from, to side, explain bool) Verdict {
	v := Verdict{Allowed: e.within}
	e.sameNode = from.Pod != nil && to.Pod != nil && from.Pod.Node != "" && from.Pod.Node == to.Pod.Node &&
		(from.Pod.HostNetwork || to.Pod.HostNetwork)
	for _, end := range []struct {
		subject, other side
		d              direction
		name           Direction
	}{{from, to, out, Egress}, {to, from, in, Ingress}} {
		if end.subject.Pod == nil {
			continue // nobody's policies are there
		}
		if explain {
			e.trace = new(trace)
		}
		allowed := e.allowed(end.subject.view, end.subject.Pod, end.d, otherOf(end.other))
		v.Allowed = v.Allowed.Intersect(allowed)
		if explain {
			v.Decisions = append(v.Decisions, e.trace.decision(end.name, !allowed.Empty()))
		}
	}
	return v
}

func otherOf(s side) *other {
	if s.Pod == nil {
		return &other{kind: address, address: s.Address}
	}
	return &other{kind: onePod, pod: s.Pod, labels: s.view.labels}
}

// trace notes what decides, in the order in which it is looked at.
type trace struct {
	steps  []step
	reason string
}

type step struct {
	action action
	by     Reference
}

func (t *trace) note(a action, by Reference) {
	if t != nil {
		t.steps = append(t.steps, step{a, by})
	}
}

func (t *trace) because(reason string) {
	if t != nil {
		t.reason = reason
	}
}

// decision keeps, of all that was looked at, what made it come out like that.
func (t *trace) decision(d Direction, allowed bool) Decision {
	made := Decision{Direction: d, Allowed: allowed, Reason: t.reason}
	wanted := deny
	if allowed {
		wanted = accept
	}
	seen := make(map[Reference]bool)
	for _, s := range t.steps {
		if s.action == wanted || s.action == pass {
			seen[s.by] = true
		}
	}
	made.By = slices.SortedFunc(maps.Keys(seen), func(a, b Reference) int { return strings.Compare(a.String(), b.String()) })
	return made
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"cmp"
	"slices"
)

// Judgement is the verdict on all Pods of a namespace that no policy tells apart, but for their addresses.
type Judgement struct {
	// Pod is one of them, without its addresses and node. Labels that no policy looks at may differ.
	Pod *Pod
	// Size is how many they are.
	Size            int
	Ingress, Egress Isolation
	// FromEverywhere are the ports that every Pod of every other namespace may connect to.
	FromEverywhere Ports
	// Sources are the namespaces of which some Pod may connect, as far as the policies on these Pods go.
	Sources Sources
	// Metadata says if they reach the metadata endpoint over IPv4.
	Metadata bool
}

// Sources is a set of namespaces that changes only when the verdict does: either some, by name, or all but some.
type Sources struct {
	// Every namespace but those in names, those to come included.
	Every      bool
	namespaces []*namespace
}

// Names returns the namespaces or, if it is every one, the exceptions, sorted.
func (s *Sources) Names() []string {
	names := make([]string, 0, len(s.namespaces))
	for _, n := range s.namespaces {
		names = append(names, n.name)
	}
	slices.Sort(names)
	return names
}

// Len returns how many names there are.
func (s *Sources) Len() int { return len(s.namespaces) }

// View returns all that verdicts on Pods of a namespace depend on. A namespace that is not known has no policies of its own.
func (c *Cluster) View(namespace string) *View {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.view(namespace)
}

func (c *Cluster) view(name string) *View {
	if n := c.namespaces[name]; n != nil {
		return n.view
	}
	n := &namespace{name: name, labels: named(nil, name)}
	c.look(n)
	return n.view
}

// Connect returns which of those ports one end may connect to on the other. explain asks for the reasons; then it is best to
// ask about one port.
func (c *Cluster) Connect(from, to End, within Ports, explain bool) Verdict {
	c.mu.RLock()
	a, b := c.side(from), c.side(to)
	c.mu.RUnlock()
	return connect(a, b, within, explain)
}

func (c *Cluster) side(e End) side {
	if e.Pod == nil {
		return side{End: e}
	}
	return side{End: e, view: c.view(e.Pod.Namespace)}
}

// Namespaces returns the names of all namespaces, sorted.
func (c *Cluster) Namespaces() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	names := make([]string, 0, len(c.namespaces))
	for name := range c.namespaces {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Judge returns the verdicts on the Pods of a namespace, in a fixed order.
func (c *Cluster) Judge(namespace string) []Judgement {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.namespaces[namespace]
	if n == nil {
		return nil
	}
	classes := make([]*class, 0, len(n.classes))
	for _, k := range n.classes {
		classes = append(classes, k)
	}
	slices.SortFunc(classes, func(a, b *class) int { return cmp.Compare(a.key, b.key) })
	judgements := make([]Judgement, 0, len(classes))
	for _, k := range classes {
		judgements = append(judgements, Judgement{
			Pod: &k.pod, Size: k.size,
			Ingress: n.view.Isolation(&k.pod, Ingress), Egress: n.view.Isolation(&k.pod, Egress),
			FromEverywhere: n.view.FromEverywhere(&k.pod),
			Sources:        c.sources(n, &k.pod),
			Metadata:       n.view.Reaches(&k.pod, MetadataIPv4),
		})
	}
	return judgements
}

// Sources returns the namespaces of which some Pod may connect to a Pod, as far as the policies on this Pod go.
func (c *Cluster) Sources(pod *Pod) Sources {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.namespaces[pod.Namespace]
	if n == nil {
		return Sources{Every: true}
	}
	return c.sources(n, pod)
}

func (c *Cluster) sources(n *namespace, pod *Pod) Sources {
	if pod.HostNetwork {
		return Sources{Every: true}
	}
	var out Sources
	named := c.namedByRules(n, pod)
	if len(n.view.tiers[admin])+len(n.view.tiers[baseline]) == 0 {
		// Rules of NetworkPolicies only add to each other.
		if named.everybody {
			return Sources{Every: true}
		}
		for id := range named.ids.all() {
			out.namespaces = append(out.namespaces, c.byID[id])
		}
		return out
	}
	ask := func(o *other) bool {
		e := evaluation{within: AllPorts()}
		return !e.allowed(n.view, pod, in, o).Empty()
	}
	out.Every = ask(&other{kind: stranger})
	named.ids.add(n.id)
	for id := range named.ids.all() {
		source := c.byID[id]
		o := &other{kind: somePod, namespace: source.name, labels: source.labels, holds: c.holdsIn(source)}
		if ask(o) != out.Every {
			out.namespaces = append(out.namespaces, source)
		}
	}
	return out
}

// mentions are the namespaces that rules on a Pod are about.
type mentions struct {
	ids bitmap
	// everybody: a rule of a NetworkPolicy is about everybody, or none isolates the Pod.
	everybody bool
}

func (c *Cluster) namedByRules(n *namespace, pod *Pod) mentions {
	var m mentions
	isolated := false
	for _, p := range n.view.policies {
		if p.selects(pod, in) {
			isolated = true
			c.collect(n, pod, p.rules[in], &m)
		}
	}
	m.everybody = m.everybody || !isolated
	for _, policies := range n.view.tiers {
		for _, p := range policies {
			if p.selects(pod, n.labels) {
				c.collect(n, pod, p.rules[in], &m)
			}
		}
	}
	return m
}

func (c *Cluster) collect(n *namespace, pod *Pod, rules []rule, m *mentions) {
	for i := range rules {
		r := &rules[i]
		if r.on(pod).Empty() {
			continue
		}
		m.everybody = m.everybody || r.anyPeer
		for j := range r.peers {
			switch p := &r.peers[j]; {
			case p.block != nil:
				m.everybody = m.everybody || p.block.containsUnknown()
			case p.namespaces == nil:
				if p.pods == nil || c.holdsIn(n)(p.pods) {
					m.ids.add(n.id)
				}
			case p.pods != nil:
				members := c.namespaceStates[p.namespaces].members
				for id := range c.podStates[p.pods].holders {
					if members.has(id) {
						m.ids.add(id)
					}
				}
			case p.namespaces.everything():
				m.everybody = true
			default:
				m.ids.addAll(c.namespaceStates[p.namespaces].members)
			}
		}
	}
}

// holdsIn tells which selectors match some Pod of a namespace.
func (c *Cluster) holdsIn(n *namespace) func(*selector) bool {
	return func(s *selector) bool {
		if state := c.podStates[s]; state != nil {
			return state.holders[n.id] > 0
		}
		for _, k := range n.classes {
			if !k.pod.HostNetwork && s.matches(k.pod.Labels) {
				return true
			}
		}
		return false
	}
}

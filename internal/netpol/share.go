// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

// What policies have in common is kept once: it is acquired with a policy and released with it.

func (c *Cluster) share(s *selector) *selector {
	known := c.selectors[s.text]
	if known == nil {
		known = &shared{selector: s}
		c.selectors[s.text] = known
	}
	known.uses++
	return known.selector
}

func (c *Cluster) unshare(s *selector) {
	known := c.selectors[s.text]
	if known.uses--; known.uses == 0 {
		delete(c.selectors, s.text)
	}
}

// selectorsOf calls visit for every selector of a policy's rules, with whether it is of namespaces, and for those of Pods
// whether the Pods are in the policy's own namespace.
func selectorsOf(rules *[2][]rule, visit func(s **selector, ofNamespaces, own bool)) {
	for d := range rules {
		for i := range rules[d] {
			peers := rules[d][i].peers
			for j := range peers {
				own := peers[j].namespaces == nil
				if !own {
					visit(&peers[j].namespaces, true, false)
				}
				if peers[j].pods != nil {
					visit(&peers[j].pods, false, own)
				}
			}
		}
	}
}

func (c *Cluster) acquirePolicy(n *namespace, p *policy) {
	if p.subject != nil {
		p.subject = c.share(p.subject)
		c.mention(n, p.subject)
	}
	selectorsOf(&p.rules, func(s **selector, ofNamespaces, own bool) {
		*s = c.share(*s)
		switch {
		case ofNamespaces:
			c.namespaceState(*s).peers[user{namespace: n}]++
		case own:
			c.mention(n, *s)
		default:
			c.mention(nil, *s)
			c.podState(*s).peers[user{namespace: n}]++
		}
	})
}

func (c *Cluster) releasePolicy(n *namespace, p *policy) {
	if p.subject != nil {
		c.unmention(n, p.subject)
		c.unshare(p.subject)
	}
	selectorsOf(&p.rules, func(s **selector, ofNamespaces, own bool) {
		switch {
		case ofNamespaces:
			c.releaseNamespaces(*s, user{namespace: n})
		case own:
			c.unmention(n, *s)
		default:
			c.unmention(nil, *s)
			c.releasePods(*s, user{namespace: n})
		}
		c.unshare(*s)
	})
}

func (c *Cluster) acquireClusterPolicy(p *ClusterPolicy) {
	if p.namespaces != nil {
		p.namespaces = c.share(p.namespaces)
		c.namespaceState(p.namespaces).subjects[p]++
	}
	if p.pods != nil {
		p.pods = c.share(p.pods)
		c.mention(nil, p.pods)
	}
	selectorsOf(&p.rules, func(s **selector, ofNamespaces, _ bool) {
		*s = c.share(*s)
		if ofNamespaces {
			c.namespaceState(*s).peers[user{policy: p}]++
			return
		}
		c.mention(nil, *s)
		c.podState(*s).peers[user{policy: p}]++
	})
}

func (c *Cluster) releaseClusterPolicy(p *ClusterPolicy) {
	selectorsOf(&p.rules, func(s **selector, ofNamespaces, _ bool) {
		if ofNamespaces {
			c.releaseNamespaces(*s, user{policy: p})
		} else {
			c.unmention(nil, *s)
			c.releasePods(*s, user{policy: p})
		}
		c.unshare(*s)
	})
	if p.pods != nil {
		c.unmention(nil, p.pods)
		c.unshare(p.pods)
	}
	if p.namespaces != nil {
		s := c.namespaceStates[p.namespaces]
		delete(s.subjects, p)
		c.dropNamespaces(s)
		c.unshare(p.namespaces)
	}
}

// namespaceState returns what a selector of namespaces matches, and keeps up with it from now on.
func (c *Cluster) namespaceState(s *selector) *namespaceState {
	state := c.namespaceStates[s]
	if state != nil {
		return state
	}
	state = &namespaceState{selector: s, peers: make(map[user]int), subjects: make(map[*ClusterPolicy]int)}
	c.namespaceStates[s] = state
	c.namespaceSelectors.add(s, state)
	join := func(n *namespace) {
		if s.matches(n.labels) {
			state.members.add(n.id)
		}
	}
	if s.anchor != (label{}) {
		for n := range c.namespacesByLabel[s.anchor] {
			join(n)
		}
		return state
	}
	for _, n := range c.namespaces {
		join(n)
	}
	return state
}

func (c *Cluster) releaseNamespaces(s *selector, u user) {
	state := c.namespaceStates[s]
	release(state.peers, u)
	c.dropNamespaces(state)
}

func (c *Cluster) dropNamespaces(state *namespaceState) {
	if len(state.peers)+len(state.subjects) == 0 {
		c.namespaceSelectors.remove(state.selector, state)
		delete(c.namespaceStates, state.selector)
	}
}

// podState returns where a selector of Pods matches some, and keeps up with it from now on. Its keys must be mentioned.
func (c *Cluster) podState(s *selector) *podState {
	state := c.podStates[s]
	if state != nil {
		return state
	}
	state = &podState{selector: s, holders: make(map[int]int), peers: make(map[user]int)}
	c.podStates[s] = state
	c.podSelectors.add(s, state)
	if s.anchor != (label{}) {
		for k := range c.classesByLabel[s.anchor] {
			state.hold(k, 1)
		}
		return state
	}
	for _, n := range c.namespaces {
		for _, k := range n.classes {
			state.hold(k, 1)
		}
	}
	return state
}

func (c *Cluster) releasePods(s *selector, u user) {
	state := c.podStates[s]
	release(state.peers, u)
	if len(state.peers) == 0 {
		c.podSelectors.remove(s, state)
		delete(c.podStates, s)
	}
}

func release[K comparable](counts map[K]int, k K) {
	if counts[k]--; counts[k] == 0 {
		delete(counts, k)
	}
}

// mention says that a selector looks at Pods of a namespace, or of all if there is none given. Pods that it could tell apart
// are in different classes from now on.
func (c *Cluster) mention(n *namespace, s *selector) {
	fresh := false
	for _, key := range s.keys {
		if n == nil {
			c.keys[key]++
			fresh = fresh || c.keys[key] == 1
			continue
		}
		if n.keys == nil {
			n.keys = make(map[string]int)
		}
		n.keys[key]++
		fresh = fresh || n.keys[key] == 1 && c.keys[key] == 0
	}
	switch {
	case !fresh:
	case n != nil:
		c.reclass(n)
	default:
		for _, n := range c.namespaces {
			c.reclass(n)
		}
	}
}

// unmention takes it back. Classes stay as fine as they are.
func (c *Cluster) unmention(n *namespace, s *selector) {
	keys := c.keys
	if n != nil {
		keys = n.keys
	}
	for _, key := range s.keys {
		release(keys, key)
	}
}

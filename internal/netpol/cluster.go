// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"
)

// Cluster holds all policies, namespaces and Pods, compiled, and follows their changes one by one. Every change returns the
// namespaces, sorted, in which there may be verdicts (see Judge) that were not there before, or no longer are; in no others
// is that so.
//
// A namespace need not be known for objects to be in it: then it has no labels but its name. What is handed in must not be
// changed afterwards. All methods may be called from several goroutines.
type Cluster struct {
	mu         sync.RWMutex
	namespaces map[string]*namespace
	// byID has the namespaces by their number; nil is a number that is free.
	byID []*namespace
	free []int

	clusterPolicies map[string]*ClusterPolicy
	// tiers are sorted as they count.
	tiers [2][]*ClusterPolicy

	// Selectors are kept once, by their text.
	selectors map[string]*shared
	// What selectors of namespaces are about, and those of Pods outside of the policy's own namespace.
	namespaceStates map[*selector]*namespaceState
	podStates       map[*selector]*podState

	namespacesByLabel  labelled[*namespace]
	namespaceSelectors anchored[*namespaceState]
	classesByLabel     labelled[*class]
	podSelectors       anchored[*podState]
	// keys of labels that the selectors in podStates and of subjects of cluster policies look at, with how many do.
	keys map[string]int
}

type shared struct {
	*selector
	uses int
}

// user is whose verdicts depend on a selector: those of the Pods of a namespace, or of all that a cluster policy selects.
type user struct {
	namespace *namespace
	policy    *ClusterPolicy
}

// namespaceState is what a selector of namespaces matches at the moment.
type namespaceState struct {
	*selector
	members bitmap
	// peers are those that have it in a peer, subjects those that are about what it matches; with how often.
	peers    map[user]int
	subjects map[*ClusterPolicy]int
}

// podState says in which namespaces a selector of Pods matches some of them.
type podState struct {
	*selector
	// holders have, by number of the namespace, how many classes match.
	holders map[int]int
	peers   map[user]int
}

type namespace struct {
	id   int
	name string
	// labels with that of the name, which the API server sets.
	labels  map[string]string
	known   bool
	view    *View
	pods    map[string]member
	classes map[string]*class
	// keys of labels that selectors of this namespace's Pods in its own policies look at, with how many do.
	keys map[string]int
}

type member struct {
	pod   *Pod
	class *class
}

// class is a number of Pods of one namespace that no policy tells apart, but for their addresses.
type class struct {
	namespace *namespace
	key       string
	// pod is any of them, without what differs.
	pod Pod
	// labels are those that some selector looks at.
	labels []label
	size   int
}

// NewCluster returns a cluster without anything in it.
func NewCluster() *Cluster {
	return &Cluster{
		namespaces:        make(map[string]*namespace),
		clusterPolicies:   make(map[string]*ClusterPolicy),
		selectors:         make(map[string]*shared),
		namespaceStates:   make(map[*selector]*namespaceState),
		podStates:         make(map[*selector]*podState),
		namespacesByLabel: make(labelled[*namespace]),
		classesByLabel:    make(labelled[*class]),
		keys:              make(map[string]int),
	}
}

// dirty collects namespaces whose verdicts may have changed.
type dirty map[*namespace]struct{}

func (d dirty) add(n *namespace) { d[n] = struct{}{} }

func (d dirty) names() []string {
	names := make([]string, 0, len(d))
	for n := range d {
		names = append(names, n.name)
	}
	slices.Sort(names)
	return names
}

// SetNamespace adds a namespace or replaces its labels.
func (c *Cluster) SetNamespace(name string, labels map[string]string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := make(dirty)
	n := c.namespace(name, changed)
	n.known = true
	c.relabel(n, named(labels, name), changed)
	return changed.names()
}

// DeleteNamespace forgets a namespace's labels, and the namespace once nothing is in it.
func (c *Cluster) DeleteNamespace(name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := make(dirty)
	if n := c.namespaces[name]; n != nil && n.known {
		n.known = false
		c.relabel(n, named(nil, name), changed)
		c.prune(n, changed)
	}
	return changed.names()
}

// SetPolicy adds or replaces a NetworkPolicy.
func (c *Cluster) SetPolicy(namespace, name string, spec *networkingv1.NetworkPolicySpec) []string {
	p := compile(namespace, name, spec)
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := make(dirty)
	n := c.namespace(namespace, changed)
	c.acquirePolicy(n, p) // before the old one goes, so that what both use stays
	c.replacePolicy(n, name, p)
	changed.add(n)
	return changed.names()
}

// DeletePolicy removes a NetworkPolicy.
func (c *Cluster) DeletePolicy(namespace, name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := make(dirty)
	if n := c.namespaces[namespace]; n != nil && c.replacePolicy(n, name, nil) {
		changed.add(n)
		c.prune(n, changed)
	}
	return changed.names()
}

// SetClusterPolicy adds or replaces a ClusterNetworkPolicy.
func (c *Cluster) SetClusterPolicy(name string, spec *v1alpha2.ClusterNetworkPolicySpec) []string {
	var compiler compiler
	p := compiler.clusterPolicy(name, spec)
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := make(dirty)
	if p != nil {
		c.acquireClusterPolicy(p)
	}
	c.replaceClusterPolicy(name, p, changed)
	return changed.names()
}

// DeleteClusterPolicy removes a ClusterNetworkPolicy.
func (c *Cluster) DeleteClusterPolicy(name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := make(dirty)
	c.replaceClusterPolicy(name, nil, changed)
	return changed.names()
}

// SetPod adds or replaces a Pod. Pods that have ended are to be deleted: nobody can connect to them.
func (c *Cluster) SetPod(name string, pod *Pod) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := make(dirty)
	n := c.namespace(pod.Namespace, changed)
	old, existed := n.pods[name]
	fresh := c.join(n, pod, changed)
	if n.pods == nil {
		n.pods = make(map[string]member)
	}
	n.pods[name] = member{pod, fresh}
	if existed {
		c.leave(old.class, changed)
	}
	return changed.names()
}

// DeletePod removes a Pod.
func (c *Cluster) DeletePod(namespace, name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed := make(dirty)
	n := c.namespaces[namespace]
	if n == nil {
		return nil
	}
	if old, ok := n.pods[name]; ok {
		delete(n.pods, name)
		c.leave(old.class, changed)
		c.prune(n, changed)
	}
	return changed.names()
}

// named returns labels with that of the namespace's name.
func named(labels map[string]string, name string) map[string]string {
	if labels[corev1.LabelMetadataName] == name {
		return labels
	}
	with := make(map[string]string, len(labels)+1)
	maps.Copy(with, labels)
	with[corev1.LabelMetadataName] = name
	return with
}

// Mentioned says whether any policy looks at a label of Pods, in a namespace or anywhere.
func (c *Cluster) Mentioned(namespace, key string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.namespaces[namespace]
	return c.keys[key] > 0 || n != nil && n.keys[key] > 0
}

// namespace returns a namespace, which need not have been there.
func (c *Cluster) namespace(name string, changed dirty) *namespace {
	n := c.namespaces[name]
	if n != nil {
		return n
	}
	n = &namespace{name: name, id: len(c.byID)}
	if last := len(c.free) - 1; last >= 0 {
		n.id, c.free = c.free[last], c.free[:last]
		c.byID[n.id] = n
	} else {
		c.byID = append(c.byID, n)
	}
	c.namespaces[name] = n
	c.relabel(n, named(nil, name), changed)
	return n
}

// prune forgets a namespace of which nothing is known and in which nothing is.
func (c *Cluster) prune(n *namespace, changed dirty) {
	if n.known || len(n.pods) > 0 || len(n.view.policies) > 0 {
		return
	}
	c.relabel(n, nil, changed)
	delete(c.namespaces, n.name)
	c.byID[n.id] = nil
	c.free = append(c.free, n.id)
}

// relabel gives a namespace other labels. None at all, not even its name, takes it out of every selector.
func (c *Cluster) relabel(n *namespace, labels map[string]string, changed dirty) {
	if n.view != nil && maps.Equal(n.labels, labels) {
		return
	}
	before := c.matching(n)
	for key, value := range n.labels {
		c.namespacesByLabel.remove(label{key, value}, n)
	}
	n.labels = labels
	for key, value := range labels {
		c.namespacesByLabel.add(label{key, value}, n)
	}
	after := c.matching(n)
	for s := range before {
		if !after[s] {
			s.members.remove(n.id)
			c.flipped(s, n, changed)
		}
	}
	for s := range after {
		if !before[s] {
			s.members.add(n.id)
			c.flipped(s, n, changed)
		}
	}
	c.look(n)
}

// matching returns the selectors that match a namespace.
func (c *Cluster) matching(n *namespace) map[*namespaceState]bool {
	matching := make(map[*namespaceState]bool)
	if n.labels == nil {
		return matching
	}
	c.namespaceSelectors.candidates(n.labels, func(s *namespaceState) {
		if s.matches(n.labels) {
			matching[s] = true
		}
	})
	return matching
}

// flipped notes whom it concerns that a selector matches a namespace now, or no longer does. One that always matches
// everything stands for everything, whatever there is.
func (c *Cluster) flipped(s *namespaceState, n *namespace, changed dirty) {
	if len(s.subjects) > 0 {
		changed.add(n)
	}
	if !s.everything() {
		c.concerns(s.peers, changed)
	}
}

func (c *Cluster) concerns(users map[user]int, changed dirty) {
	for u := range users {
		if u.namespace != nil {
			changed.add(u.namespace)
			continue
		}
		c.subjectsOf(u.policy, changed.add)
	}
}

// subjectsOf calls yield for the namespaces with Pods that a cluster policy may select.
func (c *Cluster) subjectsOf(p *ClusterPolicy, yield func(*namespace)) {
	if p.namespaces == nil {
		return
	}
	for id := range c.namespaceStates[p.namespaces].members.all() {
		yield(c.byID[id])
	}
}

// look renews a namespace's view, apart from its own policies.
func (c *Cluster) look(n *namespace) {
	v := NewView(n.name, n.labels, nil, slices.Concat(c.tiers[admin], c.tiers[baseline]))
	if n.view != nil {
		v.policies = n.view.policies
	}
	n.view = v
}

// replacePolicy puts a policy, or none, in the place of the one of that name, and says whether there was one.
func (c *Cluster) replacePolicy(n *namespace, name string, p *policy) bool {
	at, found := slices.BinarySearchFunc(n.view.policies, name, func(q *policy, name string) int { return cmp.Compare(q.name, name) })
	if found {
		c.releasePolicy(n, n.view.policies[at])
	}
	if !found && p == nil {
		return false
	}
	v := *n.view // which somebody may be looking at
	v.policies = slices.Clone(v.policies)
	switch {
	case p == nil:
		v.policies = slices.Delete(v.policies, at, at+1)
	case found:
		v.policies[at] = p
	default:
		v.policies = slices.Insert(v.policies, at, p)
	}
	n.view = &v
	return found
}

func (c *Cluster) replaceClusterPolicy(name string, p *ClusterPolicy, changed dirty) {
	old := c.clusterPolicies[name]
	if old != nil {
		c.subjectsOf(old, changed.add)
		c.tiers[old.tier] = slices.DeleteFunc(c.tiers[old.tier], func(q *ClusterPolicy) bool { return q == old })
		delete(c.clusterPolicies, name)
	}
	if p != nil {
		c.subjectsOf(p, changed.add)
		at, _ := slices.BinarySearchFunc(c.tiers[p.tier], p, compareClusterPolicies)
		c.tiers[p.tier] = slices.Insert(c.tiers[p.tier], at, p)
		c.clusterPolicies[name] = p
	}
	for n := range changed {
		c.look(n)
	}
	if old != nil {
		c.releaseClusterPolicy(old)
	}
}

// join puts a Pod into its class.
func (c *Cluster) join(n *namespace, pod *Pod, changed dirty) *class {
	labels := c.mentioned(n, pod.Labels)
	key := classKey(pod, labels)
	k := n.classes[key]
	if k == nil {
		k = &class{namespace: n, key: key, labels: labels, pod: *pod}
		k.pod.Addresses, k.pod.Node = nil, ""
		if n.classes == nil {
			n.classes = make(map[string]*class)
		}
		n.classes[key] = k
		for _, l := range labels {
			c.classesByLabel.add(l, k)
		}
		c.holding(k, 1, changed)
		changed.add(n)
	}
	k.size++
	return k
}

// leave takes a Pod out of its class.
func (c *Cluster) leave(k *class, changed dirty) {
	if k.size--; k.size > 0 {
		return
	}
	if k.namespace.classes[k.key] == k {
		delete(k.namespace.classes, k.key)
	}
	for _, l := range k.labels {
		c.classesByLabel.remove(l, k)
	}
	c.holding(k, -1, changed)
	changed.add(k.namespace)
}

// holding counts a class in, or out, where selectors match it.
func (c *Cluster) holding(k *class, by int, changed dirty) {
	c.podSelectors.candidates(k.pod.Labels, func(s *podState) {
		if s.hold(k, by) {
			c.concerns(s.peers, changed)
		}
	})
}

// hold says whether the selector matches some Pod of a namespace now and did not, or the other way round.
func (s *podState) hold(k *class, by int) bool {
	if k.pod.HostNetwork || !s.matches(k.pod.Labels) {
		return false
	}
	before := s.holders[k.namespace.id]
	if before+by == 0 {
		delete(s.holders, k.namespace.id)
	} else {
		s.holders[k.namespace.id] = before + by
	}
	return before == 0 || before+by == 0
}

// mentioned returns those labels that some selector looks at, sorted.
func (c *Cluster) mentioned(n *namespace, labels map[string]string) []label {
	var out []label
	for key, value := range labels {
		if n.keys[key] > 0 || c.keys[key] > 0 {
			out = append(out, label{key, value})
		}
	}
	slices.SortFunc(out, func(a, b label) int { return cmp.Compare(a.key, b.key) })
	return out
}

// classKey is the same for Pods of a namespace that no policy tells apart.
func classKey(pod *Pod, labels []label) string {
	var b strings.Builder
	b.WriteString(strconv.FormatBool(pod.HostNetwork))
	for _, p := range pod.Ports {
		b.WriteString("\x00" + p.Name + "\x00" + string(p.Protocol) + strconv.Itoa(int(p.Port)))
	}
	for _, l := range labels {
		b.WriteString("\x01" + l.key + "\x01" + l.value)
	}
	return b.String()
}

// reclass puts the Pods of a namespace into classes anew, after selectors look at more labels than before. No Pod is in
// none in between, and none in an old one after: its Pod may have any of the labels that were not looked at.
func (c *Cluster) reclass(n *namespace) {
	unchanged := make(dirty) // the same Pods, told apart further
	n.classes = nil
	for name, m := range n.pods {
		fresh := c.join(n, m.pod, unchanged)
		c.leave(m.class, unchanged)
		n.pods[name] = member{m.pod, fresh}
	}
}

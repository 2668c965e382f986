// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"maps"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Namespaces returns every namespace of the shard that there is or, where namespaces cannot be read, that anything is in.
func (s *Sources) Namespaces() []string {
	seen := make(map[string]bool)
	note := func(namespace string) {
		if s.shard.Owns(namespace) {
			seen[namespace] = true
		}
	}
	s.namespaces.Namespaces(note)
	if s.unavailable()[audit.Namespaces] != nil {
		s.pods.Namespaces(note)
		s.quotas.Namespaces(note)
		s.networkPolicies.Namespaces(note)
		for _, c := range s.controllers {
			c.Namespaces(note)
		}
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	return names
}

// Inventory returns what is known of a namespace, and whether it exists.
func (s *Sources) Inventory(name string) (audit.Inventory, bool) {
	i := audit.Inventory{
		Surroundings: audit.Surroundings{Name: name}, Unavailable: s.unavailable(), Gone: s.departed.when,
		ServerVersion: s.version.String(),
	}
	s.mu.Lock()
	seen := s.seen
	s.mu.Unlock()
	// What could be read once and no longer can is not known: it is left out rather than trusted.
	if i.Missing(audit.Nodes) == nil {
		i.Nodes = seen.nodes
	}
	if i.Missing(audit.DaemonSets) == nil {
		i.CNI = netpol.SeeCNI(seen.agents, i.Nodes.CNI)
	}
	i.Pods = known(&i, audit.Pods, s.pods)
	if i.Missing(audit.Nodes) == nil {
		i.PodNodes, i.Images = s.nodesOf(i.Pods), s.images.known(i.Pods)
	}
	i.Quotas = known(&i, audit.ResourceQuotas, s.quotas)
	i.LimitRanges = known(&i, audit.LimitRanges, s.limitRanges)
	i.ServiceAccounts = known(&i, audit.ServiceAccounts, s.serviceAccounts)
	s.powers.add(&i)
	if i.Missing(audit.PowerResources...) == nil {
		i.Roles, i.RoleBindings = s.powers.cluster.ViewsIn(name)
	}
	i.NetworkPolicies = known(&i, audit.NetworkPolicies, s.networkPolicies)
	i.Services = known(&i, audit.Services, s.services)
	i.Ingresses = known(&i, audit.Ingresses, s.ingresses)
	i.Gateways = known(&i, audit.Gateways, s.gateways)
	i.HTTPRoutes = known(&i, audit.HTTPRoutes, s.httpRoutes)
	i.Exceptions = known(&i, audit.SecurityExceptions, s.exceptions)
	if i.Missing(audit.ClusterSecurityExceptions) == nil {
		i.Exceptions = append(i.Exceptions, s.clusterExceptions.List("")...)
	}
	for resource, c := range s.controllers {
		i.Controllers = append(i.Controllers, known(&i, resource, c)...)
	}
	if i.Missing(audit.ImageReports) == nil {
		s.imageReports.addTo(&i)
	}
	var policies []*audit.ClusterPolicyRecord
	if i.Missing(audit.ClusterNetworkPolicies) == nil {
		policies = s.clusterPolicies.List("")
	}
	forgetOptional(i.Unavailable)
	if u := i.Missing(audit.Namespaces); u != nil {
		if len(policies) > 0 {
			i.Unavailable[audit.ClusterNetworkPolicies] = u // whom they select cannot be known
		}
		return i, len(i.Pods)+len(i.Controllers)+len(i.Quotas)+len(i.NetworkPolicies) > 0
	}
	n, ok := s.namespaces.Get(name, name)
	if ok {
		i.Namespace = n
	}
	i.ClusterPolicies = concerning(policies, name, i.Namespace)
	return i, ok
}

// Namespace returns a namespace; nil if there is none, or it cannot be read.
func (s *Sources) Namespace(name string) *audit.NamespaceRecord {
	n, ok := s.namespaces.Get(name, name)
	if !ok || !s.readable(audit.Namespaces) {
		return nil
	}
	return n
}

// known returns what there is of a resource in a namespace, as far as that is known.
func known[R Record[R]](i *audit.Inventory, r audit.Resource, from *Store[R]) []R {
	if i.Missing(r) != nil {
		return nil
	}
	return from.List(i.Name)
}

// nodesOf returns the nodes that Pods are on, by name.
func (s *Sources) nodesOf(pods []*audit.PodRecord) map[string]*audit.NodeRecord {
	nodes := make(map[string]*audit.NodeRecord)
	for _, p := range pods {
		name := p.NodeName()
		if _, done := nodes[name]; !done {
			nodes[name], _ = s.nodes.Get("", name)
		}
	}
	return nodes
}

// agent returns the Pods of a network's DaemonSet, if it is there.
func (s *Sources) agent(a netpol.Agent) *corev1.PodSpec {
	if c, exists := s.controllers[audit.DaemonSets].Get(a.Namespace, a.Name); exists {
		return &c.Shape.Pod().Spec
	}
	return nil
}

var skipReasons = map[v1alpha1.SourceState]v1alpha1.SkipReason{
	v1alpha1.SourceForbidden: v1alpha1.SkipSourceForbidden,
	v1alpha1.SourceNotServed: v1alpha1.SkipSourceNotServed,
	v1alpha1.SourceSyncing:   v1alpha1.SkipSourceSyncing,
}

// unavailable says why a resource in that state cannot be read.
func unavailable(r audit.Resource, state v1alpha1.SourceState) *audit.Unavailable {
	return &audit.Unavailable{Resource: r, Reason: skipReasons[state], Message: stateMessage(r, state)}
}

func (s *Sources) unavailable() map[audit.Resource]*audit.Unavailable {
	missing := make(map[audit.Resource]*audit.Unavailable)
	for _, w := range s.watchers {
		if status := w.Status(); status.State != v1alpha1.SourceSynced {
			missing[w.resource] = unavailable(w.resource, status.State)
		}
	}
	return missing
}

// forgetOptional takes out of what cannot be read what the cluster does not have, and need not have. Without ImageReports it has
// images all the same.
func forgetOptional(missing map[audit.Resource]*audit.Unavailable) {
	maps.DeleteFunc(missing, func(r audit.Resource, u *audit.Unavailable) bool {
		return r.Optional() && r != audit.ImageReports && u.Reason == v1alpha1.SkipSourceNotServed
	})
}

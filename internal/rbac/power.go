// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// SecretReach is which Secrets somebody may read: all of them by get, list or watch, not one by its name.
type SecretReach uint8

// How far reading Secrets reaches. The later is the more.
const (
	NoSecrets SecretReach = iota
	// OwnSecrets are those of a ServiceAccount's own namespace.
	OwnSecrets
	// OtherSecrets are those of another namespace.
	OtherSecrets
	AllSecrets
)

// Power is in short what a subject may do.
type Power struct {
	// Granted says that it may do anything that not everybody like it may by what Kubernetes makes itself.
	Granted bool
	Secrets SecretReach
	// Steps is how many it takes to become cluster-admin; 0 if no way is known.
	Steps int
	// Unsure says that no way is known, but that there may be one over what is not: Pods that are not seen, or objects by name.
	Unsure bool
}

// Power returns what a subject may do, in short.
func (c *Cluster) Power(s Subject) Power {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.power(c.paths(), s)
}

func (c *Cluster) power(g *graph, s Subject) Power {
	d := g.distance(c.stepsOf(s))
	p := Power{Steps: d.steps, Unsure: d.unsure}
	if s == Group(Masters) {
		p.Granted, p.Secrets = true, AllSecrets
	}
	for _, to := range append([]Subject{s}, s.Groups()...) {
		for _, b := range c.bySubject[to] {
			r := c.role(b.role)
			if r == nil || len(r.rules.list) == 0 {
				continue
			}
			p.Granted = p.Granted || to == s || !b.standard || !r.standard
			if r.rules.powers.has(readSecrets) {
				p.Secrets = max(p.Secrets, secretsFrom(b.Namespace, s.Namespace))
			}
		}
	}
	return p
}

func secretsFrom(scope, own string) SecretReach {
	switch scope {
	case "":
		return AllSecrets
	case own:
		return OwnSecrets
	}
	return OtherSecrets
}

// distance is how many steps it takes to become cluster-admin; 0 if no way is known. unsure says that there may be one then.
type distance struct {
	steps  int
	unsure bool
}

// distance returns how far it is to cluster-admin by one of these steps.
func (g *graph) distance(steps []step) distance {
	far, best := int32(unreachable), int32(unreachable)
	for i := range steps {
		to, known := g.at[steps[i].to]
		if !known {
			continue
		}
		if best = min(best, g.best[to]+steps[i].cost()); !steps[i].assumed {
			far = min(far, g.far[to]+steps[i].cost())
		}
	}
	if far >= unreachable {
		return distance{unsure: best < unreachable}
	}
	return distance{steps: int(far)}
}

// Changes are what has changed since they were taken last.
type Changes struct {
	// Powers that may be others than before, in namespaces that are known: those of ServiceAccounts that bindings name and, under a
	// ServiceAccount without a name, those of all others of a namespace.
	Powers map[Subject]Power
	// Gone are ServiceAccounts that no binding names any more, or whose namespaces are unknown.
	Gone []Subject
	// Namespaces with Roles or RoleBindings that have changed, or where ClusterRoles are bound that have.
	Namespaces map[string]bool
	// Views says that ClusterRoles or ClusterRoleBindings are to be judged again: see Cluster.Views.
	Views bool
}

// Others stands for the ServiceAccounts of a namespace that no binding names: no name is empty.
func Others(namespace string) Subject { return ServiceAccount(namespace, "") }

// TakeChanges returns what has changed, and begins anew. It takes as long as finding out about ways to cluster-admin does.
func (c *Cluster) TakeChanges() Changes {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.paths()
	views := c.review(g != c.told)
	taken := Changes{Powers: make(map[Subject]Power, len(c.touched)), Namespaces: c.touchedIn, Views: views}
	again := c.touched
	if g != c.told {
		c.noteWays(g, again)
	}
	c.addMembers(again)
	c.touched, c.touchedIn, c.told = make(map[Subject]bool), make(map[string]bool), g
	for s := range again {
		switch {
		case s.Kind != rbacv1.ServiceAccountKind:
		case c.isKnown(s.Namespace) && (s.Name == "" || len(c.bySubject[s]) > 0):
			taken.Powers[s] = c.power(g, s)
		default:
			taken.Gone = append(taken.Gone, s)
		}
	}
	return taken
}

// noteWays notes whose ways may be others in another graph: ServiceAccounts of which roles of their own lead somewhere, and groups
// that they are in by being what they are, if these have come nearer to cluster-admin or farther from it. Everybody else has the
// ways of his groups.
func (c *Cluster) noteWays(g *graph, again map[Subject]bool) {
	ways := make(map[Subject]distance)
	for s := range c.reaches {
		switch {
		case s.Kind == rbacv1.ServiceAccountKind:
			if c.isKnown(s.Namespace) { // bindings can name any number of others
				again[s] = true
			}
		case implied(s):
			ways[s] = g.distance(c.stepsOf(s))
		}
	}
	for s, w := range c.ways {
		if ways[s] != w {
			again[s] = true
		}
	}
	for s, w := range ways {
		if c.ways[s] != w {
			again[s] = true
		}
	}
	c.ways = ways
}

// addMembers adds the ServiceAccounts that are in groups among the subjects by being what they are.
func (c *Cluster) addMembers(subjects map[Subject]bool) {
	members := membersOf(subjects)
	if members.none() {
		return
	}
	for s := range c.bySubject {
		if s.Kind == rbacv1.ServiceAccountKind && members.include(s) {
			subjects[s] = true
		}
	}
	for namespace := range members.namespaces {
		subjects[Others(namespace)] = true
	}
	if members.all {
		for namespace := range c.namespaces {
			subjects[Others(namespace)] = true
		}
		for namespace := range c.accounts {
			subjects[Others(namespace)] = true
		}
	}
}

// isKnown says whether there is a namespace, as far as can be seen.
func (c *Cluster) isKnown(namespace string) bool {
	_, known := c.namespaces[namespace]
	return known || c.accounts[namespace] != nil
}

// members are those who are in groups by being what they are.
type members struct {
	// all: some group is not that of one namespace.
	all bool
	// namespaces are those of which all ServiceAccounts are members.
	namespaces map[string]bool
}

// membersOf returns the members of groups among the subjects.
func membersOf(subjects map[Subject]bool) members {
	m := members{namespaces: make(map[string]bool)}
	for s := range subjects {
		if !implied(s) {
			continue
		}
		if namespace, ok := strings.CutPrefix(s.Name, accountsPrefix); ok {
			m.namespaces[namespace] = true
		} else {
			m.all = true
		}
	}
	return m
}

func (m *members) none() bool { return !m.all && len(m.namespaces) == 0 }

// include says whether a subject is among the members, or may be.
func (m *members) include(s Subject) bool {
	return m.all || s.Kind == rbacv1.ServiceAccountKind && m.namespaces[s.Namespace]
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"maps"
	"slices"

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
}

// Power returns what a subject may do, in short.
func (c *Cluster) Power(s Subject) Power {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.power(c.paths(), s)
}

func (c *Cluster) power(g *graph, s Subject) Power {
	p := Power{Steps: g.distance(c.stepsOf(s))}
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

// distance returns how many steps it takes to become cluster-admin by one of these; 0 if there is no way.
func (g *graph) distance(steps []step) int {
	far := int32(unreachable)
	for i := range steps {
		if to, known := g.at[steps[i].to]; known {
			far = min(far, g.far[to]+steps[i].cost())
		}
	}
	if far == unreachable {
		return 0
	}
	return int(far)
}

// Bound returns all subjects that bindings name, in no order.
func (c *Cluster) Bound() []Subject {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.bySubject))
}

// Changes are what has changed since they were taken last.
type Changes struct {
	// Subjects whose bindings, or roles, have changed.
	Subjects map[Subject]bool
	// Namespaces with RoleBindings, or roles, that have.
	Namespaces map[string]bool
	// Paths says that the ways to cluster-admin may be others.
	Paths bool
}

// Concern says whether they may have changed what a subject may do.
func (ch *Changes) Concern(s Subject) bool {
	return ch.Paths || ch.Subjects[s] || slices.ContainsFunc(s.Groups(), func(g Subject) bool { return ch.Subjects[g] })
}

// Leading returns the ServiceAccounts of which roles of their own lead somewhere, in no order: no others can be on a way to
// cluster-admin, unless a group leads somewhere that ServiceAccounts are in by being what they are. Then it returns all.
func (c *Cluster) Leading() (accounts []Subject, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paths()
	for s := range c.reaches {
		if s.Kind == rbacv1.ServiceAccountKind {
			accounts = append(accounts, s)
		}
		all = all || implied(s)
	}
	return accounts, all
}

// Wide says whether what has changed is about a group that ServiceAccounts are in by being what they are.
func (ch *Changes) Wide() bool {
	for s := range ch.Subjects {
		if implied(s) {
			return true
		}
	}
	return false
}

// IsBound says whether any binding names a subject.
func (c *Cluster) IsBound(s Subject) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.bySubject[s]) > 0
}

// TakeChanges returns what has changed, and begins anew. It takes as long as finding out about ways to cluster-admin does.
func (c *Cluster) TakeChanges() Changes {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.paths()
	taken := Changes{c.touched, c.touchedIn, g != c.told}
	c.touched, c.touchedIn, c.told = make(map[Subject]bool), make(map[string]bool), g
	return taken
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Grant is a role that a binding gives to a subject.
type Grant struct {
	// To is who is bound: the subject itself, or a group that it is in.
	To      Subject
	Binding BindingKey
	Role    RoleKey
	// Exists says whether the role is there. One that is not gives nothing.
	Exists bool
	// Default says that binding and role are Kubernetes' own, and as it made them.
	Default bool
	// Rules of the role.
	Rules []rbacv1.PolicyRule
}

func (c *Cluster) grant(to Subject, b *binding) Grant {
	g := Grant{To: to, Binding: b.BindingKey, Role: b.role}
	if r := c.role(b.role); r != nil {
		g.Exists, g.Default, g.Rules = true, r.standard && b.standard, r.rules.list
	}
	return g
}

// Grants returns all roles that a subject has: first what it is bound to itself, then what its groups are; each sorted by
// namespace, what is bound in the cluster first, and name.
func (c *Cluster) Grants(s Subject) []Grant {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	var grants []Grant
	for _, to := range append([]Subject{s}, s.Groups()...) {
		for _, b := range c.bySubject[to] {
			grants = append(grants, c.grant(to, b))
		}
	}
	return grants
}

// Allows returns the first grant by which a subject may do something, as they are sorted. Members of system:masters may do
// everything without any.
func (c *Cluster) Allows(s Subject, r Request) (by Grant, allowed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	if s == Group(Masters) {
		return Grant{}, true
	}
	for _, to := range append([]Subject{s}, s.Groups()...) {
		for _, b := range c.bySubject[to] {
			if c.allowedBy(b, &r) {
				return c.grant(to, b), true
			}
		}
	}
	return Grant{}, false
}

func (c *Cluster) allowedBy(b *binding, r *Request) bool {
	if b.Namespace != "" && b.Namespace != r.Namespace { // a path is in none
		return false
	}
	role := c.role(b.role)
	return role != nil && role.rules.allow(r)
}

// Holder is a subject that may do what was asked about.
type Holder struct {
	Subject
	// Everywhere says that it may in the whole cluster.
	Everywhere bool
	// Namespaces in which it may by a RoleBinding, sorted.
	Namespaces []string
	// Through are the grants by which it may, sorted. Only system:masters needs none.
	Through []Grant
}

// Default says that nothing but what Kubernetes made itself lets the holder do it.
func (h *Holder) Default() bool {
	return !slices.ContainsFunc(h.Through, func(g Grant) bool { return !g.Default })
}

// WhoCan returns who may do something, sorted by kind, namespace and name. Groups are named as such: everybody in them may.
// If within is set, the request's namespace is left aside, and what somebody may do in any namespace counts.
func (c *Cluster) WhoCan(r Request, within bool) []Holder {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	holders := map[Subject]*Holder{Group(Masters): {Subject: Group(Masters), Everywhere: true}}
	scopes := []string{"", r.Namespace}
	switch {
	case r.Path != "" || !within && r.Namespace == "":
		scopes = scopes[:1]
	case within:
		scopes = slices.Sorted(maps.Keys(c.bindings))
	}
	for _, scope := range scopes {
		for _, b := range c.bindings[scope] {
			if within {
				r.Namespace = scope
			}
			if !c.allowedBy(b, &r) {
				continue
			}
			for _, s := range b.subjects {
				h := holders[s]
				if h == nil {
					h = &Holder{Subject: s}
					holders[s] = h
				}
				h.Through = append(h.Through, c.grant(s, b))
				if scope == "" {
					h.Everywhere = true
				} else if !slices.Contains(h.Namespaces, scope) {
					h.Namespaces = append(h.Namespaces, scope)
				}
			}
		}
	}
	list := make([]Holder, 0, len(holders))
	for _, h := range holders {
		list = append(list, *h)
	}
	slices.SortFunc(list, func(a, b Holder) int { return a.compare(b.Subject) })
	return list
}

// Where returns where a subject may do something, the request's namespace left aside: in the whole cluster, or in these
// namespaces.
func (c *Cluster) Where(s Subject, r Request) (everywhere bool, namespaces []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settle()
	for _, to := range append([]Subject{s}, s.Groups()...) {
		for _, b := range c.bySubject[to] {
			r.Namespace = b.Namespace
			switch {
			case !c.allowedBy(b, &r):
			case b.Namespace == "":
				return true, nil
			default:
				namespaces = append(namespaces, b.Namespace)
			}
		}
	}
	slices.Sort(namespaces)
	return s == Group(Masters), slices.Compact(namespaces)
}

// Empowered says whether a subject may do anything that not everybody like it may by what Kubernetes makes itself.
func (c *Cluster) Empowered(s Subject) bool {
	return s == Group(Masters) || slices.ContainsFunc(c.Grants(s), func(g Grant) bool {
		return len(g.Rules) > 0 && (g.To == s || !g.Default)
	})
}

// Path is how a subject becomes cluster-admin.
type Path struct {
	Subject Subject
	// Steps, at least one.
	Steps []Step
}

// Step is one step of a Path.
type Step struct {
	// From is who or what takes it, such as `ServiceAccount "shop/ci"` or "a node"; To what is reached.
	From, To string
	// Text tells it in a sentence.
	Text string
	// Permissions that it takes.
	Permissions []Permission
}

// Permission is what somebody may do, and by what.
type Permission struct {
	Request
	// By is without a binding where it is the role that was got in the step before.
	By Grant
}

// Path returns the shortest way by which a subject becomes cluster-admin. It returns false if none is known. That proves
// nothing: what is not in RBAC, and what other programs do for those who may ask them, is not seen.
func (c *Cluster) Path(s Subject) (Path, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.paths()
	return c.tell(s, g.shortest(place{kind: asSubject, of: s}, c.stepsOf(s)))
}

// Paths returns how all those become cluster-admin who do so by a binding of their own that is not as Kubernetes made it,
// sorted by kind, namespace and name of the subject. Who only does as a member of a group is left out: the group is there.
func (c *Cluster) Paths() []Path {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.paths()
	var paths []Path
	for _, s := range c.subjects() {
		own := slices.DeleteFunc(slices.Clone(c.reaches[s]), func(s step) bool { return !s.own })
		if p, ok := c.tell(s, g.shortest(place{kind: asSubject, of: s}, own)); ok {
			paths = append(paths, p)
		}
	}
	return paths
}

// MissingRoles returns the bindings whose role is not there, sorted.
func (c *Cluster) MissingRoles() []Grant {
	c.mu.Lock()
	defer c.mu.Unlock()
	var missing []Grant
	for _, bindings := range c.bindings {
		for _, b := range bindings {
			if c.role(b.role) == nil {
				missing = append(missing, c.grant(Subject{}, b))
			}
		}
	}
	slices.SortFunc(missing, func(a, b Grant) int { return a.Binding.compare(b.Binding) })
	return missing
}

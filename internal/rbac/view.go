// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/labels"
)

// Extent is how far a role is bound to anybody.
type Extent uint8

// Extents. The later is the more.
const (
	Unbound Extent = iota
	InNamespaces
	InCluster
)

// RoleView is all that a role is judged by. It is not changed: when anything in it changes, another one takes its place.
type RoleView struct {
	RoleKey
	// Default says that it is Kubernetes' own, and as it was made.
	Default bool
	// Rules to be judged here: none of Kubernetes' own; of an aggregated ClusterRole those that are judged nowhere else, because
	// they come from Kubernetes' own.
	Rules []rbacv1.PolicyRule
	// Aggregated says that the rules are put together from others.
	Aggregated bool
	// Collected says that an aggregated ClusterRole has its rules too.
	Collected bool
	// Bound is how far it is bound, also as a part of an aggregated one.
	Bound Extent
	// Admins is how many subjects may do everything by bindings of their own, this role's and those of others like it. It is
	// told of one ClusterRole that allows everything, and 0 of all others.
	Admins int

	set *ruleSet
}

func (v *RoleView) equal(w *RoleView) bool {
	return v.Default == w.Default && v.set == w.set && v.Aggregated == w.Aggregated && v.Collected == w.Collected &&
		v.Bound == w.Bound && v.Admins == w.Admins && (!v.Aggregated || equality.Semantic.DeepEqual(v.Rules, w.Rules))
}

// BindingView is all that a binding is judged by. It is not changed: when anything in it changes, another one takes its place.
type BindingView struct {
	BindingKey
	// Default says that it is Kubernetes' own, and as it was made.
	Default bool
	// Role that it binds. One that does not exist gives nothing.
	Role   RoleKey
	Exists bool
	// RoleDefault says that the role is Kubernetes' own, and as it was made.
	RoleDefault bool
	Rules       []rbacv1.PolicyRule
	Subjects    []Subject
	// Missing are those ServiceAccounts that do not exist; of Assumed it is not known. Both are only told of ClusterRoleBindings.
	Missing, Assumed []Subject
	// Everything says that the role allows everything, where it is bound; Leads that it allows something that can lead to more.
	Everything, Leads bool
	// Steps is how many it takes from the role to cluster-admin; 0 if no way is known, and Unsure then says that there may be one.
	Steps  int
	Unsure bool
	// Pending says of a RoleBinding that has changed since changes were taken last that it is not known yet how far it is.
	Pending bool
	// Way tells the steps, of a ClusterRoleBinding.
	Way []string

	set *ruleSet
}

func (v *BindingView) equal(w *BindingView) bool {
	return v.Default == w.Default && v.Role == w.Role && v.Exists == w.Exists && v.RoleDefault == w.RoleDefault && v.set == w.set &&
		v.Steps == w.Steps && v.Unsure == w.Unsure && slices.Equal(v.Subjects, w.Subjects) && slices.Equal(v.Missing, w.Missing) &&
		slices.Equal(v.Assumed, w.Assumed) && slices.Equal(v.Way, w.Way)
}

// Views returns what ClusterRoles and ClusterRoleBindings are judged by, as it was when changes were taken last, in no order.
// Those of which nothing has changed since are the very same ones.
func (c *Cluster) Views() ([]*RoleView, []*BindingView) {
	c.mu.Lock()
	defer c.mu.Unlock()
	roles, bindings := make([]*RoleView, 0, len(c.roles[""])), make([]*BindingView, 0, len(c.bindings[""]))
	for _, r := range c.roles[""] {
		if r.view != nil {
			roles = append(roles, r.view)
		}
	}
	for _, b := range c.bindings[""] {
		if b.view != nil {
			bindings = append(bindings, b.view)
		}
	}
	return roles, bindings
}

// ViewsIn returns what the Roles and RoleBindings of a namespace are judged by, sorted by name. How far it is to cluster-admin is
// what it was when changes were taken last; of bindings that have changed since, and that can lead there, it is pending.
func (c *Cluster) ViewsIn(namespace string) ([]*RoleView, []*BindingView) {
	c.mu.Lock()
	defer c.mu.Unlock()
	roles, bindings := make([]*RoleView, 0, len(c.roles[namespace])), make([]*BindingView, 0, len(c.bindings[namespace]))
	for _, name := range slices.Sorted(maps.Keys(c.roles[namespace])) {
		roles = append(roles, c.viewRole(c.roles[namespace][name]))
	}
	for _, b := range c.bindings[namespace] {
		bindings = append(bindings, c.viewBinding(b))
	}
	return roles, bindings
}

// review brings up to date what ClusterRoles and ClusterRoleBindings are judged by and how far RoleBindings are from
// cluster-admin, and notes the namespaces of those that are elsewhere. It says whether anything differs of the former.
func (c *Cluster) review(pathsChanged bool) (differs bool) {
	if pathsChanged {
		c.findWays()
	}
	for key := range c.unreviewed {
		b := find(c.bindings[key.Namespace], key)
		if b == nil {
			continue
		}
		way := c.wayOf(b)
		if key.Namespace != "" {
			if way.far != b.far {
				b.far, c.touchedIn[key.Namespace] = way.far, true
			}
			continue
		}
		b.far = way.far
		fresh := c.viewBinding(b)
		fresh.Way = way.told
		if b.view == nil || !b.view.equal(fresh) {
			b.view, differs = fresh, true
		}
	}
	clear(c.unreviewed)
	differs, c.gone = differs || c.gone, false
	return c.reviewRoles() || differs
}

// reviewRoles does it for ClusterRoles.
func (c *Cluster) reviewRoles() (differs bool) {
	if admins, role := c.countAdmins(), c.fullRole(); admins != c.admins || role != c.adminRole {
		c.unreviewedRoles[c.adminRole], c.unreviewedRoles[role] = true, true
		c.admins, c.adminRole = admins, role
	}
	for len(c.unreviewedRoles) > 0 { // how far an aggregated one is bound says the same of those that it collects
		names := c.unreviewedRoles
		c.unreviewedRoles = make(map[string]bool)
		for name := range names {
			r := c.roles[""][name]
			if r == nil {
				continue
			}
			fresh := c.viewRole(r)
			if r.view != nil && r.view.equal(fresh) {
				continue
			}
			if r.aggregation != nil && (r.view == nil || r.view.Bound != fresh.Bound) {
				c.eachCollected(r, func(piece *role) { c.unreviewedRoles[piece.Name] = true })
			}
			r.view, differs = fresh, true
		}
	}
	return differs
}

// countAdmins counts the subjects that may do everything in the cluster by bindings of their own.
func (c *Cluster) countAdmins() int {
	admins := make(map[Subject]bool)
	for _, r := range c.roles[""] {
		if !r.rules.powers.has(everything) {
			continue
		}
		for _, b := range c.byRole[r.RoleKey] {
			if b.Namespace != "" { // those of the cluster come first
				break
			}
			if !b.standard {
				for _, s := range b.subjects {
					admins[s] = true
				}
			}
		}
	}
	return len(admins)
}

// viewRole returns what a role is judged by.
func (c *Cluster) viewRole(r *role) *RoleView {
	v := &RoleView{RoleKey: r.RoleKey, Default: r.standard, Aggregated: r.aggregation != nil, Bound: c.extentOf(r), set: r.rules}
	if !r.standard {
		v.Rules = r.rules.list
		if v.Aggregated {
			v.Rules = c.collectedFromDefaults(r)
		}
	}
	if r.Namespace != "" {
		return v
	}
	for a := range c.above(r) {
		v.Collected, v.Bound = true, max(v.Bound, c.extentOf(a))
	}
	if r.Name == c.adminRole {
		v.Admins = c.admins
	}
	return v
}

// extentOf returns how far a role is bound by itself.
func (c *Cluster) extentOf(r *role) Extent {
	for _, b := range c.byRole[r.RoleKey] { // those of the cluster come first
		switch {
		case len(b.subjects) == 0:
		case b.Namespace == "":
			return InCluster
		default:
			return InNamespaces
		}
	}
	return Unbound
}

// above returns the aggregated ClusterRoles that have the rules of another one, directly or over others: admin has those of edit,
// which has those of view.
func (c *Cluster) above(r *role) map[*role]bool {
	all := make(map[*role]bool)
	for next := []*role{r}; len(next) > 0; {
		piece := next[len(next)-1]
		next = next[:len(next)-1]
		for _, a := range c.aggregating {
			if a != r && !all[a] && a.collects(piece) {
				all[a] = true
				next = append(next, a)
			}
		}
	}
	return all
}

// collects says whether an aggregated ClusterRole has the rules of another one.
func (r *role) collects(other *role) bool {
	return slices.ContainsFunc(r.selectors, func(s labels.Selector) bool { return s.Matches(labels.Set(other.labels)) })
}

func (c *Cluster) eachCollected(r *role, use func(*role)) {
	for _, other := range c.roles[""] {
		if other != r && r.collects(other) {
			use(other)
		}
	}
}

// collectedFromDefaults returns the rules of an aggregated ClusterRole without those that are judged elsewhere: at roles that it
// collects and that are not Kubernetes' own. It looks into what is collected by Kubernetes' own, and by those that collect it in turn,
// which would leave them to each other.
func (c *Cluster) collectedFromDefaults(r *role) []rbacv1.PolicyRule {
	rules, above, seen := slices.Clone(r.rules.list), c.above(r), map[*role]bool{r: true}
	var without func(*role)
	without = func(a *role) {
		c.eachCollected(a, func(piece *role) {
			switch {
			case seen[piece]:
			case piece.aggregation != nil && (piece.standard || above[piece]):
				seen[piece] = true
				without(piece)
			case !piece.standard:
				seen[piece] = true
				rules = slices.DeleteFunc(rules, func(rule rbacv1.PolicyRule) bool {
					return slices.ContainsFunc(piece.rules.list, func(of rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(of, rule) })
				})
			}
		})
	}
	without(r)
	return rules
}

// viewBinding returns what a binding is judged by, without the steps that its way takes.
func (c *Cluster) viewBinding(b *binding) *BindingView {
	v := &BindingView{BindingKey: b.BindingKey, Default: b.standard, Role: b.role, Subjects: b.subjects}
	if r := c.role(b.role); r != nil {
		v.Exists, v.RoleDefault, v.Rules, v.set = true, r.standard, r.rules.list, r.rules
		v.Everything, v.Leads = r.rules.powers.has(everything), !r.rules.powers.none()
	}
	if v.Pending = b.Namespace != "" && v.Leads && c.unreviewed[b.BindingKey]; !v.Pending {
		v.Steps, v.Unsure = b.far.steps, b.far.unsure
	}
	if b.Namespace != "" {
		return v
	}
	for _, s := range b.subjects {
		if s.Kind != rbacv1.ServiceAccountKind {
			continue
		}
		switch a := c.accounts[s.Namespace][s.Name]; {
		case a == nil:
			v.Missing = append(v.Missing, s)
		case a.Assumed:
			v.Assumed = append(v.Assumed, s)
		}
	}
	return v
}

// findWays finds out anew where roles lead that are bound, and notes the bindings of those that lead elsewhere than before, or of which
// it has been forgotten because one of their bindings has changed.
func (c *Cluster) findWays() {
	for _, roles := range c.roles {
		for _, r := range roles {
			if r.rules.powers.none() {
				continue
			}
			differs, scope := false, anyNamespace
			for _, b := range c.byRole[r.RoleKey] { // those of a namespace are side by side
				if b.Namespace != scope {
					scope = b.Namespace
					before, known := c.roleWays[roleAt(r.RoleKey, scope)]
					now := c.wayFrom(r, scope)
					differs = !known || now.far != before.far || !slices.Equal(now.told, before.told)
				}
				if differs {
					c.unreviewed[b.BindingKey] = true
				}
			}
		}
	}
}

// wayFrom finds how far a role that is bound in a scope is from cluster-admin, and of the whole cluster step by step how it leads there.
func (c *Cluster) wayFrom(r *role, scope string) roleWay {
	at := roleAt(r.RoleKey, scope)
	w, known := c.roleWays[at]
	if !known {
		var v view
		v.add(r, scope)
		w.steps = v.steps()
	}
	if w.in != c.graph {
		w.in, w.told, w.far = c.graph, nil, c.graph.distance(w.steps)
		if scope == "" { // what is elsewhere is not told in a namespace
			path, _ := c.tell(Subject{}, c.graph.shortest(at, w.steps))
			for _, step := range path.Steps {
				w.told = append(w.told, step.Text)
			}
		}
		c.roleWays[at] = w
	}
	return w
}

// wayOf does it for the role of a binding, if that gives somebody more than Kubernetes' own do.
func (c *Cluster) wayOf(b *binding) roleWay {
	r := c.role(b.role)
	if r == nil || len(b.subjects) == 0 || r.rules.powers.none() || b.standard && r.standard {
		return roleWay{}
	}
	return c.wayFrom(r, b.Namespace)
}

// Requested returns those of the requests that a rule allows on some object. Rules that name objects count only if named.
func Requested(rule *rbacv1.PolicyRule, requests []Request, named bool) []Request {
	var allowed []Request
	for _, r := range requests {
		// What is created has no name yet, unless it is a subresource.
		if unnamed := len(rule.ResourceNames) == 0; allowsKind(rule, &r) && (unnamed || named && (r.Verb != "create" || r.Subresource != "")) {
			allowed = append(allowed, r)
		}
	}
	return allowed
}

// NamespacedOnly says whether rules allow something, and only on what is in namespaces for all that is known of Kubernetes' own
// resources.
func NamespacedOnly(rules []rbacv1.PolicyRule) bool {
	for i := range rules {
		if len(rules[i].NonResourceURLs) > 0 || slices.ContainsFunc(rules[i].Resources, func(name string) bool {
			return slices.ContainsFunc(rules[i].APIGroups, func(group string) bool { return !knownNamespaced(group, name) })
		}) {
			return false
		}
	}
	return len(rules) > 0
}

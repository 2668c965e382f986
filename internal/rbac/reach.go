// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"maps"
	"slices"
	"strings"
)

// place is somewhere on the way to cluster-admin: somebody that one can act as, something that one has got, or a crossing
// from which any of several places can be reached, which is no step of its own.
type place struct {
	kind placeKind
	// scope is a namespace, "" for the cluster, or anyNamespace.
	scope string
	// of is a Subject; of a role, its Kind is that.
	of Subject
}

type placeKind uint8

const (
	// asAdmin may do everything.
	asAdmin placeKind = iota
	// asSubject is somebody.
	asSubject
	// onNode is root on a node of one's choice.
	onNode
	// inNamespace may do everything in it.
	inNamespace
	// withRole has a role bound to oneself.
	withRole

	// Crossings: to a Pod of one's making, to one made of a template that one may change, to ServiceAccounts (with of.Name: to
	// those of that name), to those that Pods have, to those that have a token in a Secret, to all users, to all groups but the
	// one that nobody can get into, to Roles, to ClusterRoles, to the Pods of the control
	// plane.
	toPods
	toTemplates
	toAccounts
	toMounted
	toSecrets
	toUsers
	toGroups
	toRoles
	toClusterRoles
	toControlPlane
)

const anyNamespace = "*"

// means is how one gets from one place to another.
type means uint8

const (
	byMembership means = iota // no step of its own
	byEverything
	byMasters
	byPods
	byPodsInSpite
	byVolumes
	byTemplates
	byExec
	byPodChange
	byTokens
	byNewSecret
	bySecret
	byImpersonation
	byEscalation
	byNewRole
	byBinding
	byCertificate
	byNodeCertificate
	byNodeProxy
	byWebhook
	byMutation
	byNode
	byNamespace
)

// step leads from a place to another.
type step struct {
	by means
	to place
	// needs are the permissions that it takes.
	needs []need
	// own says that it takes a binding of the subject itself that is not one of Kubernetes' own.
	own bool
	// assumed says that it is about objects by name of which it is not known whether they are there, or what they are.
	assumed bool
}

// cost is how many steps it counts for.
func (s *step) cost() int32 {
	if s.by == byMembership {
		return 0
	}
	return 1
}

func (s step) equal(t step) bool {
	return s.by == t.by && s.to == t.to && s.own == t.own && s.assumed == t.assumed && slices.Equal(s.needs, t.needs)
}

// need is a power in a scope: about the object of that name, or any if it is "".
type need struct {
	power power
	scope string
	name  string
}

// held is a role that one has in a scope.
type held struct {
	role  RoleKey
	scope string
}

// view is what somebody may do.
type view struct {
	cluster powers
	// in has the powers in namespaces, without those of the cluster.
	in   map[string]powers
	held []held
}

func (v *view) add(r *role, scope string) {
	v.held = append(v.held, held{r.RoleKey, scope})
	if r.rules.powers.none() {
		return
	}
	if scope == "" {
		v.cluster.add(r.rules.powers)
		return
	}
	if v.in == nil {
		v.in = make(map[string]powers)
	}
	p := v.in[scope]
	p.add(r.rules.powers)
	v.in[scope] = p
}

// reach finds out where subjects get in one step, of whom it is not known, and says whether that is elsewhere than before.
func (c *Cluster) reach() (differs bool) {
	if members := membersOf(c.changed); !members.none() { // what such a group may do adds to what its members do
		for s := range c.bySubject {
			if members.include(s) {
				c.changed[s] = true
			}
		}
	}
	alike := make(map[string][]step)
	for s := range c.changed {
		c.derived++
		steps := c.sharedReach(s, alike)
		if slices.EqualFunc(c.reaches[s], steps, step.equal) {
			continue // the graph has the ones that are there
		}
		differs = true
		if len(steps) > 0 {
			c.reaches[s] = steps
		} else {
			delete(c.reaches, s)
		}
	}
	c.changed = make(map[Subject]bool) // not cleared: it would stay as large as it was
	return differs
}

// sharedReach is deriveReach, found out and kept once for all who are bound alike: a binding may name thousands.
func (c *Cluster) sharedReach(s Subject, alike map[string][]step) []step {
	if s == Group(Masters) {
		return nil // see stepsOf
	}
	var key []byte
	for _, b := range c.bySubject[s] {
		for _, part := range []string{b.role.Namespace, b.role.Name, b.Namespace} {
			key = append(append(key, part...), 0)
		}
		if b.standard {
			key = append(key, 1)
		}
	}
	for _, g := range s.Groups() {
		if c.bySubject[g] != nil {
			key = append(append(key, 2), g.Name...)
		}
	}
	steps, known := alike[string(key)]
	if !known {
		steps = c.deriveReach(s)
		alike[string(key)] = steps
	}
	return steps
}

// deriveReach returns where a subject gets in one step by roles of its own. What it may do as a member of groups counts as far
// as it adds to that.
func (c *Cluster) deriveReach(s Subject) []step {
	var own, common view
	for _, b := range c.bySubject[s] {
		if r := c.role(b.role); r != nil {
			own.add(r, b.Namespace)
			if b.standard && r.standard {
				common.add(r, b.Namespace)
			}
		}
	}
	if len(own.held) == 0 {
		return nil
	}
	c.withGroups(s.Groups(), &own, &common)
	steps, taken := own.steps(), common.steps()
	for i := range steps {
		steps[i].own = !slices.ContainsFunc(taken, func(t step) bool { return t.by == steps[i].by && t.to == steps[i].to })
	}
	return steps
}

// stepsOf returns where a subject gets in one step, or without one as a member of a group.
func (c *Cluster) stepsOf(s Subject) []step {
	if s == Group(Masters) {
		return []step{{by: byMasters, to: place{kind: asAdmin}}}
	}
	steps := slices.Clip(c.reaches[s])
	for _, g := range s.Groups() {
		if c.reaches[g] != nil {
			steps = append(steps, step{by: byMembership, to: place{kind: asSubject, of: g}})
		}
	}
	return steps
}

// withGroups adds what groups may do where it could add to what somebody has of his own: in the cluster, and in the namespaces
// in which he has a role. Elsewhere it leads to nothing that membership does not lead to, unless he has powers in the cluster
// that the groups have not; then it is added in all namespaces.
func (c *Cluster) withGroups(groups []Subject, own, common *view) {
	within := map[string]bool{"": true}
	for _, h := range own.held {
		within[h.scope] = true
	}
	var theirs powers
	for _, g := range groups {
		for _, b := range c.bySubject[g] {
			if r := c.role(b.role); r != nil && b.Namespace == "" {
				theirs.add(r.rules.powers)
			}
		}
	}
	everywhere := (own.cluster.all|own.cluster.some)&^theirs.all != 0 ||
		slices.ContainsFunc(own.cluster.named, func(n namedPower) bool { return !theirs.hasFor(n.power, n.name) })
	for _, g := range groups {
		for _, b := range c.bySubject[g] {
			if r := c.role(b.role); r != nil && (everywhere || within[b.Namespace]) {
				own.add(r, b.Namespace)
				common.add(r, b.Namespace)
			}
		}
	}
}

// deriver puts the steps of a view together.
type deriver struct {
	*view
	list []step
}

// steps returns where somebody with the powers of a view can get in one step, always in the same order; at last those that are
// assumed.
func (v *view) steps() []step {
	sure := v.sure()
	if v.named() {
		for _, s := range v.widened().sure() {
			if s.assumed = true; !slices.ContainsFunc(sure, func(t step) bool { return s.by == t.by && s.to == t.to }) {
				sure = append(sure, s)
			}
		}
	}
	return sure
}

// named says whether any power is limited to names of what is not known here.
func (v *view) named() bool {
	is := v.cluster.some != 0
	for _, p := range v.in {
		is = is || p.some != 0
	}
	return is
}

// widened returns the view as if those powers were not limited.
func (v *view) widened() *view {
	w := &view{cluster: v.cluster, in: make(map[string]powers, len(v.in)), held: v.held}
	w.cluster.all |= v.cluster.some
	for scope, p := range v.in {
		p.all |= p.some
		w.in[scope] = p
	}
	return w
}

// sure returns the steps that are not assumed.
func (v *view) sure() []step {
	d := deriver{view: v}
	if v.cluster.has(everything) {
		d.step(byEverything, place{kind: asAdmin}, need{power: everything})
		return d.list
	}
	d.inCluster()
	scopes := map[string]bool{"": true}
	for namespace := range v.in {
		scopes[namespace] = true
	}
	for _, namespace := range v.cluster.names(changeNamespaces) {
		scopes[namespace] = true
	}
	for _, scope := range slices.Sorted(maps.Keys(scopes)) {
		d.inScope(scope)
	}
	return d.list
}

func (d *deriver) step(by means, to place, needs ...need) {
	if !slices.ContainsFunc(d.list, func(s step) bool { return s.by == by && s.to == to }) {
		d.list = append(d.list, step{by: by, to: to, needs: needs})
	}
}

// inCluster is about what is in no namespace.
func (d *deriver) inCluster() {
	p := &d.cluster
	admin := place{kind: asAdmin}
	if p.has(changeClusterRoleBindings) {
		binding := need{power: changeClusterRoleBindings}
		if p.has(bindClusterRoles) {
			d.step(byBinding, place{kind: toClusterRoles}, need{power: bindClusterRoles}, binding)
		}
		for _, name := range p.names(bindClusterRoles) {
			d.step(byBinding, roleAt(RoleKey{Name: name}, ""), need{power: bindClusterRoles, name: name}, binding)
		}
	}
	d.escalation()
	d.impersonation()
	if request, approval, ok := d.certificate(clientSigners); ok {
		for _, kind := range []placeKind{toUsers, toGroups, toAccounts} {
			d.step(byCertificate, place{kind: kind}, request, approval[0], approval[1])
		}
	}
	if request, approval, ok := d.certificate(kubeletSigners); ok {
		d.step(byNodeCertificate, place{kind: toMounted}, request, approval[0], approval[1])
	}
	if name, ok := p.one(changeWebhooks); ok {
		d.step(byWebhook, admin, need{changeWebhooks, "", name})
	}
	if policy, ok := p.one(changeMutations); ok {
		if binding, ok := p.one(changeMutationBindings); ok {
			d.step(byMutation, admin, need{changeMutations, "", policy}, need{changeMutationBindings, "", binding})
		}
	}
	if p.has(proxyNodes) {
		d.step(byNodeProxy, place{kind: toControlPlane}, need{power: proxyNodes})
		d.step(byNodeProxy, place{kind: toMounted}, need{power: proxyNodes})
	}
}

// escalation is of the roles that one has.
func (d *deriver) escalation() {
	for _, h := range d.held {
		escalate, change, scope := escalateClusterRoles, changeClusterRoles, ""
		if h.role.Namespace != "" {
			escalate, change, scope = escalateRoles, changeRoles, h.scope
		}
		if p := d.at(scope); !p.hasFor(escalate, h.role.Name) || !p.hasFor(change, h.role.Name) {
			continue
		}
		to := place{kind: asAdmin}
		if h.scope != "" {
			to = place{kind: inNamespace, scope: h.scope}
		}
		d.step(byEscalation, to, need{escalate, scope, h.role.Name}, need{change, scope, h.role.Name})
	}
}

// impersonation is of users and groups. To be in a group one must be somebody too.
func (d *deriver) impersonation() {
	p := &d.cluster
	var somebody *need
	if name, ok := p.one(impersonateUsers); ok {
		somebody = &need{impersonateUsers, "", name}
	}
	for _, scope := range append([]string{""}, slices.Sorted(maps.Keys(d.in))...) {
		if name, ok := d.at(scope).one(impersonateAccounts); ok && somebody == nil {
			somebody = &need{impersonateAccounts, scope, name}
		}
	}
	if somebody != nil {
		if p.hasFor(impersonateGroups, Masters) {
			d.step(byImpersonation, place{kind: asAdmin}, need{impersonateGroups, "", Masters}, *somebody)
		}
		for _, name := range p.names(impersonateGroups) {
			d.step(byImpersonation, place{kind: asSubject, of: Group(name)}, need{impersonateGroups, "", name}, *somebody)
		}
	}
	if p.has(impersonateUsers) {
		d.step(byImpersonation, place{kind: toUsers}, need{power: impersonateUsers})
	}
	for _, name := range p.names(impersonateUsers) {
		if !strings.HasPrefix(name, accountPrefix) { // those are ServiceAccounts to the API server
			d.step(byImpersonation, place{kind: asSubject, of: User(name)}, need{impersonateUsers, "", name})
		}
	}
}

// certificate returns what it takes to get a certificate of a signer, and whether it is there.
func (d *deriver) certificate(signers []string) (request need, approval [2]need, ok bool) {
	p := &d.cluster
	name, approves := p.one(approveRequests)
	if !approves || !p.has(createRequests) {
		return need{}, approval, false
	}
	for _, signer := range signers {
		if p.hasFor(approveSigners, signer) {
			return need{power: createRequests}, [2]need{{approveRequests, "", name}, {approveSigners, "", signer}}, true
		}
	}
	return need{}, approval, false
}

// at returns the powers in a scope, with those of the cluster.
func (d *deriver) at(scope string) *powers {
	p := powers{all: d.cluster.all, named: d.cluster.named}
	if scope != "" {
		p.add(d.in[scope])
	}
	return &p
}

// inScope is about what is in a namespace, or in all of them.
func (d *deriver) inScope(scope string) {
	p := d.at(scope)
	// can adds a step unless what it takes is not there, or is there in the cluster: then it is added there.
	can := func(by means, to place, needs ...need) {
		inCluster := true
		for i := range needs {
			if !p.hasFor(needs[i].power, needs[i].name) {
				return
			}
			if needs[i].power != createVolumes { // which is in no namespace
				needs[i].scope = scope
			}
			inCluster = inCluster && d.cluster.hasFor(needs[i].power, needs[i].name)
		}
		if scope == "" || !inCluster || by == byPodsInSpite && !d.cluster.has(changeNamespaces) {
			d.step(by, to, needs...)
		}
	}
	each := func(by means, which power, kind placeKind) {
		can(by, place{kind: kind, scope: scope}, need{power: which})
		for _, name := range p.names(which) {
			can(by, place{kind: kind, scope: scope, of: Subject{Name: name}}, need{power: which, name: name})
		}
	}
	can(byPods, place{kind: toPods, scope: scope}, need{power: createPods})
	if !p.has(createPods) { // all these lead to no more
		each(byTokens, createTokens, toAccounts)
		each(byImpersonation, impersonateAccounts, toAccounts)
		can(byExec, place{kind: toMounted, scope: scope}, need{power: execInPods})
		can(byPodChange, place{kind: toMounted, scope: scope}, need{power: changePods})
		can(byTemplates, place{kind: toTemplates, scope: scope}, need{power: changeWorkloads})
		can(byNewSecret, place{kind: toAccounts, scope: scope}, need{power: createSecrets}, need{power: readSecrets})
		each(bySecret, readSecrets, toSecrets)
	}
	can(byPodsInSpite, place{kind: onNode}, need{power: changeNamespaces, name: scope}, need{power: createPods})
	if d.cluster.has(createVolumes) {
		can(byVolumes, place{kind: onNode}, need{power: createVolumes}, need{power: createClaims}, need{power: createPods})
	}
	d.roles(scope, p, can)
}

// roles is about changing and binding roles in a namespace.
func (d *deriver) roles(scope string, p *powers, can func(means, place, ...need)) {
	where := scope
	if scope == "" {
		where = anyNamespace
	}
	binding := need{power: createRoleBindings}
	can(byNewRole, place{kind: inNamespace, scope: where}, need{power: createRoles}, need{power: escalateRoles}, need{power: bindRoles}, binding)
	can(byBinding, place{kind: toClusterRoles, scope: where}, need{power: bindClusterRoles}, binding)
	for _, name := range p.names(bindClusterRoles) {
		can(byBinding, roleAt(RoleKey{Name: name}, where), need{power: bindClusterRoles, name: name}, binding)
	}
	can(byBinding, place{kind: toRoles, scope: where}, need{power: bindRoles}, binding)
	for _, name := range p.names(bindRoles) {
		can(byBinding, place{kind: toRoles, scope: where, of: Subject{Name: name}}, need{power: bindRoles, name: name}, binding)
	}
}

// roleAt is having a role in a scope.
func roleAt(key RoleKey, scope string) place {
	return place{kind: withRole, scope: scope, of: Subject{Kind: key.Kind(), Namespace: key.Namespace, Name: key.Name}}
}

func (p *place) role() RoleKey { return RoleKey{p.of.Namespace, p.of.Name} }

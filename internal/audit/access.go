// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"hash/maphash"
	"strconv"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Role is what checks see of a Role or ClusterRole.
type Role struct {
	*rbac.RoleView
	// In is the namespace of a Role; nil of a ClusterRole.
	In *Namespace
	// FromManifests says that manifests are all that is known: others may bind the role.
	FromManifests bool
}

// Title names the role within its report: `Role "ci"`.
func (r *Role) Title() string { return r.Kind() + " " + strconv.Quote(r.Name) }

// Binding is what checks see of a RoleBinding or ClusterRoleBinding.
type Binding struct {
	*rbac.BindingView
	// In is the namespace of a RoleBinding; nil of a ClusterRoleBinding.
	In *Namespace
	// FromManifests says that manifests are all that is known: a role that is not there may be elsewhere.
	FromManifests bool
	// Unseen says what cannot be read that ways to cluster-admin may lead over; nil if nothing.
	Unseen *Unavailable
}

// Title names the binding within its report: `RoleBinding "ci"`.
func (b *Binding) Title() string { return b.Kind() + " " + strconv.Quote(b.Name) }

// RoleTitle names the role that it binds: `ClusterRole "edit"`.
func (b *Binding) RoleTitle() string { return b.Role.Kind() + " " + strconv.Quote(b.Role.Name) }

// judgeAccess judges the Roles and RoleBindings of a namespace.
func (s *Set) judgeAccess(ns *Namespace, r *Reporter) {
	if u := ns.Missing(PowerResources...); u != nil {
		if !ns.FromManifests { // which have none then
			r.run(s.access, func(_ *Check, r *Reporter) { r.SkipUnavailable(u) })
		}
		return
	}
	for _, view := range ns.Roles {
		role := &Role{RoleView: view, In: ns, FromManifests: ns.FromManifests}
		r.object = &v1alpha1.ObjectReference{Kind: rbac.KindRole, Name: view.Name}
		r.runIn(ns, s.role, func(c *Check, r *Reporter) { c.Role(role, r) })
	}
	for _, view := range ns.RoleBindings {
		binding := &Binding{BindingView: view, In: ns, FromManifests: ns.FromManifests, Unseen: ns.Powers.Unseen}
		r.object = &v1alpha1.ObjectReference{Kind: rbac.KindRoleBinding, Name: view.Name}
		r.runIn(ns, s.binding, func(c *Check, r *Reporter) { c.Binding(binding, r) })
	}
	r.object = nil
}

// EvaluateClusterRole judges a ClusterRole. It returns false if every check has passed. What it says depends on the view and on
// what else AccessInputs stands for.
func (s *Set) EvaluateClusterRole(c *Cluster, view *rbac.RoleView) (Result, bool) {
	role := &Role{RoleView: view, FromManifests: c.FromManifests}
	return s.evaluateAccess(c, KindClusterRole, view.Name, s.role, func(k *Check, r *Reporter) { k.Role(role, r) })
}

// EvaluateClusterRoleBinding judges a ClusterRoleBinding, as EvaluateClusterRole does.
func (s *Set) EvaluateClusterRoleBinding(c *Cluster, view *rbac.BindingView) (Result, bool) {
	binding := &Binding{BindingView: view, FromManifests: c.FromManifests, Unseen: c.Unseen}
	return s.evaluateAccess(c, KindClusterRoleBinding, view.Name, s.binding, func(k *Check, r *Reporter) { k.Binding(binding, r) })
}

func (s *Set) evaluateAccess(c *Cluster, kind, name string, checks []*Check, call func(*Check, *Reporter)) (Result, bool) {
	r := s.runIn(c, checks, call)
	if len(r.findings)+len(r.skips) == 0 {
		return Result{}, false
	}
	subject := Subject{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind, Name: name}
	if c.UIDOf != nil {
		subject.UID = c.UIDOf(kind, name)
	}
	return s.resultIn(c, r, subject, subject.ReportName(), len(checks)), true
}

// AccessInputs stands for all that verdicts on ClusterRoles and ClusterRoleBindings depend on besides their views: the set, what
// cannot be read, and which exceptions are in force.
func (s *Set) AccessInputs(c *Cluster) Inputs {
	i := Inputs{set: s, around: maphash.Comparable(seed, c.FromManifests)}
	for _, e := range c.inForce {
		i.exceptions += maphash.Comparable(seed, specVersion{e.UID, e.Generation})
	}
	for _, u := range c.Unavailable {
		i.around += maphash.Comparable(seed, *u)
	}
	if c.Unseen != nil {
		i.around ^= maphash.Comparable(seed, *c.Unseen)
	}
	return i
}

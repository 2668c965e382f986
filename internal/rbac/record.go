// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rbac tells what roles and their bindings allow whom, as the RBAC authorizer of Kubernetes decides it, and by which
// chain of permissions somebody becomes cluster-admin.
//
// It knows RBAC only: what ABAC, a webhook or the Node authorizer allow is not seen.
package rbac

import (
	"cmp"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Kinds of roles, bindings.
const (
	KindRole               = "Role"
	KindClusterRole        = "ClusterRole"
	KindRoleBinding        = "RoleBinding"
	KindClusterRoleBinding = "ClusterRoleBinding"
)

// Role is what is kept of a Role or ClusterRole.
type Role struct {
	// Namespace is "" for a ClusterRole.
	Namespace string
	Name      string
	Labels    map[string]string
	Rules     []rbacv1.PolicyRule
	// Aggregation is nil if the rules are the role's own.
	Aggregation []metav1.LabelSelector
}

// RoleFrom returns what is kept of a Role.
func RoleFrom(r *rbacv1.Role) *Role {
	return &Role{Namespace: r.Namespace, Name: r.Name, Labels: r.Labels, Rules: r.Rules}
}

// ClusterRoleFrom returns what is kept of a ClusterRole.
func ClusterRoleFrom(r *rbacv1.ClusterRole) *Role {
	out := &Role{Name: r.Name, Labels: r.Labels, Rules: r.Rules}
	if r.AggregationRule != nil {
		out.Aggregation = append([]metav1.LabelSelector{}, r.AggregationRule.ClusterRoleSelectors...) // not nil
	}
	return out
}

// RoleKey identifies a Role, or a ClusterRole if Namespace is "".
type RoleKey struct{ Namespace, Name string }

// Kind returns what the role is.
func (k RoleKey) Kind() string {
	if k.Namespace == "" {
		return KindClusterRole
	}
	return KindRole
}

func (k RoleKey) compare(l RoleKey) int {
	return cmp.Or(cmp.Compare(k.Namespace, l.Namespace), cmp.Compare(k.Name, l.Name))
}

// Binding is what is kept of a RoleBinding or ClusterRoleBinding.
type Binding struct {
	// Namespace is "" for a ClusterRoleBinding.
	Namespace string
	Name      string
	Labels    map[string]string
	// Role that it binds. It need not exist.
	Role RoleKey
	// Subjects, each once. Those that stand for nobody are left out: see SubjectFrom.
	Subjects []Subject
}

// BindingFrom returns what is kept of a RoleBinding or, if namespace is "", of a ClusterRoleBinding.
func BindingFrom(m *metav1.ObjectMeta, ref rbacv1.RoleRef, subjects []rbacv1.Subject) *Binding {
	b := &Binding{Namespace: m.Namespace, Name: m.Name, Labels: m.Labels, Role: RoleKey{Name: ref.Name}}
	if ref.Kind == KindRole {
		b.Role.Namespace = m.Namespace
	}
	if ref.Kind != KindClusterRole && b.Role.Namespace == "" { // a Role cannot be bound in the whole cluster, and nothing else is a role
		b.Role = RoleKey{}
	}
	seen := make(map[Subject]bool, len(subjects))
	for i := range subjects {
		if s, ok := SubjectFrom(&subjects[i], m.Namespace); ok && !seen[s] {
			seen[s] = true
			b.Subjects = append(b.Subjects, s)
		}
	}
	return b
}

// BindingKey identifies a RoleBinding, or a ClusterRoleBinding if Namespace is "".
type BindingKey struct{ Namespace, Name string }

// Kind returns what the binding is.
func (k BindingKey) Kind() string {
	if k.Namespace == "" {
		return KindClusterRoleBinding
	}
	return KindRoleBinding
}

func (b *Binding) key() BindingKey { return BindingKey{b.Namespace, b.Name} }

func (k BindingKey) compare(l BindingKey) int {
	return cmp.Or(cmp.Compare(k.Namespace, l.Namespace), cmp.Compare(k.Name, l.Name))
}

// Account is what is kept of a ServiceAccount.
type Account struct {
	// Mounted says that some Pod, or what makes Pods, mounts a token of it.
	Mounted bool
	// Unseen says that it may be mounted all the same: Pods are not seen, or not all that makes them.
	Unseen bool
	// TokenSecrets are the Secrets known to hold a token of it, by name.
	TokenSecrets []string
	// Assumed says that it is taken to exist, without having been seen.
	Assumed bool
}

// HostPathAllowed says whether Pod Security lets Pods of a namespace with these labels mount folders of their node. Where no
// level is set it does, as far as can be seen: an API server can be configured otherwise.
func HostPathAllowed(labels map[string]string) bool {
	level, set := labels["pod-security.kubernetes.io/enforce"]
	return !set || level == "privileged" // to the API server, what is not valid is "restricted"
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
	"github.com/kubersafe/kubersafe/internal/shard"
)

func roleOf(namespace, name, verb, group, resource string) *rbacv1.Role {
	return &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}}},
	}
}

func clusterRoleOf(name, verb, group, resource string) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: roleOf("", name, verb, group, resource).Rules}
}

func accountSubject(namespace, name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: name}
}

func bindingOf(namespace, name, kind, role string, subjects ...rbacv1.Subject) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, RoleRef: rbacv1.RoleRef{Kind: kind, Name: role}, Subjects: subjects,
	}
}

func clusterBindingOf(name, role string, subjects ...rbacv1.Subject) *rbacv1.ClusterRoleBinding {
	b := bindingOf("", name, rbac.KindClusterRole, role, subjects...)
	return &rbacv1.ClusterRoleBinding{ObjectMeta: b.ObjectMeta, RoleRef: b.RoleRef, Subjects: b.Subjects}
}

func mustAdd(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestPowersFollow changes what decides over the powers of ServiceAccounts, one thing after the other, and looks at whom it is
// told of and what they can do then.
func TestPowersFollow(t *testing.T) {
	s := New(offline(t))
	for _, name := range []string{"shop", "tools", "other"} {
		mustAdd(t, s.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}),
			s.serviceAccounts.Add(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "app"}}))
	}
	syncAll(s)
	var told []string
	s.OnEvent(func(e Event) {
		if e.Resource == audit.RoleBindings {
			told = append(told, fmt.Sprint(e.Namespace, e.StateChanged))
		}
	})
	of := func(namespace string) rbac.Power {
		i, _ := s.Inventory(namespace)
		return i.Powers.Of("app")
	}
	roles, clusterRoles := s.roles[audit.Roles], s.roles[audit.ClusterRoles]
	bindings, clusterBindings := s.bindings[audit.RoleBindings], s.bindings[audit.ClusterRoleBindings]
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "tools", Name: "app"}, Spec: corev1.PodSpec{ServiceAccountName: "app"}}
	for _, step := range []struct {
		what   string
		change func() error
		told   []string
		// shop, tools are the powers of the ServiceAccounts app.
		shop, tools rbac.Power
	}{
		{what: "nothing yet", told: []string{"true"}},
		{what: "nothing again"},
		{what: "a role that nobody has", change: func() error { return clusterRoles.Add(clusterRoleOf("secrets", "list", "", "secrets")) }},
		{
			what: "a binding to it",
			change: func() error {
				return bindings.Add(bindingOf("other", "app", rbac.KindClusterRole, "secrets", accountSubject("shop", "app")))
			},
			told: []string{"otherfalse", "shopfalse"}, shop: rbac.Power{Granted: true, Secrets: rbac.OtherSecrets},
		},
		{
			what: "one of another ServiceAccount in the cluster: those that can be no more than before are not told of",
			change: func() error {
				return clusterBindings.Add(clusterBindingOf("tools", "admin", accountSubject("tools", "app")))
			},
			shop: rbac.Power{Granted: true, Secrets: rbac.OtherSecrets},
		},
		{
			what: "the role that it is bound to", change: func() error { return clusterRoles.Add(clusterRoleOf("admin", "*", "*", "*")) },
			told: []string{"toolsfalse"}, shop: rbac.Power{Granted: true, Secrets: rbac.OtherSecrets}, tools: rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1},
		},
		{
			what: "one may run commands in the other's Pods, but it has none",
			change: func() error {
				mustAdd(t, clusterRoles.Add(clusterRoleOf("exec", "create", "", "pods/exec")))
				return bindings.Add(bindingOf("tools", "shop", rbac.KindClusterRole, "exec", accountSubject("shop", "app")))
			},
			told: []string{"toolsfalse"}, shop: rbac.Power{Granted: true, Secrets: rbac.OtherSecrets}, tools: rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1},
		},
		{
			what: "now it has one", change: func() error { return s.pods.Add(pod) },
			told: []string{"shopfalse"}, shop: rbac.Power{Granted: true, Secrets: rbac.OtherSecrets, Steps: 2}, tools: rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1},
		},
		{
			what: "the Pod is gone", change: func() error { return s.pods.Delete(pod) },
			told: []string{"shopfalse"}, shop: rbac.Power{Granted: true, Secrets: rbac.OtherSecrets}, tools: rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1},
		},
		{
			what: "all ServiceAccounts of a namespace",
			change: func() error {
				mustAdd(t, roles.Add(roleOf("shop", "config", "get", "", "configmaps")))
				return bindings.Add(bindingOf("shop", "all", rbac.KindRole, "config", rbacv1.Subject{Kind: rbacv1.GroupKind, Name: "system:serviceaccounts:shop"}))
			},
			told: []string{"shopfalse"}, shop: rbac.Power{Granted: true, Secrets: rbac.OtherSecrets}, tools: rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1},
		},
		{
			what: "the binding is gone", change: func() error {
				return bindings.Delete(bindingOf("other", "app", rbac.KindClusterRole, "secrets", accountSubject("shop", "app")))
			},
			told: []string{"otherfalse", "shopfalse"}, shop: rbac.Power{Granted: true}, tools: rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1},
		},
		{
			what: "a namespace of which nothing was known", change: func() error { return s.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "new"}}) },
			shop: rbac.Power{Granted: true}, tools: rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1},
		},
	} {
		told = nil
		if step.change != nil {
			mustAdd(t, step.change())
		}
		s.updatePowers()
		if diff := cmp.Diff(step.told, told); diff != "" {
			t.Errorf("%s: told of (-want +got):\n%s", step.what, diff)
		}
		if shop, tools := of("shop"), of("tools"); shop != step.shop || tools != step.tools {
			t.Errorf("%s: shop %+v, want %+v; tools %+v, want %+v", step.what, shop, step.shop, tools, step.tools)
		}
	}
	forbid(watcherOf(t, s, audit.ClusterRoleBindings))
	if got := of("tools"); got != (rbac.Power{}) {
		t.Errorf("what can no longer be read is trusted: %+v", got)
	}
}

// TestPowersOfShards: bindings in all namespaces decide. Of the namespaces of other shards it is not read who is there.
func TestPowersOfShards(t *testing.T) {
	s := NewShard(offline(t), shard.Shard{Index: 0, Count: 2}) // see ofFirst
	syncAll(s)
	mustAdd(t,
		s.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ofFirst}}), s.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ofSecond}}),
		s.serviceAccounts.Add(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ofFirst, Name: "app"}}),
		s.roles[audit.ClusterRoles].Add(clusterRoleOf("admin", "*", "*", "*")), s.roles[audit.ClusterRoles].Add(clusterRoleOf("exec", "create", "", "pods/exec")),
		s.bindings[audit.ClusterRoleBindings].Add(clusterBindingOf("admin", "admin", accountSubject(ofSecond, "app"))),
		s.bindings[audit.RoleBindings].Add(bindingOf(ofSecond, "app", rbac.KindClusterRole, "exec", accountSubject(ofFirst, "app"))),
	)
	s.updatePowers()
	i, _ := s.Inventory(ofFirst)
	if got := i.Powers.Of("app"); got != (rbac.Power{Granted: true, Steps: 2}) {
		t.Errorf("got %+v", got)
	}
	if got := s.Namespaces(); !cmp.Equal(got, []string{ofFirst}) {
		t.Errorf("namespaces %v", got)
	}
	mustAdd(t, s.bindings[audit.ClusterRoleBindings].Delete(clusterBindingOf("admin", "admin")))
	s.updatePowers()
	i, _ = s.Inventory(ofFirst)
	if got := i.Powers.Of("app"); got != (rbac.Power{Granted: true}) {
		t.Errorf("nobody is left: got %+v", got)
	}
}

// Roles and bindings of the benchmarks: in each namespace a Role and four RoleBindings for ServiceAccounts; every hundredth
// deploys, and one in the cluster may do everything.
const benchNamespaces, benchBindings = 5000, 4

func fillRBAC(b *testing.B, s *Sources) {
	b.Helper()
	for i := range benchNamespaces {
		namespace := fmt.Sprint("namespace-", i)
		mustAdd(b, s.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, UID: "u"}}))
		role := roleOf(namespace, "app", "get", "", "configmaps")
		if i%100 == 0 {
			role = roleOf(namespace, "app", "create", "apps", "deployments")
		}
		update(b, s.roles[audit.Roles], role, &rbacv1.Role{})
		for j := range benchBindings {
			update(b, s.bindings[audit.RoleBindings], benchBinding(i, j), &rbacv1.RoleBinding{})
		}
	}
	update(b, s.roles[audit.ClusterRoles], clusterRoleOf("cluster-admin", "*", "*", "*"), &rbacv1.ClusterRole{})
	update(b, s.bindings[audit.ClusterRoleBindings], clusterBindingOf("admin", "cluster-admin", accountSubject("namespace-0", "app-0")), &rbacv1.ClusterRoleBinding{})
}

func benchBinding(i, j int) *rbacv1.RoleBinding {
	namespace := fmt.Sprint("namespace-", i)
	return bindingOf(namespace, fmt.Sprint("binding-", j), rbac.KindRole, "app", accountSubject(namespace, fmt.Sprint("app-", j)))
}

// BenchmarkPowersCold reads 20,000 bindings and 5,000 roles, and finds out what everybody may do.
func BenchmarkPowersCold(b *testing.B) {
	for b.Loop() {
		s := New(offline(b))
		before := liveHeap()
		fillRBAC(b, s)
		s.updatePowers()
		b.ReportMetric(float64(liveHeap()-before)/(benchNamespaces*benchBindings), "B/binding")
		runtime.KeepAlive(s)
	}
}

// BenchmarkPowersChange changes one binding, and finds out whom that concerns: one that leads nowhere, and one that does.
func BenchmarkPowersChange(b *testing.B) {
	for name, i := range map[string]int{"harmless": 7, "leading": 100} {
		b.Run(name, func(b *testing.B) {
			s := New(offline(b))
			fillRBAC(b, s)
			s.updatePowers()
			told := 0
			s.OnEvent(func(e Event) {
				if e.Resource == audit.RoleBindings && e.Namespace != "" {
					told++
				}
			})
			told = 0
			for n := 0; b.Loop(); n++ {
				changed := benchBinding(i, 0)
				if n%2 == 0 {
					changed.Subjects = append(changed.Subjects, accountSubject("namespace-9", "app-0"))
				}
				mustAdd(b, s.bindings[audit.RoleBindings].Update(changed))
				s.updatePowers()
			}
			b.ReportMetric(float64(told)/float64(b.N), "namespaces/op")
		})
	}
}

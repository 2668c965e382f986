// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac_test

import (
	"fmt"
	"runtime"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/internal/rbac"
)

// A cluster with many tenants: in each namespace three ServiceAccounts, two Roles and five RoleBindings; beside the defaults.
const (
	benchNamespaces = 10_000
	benchBindings   = 5
)

func benchNamespace(i int) string { return fmt.Sprintf("namespace-%d", i) }

func benchRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{""}, Resources: []string{"pods", "configmaps", "services"}},
		{Verbs: []string{"get", "create", "update"}, APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}},
	}
}

func largeCluster() *rbac.Cluster {
	c := fresh()
	c.SetControlPlaneOnNodes(true)
	for i := range benchNamespaces {
		name := benchNamespace(i)
		c.SetNamespace(name, i%2 == 0)
		for _, account := range []string{"default", "app", "deployer"} {
			c.SetAccount(name, account, rbac.Account{Mounted: account == "app"})
		}
		c.SetRole(&rbac.Role{Namespace: name, Name: "app", Rules: benchRules()})
		c.SetRole(&rbac.Role{Namespace: name, Name: "deployer", Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"*"}, APIGroups: []string{"apps"}, Resources: []string{"deployments"}},
		}})
		for j := range benchBindings {
			c.SetBinding(benchBinding(i, j))
		}
	}
	return c
}

func benchBinding(i, j int) *rbac.Binding {
	name := benchNamespace(i)
	b := &rbac.Binding{Namespace: name, Name: fmt.Sprintf("binding-%d", j)}
	switch j {
	case 0:
		b.Role, b.Subjects = rbac.RoleKey{Namespace: name, Name: "app"}, []rbac.Subject{rbac.ServiceAccount(name, "app")}
	case 1:
		b.Role, b.Subjects = rbac.RoleKey{Namespace: name, Name: "deployer"}, []rbac.Subject{rbac.ServiceAccount(name, "deployer")}
	case 2:
		b.Role, b.Subjects = rbac.RoleKey{Name: "edit"}, []rbac.Subject{rbac.Group(fmt.Sprintf("team-%d", i%500))}
	case 3:
		b.Role, b.Subjects = rbac.RoleKey{Name: "view"}, []rbac.Subject{rbac.Group("staff"), rbac.User(fmt.Sprintf("user-%d", i))}
	default:
		b.Role, b.Subjects = rbac.RoleKey{Name: "view"}, []rbac.Subject{rbac.ServiceAccount("monitoring", "prometheus")}
	}
	return b
}

// BenchmarkLarge builds the cluster, and finds all paths in it.
func BenchmarkLarge(b *testing.B) {
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		c := largeCluster()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(benchNamespaces*benchBindings), "heap-bytes/binding")
		paths := len(c.Paths())
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(benchNamespaces*benchBindings), "heap-bytes/binding-with-paths")
		b.ReportMetric(float64(paths), "paths")
		runtime.KeepAlive(c)
	}
}

// BenchmarkChange changes one binding, and asks for one path.
func BenchmarkChange(b *testing.B) {
	c := largeCluster()
	c.Paths()
	before := c.Derived()
	for i := 0; b.Loop(); i++ {
		changed := benchBinding(7, 0)
		changed.Subjects = append(changed.Subjects, rbac.User(fmt.Sprint(i)))
		c.SetBinding(changed)
		c.Path(rbac.ServiceAccount(benchNamespace(7), "app"))
	}
	b.ReportMetric(float64(c.Derived()-before)/float64(b.N), "derived/op")
}

// BenchmarkBindingOnly changes one binding, and asks for nothing.
func BenchmarkBindingOnly(b *testing.B) {
	c := largeCluster()
	for i := 0; b.Loop(); i++ {
		changed := benchBinding(7, 0)
		changed.Subjects = append(changed.Subjects, rbac.User(fmt.Sprint(i)))
		c.SetBinding(changed)
	}
}

func BenchmarkWhoCan(b *testing.B) {
	c := largeCluster()
	for b.Loop() {
		c.WhoCan(rbac.Request{Verb: "get", Resource: "secrets"}, true)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// accessOf returns ClusterRoles and ClusterRoleBindings as they are to be judged now.
func accessOf(c *rbac.Cluster, now time.Time) *audit.Cluster {
	c.TakeChanges()
	i := audit.ClusterInventory{UIDOf: func(_, name string) audit.UID { return audit.UIDOf("uid") }}
	i.Roles, i.RoleBindings = c.Views()
	return audit.NewCluster(i, now)
}

func reads(resource string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{resource}}}
}

func boundTo(name, role string, subjects ...rbac.Subject) *rbac.Binding {
	return &rbac.Binding{Name: name, Role: rbac.RoleKey{Name: role}, Subjects: subjects}
}

// TestJudgeClusterKeepsVerdicts changes one thing after the other, and looks at what is judged again: a verdict that is kept is the
// same entry.
func TestJudgeClusterKeepsVerdicts(t *testing.T) {
	judged := make(map[string]int)
	check := func(id string, sort string) audit.Check {
		c := audit.Check{
			ID: id, Title: "T", Severity: v1alpha1.SeverityLow, Category: audit.CategoryAccess, Rationale: "R.", Remediation: "R.", Before: "b", After: "a",
		}
		find := func(name string, r *audit.Reporter) {
			if judged[name]++; name != "clean" {
				r.Find(audit.Finding{Message: "m", Path: "p"})
			}
		}
		if sort == "role" {
			c.Role = func(role *audit.Role, r *audit.Reporter) { find(role.Name, r) }
		} else {
			c.Binding = func(b *audit.Binding, r *audit.Reporter) { find(b.Name, r) }
		}
		return c
	}
	set, err := audit.NewSet([]audit.Check{check("role", "role"), check("binding", "binding")})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	c := rbac.NewCluster(false)
	c.SetRole(&rbac.Role{Name: "pods", Rules: reads("pods")})
	c.SetRole(&rbac.Role{Name: "clean", Rules: reads("pods")})
	c.SetBinding(boundTo("pods-dev", "pods", rbac.Group("dev")))
	var (
		kept    Kept
		entries Entries
	)
	for _, step := range []struct {
		what    string
		change  func()
		missing bool
		judged  map[string]int
		reports []string
	}{
		{what: "all at first", judged: map[string]int{"pods": 1, "clean": 1, "pods-dev": 1}, reports: []string{"clusterrole-pods", "clusterrolebinding-pods-dev"}},
		{what: "nothing again", judged: map[string]int{}, reports: []string{"clusterrole-pods", "clusterrolebinding-pods-dev"}},
		{
			what: "a binding, and with its role only whom it binds first", change: func() { c.SetBinding(boundTo("clean-dev", "clean", rbac.Group("dev"))) },
			judged: map[string]int{"clean": 1, "clean-dev": 1}, reports: []string{"clusterrole-pods", "clusterrolebinding-clean-dev", "clusterrolebinding-pods-dev"},
		},
		{
			what: "one more of a role that is bound", change: func() { c.SetBinding(boundTo("clean-ops", "clean", rbac.Group("ops"))) },
			judged:  map[string]int{"clean-ops": 1},
			reports: []string{"clusterrole-pods", "clusterrolebinding-clean-dev", "clusterrolebinding-clean-ops", "clusterrolebinding-pods-dev"},
		},
		{
			what: "two that go", change: func() {
				c.DeleteBinding(rbac.BindingKey{Name: "clean-ops"})
				c.DeleteBinding(rbac.BindingKey{Name: "clean-dev"})
			},
			judged: map[string]int{"clean": 1}, reports: []string{"clusterrole-pods", "clusterrolebinding-pods-dev"},
		},
		{
			what: "a resource that cannot be read any more concerns all", missing: true,
			judged: map[string]int{"pods": 1, "clean": 1, "pods-dev": 1}, reports: []string{"clusterrole-pods", "clusterrolebinding-pods-dev"},
		},
	} {
		clear(judged)
		if step.change != nil {
			step.change()
		}
		in := accessOf(c, now)
		if step.missing {
			in.Unavailable = map[audit.Resource]*audit.Unavailable{audit.Nodes: {Resource: audit.Nodes}}
		}
		verdicts := JudgeCluster(set, in, Previous{Entries: entries}, &kept, now)
		entries = make(Entries)
		for _, v := range verdicts {
			if entries[v.Report] = v.Entry; v.Build == nil {
				t.Errorf("%s: %s has no report", step.what, v.Report)
			}
		}
		var reports []string
		for _, name := range []string{"clusterrole-clean", "clusterrole-pods", "clusterrolebinding-clean-dev", "clusterrolebinding-clean-ops", "clusterrolebinding-pods-dev"} {
			if entries[name] != nil {
				reports = append(reports, name)
			}
		}
		if diff := cmp.Diff(step.reports, reports); diff != "" {
			t.Errorf("%s: reports (-want +got):\n%s", step.what, diff)
		}
		if diff := cmp.Diff(step.judged, judged); diff != "" {
			t.Errorf("%s: judged (-want +got):\n%s", step.what, diff)
		}
	}
}

func TestKeptVerdictsDoNotPileUp(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	now, c := time.Now(), rbac.NewCluster(false)
	c.SetRole(&rbac.Role{Name: "pods", Rules: reads("pods")})
	var kept Kept
	for i := range 500 {
		c.SetBinding(boundTo("dev", "pods", rbac.Group(fmt.Sprint("dev-", i))))
		JudgeCluster(set, accessOf(c, now), Previous{}, &kept, now)
	}
	if n := len(kept.roles) + len(kept.bindings); n > 100 {
		t.Errorf("%d verdicts are kept on two views", n)
	}
}

// Of the benchmarks' roles each is bound four times; every hundredth leads to cluster-admin, every tenth is a finding.
const benchRoles, benchBindings = 5000, 20000

func benchAccess() *rbac.Cluster {
	c := rbac.NewCluster(false)
	everything := []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}
	c.SetRole(&rbac.Role{Name: "cluster-admin", Rules: everything})
	c.SetAccount("tools", "admin", rbac.Account{Mounted: true})
	c.SetBinding(boundTo("admin", "cluster-admin", rbac.ServiceAccount("tools", "admin")))
	for i := range benchRoles {
		rules := reads("pods")
		switch {
		case i%100 == 0:
			rules = []rbacv1.PolicyRule{{Verbs: []string{"create"}, APIGroups: []string{""}, Resources: []string{"pods/exec"}}}
		case i%10 == 0:
			rules = reads("secrets")
		}
		c.SetRole(&rbac.Role{Name: fmt.Sprint("role-", i), Rules: rules})
	}
	for i := range benchBindings {
		c.SetBinding(benchBinding(i, ""))
	}
	return c
}

func benchBinding(i int, more string) *rbac.Binding {
	return boundTo(fmt.Sprint("binding-", i), fmt.Sprint("role-", i%benchRoles), rbac.Group(fmt.Sprint("group-", i%1000, more)))
}

// BenchmarkAccessCold judges 5,000 ClusterRoles and 20,000 ClusterRoleBindings of which nothing is known.
func BenchmarkAccessCold(b *testing.B) {
	set, err := checks.Default()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var kept Kept
		now := time.Now()
		verdicts := JudgeCluster(set, accessOf(benchAccess(), now), Previous{}, &kept, now)
		b.ReportMetric(float64(len(verdicts)), "verdicts")
	}
}

// BenchmarkAccessChange judges again after a change of one binding: of one that leads nowhere, and of one that does.
func BenchmarkAccessChange(b *testing.B) {
	set, err := checks.Default()
	if err != nil {
		b.Fatal(err)
	}
	for name, i := range map[string]int{"harmless": 7, "leading": 100} {
		b.Run(name, func(b *testing.B) {
			c, book, now := benchAccess(), New(), time.Now()
			var kept Kept
			judge := func() {
				verdicts := JudgeCluster(set, accessOf(c, now), Previous{Entries: book.Get("")}, &kept, now)
				entries := make(Entries, len(verdicts))
				for _, v := range verdicts {
					entries[v.Report] = v.Entry
				}
				book.Put("", set, entries)
			}
			judge()
			for n := 0; b.Loop(); n++ {
				c.SetBinding(benchBinding(i, fmt.Sprint(n%2)))
				judge()
			}
		})
	}
}

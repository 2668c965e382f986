// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func ruleFor(verb, group, resource string) []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}}}
}

// TestViewsFollow changes one thing after the other. What is known of everything then must be what is known of a cluster that has
// come about at once, views of which nothing has changed must be the very same ones, and namespaces must be told of whose bindings
// lead elsewhere.
func TestViewsFollow(t *testing.T) {
	c := NewCluster(false)
	type seen struct {
		roles    map[string]*RoleView
		bindings map[string]*BindingView
	}
	look := func() seen {
		s := seen{make(map[string]*RoleView), make(map[string]*BindingView)}
		roles, bindings := c.Views()
		for _, r := range roles {
			s.roles[r.Name] = r
		}
		for _, b := range bindings {
			s.bindings[b.Name] = b
		}
		return s
	}
	group := Group("dev")
	for _, step := range []struct {
		what   string
		change func()
		// replaced are the views that are other ones than before, or gone.
		replaced   string
		namespaces string
	}{
		{
			what: "a role of nobody", change: func() { c.SetRole(&Role{Name: "exec", Rules: ruleFor("create", "", "pods/exec")}) },
			replaced: "exec",
		},
		{what: "nothing", change: func() {}},
		{
			what: "the same again", change: func() { c.SetRole(&Role{Name: "exec", Rules: ruleFor("create", "", "pods/exec")}) },
		},
		{
			what: "somebody in a namespace has it", change: func() {
				c.SetBinding(&Binding{Namespace: "shop", Name: "exec", Role: RoleKey{Name: "exec"}, Subjects: []Subject{group}})
			},
			replaced: "exec", namespaces: "shop",
		},
		{
			what: "one more", change: func() {
				c.SetBinding(&Binding{Namespace: "shop", Name: "more", Role: RoleKey{Name: "exec"}, Subjects: []Subject{group}})
			},
			namespaces: "shop",
		},
		{
			what: "an administrator, who is not there yet", change: func() {
				c.SetRole(&Role{Name: "cluster-admin", Rules: ruleFor("*", "*", "*")})
				c.SetBinding(&Binding{Name: "admin", Role: RoleKey{Name: "cluster-admin"}, Subjects: []Subject{ServiceAccount("shop", "admin")}})
			},
			replaced: "admin cluster-admin",
		},
		{
			what: "is there", change: func() { c.SetAccount("shop", "admin", Account{}) },
			replaced: "admin",
		},
		{
			what: "has a Pod, so the bindings in its namespace lead to it", change: func() { c.SetAccount("shop", "admin", Account{Mounted: true}) },
			namespaces: "shop",
		},
		{
			what: "the role is a part of another one", change: func() {
				c.SetRole(&Role{Name: "all", Rules: ruleFor("create", "", "pods/exec"), Aggregation: []metav1.LabelSelector{{MatchLabels: map[string]string{"a": "b"}}}})
				c.SetRole(&Role{Name: "exec", Labels: map[string]string{"a": "b"}, Rules: ruleFor("create", "", "pods/exec")})
			},
			replaced: "all exec",
		},
		{
			what: "which is bound in the cluster", change: func() { c.SetBinding(&Binding{Name: "all", Role: RoleKey{Name: "all"}, Subjects: []Subject{group}}) },
			replaced: "all all exec", namespaces: "shop",
		},
		{
			what: "and is gone", change: func() { c.DeleteRole(RoleKey{Name: "all"}) },
			replaced: "all all exec", namespaces: "shop",
		},
		{
			what: "a part of a part of what is bound", change: func() {
				c.SetRole(&Role{Name: "outer", Aggregation: []metav1.LabelSelector{{MatchLabels: map[string]string{"in": "outer"}}}})
				c.SetRole(&Role{Name: "inner", Labels: map[string]string{"in": "outer"}, Aggregation: []metav1.LabelSelector{{MatchLabels: map[string]string{"in": "inner"}}}})
				c.SetRole(&Role{Name: "piece", Labels: map[string]string{"in": "inner"}})
				c.SetBinding(&Binding{Name: "outer", Role: RoleKey{Name: "outer"}, Subjects: []Subject{group}})
			},
			replaced: "inner outer outer piece",
		},
		{
			what: "the part in between is none any more, and its parts are not", change: func() {
				c.SetRole(&Role{Name: "inner", Aggregation: []metav1.LabelSelector{{MatchLabels: map[string]string{"in": "inner"}}}})
			},
			replaced: "inner piece",
		},
		{
			what: "the administrator's binding is gone", change: func() { c.DeleteBinding(BindingKey{Name: "admin"}) },
			replaced: "admin cluster-admin", namespaces: "shop",
		},
	} {
		before := look()
		step.change()
		changes := c.TakeChanges()
		after := look()
		var replaced []string
		for name, view := range before.roles {
			if after.roles[name] != view {
				replaced = append(replaced, name)
			}
		}
		for name, view := range before.bindings {
			if after.bindings[name] != view {
				replaced = append(replaced, name)
			}
		}
		for name := range after.roles {
			if before.roles[name] == nil {
				replaced = append(replaced, name)
			}
		}
		for name := range after.bindings {
			if before.bindings[name] == nil {
				replaced = append(replaced, name)
			}
		}
		slices.Sort(replaced)
		var namespaces []string
		for name := range changes.Namespaces {
			namespaces = append(namespaces, name)
		}
		if got := strings.Join(replaced, " "); got != step.replaced {
			t.Errorf("%s: replaced %q, want %q", step.what, got, step.replaced)
		}
		if changes.Views != (len(replaced) > 0) {
			t.Errorf("%s: told that views differ: %v", step.what, changes.Views)
		}
		if got := strings.Join(namespaces, " "); got != step.namespaces {
			t.Errorf("%s: namespaces %q, want %q", step.what, got, step.namespaces)
		}
	}
}

// TestViewsAgreeWithAFreshCluster changes a world at random, and compares what is known of it with what is known of one that is made at
// once.
func TestViewsAgreeWithAFreshCluster(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 7))
		pick := func(of ...string) string { return of[random.IntN(len(of))] }
		c := NewCluster(false)
		roles, bindings, accounts := make(map[RoleKey]*Role), make(map[BindingKey]*Binding), make(map[Subject]Account)
		for range 60 {
			namespace := pick("", "", "a", "b")
			switch random.IntN(5) {
			case 0, 1:
				r := &Role{Namespace: namespace, Name: pick("one", "two", "three"), Rules: slices.Concat(
					ruleFor(pick("get", "create", "*"), "", pick("secrets", "pods", "pods/exec", "configmaps", "*")),
					ruleFor(pick("get", "*"), pick("", "*"), pick("pods", "*")))[:1+random.IntN(2)]}
				if namespace == "" {
					r.Labels = map[string]string{"a": pick("b", "c", "d")}
				}
				if namespace == "" && random.IntN(2) == 0 {
					r.Aggregation = []metav1.LabelSelector{{MatchLabels: map[string]string{"a": pick("b", "c", "d")}}}
				}
				if random.IntN(4) == 0 {
					delete(roles, r.key())
					c.DeleteRole(r.key())
					break
				}
				roles[r.key()] = r
				c.SetRole(r)
			case 2, 3:
				b := &Binding{Namespace: namespace, Name: pick("one", "two", "three"), Role: RoleKey{pick("", namespace), pick("one", "two", "three")}}
				for range random.IntN(3) {
					if s := (Subject{"ServiceAccount", pick("a", "b"), pick("x", "y")}); !slices.Contains(b.Subjects, s) {
						b.Subjects = append(b.Subjects, s)
					}
				}
				if random.IntN(4) == 0 {
					delete(bindings, b.key())
					c.DeleteBinding(b.key())
					break
				}
				bindings[b.key()] = b
				c.SetBinding(b)
			case 4:
				s, a := ServiceAccount(pick("a", "b"), pick("x", "y")), Account{Mounted: random.IntN(2) == 0, Assumed: random.IntN(2) == 0}
				if random.IntN(3) == 0 {
					delete(accounts, s)
					c.DeleteAccount(s.Namespace, s.Name)
					break
				}
				accounts[s] = a
				c.SetAccount(s.Namespace, s.Name, a)
			}
			if random.IntN(3) == 0 {
				c.TakeChanges()
			}
		}
		c.TakeChanges()
		fresh := NewCluster(false)
		for _, r := range roles {
			fresh.SetRole(r)
		}
		for _, b := range bindings {
			fresh.SetBinding(b)
		}
		for s, a := range accounts {
			fresh.SetAccount(s.Namespace, s.Name, a)
		}
		fresh.TakeChanges()
		if diff := gocmp.Diff(shown(fresh), shown(c)); diff != "" {
			t.Fatalf("seed %d (-at once +step by step):\n%s", seed, diff)
		}
		got := make(map[string]Extent)
		for name, v := range roleViews(c) {
			got[name] = v.Bound
		}
		if diff := gocmp.Diff(naiveExtents(roles, bindings), got); diff != "" {
			t.Fatalf("seed %d: how far ClusterRoles are bound (-naive +got):\n%s", seed, diff)
		}
	}
}

// TestPendingBindings: where a RoleBinding leads is not known from the time it changes until changes are taken, which has its namespace
// judged again.
func TestPendingBindings(t *testing.T) {
	c := NewCluster(false)
	c.SetRole(&Role{Name: "cluster-admin", Rules: ruleFor("*", "*", "*")})
	c.SetBinding(&Binding{Name: "admin", Role: RoleKey{Name: "cluster-admin"}, Subjects: []Subject{ServiceAccount("shop", "admin")}})
	c.SetAccount("shop", "admin", Account{Mounted: true})
	c.SetRole(&Role{Name: "exec", Rules: ruleFor("create", "", "pods/exec")})
	c.SetRole(&Role{Name: "read", Rules: ruleFor("get", "", "configmaps")})
	c.TakeChanges()
	for _, step := range []struct {
		what    string
		change  func()
		pending bool
		steps   int
	}{
		{what: "one that leads", change: func() {
			c.SetBinding(&Binding{Namespace: "shop", Name: "dev", Role: RoleKey{Name: "exec"}, Subjects: []Subject{Group("dev")}})
		}, pending: true, steps: 2},
		{what: "for others", change: func() {
			c.SetBinding(&Binding{Namespace: "shop", Name: "dev", Role: RoleKey{Name: "exec"}, Subjects: []Subject{Group("ops"), ServiceAccount("shop", "ci")}})
		}, pending: true, steps: 2},
		{what: "another role", change: func() { c.SetRole(&Role{Name: "exec", Rules: ruleFor("get", "", "pods/exec")}) }, pending: true, steps: 2},
		{what: "a subject that is there now", change: func() { c.SetAccount("shop", "ci", Account{}) }, steps: 2},
		{what: "a role that leads nowhere", change: func() {
			c.SetBinding(&Binding{Namespace: "shop", Name: "dev", Role: RoleKey{Name: "read"}, Subjects: []Subject{Group("ops")}})
		}},
	} {
		step.change()
		if _, views := c.ViewsIn("shop"); views[0].Pending != step.pending || step.pending && views[0].Steps != 0 {
			t.Errorf("%s: before changes are taken: pending %v, %d steps", step.what, views[0].Pending, views[0].Steps)
		}
		if changes := c.TakeChanges(); step.pending && !changes.Namespaces["shop"] {
			t.Errorf("%s: the namespace is not judged again", step.what)
		}
		if _, views := c.ViewsIn("shop"); views[0].Pending || views[0].Steps != step.steps {
			t.Errorf("%s: pending %v, %d steps, want %d", step.what, views[0].Pending, views[0].Steps, step.steps)
		}
	}
}

// TestWaysEndTogether: a role in a namespace leads to cluster-admin no more, while one of its bindings there changes too. The others
// must be told of it as well.
func TestWaysEndTogether(t *testing.T) {
	c := NewCluster(false)
	c.SetRole(&Role{Name: "cluster-admin", Rules: ruleFor("*", "*", "*")})
	c.SetBinding(&Binding{Name: "admin", Role: RoleKey{Name: "cluster-admin"}, Subjects: []Subject{ServiceAccount("shop", "admin")}})
	c.SetAccount("shop", "admin", Account{Mounted: true})
	c.SetRole(&Role{Name: "exec", Rules: ruleFor("create", "", "pods/exec")})
	for _, name := range []string{"changes", "stays"} {
		c.SetBinding(&Binding{Namespace: "shop", Name: name, Role: RoleKey{Name: "exec"}, Subjects: []Subject{Group("dev")}})
	}
	c.TakeChanges()
	c.SetBinding(&Binding{Namespace: "shop", Name: "changes", Role: RoleKey{Name: "exec"}, Subjects: []Subject{Group("ops")}})
	c.DeleteBinding(BindingKey{Name: "admin"})
	c.TakeChanges()
	_, views := c.ViewsIn("shop")
	for _, v := range views {
		if v.Steps != 0 {
			t.Errorf("%s is %d steps from cluster-admin", v.Name, v.Steps)
		}
	}
}

func roleViews(c *Cluster) map[string]*RoleView {
	views := make(map[string]*RoleView)
	roles, _ := c.Views()
	for _, v := range roles {
		views[v.Name] = v
	}
	return views
}

// naiveExtents says how far ClusterRoles are bound: what is bound hands on to all that it collects, until nothing changes.
func naiveExtents(roles map[RoleKey]*Role, bindings map[BindingKey]*Binding) map[string]Extent {
	extents := make(map[string]Extent)
	for key := range roles {
		if key.Namespace == "" {
			extents[key.Name] = Unbound
		}
	}
	for key, b := range bindings {
		if _, there := extents[b.Role.Name]; !there || b.Role.Namespace != "" || len(b.Subjects) == 0 {
			continue
		}
		extent := InNamespaces
		if key.Namespace == "" {
			extent = InCluster
		}
		extents[b.Role.Name] = max(extents[b.Role.Name], extent)
	}
	for range roles {
		for _, a := range roles {
			for _, piece := range roles {
				if piece.Namespace == "" && len(a.Aggregation) > 0 && a.Aggregation[0].MatchLabels["a"] == piece.Labels["a"] {
					extents[piece.Name] = max(extents[piece.Name], extents[a.Name])
				}
			}
		}
	}
	return extents
}

// TestAggregatedRulesAreJudgedOnce nests aggregated ClusterRoles: each rule is judged where it is written, or at the first role of one's
// own that has it from Kubernetes' own.
func TestAggregatedRulesAreJudgedOnce(t *testing.T) {
	in := func(name string) map[string]string { return map[string]string{"in": name} }
	collect := func(name string) []metav1.LabelSelector { return []metav1.LabelSelector{{MatchLabels: in(name)}} }
	pods, secrets := ruleFor("get", "", "pods"), ruleFor("get", "", "secrets")
	own := &Role{Name: "system:heapster", Labels: maps.Clone(bootstrapped), Rules: slices.Concat(pods)}
	own.Labels["in"] = "inner"
	for what, tc := range map[string]struct {
		outer, inner, piece map[string]string
		want                map[string][]rbacv1.PolicyRule
	}{
		"one in the other":    {inner: in("outer"), piece: in("inner"), want: map[string][]rbacv1.PolicyRule{"outer": {}, "inner": pods, "piece": secrets}},
		"each in the other":   {outer: in("inner"), inner: in("outer"), piece: in("inner"), want: map[string][]rbacv1.PolicyRule{"outer": pods, "inner": pods, "piece": secrets}},
		"a part of the outer": {inner: in("outer"), piece: in("outer"), want: map[string][]rbacv1.PolicyRule{"outer": {}, "inner": pods, "piece": secrets}},
	} {
		c := NewCluster(true)
		c.SetRole(&Role{Name: "outer", Labels: tc.outer, Aggregation: collect("outer")})
		c.SetRole(&Role{Name: "inner", Labels: tc.inner, Aggregation: collect("inner")})
		c.SetRole(&Role{Name: "piece", Labels: tc.piece, Rules: secrets})
		c.SetRole(own)
		c.TakeChanges()
		got := make(map[string][]rbacv1.PolicyRule)
		for name, v := range roleViews(c) {
			if name != own.Name {
				got[name] = v.Rules
			}
		}
		if diff := gocmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
}

// shown returns a line for each view.
func shown(c *Cluster) []string {
	var lines []string
	add := func(roles []*RoleView, bindings []*BindingView) {
		for _, v := range roles {
			lines = append(lines, fmt.Sprint(v.RoleKey, v.Default, v.Rules, v.Aggregated, v.Collected, v.Bound, v.Admins))
		}
		for _, v := range bindings {
			lines = append(lines, fmt.Sprint(
				v.BindingKey, v.Default, v.Role, v.Exists, v.RoleDefault, v.Rules, v.Subjects, v.Missing, v.Assumed, v.Everything, v.Leads, v.Steps, v.Way))
		}
	}
	add(c.Views())
	for _, namespace := range []string{"a", "b"} {
		add(c.ViewsIn(namespace))
	}
	slices.SortFunc(lines, cmp.Compare[string])
	return lines
}

func TestNamespacedOnly(t *testing.T) {
	for what, tc := range map[string]struct {
		rules []rbacv1.PolicyRule
		want  bool
	}{
		"nothing":                           {},
		"what is in namespaces":             {ruleFor("get", "", "pods/log"), true},
		"a namespace":                       {ruleFor("get", "", "namespaces"), false},
		"a kind that nobody knows":          {ruleFor("get", "shop.example.com", "carts"), false},
		"a wildcard":                        {ruleFor("get", "", "*"), false},
		"a path":                            {[]rbacv1.PolicyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics"}}}, false},
		"one of several in no namespace":    {slices.Concat(ruleFor("get", "", "pods"), ruleFor("get", "", "nodes")), false},
		"what is in namespaces, of a group": {ruleFor("get", "apps", "deployments"), true},
	} {
		if got := NamespacedOnly(tc.rules); got != tc.want {
			t.Errorf("%s: %v, want %v", what, got, tc.want)
		}
	}
}

func TestInNamespaces(t *testing.T) {
	for _, tc := range []struct {
		request Request
		want    bool
	}{
		{Request{Verb: "get", Resource: "secrets"}, true},
		{Request{Verb: "impersonate", Resource: "serviceaccounts"}, true},
		{Request{Verb: "impersonate", Resource: "users"}, false},
		{Request{Verb: "impersonate", Resource: "groups"}, false},
		{Request{Verb: "escalate", Group: rbacv1.GroupName, Resource: "roles"}, true},
		{Request{Verb: "escalate", Group: rbacv1.GroupName, Resource: "clusterroles"}, false},
		{Request{Verb: "bind", Group: rbacv1.GroupName, Resource: "clusterroles"}, true},
		{Request{Verb: "get", Resource: "nodes", Subresource: "proxy"}, false},
		{Request{Verb: "create", Resource: "persistentvolumes"}, false},
		{Request{Verb: "update", Group: certificates, Resource: "certificatesigningrequests", Subresource: "approval"}, false},
		{Request{Verb: "create", Group: "admissionregistration.k8s.io", Resource: "mutatingadmissionpolicybindings"}, false},
		{Request{Verb: "create", Group: "policy.networking.k8s.io", Resource: "adminnetworkpolicies"}, false},
		{Request{Verb: "create", Group: "shop.example.com", Resource: "carts"}, true},
	} {
		if got := tc.request.InNamespaces(); got != tc.want {
			t.Errorf("%+v: %v, want %v", tc.request, got, tc.want)
		}
	}
}

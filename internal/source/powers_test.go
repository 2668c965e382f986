// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
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
			what: "one of another ServiceAccount, to a role that is not there: until now it was not known what it may do",
			change: func() error {
				return clusterBindings.Add(clusterBindingOf("tools", "admin", accountSubject("tools", "app")))
			},
			told: []string{"toolsfalse"}, shop: rbac.Power{Granted: true, Secrets: rbac.OtherSecrets},
		},
		{
			what: "the role that it is bound to", change: func() error { return clusterRoles.Add(clusterRoleOf("admin", "*", "*", "*")) },
			told: []string{"toolsfalse"}, shop: rbac.Power{Granted: true, Secrets: rbac.OtherSecrets}, tools: rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1},
		},
		{
			what: "one may run commands in the other's Pods, but it has none: the binding itself is judged again",
			change: func() error {
				mustAdd(t, clusterRoles.Add(clusterRoleOf("exec", "create", "", "pods/exec")))
				return bindings.Add(bindingOf("tools", "shop", rbac.KindClusterRole, "exec", accountSubject("shop", "app")))
			},
			told: []string{"toolsfalse"}, shop: rbac.Power{Granted: true, Secrets: rbac.OtherSecrets}, tools: rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1},
		},
		{
			what: "now it has one", change: func() error { return s.pods.Add(pod) },
			told: []string{"shopfalse", "toolsfalse"}, shop: rbac.Power{Granted: true, Secrets: rbac.OtherSecrets, Steps: 2}, tools: rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1},
		},
		{
			what: "the Pod is gone", change: func() error { return s.pods.Delete(pod) },
			told: []string{"shopfalse", "toolsfalse"}, shop: rbac.Power{Granted: true, Secrets: rbac.OtherSecrets}, tools: rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1},
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
			told: []string{"newfalse"}, shop: rbac.Power{Granted: true}, tools: rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1},
		},
		{
			what: "a role that is bound, by what is no power, is judged again itself", change: func() error { return roles.Add(roleOf("shop", "config", "get", "", "services")) },
			told: []string{"shopfalse"}, shop: rbac.Power{Granted: true}, tools: rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1},
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

// TestViewsOfClusterRoles: what ClusterRoles and ClusterRoleBindings are judged by is told of when it changes, with whom they are.
func TestViewsOfClusterRoles(t *testing.T) {
	s := New(offline(t))
	syncAll(s)
	told := 0
	s.OnEvent(func(e Event) {
		if e == (Event{Resource: audit.ClusterRoleBindings}) {
			told++
		}
	})
	s.updatePowers()
	role, binding := clusterRoleOf("ci", "get", "", "pods"), clusterBindingOf("ci", "ci", accountSubject("shop", "app"))
	role.UID, binding.UID = "role", "binding"
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}
	look := func() (missing int) {
		t.Helper()
		told = 0
		s.updatePowers()
		i := s.Cluster()
		if len(i.Roles) != 1 || len(i.RoleBindings) != 1 || i.Roles[0].Bound != rbac.InCluster {
			t.Fatalf("%d roles, %d bindings", len(i.Roles), len(i.RoleBindings))
		}
		if i.UIDOf(audit.KindClusterRole, "ci") != audit.UIDOf("role") || i.UIDOf(audit.KindClusterRoleBinding, "ci") != audit.UIDOf("binding") ||
			i.UIDOf(audit.KindClusterRole, "gone") != "" {
			t.Error("not their UIDs")
		}
		return len(i.RoleBindings[0].Missing)
	}
	mustAdd(t, s.roles[audit.ClusterRoles].Add(role), s.bindings[audit.ClusterRoleBindings].Add(binding))
	if missing := look(); missing != 1 || told != 1 {
		t.Errorf("%d missing, told %d times", missing, told)
	}
	mustAdd(t, s.serviceAccounts.Add(account))
	if missing := look(); missing != 0 || told != 1 {
		t.Errorf("with its ServiceAccount: %d missing, told %d times", missing, told)
	}
	if look(); told != 0 {
		t.Errorf("nothing has changed, and it is told %d times", told)
	}
	forbid(watcherOf(t, s, audit.Roles))
	if i := s.Cluster(); i.Roles != nil || i.RoleBindings != nil {
		t.Error("what can no longer be read whole is trusted")
	}
}

func addNamespaces(t testing.TB, s *Sources, names ...string) {
	t.Helper()
	for _, name := range names {
		mustAdd(t, s.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}),
			s.serviceAccounts.Add(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "app"}}))
	}
}

func powersIn(s *Sources, namespace string) *audit.Powers {
	i, _ := s.Inventory(namespace)
	return &i.Powers
}

func groupSubject(name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.GroupKind, Name: name}
}

// TestPowersOfShards: who is in the namespaces of other shards is known, and what runs there is not, but for DaemonSets.
func TestPowersOfShards(t *testing.T) {
	clusterAdmin := clusterBindingOf("admin", "admin", accountSubject(ofSecond, "app"))
	agent := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: ofSecond, Name: "agent"}}
	agent.Spec.Template.Spec.ServiceAccountName = "app"
	other := agent.DeepCopy()
	other.Name, other.Spec.Template.Spec.ServiceAccountName = "other", "other"
	for name, tc := range map[string]struct {
		resource string
		bindings []*rbacv1.ClusterRoleBinding
		agents   []*appsv1.DaemonSet
		want     rbac.Power
	}{
		"a token": {"serviceaccounts/token", []*rbacv1.ClusterRoleBinding{clusterAdmin}, nil, rbac.Power{Granted: true, Steps: 2}},
		"a token of a member of a group": {
			"serviceaccounts/token", []*rbacv1.ClusterRoleBinding{clusterBindingOf("admin", "admin", groupSubject("system:serviceaccounts:"+ofSecond))}, nil,
			rbac.Power{Granted: true, Steps: 2},
		},
		"Pods that may be there": {"pods/exec", []*rbacv1.ClusterRoleBinding{clusterAdmin}, nil, rbac.Power{Granted: true, Unsure: true}},
		"Pods that are there":    {"pods/exec", []*rbacv1.ClusterRoleBinding{clusterAdmin}, []*appsv1.DaemonSet{agent}, rbac.Power{Granted: true, Steps: 2}},
		"Pods that are there, of another": {
			"pods/exec", []*rbacv1.ClusterRoleBinding{clusterAdmin}, []*appsv1.DaemonSet{other}, rbac.Power{Granted: true, Unsure: true},
		},
		"Pods of nobody in particular": {"pods/exec", nil, nil, rbac.Power{Granted: true}},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewShard(offline(t), shard.Shard{Index: 0, Count: 2}) // see ofFirst
			syncAll(s)
			addNamespaces(t, s, ofFirst, ofSecond)
			mustAdd(t, s.roles[audit.ClusterRoles].Add(clusterRoleOf("admin", "*", "*", "*")), s.roles[audit.ClusterRoles].Add(clusterRoleOf("role", "create", "", tc.resource)),
				s.bindings[audit.RoleBindings].Add(bindingOf(ofSecond, "app", rbac.KindClusterRole, "role", accountSubject(ofFirst, "app"))))
			for _, b := range tc.bindings {
				mustAdd(t, s.bindings[audit.ClusterRoleBindings].Add(b))
			}
			s.updatePowers()
			for _, d := range tc.agents { // an event there loses nothing
				mustAdd(t, s.controllers[audit.DaemonSets].Add(d))
			}
			s.updatePowers()
			if got := powersIn(s, ofFirst).Of("app"); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if got := s.Namespaces(); !cmp.Equal(got, []string{ofFirst}) {
				t.Errorf("namespaces %v", got)
			}
		})
	}
}

// TestPowersOfWhatIsReadLater: what can be read at last counts as read once powers are found out anew, and everybody is told.
func TestPowersOfWhatIsReadLater(t *testing.T) {
	for _, r := range slices.Concat(audit.PowerResources, waysOver) {
		t.Run(string(r), func(t *testing.T) {
			s := New(offline(t))
			addNamespaces(t, s, "shop")
			syncAll(s)
			w := watcherOf(t, s, r)
			forbid(w)
			s.updatePowers()
			unknown := func() *audit.Unavailable {
				i, _ := s.Inventory("shop")
				if u := i.Missing(audit.PowerResources...); u != nil {
					return u
				}
				return i.Powers.Unseen
			}
			if got := unknown(); got == nil || got.Resource != r || got.Reason != v1alpha1.SkipSourceForbidden {
				t.Errorf("forbidden: got %+v", got)
			}
			var told []Event
			s.OnEvent(func(e Event) { told = append(told, e) })
			w.update(func() { w.listed = true })
			w.observe(nil, true)
			if got := unknown(); got == nil || got.Resource != r || got.Reason != v1alpha1.SkipSourceSyncing {
				t.Errorf("read, but not made anything of: got %+v", got)
			}
			s.updatePowers()
			if got := unknown(); got != nil {
				t.Errorf("found out: got %+v", got)
			}
			if diff := cmp.Diff([]Event{{Resource: r, StateChanged: true}, {Resource: audit.RoleBindings, StateChanged: true}}, told); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

// TestPowersWithoutNamespaces: what a group may do is known of the ServiceAccounts that there are.
func TestPowersWithoutNamespaces(t *testing.T) {
	s := New(offline(t))
	mustAdd(t, s.serviceAccounts.Add(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}),
		s.roles[audit.ClusterRoles].Add(clusterRoleOf("admin", "*", "*", "*")),
		s.bindings[audit.ClusterRoleBindings].Add(clusterBindingOf("all", "admin", groupSubject("system:serviceaccounts"))))
	syncAll(s)
	forbid(watcherOf(t, s, audit.Namespaces))
	s.updatePowers()
	if got, want := powersIn(s, "shop").Of("app"), (rbac.Power{Granted: true, Secrets: rbac.AllSecrets, Steps: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if powersIn(s, "other").Known("app") {
		t.Error("of a namespace with nothing in it nothing is known")
	}
}

// TestPowersOfNewcomers: of what has just come it is not known what it may do, and told once it is.
func TestPowersOfNewcomers(t *testing.T) {
	s := New(offline(t))
	syncAll(s)
	addNamespaces(t, s, "shop")
	mustAdd(t, s.roles[audit.ClusterRoles].Add(clusterRoleOf("config", "get", "", "configmaps")),
		s.bindings[audit.ClusterRoleBindings].Add(clusterBindingOf("all", "config", groupSubject("system:serviceaccounts"))))
	s.updatePowers()
	var told []string
	s.OnEvent(func(e Event) {
		if e.Resource == audit.RoleBindings {
			told = append(told, e.Namespace)
		}
	})
	addNamespaces(t, s, "new")
	mustAdd(t, s.bindings[audit.RoleBindings].Add(bindingOf("shop", "app", rbac.KindClusterRole, "admin", accountSubject("shop", "app"))))
	for namespace, accounts := range map[string]map[string]bool{"new": {"app": false, "other": false}, "shop": {"app": false, "other": true}} {
		for name, want := range accounts {
			if got := powersIn(s, namespace).Known(name); got != want {
				t.Errorf("%s/%s is known: %v, want %v", namespace, name, got, want)
			}
		}
	}
	s.updatePowers()
	for _, namespace := range []string{"new", "shop"} {
		if p := powersIn(s, namespace); !p.Known("app") || !p.Of("app").Granted || !p.Known("other") {
			t.Errorf("%s: got %+v", namespace, p)
		}
	}
	if diff := cmp.Diff([]string{"new", "shop"}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	mustAdd(t, s.namespaces.Delete(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "new"}}),
		s.serviceAccounts.Delete(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "new", Name: "app"}}))
	s.updatePowers()
	if _, kept := s.powers.of["new"]; kept {
		t.Error("a namespace that is gone is remembered")
	}
}

// TestPowersMissNothing changes bindings while powers are found out.
func TestPowersMissNothing(t *testing.T) {
	const bindings = 500
	for _, part := range []shard.Shard{{}, {Index: 0, Count: 2}} {
		s := NewShard(offline(t), part)
		syncAll(s)
		addNamespaces(t, s, ofFirst, ofSecond)
		mustAdd(t, s.roles[audit.ClusterRoles].Add(clusterRoleOf("view", "get", "", "configmaps")), s.roles[audit.ClusterRoles].Add(clusterRoleOf("exec", "create", "", "pods/exec")))
		done := make(chan struct{})
		go func() {
			defer close(done)
			for n := range bindings {
				_ = s.bindings[audit.RoleBindings].Add(bindingOf(ofFirst, fmt.Sprint("a", n), rbac.KindClusterRole, "view", accountSubject(ofFirst, fmt.Sprint("a", n))))
				_ = s.bindings[audit.RoleBindings].Add(bindingOf(ofSecond, fmt.Sprint("b", n), rbac.KindClusterRole, "exec", accountSubject(ofSecond, fmt.Sprint("b", n))))
			}
		}()
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			s.updatePowers()
		}
		for n := range bindings {
			mustAdd(t, s.serviceAccounts.Add(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ofFirst, Name: fmt.Sprint("a", n)}}))
		}
		powers := powersIn(s, ofFirst)
		for n := range bindings {
			if name := fmt.Sprint("a", n); !powers.Of(name).Granted {
				t.Fatalf("shard %v: a binding of %s was missed", part, name)
			}
		}
	}
}

// TestPowersAtRandom changes a cluster at random, and compares what a Sources and one of a shard know of powers with what the engine
// finds out anew, and with each other; whoever can do anything else than before must have been told of.
func TestPowersAtRandom(t *testing.T) {
	namespaces, accounts := []string{ofFirst, ofSecond, "third"}, []string{"app", "default"}
	verbs := [][3]string{
		{"*", "*", "*"}, {"create", "", "pods"}, {"get", "", "secrets"}, {"create", "", "pods/exec"}, {"patch", "apps", "deployments"},
		{"create", "", "serviceaccounts/token"}, {"get", "", "configmaps"}, {"impersonate", "", "serviceaccounts"}, {"patch", "", "namespaces"},
	}
	found := make(map[rbac.Power]int)
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		pick := func(from []string) string { return from[r.IntN(len(from))] }
		subject := func() rbacv1.Subject {
			switch r.IntN(6) {
			case 0:
				return groupSubject("system:serviceaccounts:" + pick(namespaces))
			case 1:
				return groupSubject(pick([]string{"system:serviceaccounts", "system:authenticated"}))
			}
			return accountSubject(pick(namespaces), pick(accounts))
		}
		change := func() func(s *Sources) error {
			namespace, name, binding, account, to := pick(namespaces), fmt.Sprint("r", r.IntN(4)), fmt.Sprint("b", r.IntN(3)), pick(accounts), subject()
			verb, labels := verbs[r.IntN(len(verbs))], map[string]string{"pod-security.kubernetes.io/enforce": pick([]string{"privileged", "restricted"})}
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}, Spec: corev1.PodSpec{ServiceAccountName: account}}
			switch r.IntN(11) {
			case 0, 1:
				return func(s *Sources) error {
					return s.roles[audit.ClusterRoles].Add(clusterRoleOf(name, verb[0], verb[1], verb[2]))
				}
			case 2:
				return func(s *Sources) error { return s.roles[audit.ClusterRoles].Delete(clusterRoleOf(name, "", "", "")) }
			case 3, 4:
				return func(s *Sources) error {
					return s.bindings[audit.RoleBindings].Add(bindingOf(namespace, binding, rbac.KindClusterRole, name, to))
				}
			case 5:
				return func(s *Sources) error {
					return s.bindings[audit.ClusterRoleBindings].Add(clusterBindingOf(binding, name, to))
				}
			case 6:
				return func(s *Sources) error {
					return s.bindings[audit.RoleBindings].Delete(bindingOf(namespace, binding, "", ""))
				}
			case 7:
				return func(s *Sources) error {
					return s.bindings[audit.ClusterRoleBindings].Delete(clusterBindingOf(binding, ""))
				}
			case 8:
				return func(s *Sources) error {
					return s.serviceAccounts.Delete(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}})
				}
			case 9:
				return func(s *Sources) error {
					if !s.shard.Owns(namespace) {
						return nil
					}
					return s.pods.Add(pod)
				}
			}
			return func(s *Sources) error {
				mustAdd(t, s.serviceAccounts.Add(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}))
				return s.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: labels}})
			}
		}
		parts := []*Sources{New(offline(t)), NewShard(offline(t), shard.Shard{Index: 0, Count: 2})}
		before, told := make([]map[rbac.Subject]rbac.Power, len(parts)), make([]map[string]bool, len(parts))
		for i, s := range parts {
			syncAll(s)
			addNamespaces(t, s, namespaces...)
			before[i], told[i] = make(map[rbac.Subject]rbac.Power), make(map[string]bool)
			s.OnEvent(func(e Event) { told[i][e.Namespace] = told[i][e.Namespace] || e.Resource == audit.RoleBindings })
		}
		for range 25 {
			changes := []func(*Sources) error{change(), change()}[:1+r.IntN(2)]
			for i, s := range parts {
				clear(told[i])
				for _, change := range changes {
					mustAdd(t, change(s))
				}
				s.updatePowers()
				for _, namespace := range namespaces {
					for _, name := range accounts {
						account := rbac.ServiceAccount(namespace, name)
						got, want := powersIn(s, namespace).Of(name), s.powers.cluster.Power(account)
						if was, known := before[i][account]; got != want {
							t.Fatalf("seed %d, shard %v, %v: got %+v, want %+v", seed, s.shard, account, got, want)
						} else if known && was != got && !told[i][namespace] && !told[i][""] {
							t.Fatalf("seed %d, shard %v, %v: %+v became %+v, and nobody was told", seed, s.shard, account, was, got)
						}
						before[i][account] = got
					}
				}
			}
			for account, whole := range before[0] {
				part := before[1][account]
				found[part]++
				if part.Granted != whole.Granted || part.Secrets != whole.Secrets || part.Unsure && part.Steps > 0 || whole.Unsure ||
					(part.Steps == 0) != (whole.Steps == 0) && !part.Unsure || part.Steps > 0 && whole.Steps > part.Steps {
					t.Fatalf("seed %d, %v: a shard knows %+v, where it is %+v", seed, account, part, whole)
				}
			}
		}
	}
	for _, want := range []rbac.Power{{Granted: true, Unsure: true}, {Granted: true, Steps: 2}, {}} {
		if found[want] < 10 {
			t.Errorf("too dull: %+v only %d times", want, found[want])
		}
	}
}

// TestTokenOfBefore: a Pod has the token that was mounted when it was made, whatever its ServiceAccount says now.
func TestTokenOfBefore(t *testing.T) {
	s := New(offline(t))
	no := false
	pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "new"}, Spec: corev1.PodSpec{ServiceAccountName: "app", Containers: []corev1.Container{{Name: "app"}}}}
	old := pod.DeepCopy()
	old.Name = "old"
	old.Spec.Volumes, old.Spec.Containers[0].VolumeMounts = make([]corev1.Volume, 1), make([]corev1.VolumeMount, 1)
	mustAdd(t, old.Spec.Volumes[0].Unmarshal(admittedToken), old.Spec.Containers[0].VolumeMounts[0].Unmarshal(admittedMount))
	old.Spec.Volumes[0].Name, old.Spec.Containers[0].VolumeMounts[0].Name = "kube-api-access-x7k2d", "kube-api-access-x7k2d"
	mustAdd(t, s.serviceAccounts.Add(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}, AutomountServiceAccountToken: &no}), s.pods.Add(&pod))
	mounted := func() bool {
		return audit.AccountsIn(s.serviceAccounts.List("shop"), s.pods.List("shop"), nil)["app"].Mounted
	}
	if mounted() {
		t.Error("a token is mounted that neither asks for")
	}
	mustAdd(t, s.pods.Add(old))
	if !mounted() {
		t.Error("the token of a Pod from before is missed")
	}
	if pods := s.pods.List("shop"); pods[0].Shape != pods[1].Shape {
		t.Error("the token makes another shape")
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

// BenchmarkPowersChange changes one binding, and finds out whom that concerns: one that leads nowhere, and one that does; where a
// group of all ServiceAccounts leads somewhere; and one of the group of a namespace.
func BenchmarkPowersChange(b *testing.B) {
	for name, of := range map[string]struct {
		binding int
		// group that may do something; changed is what the binding is for now and then.
		group   string
		changed rbacv1.Subject
	}{
		"harmless":         {binding: 7, changed: accountSubject("namespace-9", "app-0")},
		"leading":          {binding: 100, changed: accountSubject("namespace-9", "app-0")},
		"beside-group":     {binding: 100, changed: accountSubject("namespace-9", "app-0"), group: "system:serviceaccounts"},
		"beside-namespace": {binding: 100, changed: accountSubject("namespace-9", "app-0"), group: "system:serviceaccounts:namespace-1"},
		"namespace":        {binding: 100, changed: groupSubject("system:serviceaccounts:namespace-100")},
	} {
		b.Run(name, func(b *testing.B) {
			s := New(offline(b))
			fillRBAC(b, s)
			if i := of.binding; of.group != "" {
				update(b, s.bindings[audit.RoleBindings], bindingOf(fmt.Sprint("namespace-", i), "group", rbac.KindRole, "app", groupSubject(of.group)), &rbacv1.RoleBinding{})
			}
			s.updatePowers()
			told := 0
			s.OnEvent(func(e Event) {
				if e.Resource == audit.RoleBindings && e.Namespace != "" {
					told++
				}
			})
			told = 0
			for n := 0; b.Loop(); n++ {
				changed := benchBinding(of.binding, 0)
				if n%2 == 0 {
					changed.Subjects = append(changed.Subjects, of.changed)
				}
				mustAdd(b, s.bindings[audit.RoleBindings].Update(changed))
				s.updatePowers()
			}
			b.ReportMetric(float64(told)/float64(b.N), "namespaces/op")
		})
	}
}

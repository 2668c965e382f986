// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac_test

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/internal/rbac"
)

// fresh is a cluster as its API server has made it, with the ServiceAccounts of its controllers.
func fresh() *rbac.Cluster {
	c := rbac.NewCluster(true)
	roles, bindings := rbac.Defaults()
	for _, r := range roles {
		c.SetRole(r)
	}
	for _, b := range bindings {
		c.SetBinding(b)
		for _, s := range b.Subjects {
			if s.Kind == rbacv1.ServiceAccountKind {
				c.SetAccount(s.Namespace, s.Name, rbac.Account{})
			}
		}
	}
	c.SetNamespace("kube-system", true)
	return c
}

func defaultRole(t *testing.T, name string) rbac.Role {
	t.Helper()
	roles, _ := rbac.Defaults()
	i := slices.IndexFunc(roles, func(r *rbac.Role) bool { return r.Name == name })
	if i < 0 {
		t.Fatalf("there is no default role %q", name)
	}
	r := *roles[i]
	r.Rules = slices.Clone(r.Rules)
	return r
}

func defaultBinding(t *testing.T, name string) rbac.Binding {
	t.Helper()
	_, bindings := rbac.Defaults()
	i := slices.IndexFunc(bindings, func(b *rbac.Binding) bool { return b.Name == name })
	if i < 0 {
		t.Fatalf("there is no default binding %q", name)
	}
	b := *bindings[i]
	b.Subjects = slices.Clone(b.Subjects)
	return b
}

func TestDefaultsAreLeftOut(t *testing.T) {
	c := fresh()
	roles, bindings := rbac.Defaults()
	if len(roles) < 70 || len(bindings) < 50 {
		t.Errorf("%d roles and %d bindings are too few", len(roles), len(bindings))
	}
	for _, b := range bindings {
		for _, s := range b.Subjects {
			for _, g := range c.Grants(s) {
				if !g.Default || !g.Exists {
					t.Errorf("%v must be a default", g)
				}
			}
			if len(c.Grants(s)) == 0 {
				t.Errorf("%v is bound to nothing", s)
			}
		}
	}
	if missing := c.MissingRoles(); len(missing) > 0 {
		t.Errorf("roles are missing: %v", missing)
	}
	if paths := c.Paths(); len(paths) > 0 {
		t.Errorf("defaults alone must not be listed: %+v", paths)
	}
	if _, found := c.Path(rbac.ServiceAccount("kube-system", "clusterrole-aggregation-controller")); !found {
		t.Error("a controller that may escalate is a step of others, and has a path itself")
	}
	everybody := rbac.ServiceAccount("shop", "web")
	if c.Empowered(everybody) {
		t.Error("discovery is no power")
	}
	c.SetBinding(&rbac.Binding{Namespace: "shop", Name: "web", Role: rbac.RoleKey{Name: "view"}, Subjects: []rbac.Subject{everybody}})
	if !c.Empowered(everybody) {
		t.Error("it may view now")
	}
}

// TestKubeadm reads what kubeadm makes.
func TestKubeadm(t *testing.T) {
	c := fresh()
	c.SetRole(&rbac.Role{Name: "kubeadm:get-nodes", Rules: rulesOf([]string{"get nodes"})})
	c.SetBinding(&rbac.Binding{Name: "kubeadm:get-nodes", Role: rbac.RoleKey{Name: "kubeadm:get-nodes"}, Subjects: []rbac.Subject{rbac.Group("system:bootstrappers:kubeadm:default-node-token")}})
	c.SetBinding(&rbac.Binding{Name: "kubeadm:cluster-admins", Role: rbac.RoleKey{Name: "cluster-admin"}, Subjects: []rbac.Subject{rbac.Group("kubeadm:cluster-admins")}})
	for _, s := range []rbac.Subject{rbac.Group("system:bootstrappers:kubeadm:default-node-token"), rbac.Group("kubeadm:cluster-admins")} {
		for _, g := range c.Grants(s) {
			if !g.Default {
				t.Errorf("%v must be a default", g)
			}
		}
	}
	if paths := c.Paths(); len(paths) > 0 {
		t.Errorf("kubeadm's own must not be listed: %+v", paths)
	}
	c.SetBinding(&rbac.Binding{Name: "kubeadm:cluster-admins", Role: rbac.RoleKey{Name: "cluster-admin"}, Subjects: []rbac.Subject{rbac.Group("kubeadm:cluster-admins"), rbac.User("eve")}})
	if paths := c.Paths(); len(paths) != 2 {
		t.Errorf("a binding with one more is nobody's default, and both are listed: %+v", paths)
	}
}

// TestK3s reads what k3s makes.
func TestK3s(t *testing.T) {
	c := fresh()
	for who, own := range map[string]bool{"kube-apiserver": true, "eve": false} {
		c.SetBinding(&rbac.Binding{Name: "kube-apiserver-kubelet-admin", Role: rbac.RoleKey{Name: "system:kubelet-api-admin"}, Subjects: []rbac.Subject{rbac.User(who)}})
		c.TakeChanges()
		_, bindings := c.Views()
		for _, b := range bindings {
			if b.Name == "kube-apiserver-kubelet-admin" && b.Default != own {
				t.Errorf("for %q it is k3s' own: %v", who, b.Default)
			}
		}
	}
}

func TestModifiedDefaults(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*testing.T, *rbac.Cluster)
		want   bool
	}{
		"nothing": {func(*testing.T, *rbac.Cluster) {}, true},
		"one subject more": {func(t *testing.T, c *rbac.Cluster) {
			b := defaultBinding(t, "system:kube-scheduler")
			b.Subjects = append(b.Subjects, rbac.User("eve"))
			c.SetBinding(&b)
		}, false},
		"another role bound": {func(t *testing.T, c *rbac.Cluster) {
			b := defaultBinding(t, "system:kube-scheduler")
			b.Role.Name = "cluster-admin"
			c.SetBinding(&b)
		}, false},
		"a binding without the label": {func(t *testing.T, c *rbac.Cluster) {
			b := defaultBinding(t, "system:kube-scheduler")
			b.Labels = nil
			c.SetBinding(&b)
		}, false},
		"one rule more": {func(t *testing.T, c *rbac.Cluster) {
			r := defaultRole(t, "system:kube-scheduler")
			r.Rules = append(r.Rules, ruleOf("get secrets"))
			c.SetRole(&r)
		}, false},
		"one rule less": {func(t *testing.T, c *rbac.Cluster) {
			r := defaultRole(t, "system:kube-scheduler")
			r.Rules = r.Rules[1:]
			c.SetRole(&r)
		}, true},
		"a role without the label": {func(t *testing.T, c *rbac.Cluster) {
			r := defaultRole(t, "system:kube-scheduler")
			r.Labels = nil
			c.SetRole(&r)
		}, false},
		"a role that aggregates": {func(t *testing.T, c *rbac.Cluster) {
			r := defaultRole(t, "system:kube-scheduler")
			r.Aggregation = []metav1.LabelSelector{{}}
			c.SetRole(&r)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := fresh()
			tc.change(t, c)
			grants := c.Grants(rbac.User("system:kube-scheduler"))
			i := slices.IndexFunc(grants, func(g rbac.Grant) bool { return g.Binding.Name == "system:kube-scheduler" })
			if got := grants[i].Default; got != tc.want {
				t.Errorf("default %v, want %v", got, tc.want)
			}
		})
	}
}

// TestOlderDefaults takes roles as older versions have them, with more rules than the newest.
func TestOlderDefaults(t *testing.T) {
	text, err := os.ReadFile("bootstrap.json")
	if err != nil {
		t.Fatal(err)
	}
	var known []struct {
		Kind, Name string
		Labels     map[string]string
		Rules      [][]rbacv1.PolicyRule
	}
	if err := json.Unmarshal(text, &known); err != nil {
		t.Fatal(err)
	}
	older := 0
	for _, k := range known {
		if k.Kind != rbac.KindClusterRole || len(k.Rules) < 2 {
			continue
		}
		for _, rules := range k.Rules[1:] {
			c := fresh()
			c.SetRole(&rbac.Role{Name: k.Name, Labels: k.Labels, Rules: rules})
			_, bindings := rbac.Defaults()
			for _, b := range bindings {
				if b.Role.Name != k.Name || len(b.Subjects) == 0 {
					continue
				}
				older++
				for _, g := range c.Grants(b.Subjects[0]) {
					if !g.Default {
						t.Errorf("%v must be a default", g)
					}
				}
			}
		}
	}
	if older < 3 {
		t.Errorf("only %d roles of older versions", older)
	}
}

func TestAggregation(t *testing.T) {
	c := fresh()
	can := func(verb, resource string) bool {
		r, _, err := rbac.ParseResource(resource)
		if err != nil {
			t.Fatal(err)
		}
		_, allowed := c.Allows(rbac.User("ann"), rbac.Request{Verb: verb, Group: r.Group, Resource: r.Name, Namespace: "shop"})
		return allowed
	}
	c.SetBinding(&rbac.Binding{Namespace: "shop", Name: "ann", Role: rbac.RoleKey{Name: "admin"}, Subjects: []rbac.Subject{rbac.User("ann")}})
	if !can("create", "deployments") || !can("create", "rolebindings") || !can("list", "po") || can("list", "widgets.example.com") {
		t.Error("admin has what edit and view have, and no more")
	}
	more := &rbac.Role{Name: "widgets", Rules: rulesOf([]string{"list widgets.example.com"}), Labels: map[string]string{"rbac.authorization.k8s.io/aggregate-to-view": "true"}}
	c.SetRole(more)
	if !can("list", "widgets.example.com") {
		t.Error("what view gets, edit gets, and so admin")
	}
	c.DeleteRole(rbac.RoleKey{Name: "widgets"})
	if can("list", "widgets.example.com") {
		t.Error("the role is gone")
	}
	c.SetRole(&rbac.Role{Name: "odd", Rules: rulesOf([]string{"get odds.example.com"}), Aggregation: []metav1.LabelSelector{
		{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Odd"}}},
	}})
	c.SetBinding(&rbac.Binding{Namespace: "shop", Name: "odd", Role: rbac.RoleKey{Name: "odd"}, Subjects: []rbac.Subject{rbac.User("ann")}})
	if !can("get", "odds.example.com") {
		t.Error("a selector that is not valid leaves the role as it is")
	}

	live := rbac.NewCluster(false)
	live.SetRole(&rbac.Role{Name: "all", Rules: rulesOf([]string{"get pods"}), Aggregation: []metav1.LabelSelector{{}}})
	live.SetRole(&rbac.Role{Name: "other", Rules: rulesOf([]string{"get secrets"})})
	live.SetBinding(&rbac.Binding{Name: "all", Role: rbac.RoleKey{Name: "all"}, Subjects: []rbac.Subject{rbac.User("ann")}})
	if got := live.Grants(rbac.User("ann"))[0].Rules; len(got) != 1 || got[0].Resources[0] != "pods" {
		t.Errorf("in a live cluster the rules are those that are stored: %v", got)
	}
}

func TestWhere(t *testing.T) {
	c := rbac.NewCluster(false)
	secrets := rbac.Request{Verb: "get", Resource: "secrets"}
	web := rbac.ServiceAccount("shop", "web")
	c.SetRole(&rbac.Role{Name: "reader", Rules: rulesOf([]string{"get secrets"})})
	for _, b := range []*rbac.Binding{
		{Namespace: "shop", Name: "b", Subjects: []rbac.Subject{web}}, {Namespace: "other", Name: "b", Subjects: []rbac.Subject{rbac.Group("system:serviceaccounts:shop")}},
		{Namespace: "third", Name: "b", Subjects: []rbac.Subject{rbac.ServiceAccount("third", "web")}},
	} {
		b.Role = rbac.RoleKey{Name: "reader"}
		c.SetBinding(b)
	}
	everywhere, namespaces := c.Where(web, secrets)
	if diff := gocmp.Diff([]string{"other", "shop"}, namespaces); diff != "" || everywhere {
		t.Errorf("everywhere %v: %s", everywhere, diff)
	}
	c.SetBinding(&rbac.Binding{Name: "b", Role: rbac.RoleKey{Name: "reader"}, Subjects: []rbac.Subject{rbac.Group("system:authenticated")}})
	if everywhere, _ := c.Where(web, secrets); !everywhere {
		t.Error("everybody may, everywhere")
	}
}

func TestParseResource(t *testing.T) {
	for text, want := range map[string]string{
		"pods": "/pods namespaced", "po": "/pods namespaced", "pod": "/pods namespaced", "pods/exec": "/pods namespaced exec",
		"deploy": "apps/deployments namespaced", "deployments.apps/scale": "apps/deployments namespaced scale", "ns": "/namespaces", "no": "/nodes",
		"events": "/events namespaced", "events.events.k8s.io": "events.k8s.io/events namespaced", "clusterroles": "rbac.authorization.k8s.io/clusterroles",
		"signers": "certificates.k8s.io/signers", "users": "/users", "*": "*/* namespaced", "*.apps": "apps/* namespaced",
		"widgets.example.com": "example.com/widgets namespaced", "widgets": "",
	} {
		r, subresource, err := rbac.ParseResource(text)
		got := ""
		if err == nil {
			got = r.Group + "/" + r.Name
			if r.Namespaced {
				got += " namespaced"
			}
			if subresource != "" {
				got += " " + subresource
			}
		}
		if got != want {
			t.Errorf("%s is %q, want %q", text, got, want)
		}
	}
}

func TestCoverage(t *testing.T) {
	server := func(words ...string) corev1.PodSpec {
		return corev1.PodSpec{Containers: []corev1.Container{{Command: append([]string{"kube-apiserver"}, words...)}}}
	}
	for name, tc := range map[string]struct {
		pods []corev1.PodSpec
		want rbac.Coverage
		why  string
	}{
		"no API server":             {nil, rbac.Unknown, "no API server is seen, which may ask ABAC or a webhook too"},
		"another Pod":               {[]corev1.PodSpec{{Containers: []corev1.Container{{Command: []string{"sleep", "--authorization-mode=RBAC"}}}}}, rbac.Unknown, "no API server is seen, which may ask ABAC or a webhook too"},
		"RBAC alone":                {[]corev1.PodSpec{server("--authorization-mode=Node,RBAC")}, rbac.Complete, ""},
		"two words":                 {[]corev1.PodSpec{server("--authorization-mode", "Node,RBAC")}, rbac.Complete, ""},
		"a webhook":                 {[]corev1.PodSpec{server("--authorization-mode=Node,RBAC,Webhook")}, rbac.Partial, "the API server also asks Webhook"},
		"one of several API server": {[]corev1.PodSpec{server("--authorization-mode=Node,RBAC"), server("--authorization-mode=ABAC,RBAC")}, rbac.Partial, "the API server also asks ABAC"},
		"a file":                    {[]corev1.PodSpec{server("--authorization-config=/etc/authz.yaml")}, rbac.Unknown, "the API server has a file of authorizers, which may name webhooks"},
		"no flag":                   {[]corev1.PodSpec{server()}, rbac.Partial, "the API server allows everybody everything"},
		"no RBAC":                   {[]corev1.PodSpec{server("--authorization-mode=Node")}, rbac.Partial, "the API server does not ask RBAC"},
	} {
		t.Run(name, func(t *testing.T) {
			var a rbac.Authorizers
			for i := range tc.pods {
				a.See(&tc.pods[i])
			}
			if got, why := a.Coverage(); got != tc.want || why != tc.why {
				t.Errorf("%s: %q, want %s: %q", got, why, tc.want, tc.why)
			}
		})
	}
}

func TestHostPathAllowed(t *testing.T) {
	for level, want := range map[string]bool{"privileged": true, "baseline": false, "restricted": false, "": false, "typo": false} {
		if got := rbac.HostPathAllowed(map[string]string{"pod-security.kubernetes.io/enforce": level}); got != want {
			t.Errorf("level %q: %v, want %v", level, got, want)
		}
	}
	if !rbac.HostPathAllowed(nil) {
		t.Error("where nothing is enforced it is allowed")
	}
}

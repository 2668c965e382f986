// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac_test

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/internal/rbac"
)

// chooser makes worlds: each choice is one of n.
type chooser interface{ choose(n int) int }

type random struct{ *rand.Rand }

func (r random) choose(n int) int { return r.IntN(n) }

// bytes are the choices of a fuzzer. When they are used up, it is always the first.
type bytes struct{ left []byte }

func (b *bytes) choose(n int) int {
	if len(b.left) == 0 {
		return 0
	}
	c := int(b.left[0]) % n
	b.left = b.left[1:]
	return c
}

// maker makes the parts of a world. Names and values are few, so that things meet.
type maker struct{ chooser }

func one[T any](m maker, of ...T) T { return of[m.choose(len(of))] }

func (m maker) oneIn(n int) bool { return m.choose(n) == n-1 }

func some(m maker, most int, of ...string) []string {
	var list []string
	for range 1 + m.choose(most) {
		if s := one(m, of...); !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

func (m maker) namespace() string { return one(m, "x", "y") }

// kinds of things that lead somewhere: verbs, group and resources.
var kinds = [][3]string{
	{"create get update patch", "", "pods pods/exec pods/ephemeralcontainers */exec"},
	{"create update", "apps", "deployments statefulsets replicasets daemonsets"},
	{"create patch", "batch", "jobs cronjobs"},
	{"get list create", "", "secrets"},
	{"create impersonate", "", "serviceaccounts/token serviceaccounts"},
	{"impersonate", "", "users groups serviceaccounts"},
	{"escalate bind update create patch", "rbac.authorization.k8s.io", "roles clusterroles rolebindings clusterrolebindings"},
	{"create update approve", "certificates.k8s.io", "certificatesigningrequests certificatesigningrequests/approval signers"},
	{"create update", "admissionregistration.k8s.io", "mutatingwebhookconfigurations mutatingadmissionpolicies mutatingadmissionpolicybindings"},
	{"get", "", "nodes/proxy nodes"},
	{"create patch", "", "persistentvolumes persistentvolumeclaims pods namespaces"},
}

func (m maker) rule() rbacv1.PolicyRule {
	kind := one(m, kinds...)
	r := rbacv1.PolicyRule{
		Verbs: some(m, 4, strings.Fields(kind[0])...), APIGroups: []string{kind[1]}, Resources: some(m, 4, strings.Fields(kind[2])...),
	}
	if m.oneIn(12) {
		r.Verbs = []string{"*"}
	}
	if m.oneIn(16) {
		r.APIGroups = []string{"*"}
	}
	if m.oneIn(16) {
		r.Resources = []string{"*"}
	}
	if m.oneIn(4) {
		r.ResourceNames = some(m, 2, names...)
	}
	return r
}

func (m maker) rules() []rbacv1.PolicyRule {
	var list []rbacv1.PolicyRule
	for range m.choose(4) {
		list = append(list, m.rule())
	}
	return list
}

func (m maker) role() *rbac.Role {
	if m.oneIn(2) {
		return &rbac.Role{Namespace: m.namespace(), Name: one(m, "a", "b"), Rules: m.rules()}
	}
	r := &rbac.Role{Name: one(m, "a", "b", "full"), Rules: m.rules(), Labels: map[string]string{"to": one(m, "a", "b", "none")}}
	switch {
	case r.Name == "full" && !m.oneIn(3):
		r.Rules = []rbacv1.PolicyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}
	case m.oneIn(4):
		r.Aggregation = []metav1.LabelSelector{{MatchLabels: map[string]string{"to": one(m, "a", "b")}}}
	}
	return r
}

func (m maker) account() rbac.Subject { return rbac.ServiceAccount(m.namespace(), one(m, "a", "b")) }

func (m maker) subject() rbac.Subject {
	switch m.choose(3) {
	case 0:
		return rbac.User(one(m, "alice", "bob", "system:anonymous", "system:serviceaccount:x:a"))
	case 1:
		return rbac.Group(one(m, "dev", "system:authenticated", "system:unauthenticated", "system:serviceaccounts", "system:serviceaccounts:x", rbac.Masters))
	}
	return m.account()
}

func (m maker) binding() *rbac.Binding {
	b := &rbac.Binding{Name: one(m, "a", "b", "c"), Role: rbac.RoleKey{Name: one(m, "a", "b", "full", "a", "b")}}
	if !m.oneIn(3) {
		b.Namespace = m.namespace()
		if m.oneIn(2) {
			b.Role.Namespace = b.Namespace
		}
	}
	for range 1 + m.choose(2) {
		if s := m.subject(); !slices.Contains(b.Subjects, s) {
			b.Subjects = append(b.Subjects, s)
		}
	}
	return b
}

// change makes one change to a world and to a cluster.
func (m maker) change(w *world, c *rbac.Cluster) {
	gone := m.oneIn(4)
	switch m.choose(8) {
	case 0, 1, 2:
		r := m.role()
		key := rbac.RoleKey{Namespace: r.Namespace, Name: r.Name}
		if gone {
			delete(w.roles, key)
			c.DeleteRole(key)
			return
		}
		w.roles[key] = r
		c.SetRole(r)
	case 3, 4, 5:
		b := m.binding()
		key := rbac.BindingKey{Namespace: b.Namespace, Name: b.Name}
		if gone {
			delete(w.bindings, key)
			c.DeleteBinding(key)
			return
		}
		w.bindings[key] = b
		c.SetBinding(b)
	case 6:
		s := m.account()
		if gone {
			delete(w.accounts, s)
			c.DeleteAccount(s.Namespace, s.Name)
			return
		}
		a := rbac.Account{Mounted: m.oneIn(2)}
		if m.oneIn(2) {
			a.TokenSecrets = []string{one(m, "a", "b")}
		}
		w.accounts[s] = a
		c.SetAccount(s.Namespace, s.Name, a)
	case 7:
		name := m.namespace()
		w.namespaces[name] = m.oneIn(2)
		c.SetNamespace(name, w.namespaces[name])
		w.onNodes = m.oneIn(2)
		c.SetControlPlaneOnNodes(w.onNodes)
	}
}

func (m maker) request() rbac.Request {
	if m.oneIn(8) {
		return rbac.Request{Verb: "get", Path: one(m, "/", "/metrics")}
	}
	kind := one(m, kinds...)
	resource, subresource, _ := strings.Cut(one(m, strings.Fields(kind[2])...), "/")
	return rbac.Request{
		Verb: one(m, strings.Fields(kind[0])...), Group: kind[1], Resource: resource, Subresource: subresource,
		Namespace: one(m, "", "x", "y"), Name: one(m, "", "a", "full"),
	}
}

// everybody who could be in a world.
var everybody = []rbac.Subject{
	rbac.User("alice"), rbac.User("bob"), rbac.User("carol"), rbac.User("system:anonymous"), rbac.Group("dev"), rbac.Group(rbac.Masters),
	rbac.Group("system:authenticated"), rbac.Group("system:unauthenticated"), rbac.Group("system:serviceaccounts"), rbac.Group("system:serviceaccounts:x"),
	rbac.ServiceAccount("x", "a"), rbac.ServiceAccount("x", "b"), rbac.ServiceAccount("y", "a"), rbac.ServiceAccount("y", "b"),
}

// compare compares what the engine says of a world with what it should. It returns how many permissions and paths there are.
func compare(t *testing.T, m maker, w *world, c *rbac.Cluster) (permissions, paths int) {
	t.Helper()
	for range 20 {
		r := m.request()
		who := c.WhoCan(r, false)
		for _, s := range everybody {
			want := w.allows(identity(s), r) || s == rbac.Group(rbac.Masters)
			if _, got := c.Allows(s, r); got != want {
				t.Fatalf("%v may %v: %v, want %v\n%v", s, r, got, want, w)
			}
			listed := slices.ContainsFunc(who, func(h rbac.Holder) bool { return slices.Contains(identity(s), h.Subject) })
			if listed != want {
				t.Fatalf("%v may %v: listed %v, want %v\n%v", s, r, listed, want, w)
			}
			if want {
				permissions++
			}
		}
	}
	for _, s := range everybody {
		path, found := c.Path(s)
		got := len(path.Steps)
		if !found {
			got = -1
		}
		if want := w.distance(s); got != want {
			t.Fatalf("%v becomes cluster-admin in %d steps, want %d: %+v\n%v", s, got, want, path.Steps, w)
		}
		if found {
			follow(t, c, path)
			paths++
		}
	}
	for _, p := range c.Paths() {
		follow(t, c, p)
	}
	return permissions, paths
}

// follow checks that a path leads from its subject to cluster-admin, and that every permission is there.
func follow(t *testing.T, c *rbac.Cluster, p rbac.Path) {
	t.Helper()
	at := p.Subject.String()
	for _, s := range p.Steps {
		if s.From != at || !strings.HasPrefix(s.Text, at) {
			t.Fatalf("a step from %s in a path at %s: %s", s.From, at, s.Text)
		}
		for _, permission := range s.Permissions {
			if permission.By.Binding != (rbac.BindingKey{}) {
				if by, allowed := c.Allows(permission.By.To, permission.Request); !allowed {
					t.Fatalf("%v may not %v by %v: %s", permission.By.To, permission.Request, by, s.Text)
				}
			} else if permission.By.Role == (rbac.RoleKey{}) {
				t.Fatalf("nothing allows %v: %s", permission.Request, s.Text)
			}
		}
		at = s.To
	}
	if at != "cluster-admin" {
		t.Fatalf("a path that ends at %s: %+v", at, p)
	}
}

func TestRandomWorlds(t *testing.T) {
	var permissions, paths int
	lengths := make(map[int]int)
	for seed := range uint64(150) {
		m := maker{random{rand.New(rand.NewPCG(seed, 3))}}
		w := newWorld()
		c := w.cluster()
		known := make(map[rbac.Subject]rbac.Power)
		for i := range 40 {
			m.change(w, c)
			if i%6 == 0 {
				checkPowers(t, w, c, known)
			}
			if i < 15 || i%5 > 0 {
				continue
			}
			p, q := compare(t, m, w, c)
			permissions, paths = permissions+p, paths+q
			for _, path := range c.Paths() {
				lengths[len(path.Steps)]++
			}
			// The same, at once and in any order.
			if diff := gocmp.Diff(w.cluster().Paths(), c.Paths()); diff != "" {
				t.Fatalf("after changes it differs from the same world made anew:\n%s", diff)
			}
		}
	}
	t.Logf("%d permissions, %d paths, by length %v", permissions, paths, lengths)
	if permissions < 1000 || paths < 1000 || lengths[3] < 20 {
		t.Error("the worlds are too dull to prove anything")
	}
}

// checkPowers keeps powers up to date by what changes are told, and compares them with what they should be.
func checkPowers(t *testing.T, w *world, c *rbac.Cluster, known map[rbac.Subject]rbac.Power) {
	t.Helper()
	changes := c.TakeChanges()
	maps.Copy(known, changes.Powers)
	for _, s := range changes.Gone {
		delete(known, s)
	}
	for _, s := range everybody {
		want := rbac.Power{Granted: c.Empowered(s), Steps: max(0, w.distance(s))}
		for reach, namespaces := range map[rbac.SecretReach][]string{
			rbac.AllSecrets: {""}, rbac.OwnSecrets: {s.Namespace}, rbac.OtherSecrets: {"x", "y"},
		} {
			for _, namespace := range namespaces {
				for _, verb := range []string{"get", "list", "watch"} {
					r := rbac.Request{Verb: verb, Resource: "secrets", Namespace: namespace}
					if (reach != rbac.OwnSecrets || namespace != "") && (w.allows(identity(s), r) || s == rbac.Group(rbac.Masters)) {
						want.Secrets = max(want.Secrets, secretsWithin(reach, namespace, s))
					}
				}
			}
		}
		got, followed := known[s]
		switch {
		case followed:
		case s.Kind == rbacv1.ServiceAccountKind: // no binding names it
			got = known[rbac.Others(s.Namespace)]
		default:
			got = c.Power(s)
		}
		if got.Unsure = false; got != want { // what is not known cannot be told from the world
			t.Fatalf("the power of %v: %+v, want %+v\n%v", s, got, want, w)
		}
	}
}

func secretsWithin(reach rbac.SecretReach, namespace string, s rbac.Subject) rbac.SecretReach {
	if reach == rbac.OtherSecrets && namespace == s.Namespace {
		return rbac.OwnSecrets
	}
	return reach
}

// TestUnseen hides from the engine what mounts the tokens of some ServiceAccounts, in random worlds. What it says then must be so
// whatever they are, or unsure; and that only if it makes a difference.
func TestUnseen(t *testing.T) {
	unsure, sure := 0, 0
	for seed := range uint64(1500) {
		m, w := maker{random{rand.New(rand.NewPCG(seed, 7))}}, newWorld()
		followed := w.cluster()
		for range 30 {
			m.change(w, followed)
		}
		hidden, best, worst := w.cluster(), w.cluster(), w.cluster()
		for s, a := range w.accounts {
			if m.choose(2) > 0 {
				hidden.SetAccount(s.Namespace, s.Name, rbac.Account{Unseen: true, TokenSecrets: a.TokenSecrets})
				best.SetAccount(s.Namespace, s.Name, rbac.Account{TokenSecrets: a.TokenSecrets})
				worst.SetAccount(s.Namespace, s.Name, rbac.Account{Mounted: true, TokenSecrets: a.TokenSecrets})
			}
		}
		for _, s := range everybody {
			got, least, most := hidden.Power(s), best.Power(s), worst.Power(s)
			if got.Steps != least.Steps || got.Unsure != (least.Steps == 0 && (most.Steps > 0 || most.Unsure)) {
				t.Fatalf("seed %d, %v: %+v, where it is %+v to %+v\n%v", seed, s, got, least, most, w)
			}
			if got.Unsure && !most.Unsure {
				unsure++
			}
			if got.Steps > 0 {
				sure++
			}
		}
	}
	if t.Logf("%d unsure, %d sure", unsure, sure); unsure < 10 || sure < 10 {
		t.Error("the worlds are too dull to prove anything")
	}
}

func FuzzWorlds(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		m := maker{&bytes{data}}
		w := newWorld()
		c := w.cluster()
		for range min(len(data)/8, 60) {
			m.change(w, c)
		}
		compare(t, m, w, c)
	})
}

// TestUpstream compares with verdicts of the RBAC authorizer of Kubernetes 1.36.3 on random worlds: see
// hack/controlplane/kubernetes/rbac.
func TestUpstream(t *testing.T) {
	text, err := os.ReadFile("testdata/upstream.json")
	if err != nil {
		t.Fatal(err)
	}
	var worlds []struct {
		Roles               []rbacv1.Role
		ClusterRoles        []rbacv1.ClusterRole
		RoleBindings        []rbacv1.RoleBinding
		ClusterRoleBindings []rbacv1.ClusterRoleBinding
		Requests            []struct {
			rbac.Request
			User    string
			Groups  []string
			Allowed bool
		}
	}
	if err := json.Unmarshal(text, &worlds); err != nil {
		t.Fatal(err)
	}
	allowed := 0
	for i, upstream := range worlds {
		w := newWorld()
		for _, r := range upstream.Roles {
			w.roles[rbac.RoleKey{Namespace: r.Namespace, Name: r.Name}] = rbac.RoleFrom(&r)
		}
		for _, r := range upstream.ClusterRoles {
			w.roles[rbac.RoleKey{Name: r.Name}] = rbac.ClusterRoleFrom(&r)
		}
		for _, b := range upstream.RoleBindings {
			w.bindings[rbac.BindingKey{Namespace: b.Namespace, Name: b.Name}] = rbac.BindingFrom(&b.ObjectMeta, b.RoleRef, b.Subjects)
		}
		for _, b := range upstream.ClusterRoleBindings {
			w.bindings[rbac.BindingKey{Name: b.Name}] = rbac.BindingFrom(&b.ObjectMeta, b.RoleRef, b.Subjects)
		}
		c := w.cluster()
		for _, r := range upstream.Requests {
			s := rbac.User(r.User)
			if r.User == "member" {
				s = rbac.Group("dev")
			}
			if r.Allowed {
				allowed++
			}
			if _, got := c.Allows(s, r.Request); got != r.Allowed {
				t.Errorf("world %d: %v may %v: %v, want %v", i, s, r.Request, got, r.Allowed)
			}
			if got := w.allows(identity(s), r.Request); got != r.Allowed {
				t.Errorf("world %d: naively, %v may %v: %v, want %v", i, s, r.Request, got, r.Allowed)
			}
		}
	}
	if allowed < 100 {
		t.Errorf("only %d requests are allowed", allowed)
	}
}

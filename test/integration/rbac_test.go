// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// readRBAC returns all roles and bindings of the cluster. aggregate says to put aggregated ClusterRoles together here.
func readRBAC(ctx context.Context, t *testing.T, aggregate bool) *rbac.Cluster {
	t.Helper()
	var (
		roles               rbacv1.RoleList
		clusterRoles        rbacv1.ClusterRoleList
		bindings            rbacv1.RoleBindingList
		clusterRoleBindings rbacv1.ClusterRoleBindingList
	)
	for _, list := range []client.ObjectList{&roles, &clusterRoles, &bindings, &clusterRoleBindings} {
		if err := admin.List(ctx, list); err != nil {
			t.Fatal(err)
		}
	}
	c := rbac.NewCluster(aggregate)
	for i := range roles.Items {
		c.SetRole(rbac.RoleFrom(&roles.Items[i]))
	}
	for i := range clusterRoles.Items {
		c.SetRole(rbac.ClusterRoleFrom(&clusterRoles.Items[i]))
	}
	for i := range bindings.Items {
		b := &bindings.Items[i]
		c.SetBinding(rbac.BindingFrom(&b.ObjectMeta, b.RoleRef, b.Subjects))
	}
	for i := range clusterRoleBindings.Items {
		b := &clusterRoleBindings.Items[i]
		c.SetBinding(rbac.BindingFrom(&b.ObjectMeta, b.RoleRef, b.Subjects))
	}
	return c
}

// dice make random roles, bindings and questions. Names are few, so that things meet.
type dice struct {
	*rand.Rand
	namespaces []string
}

func pick[T any](d dice, of ...T) T { return of[d.IntN(len(of))] }

func picks(d dice, of ...string) []string {
	list := []string{pick(d, of...)}
	for d.IntN(2) == 0 {
		list = append(list, pick(d, of...))
	}
	return list
}

// Verbs, groups, resources, names and paths that rules allow. "pods/*" looks like a wildcard and is none.
var (
	ruleVerbs     = []string{"get", "list", "create", "delete", "impersonate", "*"}
	ruleGroups    = []string{"", "shop.example.com", "*"}
	ruleResources = []string{"pods", "pods/log", "pods/*", "carts", "carts/status", "carts/scale", "*/status", "*/log", "*"}
	ruleNames     = []string{"one", "two"}
	rulePaths     = []string{"/metrics", "/metrics/*", "/api*", "/healthz", "*"}
)

func (d dice) rules(paths bool) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for range d.IntN(3) {
		r := rbacv1.PolicyRule{Verbs: picks(d, ruleVerbs...)}
		if paths && d.IntN(4) == 0 {
			r.NonResourceURLs = picks(d, rulePaths...)
		} else {
			r.APIGroups, r.Resources = picks(d, ruleGroups...), picks(d, ruleResources...)
			if d.IntN(3) == 0 {
				r.ResourceNames = picks(d, ruleNames...)
			}
		}
		rules = append(rules, r)
	}
	return rules
}

func (d dice) subjects() []rbacv1.Subject {
	user := func(name string) rbacv1.Subject {
		return rbacv1.Subject{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: name}
	}
	group := func(name string) rbacv1.Subject {
		return rbacv1.Subject{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: name}
	}
	account := func(namespace string) rbacv1.Subject {
		return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: pick(d, "dice-a", "dice-b")}
	}
	var list []rbacv1.Subject
	for range 1 + d.IntN(2) {
		list = append(list, pick(d,
			user("dice-alice"), user("dice-bob"), user("system:anonymous"), user("system:serviceaccount:"+d.namespaces[0]+":dice-a"),
			group("dice-dev"), group("dice-dev"), group("system:authenticated"), group("system:unauthenticated"), group("system:serviceaccounts"),
			group("system:serviceaccounts:"+d.namespaces[1]), account(d.namespaces[0]), account(d.namespaces[1]),
		))
	}
	return list
}

// populate makes random roles and bindings. The names of those in the cluster begin with a prefix.
func (d dice) populate(t *testing.T, prefix string) {
	t.Helper()
	make1 := func(o client.Object) {
		t.Helper()
		create(t, o)
		t.Cleanup(func() { removeAfterwards(t, o) })
	}
	label := prefix + ".example.com/into"
	// The controller manager makes an aggregated ClusterRole anew that goes while one goes that it selects.
	t.Cleanup(func() {
		for i := 0; i < 16; i += 4 {
			waitForGone(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", prefix, i)}})
		}
	})
	for i := range 16 {
		r := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", prefix, i), Labels: map[string]string{label: pick(d, "a", "b", "none")}}, Rules: d.rules(true)}
		if i%4 == 0 {
			if r.Labels[label] != "none" {
				r.Rules = nil // of two that select each other, it would be a matter of timing which rules are left
			}
			r.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{label: pick(d, "a", "b")}}}}
		}
		make1(r)
	}
	role := func() rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: rbac.KindClusterRole, Name: fmt.Sprintf("%s-%d", prefix, d.IntN(17))} // the last is not there
	}
	for i := range 8 {
		make1(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", prefix, i)}, RoleRef: role(), Subjects: d.subjects()})
	}
	for _, namespace := range d.namespaces {
		for i := range 6 {
			make1(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint("dice-", i)}, Rules: d.rules(false)})
		}
		for i := range 10 {
			ref := role()
			if d.IntN(2) == 0 {
				ref.Kind, ref.Name = rbac.KindRole, fmt.Sprint("dice-", d.IntN(7))
			}
			make1(&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprint("dice-", i)}, RoleRef: ref, Subjects: d.subjects()})
		}
	}
}

// waitForGone removes an object until nobody makes it anew.
func waitForGone(t *testing.T, o client.Object) {
	t.Helper()
	eventually(t, o.GetName()+" to be gone", func(ctx context.Context) (bool, string) {
		err := admin.Delete(ctx, o)
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
}

func (d dice) request() rbac.Request {
	if d.IntN(6) == 0 {
		return rbac.Request{Verb: pick(d, "get", "list"), Path: pick(d, "/metrics", "/metrics/x", "/apis", "/healthz", "/")}
	}
	resource, subresource, _ := strings.Cut(pick(d, "pods", "pods/log", "pods/status", "carts", "carts/status", "carts/scale", "secrets", "users"), "/")
	return rbac.Request{
		Verb: pick(d, "get", "list", "create", "delete", "impersonate", "watch", "*"), Group: pick(d, "", "shop.example.com", "apps", "*"),
		Resource: resource, Subresource: subresource, Namespace: pick(d, "", d.namespaces[0], d.namespaces[1], "elsewhere"), Name: pick(d, "", "one", "two", "three"),
	}
}

// everybody is who may be bound, and who is not.
func (d dice) everybody() []rbac.Subject {
	a, b := d.namespaces[0], d.namespaces[1]
	return []rbac.Subject{
		rbac.User("dice-alice"), rbac.User("dice-bob"), rbac.User("dice-carol"), rbac.User("system:anonymous"),
		rbac.Group("dice-dev"), rbac.Group(rbac.Masters), rbac.Group("system:serviceaccounts:" + b),
		rbac.ServiceAccount(a, "dice-a"), rbac.ServiceAccount(a, "dice-b"), rbac.ServiceAccount(b, "dice-a"), rbac.ServiceAccount(b, "dice-b"), rbac.ServiceAccount("elsewhere", "dice-a"),
	}
}

// userInfo is what the API server takes a subject for. Of a group, it is a member of whom nothing else is known.
func userInfo(s rbac.Subject) authenticationv1.UserInfo {
	info := authenticationv1.UserInfo{Username: s.Name}
	switch s.Kind {
	case rbacv1.ServiceAccountKind:
		info.Username = "system:serviceaccount:" + s.Namespace + ":" + s.Name
	case rbacv1.GroupKind:
		info.Username, info.Groups = "dice-member", []string{s.Name}
	}
	for _, g := range s.Groups() {
		info.Groups = append(info.Groups, g.Name)
	}
	return info
}

// review asks the API server whether somebody may do something.
func review(ctx context.Context, s rbac.Subject, r rbac.Request) (bool, error) {
	info := userInfo(s)
	sar := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{User: info.Username, Groups: info.Groups}}
	if r.Path != "" {
		sar.Spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Verb: r.Verb, Path: r.Path}
	} else {
		sar.Spec.ResourceAttributes = &authorizationv1.ResourceAttributes{
			Verb: r.Verb, Group: r.Group, Resource: r.Resource, Subresource: r.Subresource, Namespace: r.Namespace, Name: r.Name,
		}
	}
	err := admin.Create(ctx, sar)
	return sar.Status.Allowed, err
}

// TestPermissionsAgreeWithTheAPIServer asks the engine and the API server the same thousands of questions about random roles.
func TestPermissionsAgreeWithTheAPIServer(t *testing.T) {
	seed := rand.Uint64()
	if given := os.Getenv("KUBERSAFE_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("KUBERSAFE_SEED=%d repeats these roles and questions", seed)
	d := dice{rand.New(rand.NewPCG(seed, 0)), []string{newNamespace(t), newNamespace(t)}}
	d.populate(t, fmt.Sprint("dice-", namespaceCount.Add(1)))
	requests := make([]rbac.Request, 0, 400)
	for range cap(requests) {
		requests = append(requests, d.request())
	}
	var c *rbac.Cluster
	eventually(t, "aggregated ClusterRoles as the engine puts them together", func(ctx context.Context) (bool, string) {
		c = readRBAC(ctx, t, false)
		aggregated := readRBAC(ctx, t, true)
		for _, s := range d.everybody() {
			for _, r := range requests {
				_, stored := c.Allows(s, r)
				if _, own := aggregated.Allows(s, r); own != stored {
					return false, fmt.Sprintf("%v may %v: %v by what is stored, %v by what is aggregated here", s, r, stored, own)
				}
			}
		}
		return true, ""
	})
	waitForAuthorizer(t, d.namespaces[0])

	var (
		mu      sync.Mutex
		allowed int
		work    sync.WaitGroup
		next    = make(chan rbac.Request)
	)
	for range 8 {
		work.Go(func() {
			for r := range next {
				holders := c.WhoCan(r, false)
				for _, s := range d.everybody() {
					want, err := review(t.Context(), s, r)
					_, got := c.Allows(s, r)
					listed := slices.ContainsFunc(holders, func(h rbac.Holder) bool {
						return h.Subject == s || slices.Contains(s.Groups(), h.Subject)
					})
					mu.Lock()
					if err != nil || got != want || listed != want {
						t.Errorf("%v may %+v: %v to the API server (%v), %v to the engine, listed: %v", s, r, want, err, got, listed)
					}
					if want {
						allowed++
					}
					mu.Unlock()
				}
			}
		})
	}
	for _, r := range requests {
		next <- r
	}
	close(next)
	work.Wait()
	pairs := len(requests) * len(d.everybody())
	t.Logf("%d pairs, %d allowed", pairs, allowed)
	if pairs < 4000 || allowed < pairs/50 {
		t.Error("that is too little to prove anything")
	}
}

// waitForAuthorizer waits until the API server decides by all that has been created: what comes last over its watches is known.
func waitForAuthorizer(t *testing.T, namespace string) {
	t.Helper()
	name := fmt.Sprintf("authorizer-%d", namespaceCount.Add(1))
	for i, kind := range []string{rbac.KindRole, rbac.KindClusterRole} {
		meta := metav1.ObjectMeta{Name: fmt.Sprint(name, "-", i)}
		subject := rbac.User(meta.Name)
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: meta.Name}
		subjects := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: meta.Name}}
		rules := []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{"authorizer.example.com"}, Resources: []string{"sentinels"}}}
		var role, binding client.Object
		if kind == rbac.KindRole {
			meta.Namespace = namespace
			role, binding = &rbacv1.Role{ObjectMeta: meta, Rules: rules}, &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}
		} else {
			role, binding = &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}
		}
		create(t, role)
		create(t, binding)
		eventually(t, "the API server's authorizer", func(ctx context.Context) (bool, string) {
			allowed, err := review(ctx, subject, rbac.Request{Verb: "get", Group: "authorizer.example.com", Resource: "sentinels", Namespace: namespace})
			return allowed, fmt.Sprint(err)
		})
		remove(t, binding)
		remove(t, role)
	}
}

// reaching is what `kubersafe rbac can-reach-admin -o json` prints.
type reaching struct {
	Subjects []struct {
		rbac.Subject
		Steps []pathStep `json:"steps"`
	} `json:"subjects"`
}

type pathStep struct {
	From, To, Text string
	Permissions    []rbac.Request
}

// canReachAdmin returns who can become cluster-admin by the command, and how.
func canReachAdmin(t *testing.T) map[string][]pathStep {
	t.Helper()
	out, code := command(t, "rbac", "can-reach-admin", "--kubeconfig="+cluster.Kubeconfig, "-o", "json")
	start := strings.Index(out, "\n{") // behind the warnings
	var r reaching
	if err := json.Unmarshal([]byte(out[start+1:]), &r); err != nil || code > 1 {
		t.Fatalf("can-reach-admin: code %d, %v\n%s", code, err, out)
	}
	paths := make(map[string][]pathStep)
	for _, s := range r.Subjects {
		paths[s.String()] = s.Steps
	}
	return paths
}

// TestStockRolesAreNoFindings: an API server's own roles are left out, and found as soon as one of them is more than it was.
func TestStockRolesAreNoFindings(t *testing.T) {
	stock := func() (others []string) {
		c := readRBAC(t.Context(), t, false)
		var bindings rbacv1.ClusterRoleBindingList
		if err := admin.List(t.Context(), &bindings); err != nil {
			t.Fatal(err)
		}
		count := 0
		for _, b := range bindings.Items {
			if b.Labels["kubernetes.io/bootstrapping"] != "rbac-defaults" {
				continue
			}
			for _, s := range b.Subjects {
				subject, _ := rbac.SubjectFrom(&s, "")
				for _, g := range c.Grants(subject) {
					if g.Binding.Name != b.Name || g.Binding.Namespace != "" {
						continue
					}
					count++
					if !g.Default {
						others = append(others, g.String())
					}
				}
			}
		}
		if count < 50 {
			t.Errorf("only %d bindings are the API server's own", count)
		}
		slices.Sort(others)
		return slices.Compact(others)
	}
	// The namespaces of other tests, whose names begin with "test", are a while in going.
	ways := func() map[string][]pathStep {
		paths := canReachAdmin(t)
		maps.DeleteFunc(paths, func(subject string, _ []pathStep) bool {
			return strings.Contains(subject, `"test`) || strings.Contains(subject, "system:serviceaccounts:test")
		})
		return paths
	}
	if others := stock(); others != nil {
		t.Errorf("taken for somebody else's: %v", others)
	}
	if paths := ways(); len(paths) > 0 {
		t.Errorf("a fresh cluster with the operator has ways to cluster-admin: %v", paths)
	}

	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "system:kube-scheduler"}}
	var before []rbacv1.PolicyRule
	change(t, role, func(r *rbacv1.ClusterRole) {
		before = slices.Clone(r.Rules)
		r.Rules = append(r.Rules, rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}})
	})
	t.Cleanup(func() {
		role.Rules = before
		if err := admin.Update(context.Background(), role); err != nil {
			t.Error(err)
		}
	})
	want := []string{`ClusterRoleBinding "system:kube-scheduler", ClusterRole "system:kube-scheduler"`}
	if diff := cmp.Diff(want, stock()); diff != "" {
		t.Error(diff)
	}
	wantPaths := map[string]string{
		`User "system:kube-scheduler"`: `User "system:kube-scheduler" may do everything (ClusterRoleBinding "system:kube-scheduler", ClusterRole "system:kube-scheduler")`,
	}
	got := make(map[string]string)
	for subject, steps := range ways() {
		got[subject] = steps[0].Text
	}
	if diff := cmp.Diff(wantPaths, got); diff != "" {
		t.Error(diff)
	}
}

// TestPowerOfWorkloads: a workload is judged again as soon as its ServiceAccount may do more or less, by a binding far away.
func TestPowerOfWorkloads(t *testing.T) {
	elsewhere, ns := newNamespace(t), newNamespace(t)
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "deployer"}})
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: elsewhere, Name: "ci"}})
	p := pod(ns, "deployer", restrictedContainer("app", "example.com/app:1"))
	p.Spec.ServiceAccountName = "deployer"
	create(t, p)
	power := func(r *v1alpha1.SecurityReport) string {
		var found []string
		for _, f := range r.Findings {
			switch f.Check {
			case "workload-can-escalate", "workload-reads-secrets", "service-account-token-mounted":
				found = append(found, f.Message)
			}
		}
		return strings.Join(found, "\n")
	}
	becomes := func(want string) {
		t.Helper()
		r := waitFor(t, ns, "pod-deployer", func(r *v1alpha1.SecurityReport) bool { return power(r) == want })
		for _, s := range r.Skips {
			if slices.Contains(powerChecks, s.Check) {
				t.Errorf("skipped: %+v", s)
			}
		}
	}
	bind := func(namespace, role, of, account string) client.Object {
		meta := metav1.ObjectMeta{Namespace: namespace, Name: of + "-" + account}
		ref := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: rbac.KindClusterRole, Name: role}
		subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: of, Name: account}}
		var b client.Object = &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}
		if namespace == "" {
			b = &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: ref, Subjects: subjects}
		}
		create(t, b)
		t.Cleanup(func() { removeAfterwards(t, b) })
		return b
	}
	becomes(`"automountServiceAccountToken" must be false: nothing is granted to "deployer"`)
	bind(elsewhere, "edit", ns, "deployer")
	becomes(`"serviceAccountName" must not name "deployer": it can read all Secrets of another namespace`)
	admin := bind("", everythingRole, elsewhere, "ci")
	becomes(`"serviceAccountName" must not name "deployer": it can become cluster-admin in 2 steps
"serviceAccountName" must not name "deployer": it can read all Secrets of another namespace`)
	remove(t, admin)
	becomes(`"serviceAccountName" must not name "deployer": it can read all Secrets of another namespace`)
}

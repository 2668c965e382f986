// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// offline returns a client that nobody uses: sources that are not started ask for nothing.
func offline(t testing.TB) kubernetes.Interface {
	t.Helper()
	c, err := kubernetes.NewForConfig(&rest.Config{Host: "http://unused.invalid"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// everything returns the sources of all resources, those that need not be served among them.
func everything(t *testing.T) *Sources {
	t.Helper()
	s := New(offline(t))
	if err := AddOptional(s, &rest.Config{Host: "http://unused.invalid"}, http.DefaultClient); err != nil {
		t.Fatal(err)
	}
	return s
}

func watcherOf(t *testing.T, s *Sources, r audit.Resource) *watcher {
	t.Helper()
	for _, w := range s.watchers {
		if w.resource == r {
			return w
		}
	}
	t.Fatalf("no source for %s", r)
	return nil
}

// syncAll has every source read and watched.
func syncAll(s *Sources) {
	for _, w := range s.watchers {
		w.update(func() { w.listed = true })
		w.observe(nil, true)
	}
}

// forbid has a source refused for longer than a blip.
func forbid(w *watcher) { refuse(w, "403") }

// refuse has the API server refuse a watcher for so long that it counts.
func refuse(w *watcher, outcome string) {
	w.observe(outcomes[outcome], false)
	later := w.now().Add(time.Hour)
	w.now = func() time.Time { return later }
	w.observe(outcomes[outcome], false)
}

// TestAnotherNetworkConcernsAll: a network's DaemonSet that comes or goes changes what is said of every namespace.
func TestAnotherNetworkConcernsAll(t *testing.T) {
	s := New(offline(t))
	var events []Event
	s.OnEvent(func(e Event) { events = append(events, e) })
	store := s.controllers[audit.DaemonSets]
	daemonSet := func(namespace, name string) *appsv1.DaemonSet {
		return &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: "a"}}
	}
	for _, change := range []error{
		store.Add(daemonSet("shop", "calico-node")), store.Add(daemonSet("calico-system", "calico-node")),
		store.Delete(daemonSet("calico-system", "calico-node")),
	} {
		if change != nil {
			t.Fatal(change)
		}
	}
	want := []Event{
		{Resource: audit.DaemonSets, Namespace: "shop"},
		{Resource: audit.DaemonSets, Namespace: "calico-system", StateChanged: true},
		{Resource: audit.DaemonSets, Namespace: "calico-system", StateChanged: true},
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Error(diff)
	}
}

// TestNodesConcernAll: what nodes tell of the cluster is part of every namespace. A node that tells nothing new concerns none.
func TestNodesConcernAll(t *testing.T) {
	s := New(offline(t))
	syncAll(s)
	if err := s.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}); err != nil {
		t.Fatal(err)
	}
	node := func(name, providerID string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}, Spec: corev1.NodeSpec{ProviderID: providerID}}
	}
	annotated, dual, status := node("a", "aws:///a"), node("b", ""), node("a", "aws:///a")
	annotated.Annotations = map[string]string{"projectcalico.org/IPv4Address": "10.0.0.1/24"}
	dual.Spec.PodCIDRs = []string{"10.0.0.0/24", "fd00::/64"}
	status.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady}}
	var events []Event
	s.OnEvent(func(e Event) {
		if e != aNode {
			events = append(events, e)
		}
	})
	for _, step := range []struct {
		what   string
		change func() error
		want   []Event
	}{
		{"a node of no cloud", func() error { return s.nodes.Add(node("b", "kind://docker/b")) }, []Event{{Resource: audit.Nodes, StateChanged: true}}},
		{"one of a cloud", func() error { return s.nodes.Add(node("a", "aws:///a")) }, []Event{{Resource: audit.Nodes, StateChanged: true}}},
		{"its status", func() error { return s.nodes.Update(status) }, nil},
		{"another of the same", func() error { return s.nodes.Add(node("c", "aws:///c")) }, nil},
		{"a network", func() error { return s.nodes.Update(annotated) }, []Event{{Resource: audit.Nodes, StateChanged: true}}},
		{"IPv6", func() error { return s.nodes.Update(dual) }, []Event{{Resource: audit.Nodes, StateChanged: true}}},
	} {
		events = nil
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, events); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
	}
	i, _ := s.Inventory("shop")
	calico := netpol.CNI{Name: "Calico", Enforces: netpol.Enforced}
	if diff := cmp.Diff(audit.Infrastructure{Clouds: []string{"aws"}, IPv6: true, CNI: calico, Workers: true}, i.Nodes); diff != "" || i.CNI != calico {
		t.Errorf("network %v, nodes (-want +got):\n%s", i.CNI, diff)
	}
	forbid(watcherOf(t, s, audit.Nodes))
	if i, _ := s.Inventory("shop"); len(i.Nodes.Clouds) > 0 || i.CNI.Name != "" || i.Unavailable[audit.Nodes] == nil {
		t.Errorf("what can no longer be read is trusted: %+v, %+v", i.Nodes, i.CNI)
	}
	if err := s.controllers[audit.DaemonSets].Add(&appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "cilium"}}); err != nil {
		t.Fatal(err)
	}
	if i, _ := s.Inventory("shop"); i.CNI.Name != "Cilium" {
		t.Errorf("without nodes, agents are seen all the same: %+v", i.CNI)
	}
	forbid(watcherOf(t, s, audit.DaemonSets))
	if i, _ := s.Inventory("shop"); i.CNI.Name != "" {
		t.Errorf("agents that can no longer be seen are trusted: %+v", i.CNI)
	}
}

func TestSourcesSettle(t *testing.T) {
	s := New(offline(t))
	if s.Settled() || s.Current() {
		t.Error("settled before anything has been read")
	}
	for i, w := range s.watchers {
		if s.Settled() {
			t.Errorf("settled with %d of %d sources", i, len(s.watchers))
		}
		if i%2 == 0 {
			w.observe(outcomes["403"], false)
		} else {
			w.update(func() { w.listed = true })
		}
	}
	if s.Settled() {
		t.Error("settled before it is known what ServiceAccounts may do")
	}
	s.updatePowers()
	if !s.Settled() {
		t.Error("not settled, though each has been read or refused")
	}
	if s.Current() {
		t.Error("current, though some are not watched yet")
	}
	syncAll(s)
	if !s.Settled() || !s.Current() {
		t.Error("not settled and current in the end")
	}
	if s.NeedLeaderElection() {
		t.Error("followers are not kept warm")
	}
}

func TestSourcesTell(t *testing.T) {
	s := New(offline(t))
	var told, toldToo []Event
	s.OnEvent(func(e Event) { told = append(told, e) })
	s.OnEvent(func(e Event) { toldToo = append(toldToo, e) })
	if err := s.pods.Add(livePod()); err != nil {
		t.Fatal(err)
	}
	if err := s.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "blog"}}); err != nil {
		t.Fatal(err)
	}
	watcherOf(t, s, audit.Services).observe(outcomes["403"], false)
	want := []Event{
		{Resource: audit.Pods, Namespace: "shop"}, {Resource: audit.Namespaces, Namespace: "blog"}, {Resource: audit.Services, StateChanged: true},
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(told, toldToo); diff != "" {
		t.Errorf("events (-first handler +second):\n%s", diff)
	}
}

func TestInventory(t *testing.T) {
	filled := func() *Sources {
		s := New(offline(t))
		syncAll(s)
		d := &corev1.ReplicationController{ObjectMeta: metaOf("rc")}
		for _, err := range []error{
			s.pods.Add(livePod()), s.controllers[audit.ReplicationControllers].Add(d), s.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}),
			s.quotas.Add(&corev1.ResourceQuota{ObjectMeta: metaOf("q")}), s.limitRanges.Add(&corev1.LimitRange{ObjectMeta: metaOf("l")}),
			s.serviceAccounts.Add(&corev1.ServiceAccount{ObjectMeta: metaOf("s")}),
			s.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "empty"}}),
			s.quotas.Add(&corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "only-quota", Name: "q"}}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		s.updatePowers()
		return s
	}
	// counts are namespace, Pods, controllers, quotas, limit ranges, service accounts.
	for name, tc := range map[string]struct {
		namespace  string
		forbidden  []audit.Resource
		wantExists bool
		wantCounts [6]int
	}{
		"a namespace":                   {"shop", nil, true, [6]int{1, 1, 1, 1, 1, 1}},
		"an empty namespace":            {"empty", nil, true, [6]int{1}},
		"a namespace that is not there": {"none", nil, false, [6]int{}},
		"a namespace that has just gone, but not all that it held": {"only-quota", nil, false, [6]int{0, 0, 0, 1}},
		"what can no longer be read is left out":                   {"shop", []audit.Resource{audit.Pods, audit.ResourceQuotas}, true, [6]int{1, 0, 1, 0, 1, 1}},
		"controllers that can no longer be read are left out":      {"shop", []audit.Resource{audit.ReplicationControllers, audit.LimitRanges, audit.ServiceAccounts}, true, [6]int{1, 1, 0, 1}},
		"without namespaces, one that anything is in exists":       {"shop", []audit.Resource{audit.Namespaces}, true, [6]int{0, 1, 1, 1, 1, 1}},
		"without namespaces, one with a quota exists":              {"only-quota", []audit.Resource{audit.Namespaces}, true, [6]int{0, 0, 0, 1}},
		"without namespaces, an empty one does not exist":          {"empty", []audit.Resource{audit.Namespaces}, false, [6]int{}},
	} {
		t.Run(name, func(t *testing.T) {
			s := filled()
			for _, r := range tc.forbidden {
				forbid(watcherOf(t, s, r))
			}
			i, exists := s.Inventory(tc.namespace)
			if exists != tc.wantExists {
				t.Errorf("exists: %v, want %v", exists, tc.wantExists)
			}
			counts := [6]int{0, len(i.Pods), len(i.Controllers), len(i.Quotas), len(i.LimitRanges), len(i.ServiceAccounts)}
			if i.Namespace != nil {
				counts[0] = 1
			}
			if counts != tc.wantCounts {
				t.Errorf("counts %v, want %v", counts, tc.wantCounts)
			}
			if len(i.Unavailable) != len(tc.forbidden) {
				t.Errorf("unavailable %v, want %v", i.Unavailable, tc.forbidden)
			}
			for _, r := range tc.forbidden {
				want := &audit.Unavailable{Resource: r, Reason: v1alpha1.SkipSourceForbidden, Message: "the operator may not list and watch " + string(r)}
				if diff := cmp.Diff(want, i.Unavailable[r]); diff != "" {
					t.Errorf("unavailable (-want +got):\n%s", diff)
				}
			}
			if tc.wantExists && !slices.Contains(s.Namespaces(), tc.namespace) {
				t.Errorf("it exists, but is not among %q", s.Namespaces())
			}
		})
	}
}

// TestOptionalResourcesNeedNotBeServed: where the Gateway API is not there, nothing is missing.
func TestOptionalResourcesNeedNotBeServed(t *testing.T) {
	s := everything(t)
	syncAll(s)
	for _, err := range []error{
		s.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}), s.gateways.Add(&gatewayv1.Gateway{ObjectMeta: metaOf("g")}),
		s.clusterPolicies.Add(clusterPolicy("p", 1, nil)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.updatePowers()
	if i, _ := s.Inventory("shop"); len(i.Gateways) != 1 || len(i.ClusterPolicies) != 1 {
		t.Errorf("gateways %v, policies %v", i.Gateways, i.ClusterPolicies)
	}
	for _, r := range []audit.Resource{audit.Gateways, audit.HTTPRoutes, audit.ClusterNetworkPolicies, audit.Services} {
		refuse(watcherOf(t, s, r), "404")
	}
	i, _ := s.Inventory("shop")
	if len(i.Unavailable) != 1 || i.Unavailable[audit.Services] == nil || len(i.Gateways)+len(i.ClusterPolicies) != 0 {
		t.Errorf("unavailable %v, gateways %v, policies %v", i.Unavailable, i.Gateways, i.ClusterPolicies)
	}
	for _, r := range []audit.Resource{audit.Gateways, audit.ClusterNetworkPolicies} {
		forbid(watcherOf(t, s, r))
		if i, _ := s.Inventory("shop"); i.Unavailable[r] == nil || len(i.ClusterPolicies) != 0 {
			t.Errorf("%s: what is forbidden is taken for nothing", r)
		}
	}
}

func TestStatus(t *testing.T) {
	s := New(offline(t))
	watcherOf(t, s, audit.Jobs).observe(outcomes["404"], false)
	var syncing int
	for i, status := range s.Status() {
		if status.Resource != string(s.watchers[i].resource) {
			t.Errorf("%d is %s", i, status.Resource)
		}
		switch want := v1alpha1.SourceSyncing; {
		case status.Resource == string(audit.Jobs):
			if status.State != v1alpha1.SourceNotServed {
				t.Errorf("%+v", status)
			}
		case status.State == want:
			syncing++
		}
	}
	if syncing != len(s.watchers)-1 {
		t.Errorf("%d of %d are syncing", syncing, len(s.watchers))
	}
}

// TestDepartures runs on a clock that stands still unless everybody waits.
func TestDepartures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(offline(t))
		store := s.controllers[audit.ReplicationControllers]
		rc := func(uid string) *corev1.ReplicationController {
			return &corev1.ReplicationController{ObjectMeta: configMap("shop", "rc-"+uid, uid, "5", "").ObjectMeta}
		}
		start := time.Now()
		for _, uid := range []string{"a", "b"} {
			if err := store.Add(rc(uid)); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Delete(rc("a")); err != nil {
			t.Fatal(err)
		}
		i, _ := s.Inventory("shop")
		if at, ok := i.Gone(audit.Owner{UID: "a"}); !ok || !at.Equal(start) {
			t.Errorf("a has gone at %v, %v; want %v", at, ok, start)
		}
		if at, ok := i.Gone(audit.Owner{UID: "b"}); ok {
			t.Errorf("b has gone at %v", at)
		}
		time.Sleep(rememberDepartures + time.Second) // nobody waits for it
		if err := store.Delete(rc("b")); err != nil {
			t.Fatal(err)
		}
		if _, ok := i.Gone(audit.Owner{UID: "a"}); ok {
			t.Error("a is remembered for ever")
		}
		if at, ok := i.Gone(audit.Owner{UID: "b"}); !ok || !at.Equal(start.Add(rememberDepartures+time.Second)) {
			t.Errorf("b has gone at %v, %v", at, ok)
		}
	})
}

// TestWhoHasChangedItsController: whoever may edit an object could have it wait for one controller after the other.
func TestWhoHasChangedItsController(t *testing.T) {
	s := New(offline(t))
	version := 0
	var latest *corev1.Pod
	replicaSet := &appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "rs", UID: "r"}}
	named := func(uid, owner string) {
		version++
		latest = livePod()
		latest.UID, latest.ResourceVersion, latest.OwnerReferences = types.UID(uid), fmt.Sprint(version), nil
		replicaSet.ResourceVersion, replicaSet.OwnerReferences = fmt.Sprint(version), nil
		if owner != "" {
			latest.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: owner, UID: types.UID(owner), Controller: new(true)}}
			replicaSet.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: owner, UID: types.UID(owner), Controller: new(true)}}
		}
	}
	for _, step := range []struct {
		name, uid, owner string
		list             bool
		want             bool
	}{
		{"it comes", "1", "a", false, false},
		{"it stays", "1", "a", false, false},
		{"it is listed again", "1", "a", true, false},
		{"another controller", "1", "b", false, true},
		{"it keeps that", "1", "b", false, true},
		{"even if it is listed again", "1", "b", true, true},
		{"another of the same name", "2", "", false, false},
		{"is adopted", "2", "a", false, false},
		{"and released", "2", "", true, true},
		{"and another of the same name is listed", "3", "a", true, false},
	} {
		named(step.uid, step.owner)
		do := func(o runtime.Object, add func(any) error, replace func([]any, string) error) {
			err := error(nil)
			if step.list {
				err = replace([]any{o}, "")
			} else {
				err = add(o)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		replicaSet.UID = types.UID(step.uid)
		do(latest.DeepCopy(), s.pods.Add, s.pods.Replace)
		sets := s.controllers[audit.ReplicaSets]
		do(replicaSet.DeepCopy(), sets.Add, sets.Replace)
		pod, _ := s.pods.Get("shop", latest.Name)
		set, _ := sets.Get("shop", "rs")
		if pod.Reowned != step.want || set.Reowned != step.want {
			t.Errorf("%s: the Pod has changed its controller: %v, the ReplicaSet: %v, want %v", step.name, pod.Reowned, set.Reowned, step.want)
		}
	}
}

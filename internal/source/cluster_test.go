// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/shard"
)

// aNode is the event of a node that is to be judged itself.
var aNode = Event{Resource: audit.Nodes}

// TestNodesAreToldOfWhereTheyAreJudged: of heartbeats, nobody is told.
func TestNodesAreToldOfWhereTheyAreJudged(t *testing.T) {
	node := func(change func(*corev1.Node)) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "a", Labels: map[string]string{"pool": "web"}}}
		n.Spec.Taints = []corev1.Taint{{Key: "pool", Effect: corev1.TaintEffectNoSchedule}}
		n.Status.NodeInfo = corev1.NodeSystemInfo{KubeletVersion: "v1.37.2", ContainerRuntimeVersion: "containerd://2.3.7"}
		n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.0.0.7"}}
		change(n)
		return n
	}
	for name, tc := range map[string]struct {
		change func(*corev1.Node)
		want   bool
	}{
		"a heartbeat": {func(n *corev1.Node) {
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, LastHeartbeatTime: metav1.Now()}}
		}, false},
		"a taint of a condition": {func(n *corev1.Node) {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "node.kubernetes.io/not-ready", Effect: corev1.TaintEffectNoExecute})
		}, false},
		"a taint of a node that is to go": {func(n *corev1.Node) {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "ToBeDeletedByClusterAutoscaler", Effect: corev1.TaintEffectNoSchedule})
		}, false},
		"a taint that only prefers": {func(n *corev1.Node) {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "x", Effect: corev1.TaintEffectPreferNoSchedule})
		}, false},
		"the value of a label":    {func(n *corev1.Node) { n.Labels["pool"] = "db" }, false},
		"a label":                 {func(n *corev1.Node) { n.Labels["team"] = "web" }, true},
		"no taint":                {func(n *corev1.Node) { n.Spec.Taints = nil }, true},
		"a public address":        {func(n *corev1.Node) { n.Status.Addresses[0].Address = "3.120.0.7" }, true},
		"another private address": {func(n *corev1.Node) { n.Status.Addresses[0].Address = "10.0.0.8" }, false},
		"an image": {func(n *corev1.Node) {
			n.Status.Images = []corev1.ContainerImage{{Names: []string{"example.com/a:1"}, SizeBytes: 1 << 30}}
		}, false},
		"another kubelet":               {func(n *corev1.Node) { n.Status.NodeInfo.KubeletVersion = "v1.37.3" }, true},
		"another runtime":               {func(n *corev1.Node) { n.Status.NodeInfo.ContainerRuntimeVersion = "containerd://2.4.0" }, true},
		"another node of the same name": {func(n *corev1.Node) { n.UID = "b" }, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := New(offline(t))
			if err := s.nodes.Add(node(func(*corev1.Node) {})); err != nil {
				t.Fatal(err)
			}
			var events []Event
			s.OnEvent(func(e Event) { events = append(events, e) })
			if err := s.nodes.Update(node(tc.change)); err != nil {
				t.Fatal(err)
			}
			if got := slices.Contains(events, aNode); got != tc.want {
				t.Errorf("told: %v, want %v", got, tc.want)
			}
		})
	}
}

// TestClusterOfShards: the first shard, and no other, sees what belongs to no namespace, the static Pods of kube-system
// wherever that belongs, and all namespaces.
func TestClusterOfShards(t *testing.T) {
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://unused.invalid"})
	if err != nil {
		t.Fatal(err)
	}
	n := 2
	for (shard.Shard{Count: n}).Owns(audit.SystemNamespace) {
		n++
	}
	elsewhere := NewShard(client, shard.Shard{Count: n})
	if whole := New(client); len(whole.watchers)+1 != len(elsewhere.watchers) {
		t.Errorf("%d sources of a whole cluster, %d of its first shard", len(whole.watchers), len(elsewhere.watchers))
	}
	seen := make(map[string]bool)
	for _, s := range elsewhere.Status() {
		if seen[s.Resource] {
			t.Errorf("%s is there twice", s.Resource)
		}
		seen[s.Resource] = true
	}
	for _, s := range NewShard(client, shard.Shard{Index: 1, Count: n}).Status() {
		if strings.Contains(s.Resource, "admissionregistration") || s.Resource == string(audit.EndpointSlices) {
			t.Errorf("the second shard reads %s", s.Resource)
		}
	}

	// A resource that is read in two parts can be read only if both can.
	for _, w := range elsewhere.watchers {
		w.state = v1alpha1.SourceSynced
	}
	elsewhere.watchers[slices.IndexFunc(elsewhere.watchers, func(w *watcher) bool { return w.resource == audit.Pods })].state = v1alpha1.SourceForbidden
	at := slices.IndexFunc(elsewhere.Status(), func(s v1alpha1.SourceStatus) bool { return s.Resource == string(audit.Pods) })
	if state := elsewhere.Status()[at].State; state != v1alpha1.SourceForbidden {
		t.Errorf("Pods are %s", state)
	}
	if i := elsewhere.Cluster(); i.Missing(audit.Pods) == nil {
		t.Error("Pods are not missing")
	}
}

func TestIsStatic(t *testing.T) {
	pod := livePod()
	for owner, want := range map[string]bool{"v1 Node": true, "example.com/v1 Node": false, "v1 Pod": false, "": false} {
		pod.OwnerReferences = nil
		if apiVersion, kind, ok := strings.Cut(owner, " "); ok {
			pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "a", UID: types.UID("a"), Controller: new(true)}}
		}
		for _, mirror := range []bool{true, false} {
			pod.Annotations = nil
			if mirror {
				pod.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: ""}
			}
			record, err := newInterner().pod(pod.DeepCopy())
			if err != nil {
				t.Fatal(err)
			}
			if want := want && mirror; isStatic(pod) != want || record.Static() != want {
				t.Errorf("owned by %q, mirror %v: static is %v, and of its record %v", owner, mirror, isStatic(pod), record.Static())
			}
		}
	}
}

func TestWhatIsKeptOfAdmission(t *testing.T) {
	create := func(resources ...string) admissionregistrationv1.RuleWithOperations {
		return admissionregistrationv1.RuleWithOperations{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
			Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: resources},
		}
	}
	update, cluster := create("pods"), create("*")
	update.Operations = []admissionregistrationv1.OperationType{admissionregistrationv1.Update}
	cluster.Scope = new(admissionregistrationv1.ClusterScope)
	named := func(r admissionregistrationv1.RuleWithOperations, names ...string) []admissionregistrationv1.NamedRuleWithOperations {
		return []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: r, ResourceNames: names}}
	}
	for name, tc := range map[string]struct {
		rules []admissionregistrationv1.NamedRuleWithOperations
		want  bool
	}{
		"Pods":                    {named(create("services", "pods")), true},
		"everything":              {named(create("*")), true},
		"subresources":            {named(create("pods/exec")), false},
		"Pods that are updated":   {named(update), false},
		"what is in no namespace": {named(cluster), false},
		"Pods of one name":        {named(create("pods"), "a"), false},
		"nothing":                 {nil, false},
	} {
		if got := coverPods(tc.rules); got != tc.want {
			t.Errorf("%s: covers Pods: %v", name, got)
		}
	}

	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	policy.Spec.MatchConstraints = &admissionregistrationv1.MatchResources{ResourceRules: named(create("pods")), ExcludeResourceRules: named(create("pods"))}
	r, err := admissionPolicyRecord(policy)
	if err != nil || r.Pods {
		t.Errorf("a policy that leaves Pods out: %v, %v", r, err)
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "a"}}
	binding.Spec.MatchResources = &admissionregistrationv1.MatchResources{ResourceRules: named(create("services"))}
	b, err := admissionBindingRecord(binding)
	if err != nil || b.Pods {
		t.Errorf("a binding to Services: %v, %v", b, err)
	}
	for name, tc := range map[string]struct {
		selector *metav1.LabelSelector
		want     labels.Selector
	}{
		"none":         {nil, labels.Everything()},
		"an empty one": {&metav1.LabelSelector{}, labels.Everything()},
		"an odd one":   {&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}}, labels.Nothing()},
	} {
		if diff := cmp.Diff(tc.want.String(), selector(tc.selector).String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestFieldsThatPoliciesRead(t *testing.T) {
	for expression, want := range map[string][2]bool{
		`object.spec.containers.all(c, c.image.startsWith("x"))`:                           {true, false},
		`object.spec.containers.all(c, c.?image.hasValue())`:                               {true, false},
		`object.spec.?tolerations.orValue([]).all(t, t.key != "a")`:                        {false, true},
		`object.spec.containers.all(c, c.imagePullPolicy == "Always")`:                     {false, false},
		`variables.images.all(i, true)`:                                                    {false, false},
		`"""c.image""" != 'c.image' && r'.tolerations' != "\".tolerations"`:                {false, false},
		`object.metadata.labels.image != "" && has(object.metadata.?annotations.?image)`:   {false, false},
		"true // c.image\n && object.spec.tolerations.size() == 0":                         {false, true},
		`object.metadata.labels["image"] == "" && object.spec.containers[0] . image != ""`: {true, false},
	} {
		p := &admissionregistrationv1.ValidatingAdmissionPolicy{Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			Validations: []admissionregistrationv1.Validation{{Expression: expression}},
		}}
		r, err := admissionPolicyRecord(p)
		if err != nil || r.Images != want[0] || r.Tolerations != want[1] {
			t.Errorf("%s: images %v, tolerations %v, %v", expression, r.Images, r.Tolerations, err)
		}
	}
}

// TestStaticPodsAreToldOfApart: what else changes in kube-system concerns nothing that belongs to no namespace.
func TestStaticPodsAreToldOfApart(t *testing.T) {
	s := New(offline(t))
	var events []Event
	s.OnEvent(func(e Event) { events = append(events, e) })
	static := func(uid, image string) *corev1.Pod {
		p := livePod()
		p.Namespace, p.Name, p.UID = audit.SystemNamespace, "kube-apiserver-a", types.UID(uid)
		p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: "a", UID: "n", Controller: new(true)}}
		p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "hash"}
		p.Spec.Containers[0].Image = image
		return p
	}
	plain := static("1", "example.com/a:4")
	plain.OwnerReferences = nil
	other := livePod()
	other.Namespace = audit.SystemNamespace
	elsewhere := static("1", "example.com/a:1")
	elsewhere.Namespace = "shop"
	for _, step := range []struct {
		name string
		do   func() error
		told bool
		want int
	}{
		{"a Pod that is not static", func() error { return s.pods.Add(other) }, false, 0},
		{"a static one of another namespace", func() error { return s.pods.Add(elsewhere) }, false, 0},
		{"a static one", func() error { return s.pods.Add(static("1", "example.com/a:1")) }, true, 1},
		{"the same", func() error { return s.pods.Add(static("1", "example.com/a:1")) }, false, 1},
		{"another image", func() error { return s.pods.Update(static("1", "example.com/a:2")) }, true, 1},
		{"another of the same name", func() error { return s.pods.Update(static("2", "example.com/a:2")) }, true, 1},
		{"no owner", func() error { return s.pods.Update(plain) }, true, 0},
		{"an owner again", func() error { return s.pods.Update(static("2", "example.com/a:2")) }, true, 1},
		{"a list without it", func() error { return s.pods.Replace([]any{other.DeepCopy()}, "9") }, true, 0},
		{"a list with it", func() error { return s.pods.Replace([]any{static("3", "example.com/a:1")}, "9") }, true, 1},
		{"its end", func() error { return s.pods.Delete(static("3", "example.com/a:1")) }, true, 0},
	} {
		events = nil
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if told := slices.Contains(events, Event{Resource: audit.StaticPods}); told != step.told {
			t.Errorf("%s: told %v of static Pods", step.name, told)
		}
		if got := len(s.cluster.static.List(audit.SystemNamespace)); got != step.want {
			t.Errorf("%s: %d static Pods, want %d", step.name, got, step.want)
		}
	}
}

// TestPoliciesNeedNotBeServed: before Kubernetes 1.30 there are none, and what was read of them before is not there any more.
func TestPoliciesNeedNotBeServed(t *testing.T) {
	s := New(offline(t))
	for _, w := range s.watchers {
		w.state = v1alpha1.SourceSynced
	}
	if err := s.cluster.policies.Add(&admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "a"}}); err != nil {
		t.Fatal(err)
	}
	watcherOf(t, s, audit.AdmissionPolicies).state = v1alpha1.SourceNotServed
	if i := s.Cluster(); i.Missing(audit.AdmissionPolicies) != nil || len(i.Policies) > 0 {
		t.Errorf("missing %v, there %v", i.Missing(audit.AdmissionPolicies), i.Policies)
	}
	watcherOf(t, s, audit.ValidatingWebhooks).state = v1alpha1.SourceNotServed
	if i := s.Cluster(); i.Missing(audit.ValidatingWebhooks) == nil {
		t.Error("webhooks that are not served are not missing")
	}
}

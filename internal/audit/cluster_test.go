// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// clusterSet has a check on each sort of subjects that belong to no namespace, which finds something in all of them, and one
// that needs webhooks.
func clusterSet(t *testing.T) *Set {
	t.Helper()
	check := func(id string, set func(*Check)) Check {
		c := podCheck(id, nil)
		c.Pod = nil
		set(&c)
		return c
	}
	found := func(r *Reporter, kind, name string) {
		r.Find(Finding{Message: "m", Object: &v1alpha1.ObjectReference{Kind: kind, Name: name}, Path: "p"})
	}
	set, err := NewSet([]Check{
		check("node", func(c *Check) {
			c.Node = func(n *Node, r *Reporter) {
				if n.Name != "clean" {
					r.Find(Finding{Message: "m", Path: n.Cluster.ServerVersion})
				}
			}
		}),
		check("plane", func(c *Check) {
			c.ControlPlane = func(c *Cluster, r *Reporter) {
				for _, k := range c.Components {
					found(r, "Pod", k.Pod)
				}
			}
		}),
		check("webhooks", func(c *Check) {
			c.Needs, c.Admission = []Resource{ValidatingWebhooks}, func(c *Cluster, r *Reporter) { found(r, "Namespace", c.Namespaces[0].Name) }
		}),
		check("pods", func(c *Check) { c.Namespace = func(*Namespace, *Reporter) {} }),
	})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

var clusterNow = time.Date(2026, 11, 21, 17, 0, 0, 0, time.UTC)

func clusterInventory() ClusterInventory {
	static := func(name string, owner *Owner) *PodRecord {
		return &PodRecord{Object: Object{Namespace: SystemNamespace, Name: name}, Owner: owner, Mirror: true, Shape: NewShape(&Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Command: []string{APIServer}}}}})}
	}
	node := &Owner{APIVersion: "v1", Kind: "Node", Name: "a"}
	finished := static("kube-apiserver-old", node)
	finished.Finished = true
	return ClusterInventory{
		ServerVersion: "v1.37.2",
		Nodes:         []*NodeRecord{{Object: Object{Name: "b", UID: UIDOf("b")}}, {Object: Object{Name: "clean"}}, {Object: Object{Name: "a"}}},
		ControlPlane:  []*PodRecord{static("kube-apiserver-b", node), static("kube-apiserver-a", node), static("forged", nil), finished},
		Namespaces:    []*NamespaceRecord{{Object: Object{Name: "shop"}}, {Object: Object{Name: "bank"}}},
	}
}

// said returns a line for each result.
func said(results []Result) []string {
	lines := make([]string, 0, len(results))
	for i := range results {
		r := &results[i]
		line := fmt.Sprintf("%s %s %s/%s report %v passed %d", r.Report, r.APIVersion, r.Kind, r.Name, r.HasReport(), r.Passed)
		for _, f := range r.Findings {
			line += " found " + f.Check
			if f.Object != nil {
				line += " of " + f.Object.Name
			}
		}
		for _, e := range r.Exempted {
			line += " exempted " + e.Check + " by " + e.By.Name
		}
		for _, s := range r.Skips {
			line += " skipped " + s.Check + " " + string(s.Reason)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestEvaluateCluster(t *testing.T) {
	set := clusterSet(t)
	c := NewCluster(clusterInventory(), clusterNow)
	want := []string{
		"control-plane audit.kubersafe.io/v1alpha1 ControlPlane/control-plane report true passed 0 found plane of kube-apiserver-a found plane of kube-apiserver-b",
		"admission audit.kubersafe.io/v1alpha1 Admission/admission report true passed 0 found webhooks of bank",
		"node-a v1 Node/a report true passed 0 found node",
		"node-b v1 Node/b report true passed 0 found node",
		"node-clean v1 Node/clean report false passed 1",
	}
	if diff := cmp.Diff(want, said(set.EvaluateCluster(c))); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if !c.Recheck.Equal(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)) || !c.Today.Equal(time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("today %v, again %v", c.Today, c.Recheck)
	}

	unread := clusterInventory()
	unread.Unavailable = map[Resource]*Unavailable{
		Nodes: {Nodes, v1alpha1.SkipSourceForbidden, "no nodes"}, ValidatingWebhooks: {ValidatingWebhooks, v1alpha1.SkipSourceNotServed, "no webhooks"},
	}
	want = []string{want[0] + " skipped node SourceForbidden", "admission audit.kubersafe.io/v1alpha1 Admission/admission report true passed 0 skipped webhooks SourceNotServed"}
	if diff := cmp.Diff(want, said(set.EvaluateCluster(NewCluster(unread, clusterNow)))); diff != "" {
		t.Errorf("without nodes and webhooks (-want +got):\n%s", diff)
	}
}

// TestSkipsOfNodes: why a check could not look at a node that has no report is said in that of the control plane, once.
func TestSkipsOfNodes(t *testing.T) {
	check := func(id string, judge func(*Node, *Reporter)) Check {
		return Check{
			ID: id, Title: "T", Severity: v1alpha1.SeverityHigh, Category: CategoryInfrastructure, Rationale: "R.", Remediation: "R.", Before: "b", After: "a",
			Node: judge,
		}
	}
	set, err := NewSet([]Check{
		check("found", func(n *Node, r *Reporter) {
			if n.Name == "a" {
				r.Find(Finding{Message: "m", Path: "p"})
			}
		}),
		check("unknown", func(n *Node, r *Reporter) { r.Skip(v1alpha1.SkipDataMissing, "not told by "+n.Name) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	results := set.EvaluateCluster(NewCluster(clusterInventory(), clusterNow))
	want := []Skip{{Check: "unknown", Reason: v1alpha1.SkipDataMissing, Message: "on some nodes: not told by b"}}
	if diff := cmp.Diff(want, results[0].Skips); diff != "" {
		t.Errorf("skips of the control plane (-want +got):\n%s", diff)
	}
	for _, r := range results[2:] {
		if got := len(r.Skips); got != map[string]int{"a": 1}[r.Name] || r.Passed != map[string]int{"b": 1, "clean": 1}[r.Name] {
			t.Errorf("node %s: %d skips, %d passed", r.Name, got, r.Passed)
		}
	}
}

// TestOrderOfInventoryDoesNotMatter for results.
func TestOrderOfInventoryDoesNotMatter(t *testing.T) {
	set, there := clusterSet(t), clusterInventory()
	back := clusterInventory()
	slices.Reverse(back.Nodes)
	slices.Reverse(back.ControlPlane)
	slices.Reverse(back.Namespaces)
	want, got := set.EvaluateCluster(NewCluster(there, clusterNow)), set.EvaluateCluster(NewCluster(back, clusterNow))
	if diff := cmp.Diff(said(want), said(got)); diff != "" {
		t.Errorf("(-there +back):\n%s", diff)
	}
}

// TestExceptionsOfTheCluster: those that are limited to namespaces, or in one, exempt nothing of what belongs to none.
func TestExceptionsOfTheCluster(t *testing.T) {
	set := clusterSet(t)
	ends := metav1.NewTime(clusterNow.Add(time.Hour))
	exception := func(name string, subject v1alpha1.ExceptionSubject, namespaces *v1alpha1.NamespaceSelector) *ExceptionRecord {
		return ClusterExceptionFrom(&v1alpha1.ClusterSecurityException{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: v1alpha1.ClusterSecurityExceptionSpec{Namespaces: namespaces, SecurityExceptionSpec: v1alpha1.SecurityExceptionSpec{
				Checks: []string{"*"}, Reason: "r", Subjects: []v1alpha1.ExceptionSubject{subject}, ExpirationTime: &ends,
			}},
		})
	}
	i := clusterInventory()
	i.Exceptions = []*ExceptionRecord{
		exception("limited", v1alpha1.ExceptionSubject{Name: "*"}, &v1alpha1.NamespaceSelector{Names: []string{"*"}}),
		exception("one-node", v1alpha1.ExceptionSubject{Kind: "Node", Name: "a"}, nil),
		exception("one-namespace", v1alpha1.ExceptionSubject{Kind: "Namespace", Name: "bank"}, nil),
		ExceptionFrom(&v1alpha1.SecurityException{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "own"},
			Spec:       v1alpha1.SecurityExceptionSpec{Checks: []string{"*"}, Reason: "r", Subjects: []v1alpha1.ExceptionSubject{{Name: "*"}}, ExpirationTime: &ends},
		}),
	}
	c := NewCluster(i, clusterNow)
	want := []string{
		"control-plane audit.kubersafe.io/v1alpha1 ControlPlane/control-plane report true passed 0 found plane of kube-apiserver-a found plane of kube-apiserver-b",
		"admission audit.kubersafe.io/v1alpha1 Admission/admission report true passed 0 exempted webhooks by one-namespace",
		"node-a v1 Node/a report true passed 0 exempted node by one-node",
		"node-b v1 Node/b report true passed 0 found node",
		"node-clean v1 Node/clean report false passed 1",
	}
	if diff := cmp.Diff(want, said(set.EvaluateCluster(c))); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if !c.Recheck.Equal(ends.Time) {
		t.Errorf("judged again at %v, want %v", c.Recheck, ends)
	}
	if late := NewCluster(i, ends.Time); slices.Contains(said(set.EvaluateCluster(late)), want[2]) {
		t.Error("an exception holds beyond its end")
	}
}

func TestKindLabelsOfWhatBelongsToNoNamespace(t *testing.T) {
	for s, want := range map[Subject]string{
		{APIVersion: "v1", Kind: "Node"}:                               "Node",
		{APIVersion: "audit.kubersafe.io/v1alpha1", Kind: "Admission"}: "Admission",
		{APIVersion: "example.com/v1", Kind: "Node"}:                   "Other",
		{APIVersion: "example.com/v1", Kind: "ControlPlane"}:           "Other",
		{APIVersion: "v1", Kind: "Admission"}:                          "Other",
	} {
		if got := s.KindLabel(); got != want {
			t.Errorf("%s %s: %s, want %s", s.APIVersion, s.Kind, got, want)
		}
	}
	for kind, want := range map[string]Sort{"Deployment": SortWorkload, "Other": SortWorkload, "Namespace": SortNamespace, "Node": SortNode, "ControlPlane": SortControlPlane, "Admission": SortAdmission} {
		if got := SortOf(kind); got != want {
			t.Errorf("%s is of sort %d, want %d", kind, got, want)
		}
	}
}

// TestAccessInputs: verdicts on ClusterRoles and ClusterRoleBindings are kept while exceptions say the same. Who uses these is written
// into their status.
func TestAccessInputs(t *testing.T) {
	set := clusterSet(t)
	inputs := func(change func(*v1alpha1.ClusterSecurityException)) Inputs {
		e := &v1alpha1.ClusterSecurityException{ObjectMeta: metav1.ObjectMeta{Name: "e", UID: "e", ResourceVersion: "1", Generation: 1}}
		e.Spec.Checks, e.Spec.Subjects, e.Spec.Reason = []string{"*"}, []v1alpha1.ExceptionSubject{{Name: "*"}}, "R."
		change(e)
		i := clusterInventory()
		i.Exceptions = []*ExceptionRecord{ClusterExceptionFrom(e)}
		return set.AccessInputs(NewCluster(i, time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)))
	}
	before := inputs(func(*v1alpha1.ClusterSecurityException) {})
	if after := inputs(func(e *v1alpha1.ClusterSecurityException) { e.ResourceVersion = "2" }); !before.Equal(&after) {
		t.Error("a status must not make a difference")
	}
	if after := inputs(func(e *v1alpha1.ClusterSecurityException) { e.Generation = 2 }); before.Equal(&after) {
		t.Error("a spec must make a difference")
	}
}

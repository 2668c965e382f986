// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/internal/audit"
)

func TestRunningImage(t *testing.T) {
	one, two := strings.Repeat("01", 32), strings.Repeat("02", 32)
	for name, tc := range map[string]struct {
		image, status string
		fact, digest  string
	}{
		"as containerd and CRI-O give it":      {"example.com/a:1", "example.com/a@sha256:" + one, audit.FactDigest, one},
		"as cri-dockerd gives it":              {"example.com/a:1", "docker-pullable://example.com/a@sha256:" + one, audit.FactDigest, one},
		"an image without a registry":          {"nginx", "docker.io/library/nginx@sha256:" + one, audit.FactDigest, one},
		"the digest that is asked for":         {"example.com/a@sha256:" + one, "example.com/a@sha256:" + one, "", ""},
		"the same beside a tag":                {"example.com/a:1@sha256:" + one, "example.com/a@sha256:" + one, "", ""},
		"another digest than is asked for":     {"example.com/a@sha256:" + one, "example.com/a@sha256:" + two, audit.FactDigest, two},
		"a name in another repository":         {"example.com/a:1", "example.com/b@sha256:" + one, "", ""},
		"a name in another registry":           {"example.com/a:1", "example.org/a@sha256:" + one, "", ""},
		"an ID":                                {"example.com/a:1", "sha256:" + one, audit.FactImageID, one},
		"an ID without its algorithm":          {"example.com/a:1", one, audit.FactImageID, one},
		"an ID as Docker gave it":              {"example.com/a:1", "docker://sha256:" + one, audit.FactImageID, one},
		"a container that has not been begun":  {"example.com/a:1", "", "", ""},
		"a tag instead of a digest":            {"example.com/a:1", "example.com/a:1", "", ""},
		"a digest by another algorithm":        {"example.com/a:1", "example.com/a@sha512:" + one + one, "", ""},
		"half an ID":                           {"example.com/a:1", one[:32], "", ""},
		"a template that leaves its image out": {"", "example.com/a@sha256:" + one, "", ""},
	} {
		fact, digest := runningImage(tc.image, tc.status)
		if fact != tc.fact || hex.EncodeToString([]byte(digest)) != tc.digest {
			t.Errorf("%s: %q %x, want %q %s", name, fact, digest, tc.fact, tc.digest)
		}
	}
}

func TestPodsThatRunTheSameShareWhatIsKeptOfIt(t *testing.T) {
	i := newInterner()
	pod := func(node, imageID string) *audit.PodRecord {
		p := livePod()
		p.Spec.NodeName = node
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "api", ImageID: imageID}}
		r, err := i.pod(p)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	digest := "docker.io/library/a@sha256:" + strings.Repeat("01", 32)
	one, two, three := pod("n1", digest), pod("n2", digest), pod("n2", "")
	if one.Running == nil || one.Running != two.Running || three.Running != nil {
		t.Errorf("facts %p, %p and %p", one.Running, two.Running, three.Running)
	}
	if one.NodeName() != "n1" || two.NodeName() != "n2" || pod("", "").NodeName() != "" {
		t.Errorf("nodes %q and %q", one.NodeName(), two.NodeName())
	}
	if one.Shape != two.Shape {
		t.Error("where a Pod runs is part of its shape")
	}
}

func TestSinceWhenAContainerThatCompletesRuns(t *testing.T) {
	began := metav1.NewTime(time.Unix(1_800_000_000, 0))
	for name, tc := range map[string]struct {
		state corev1.ContainerState
		want  string
	}{
		"it runs":                           {corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: began}}, "1800000000"},
		"it runs, and nobody says how long": {corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, ""},
		"it waits":                          {corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}, ""},
		"it has ended":                      {corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{StartedAt: began}}, ""},
	} {
		p := livePod()
		p.Status.ContainerStatuses = []corev1.ContainerStatus{
			{Name: "other", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
			{Name: "api", State: tc.state, RestartCount: fewestRestarts, LastTerminationState: corev1.ContainerState{
				Terminated: &corev1.ContainerStateTerminated{StartedAt: began, FinishedAt: began},
			}},
		}
		if diff := cmp.Diff(map[string]string{"api" + audit.FactCompletes: tc.want}, containerFacts(p)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAChangeOfTheRolloutIsAChange(t *testing.T) {
	i := newInterner()
	record := func(paused bool) *audit.ControllerRecord {
		r, err := i.controller(&appsv1.Deployment{ObjectMeta: metaOf("web"), Spec: appsv1.DeploymentSpec{Paused: paused, Template: template()}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if record(true).Equal(record(false)) {
		t.Error("a paused Deployment is one that is not")
	}
	if !record(true).Equal(record(true)) {
		t.Error("a Deployment is another without a change")
	}
}

func TestNodeRecords(t *testing.T) {
	for name, tc := range map[string]struct {
		labels       map[string]string
		platform     string
		controlPlane bool
	}{
		"a worker":                           {map[string]string{"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"}, "linux/arm64", false},
		"a node of the control plane":        {map[string]string{"node-role.kubernetes.io/control-plane": ""}, "", true},
		"one of an older cluster":            {map[string]string{"node-role.kubernetes.io/master": "true"}, "", true},
		"one whose kubelet has said nothing": {nil, "", false},
	} {
		r, err := newInterner().node(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "u", Labels: tc.labels}})
		if err != nil {
			t.Fatal(err)
		}
		if r.Platform != tc.platform || r.ControlPlane != tc.controlPlane {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// TestNodesConcernTheNamespacesOfTheirPods: a node that comes, goes or changes its role makes only those be judged again.
func TestNodesConcernTheNamespacesOfTheirPods(t *testing.T) {
	s := New(offline(t))
	var events []Event
	s.OnEvent(func(e Event) {
		if e.Resource == audit.Nodes && e != aNode {
			events = append(events, e)
		}
	})
	pod := func(namespace, name, node string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: corev1.PodSpec{NodeName: node}}
	}
	node := func(name, role string) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if role != "" {
			n.Labels = map[string]string{"node-role.kubernetes.io/" + role: ""}
		}
		return n
	}
	add := func(errs ...error) {
		t.Helper()
		if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
			t.Fatal(errs[i])
		}
	}
	add(s.pods.Add(pod("shop", "a", "n1")), s.pods.Add(pod("shop", "b", "n1")), s.pods.Add(pod("bank", "a", "n2")), s.pods.Add(pod("idle", "a", "")))
	add(s.nodes.Add(node("n1", "control-plane")), s.nodes.Add(node("n2", "")))
	want := []Event{{Resource: audit.Nodes, StateChanged: true}} // there are workers; before the sources have settled, no more is said
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("while nodes are read (-want +got):\n%s", diff)
	}
	syncAll(s)
	for _, step := range []struct {
		name   string
		change func() error
		want   []Event
	}{
		{"a status", func() error { return s.nodes.Update(node("n1", "control-plane")) }, nil},
		{"a node without Pods", func() error { return s.nodes.Add(node("n3", "")) }, nil},
		{"another role", func() error { return s.nodes.Update(node("n1", "")) }, []Event{{Resource: audit.Nodes, Namespace: "shop"}}},
		{"a node that goes", func() error { return s.nodes.Delete(node("n2", "")) }, []Event{{Resource: audit.Nodes, Namespace: "bank"}}},
		{"a worker that goes", func() error { return s.nodes.Delete(node("n3", "")) }, nil},
		{"the last worker", func() error { return s.nodes.Update(node("n1", "master")) }, []Event{{Resource: audit.Nodes, StateChanged: true}}},
	} {
		events = nil
		add(step.change())
		if diff := cmp.Diff(step.want, events); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	if i, _ := s.Inventory("shop"); i.Nodes.Workers || len(i.PodNodes) != 1 || !i.PodNodes["n1"].ControlPlane {
		t.Errorf("inventory with workers %t and nodes %v", i.Nodes.Workers, i.PodNodes)
	}
}

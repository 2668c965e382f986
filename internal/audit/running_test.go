// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unique"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// runningNamespace has a Deployment with Pods of two shapes on two nodes.
func runningNamespace() *Namespace {
	shape := func(who string) *Shape {
		return NewShape(&Pod{Spec: corev1.PodSpec{
			NodeSelector: map[string]string{"who": who}, Containers: []corev1.Container{{Name: "api", Image: "example.com/api:1"}},
		}})
	}
	old, current := shape("old"), shape("current")
	pod := func(name, node string, s *Shape, facts map[string]string) *PodRecord {
		p := &PodRecord{Object: Object{Name: name}, Shape: s, Labels: NewLabels(map[string]string{"pod-template-hash": "1"})}
		if node != "" {
			p.Node = unique.Make(node)
		}
		if facts != nil {
			p.Running = NewLabels(facts)
		}
		return p
	}
	one := map[string]string{"api" + FactDigest: strings.Repeat("\x01", 32), "job" + FactCompletes: ""}
	w := workloadOf("Deployment", current,
		pod("a", "n1", current, one), pod("b", "n1", current, one), pod("c", "n2", current, one), pod("d", "n9", old, nil),
		pod("pending", "", current, nil), pod("unbound", "", current, map[string]string{"api" + FactImageID: "\x02"}),
	)
	return &Namespace{
		Inventory: Inventory{
			Surroundings: Surroundings{Name: "shop"},
			PodNodes: map[string]*NodeRecord{
				"n1": {NodeFacts: NodeFacts{Platform: "linux/amd64"}}, "n2": {NodeFacts: NodeFacts{Platform: "linux/arm64", ControlPlane: true}},
			},
			Nodes:       Infrastructure{Workers: true},
			Unavailable: make(map[Resource]*Unavailable),
		},
		Workloads: []*Workload{w},
	}
}

func runningCheck(id string, function func(*RunningWorkload, *Reporter)) Check {
	c := podCheck(id, nil)
	c.Running = function
	return c
}

func TestRunningChecksSeeAWorkloadAsItRuns(t *testing.T) {
	var seen []string
	tell := runningCheck("tell", func(w *RunningWorkload, r *Reporter) {
		seen = append(seen, fmt.Sprint(w.Kind, "/", w.Name, " in ", w.Namespace, ", workers ", w.Workers, ", paused ", w.Rollout.Paused, ", static ", w.Static))
		for i := range w.Runs {
			run := &w.Runs[i]
			seen = append(seen, fmt.Sprintf("%s: revision %q on %q (control plane %t, unknown %t): digests %q, ID %q, completes %t", run.Spec.NodeSelector["who"],
				run.Revision, run.Platform, run.ControlPlane, run.NodeUnknown, w.Digests(run, "api"), run.ImageID("api"), run.Completes("job")))
			r.Find(Finding{Path: w.Path("spec.nodeName"), Message: "m"})
		}
		r.Find(Finding{Path: "spec.paused", Message: "m"})
	})
	ns := runningNamespace()
	ns.Workloads[0].Rollout.Paused = true
	result := newSet(t, tell).Evaluate(ns)[0]
	slices.Sort(seen[1:])
	want := []string{
		"Deployment/web in shop, workers true, paused true, static false",
		`current: revision "1" on "" (control plane false, unknown false): digests [], ID "sha256:02", completes false`,
		`current: revision "1" on "linux/amd64" (control plane false, unknown false): digests ["sha256:` + strings.Repeat("01", 32) + `"], ID "", completes true`,
		`current: revision "1" on "linux/arm64" (control plane true, unknown false): digests ["sha256:` + strings.Repeat("01", 32) + `"], ID "", completes true`,
		`old: revision "1" on "" (control plane false, unknown true): digests [], ID "", completes false`,
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
	var paths []string
	for _, f := range result.Findings {
		paths = append(paths, f.Path)
	}
	if diff := cmp.Diff([]string{"spec.paused", "spec.template.spec.nodeName"}, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestRunningChecksThatCannotLook(t *testing.T) {
	forbidden := func(r Resource) *Unavailable {
		return &Unavailable{Resource: r, Reason: v1alpha1.SkipSourceForbidden, Message: "no " + string(r)}
	}
	rollout := runningCheck("rollout", func(w *RunningWorkload, r *Reporter) {
		if w.Unread != nil {
			r.SkipUnavailable(w.Unread)
		}
	})
	nodes := runningCheck("nodes", func(*RunningWorkload, *Reporter) {})
	nodes.Needs = []Resource{Nodes}
	for resource, want := range map[Resource][]Skip{
		Deployments:  {{"rollout", v1alpha1.SkipSourceForbidden, "no deployments.apps"}},
		StatefulSets: nil,
		Nodes:        {{"nodes", v1alpha1.SkipSourceForbidden, "no nodes"}},
		Pods:         {{"nodes", v1alpha1.SkipSourceForbidden, "no pods"}, {"rollout", v1alpha1.SkipSourceForbidden, "no pods"}},
	} {
		ns := runningNamespace()
		ns.Unavailable[resource] = forbidden(resource)
		if diff := cmp.Diff(want, newSet(t, rollout, nodes).Evaluate(ns)[0].Skips); diff != "" {
			t.Errorf("without %s (-want +got):\n%s", resource, diff)
		}
	}
}

// TestInputsFollowHowAWorkloadRuns: what the verdict depends on is in its inputs, and what it does not depend on is not.
func TestInputsFollowHowAWorkloadRuns(t *testing.T) {
	set := newSet(t)
	base := runningNamespace()
	inputs := func(ns *Namespace) Inputs {
		ns.look()
		return set.InputsOf(ns, ns.Workloads[0])
	}
	before := inputs(base)
	for name, tc := range map[string]struct {
		change func(*Namespace, *Workload)
		want   bool
	}{
		"nothing":                        {func(*Namespace, *Workload) {}, true},
		"the order of the Pods":          {func(_ *Namespace, w *Workload) { slices.Reverse(w.Pods) }, true},
		"another Pod that runs the same": {func(_ *Namespace, w *Workload) { w.Pods = append(w.Pods, w.Pods[0]) }, true},
		"a Pod on another node of the same sort": {func(n *Namespace, w *Workload) {
			n.PodNodes["n3"] = n.PodNodes["n1"]
			w.Pods[0].Node = unique.Make("n3")
		}, true},
		"a Pod on a node of the control plane": {func(_ *Namespace, w *Workload) { w.Pods[0].Node = unique.Make("n2") }, true}, // others are there
		"a Pod that has ended, of a node that is gone": {func(_ *Namespace, w *Workload) {
			w.Pods = append(w.Pods, &PodRecord{Object: Object{Name: "e"}, Shape: w.Pods[0].Shape, Node: unique.Make("n8"), Finished: true, Labels: &Labels{}})
		}, true},
		"a Pod that has ended": {func(_ *Namespace, w *Workload) {
			w.Pods = append(w.Pods, &PodRecord{Object: Object{Name: "e"}, Shape: w.Pods[0].Shape, Node: unique.Make("n2"), Finished: true, Labels: &Labels{}})
		}, false},
		"a node that leaves images out": {func(n *Namespace, _ *Workload) { n.PodNodes["n1"].Unlisted = SmallestImage }, false},
		"what is known of the image that a template asks for": {func(n *Namespace, _ *Workload) {
			n.Images = map[ImageKey]ImageFacts{ReferenceOf("example.com/api:1").Key(): {MiB: SmallestImage}}
		}, false},
		"what is known of the image that runs": {func(n *Namespace, _ *Workload) {
			n.Images = map[ImageKey]ImageFacts{ReferenceOf("example.com/x@sha256:" + strings.Repeat("01", 32)).Key(): {Digests: "d"}}
		}, false},
		"what is known of another image": {func(n *Namespace, _ *Workload) {
			n.Images = map[ImageKey]ImageFacts{ReferenceOf("example.com/another:1").Key(): {MiB: SmallestImage}}
		}, true},
		"all Pods there":             {func(_ *Namespace, w *Workload) { w.Pods[0].Node, w.Pods[1].Node = unique.Make("n2"), unique.Make("n2") }, false},
		"a node of another role":     {func(n *Namespace, _ *Workload) { n.PodNodes["n1"].ControlPlane = true }, false},
		"a node of another platform": {func(n *Namespace, _ *Workload) { n.PodNodes["n1"].Platform = "windows/amd64" }, false},
		"a node that is known now":   {func(n *Namespace, _ *Workload) { n.PodNodes["n9"] = &NodeRecord{} }, false},
		"workers that are gone":      {func(n *Namespace, _ *Workload) { n.Nodes.Workers = false }, false},
		"another image": {func(_ *Namespace, w *Workload) {
			w.Pods[0].Running = NewLabels(map[string]string{"api" + FactDigest: "\x03"})
		}, false},
		"another revision": {func(_ *Namespace, w *Workload) {
			w.Pods[0].Labels = NewLabels(map[string]string{"pod-template-hash": "2"})
		}, false},
		"a paused rollout": {func(_ *Namespace, w *Workload) { w.Rollout.Paused = true }, false},
		"a rollout that waits for Pods to be deleted": {func(_ *Namespace, w *Workload) { w.Rollout.OnDelete = true }, false},
		"a stuck rollout": {func(_ *Namespace, w *Workload) { w.Rollout.Stuck = true }, false},
	} {
		ns := runningNamespace()
		ns.Workloads[0].Template = base.Workloads[0].Template
		for i, p := range base.Workloads[0].Pods {
			ns.Workloads[0].Pods[i].Shape = p.Shape
		}
		tc.change(ns, ns.Workloads[0])
		after := inputs(ns)
		if got := after.Equal(&before); got != tc.want {
			t.Errorf("%s: equal %t, want %t", name, got, tc.want)
		}
	}
}

func TestRolloutsReachTheSubject(t *testing.T) {
	ns := Fold(Inventory{Controllers: []*ControllerRecord{
		{Object: Object{Name: "web", UID: "1"}, Kind: "Deployment", Shape: shape(), Labels: &Labels{}, Rollout: Rollout{Stuck: true}},
	}}, time.Now())
	if !ns.Workloads[0].Rollout.Stuck {
		t.Error("a Deployment that is stuck does not show it")
	}
}

// TestAContainerThatRunsForLongHasRecovered: nothing happens at that moment, so somebody must look again.
func TestAContainerThatRunsForLongHasRecovered(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	running, waiting := strconv.FormatInt(began.Unix(), 10), ""
	s := shape()
	set := newSet(t, runningCheck("completes", func(w *RunningWorkload, r *Reporter) {
		for i := range w.Runs {
			if w.Runs[i].Completes("job") {
				r.Find(Finding{Path: "spec", Message: "m"})
			}
		}
	}))
	at := func(since string, now time.Time) *Namespace {
		return Fold(Inventory{Pods: []*PodRecord{
			{Object: Object{Name: "web"}, Shape: s, Labels: &Labels{}, Running: NewLabels(map[string]string{"job" + FactCompletes: since})},
		}}, now)
	}
	for name, tc := range map[string]struct {
		since   string
		now     time.Time
		found   int
		recheck time.Time
	}{
		"it has just begun again":    {running, began.Add(time.Second), 1, began.Add(LongRun)},
		"it has run for long":        {running, began.Add(LongRun), 0, time.Time{}},
		"it waits to begin again":    {waiting, began.Add(time.Hour), 1, time.Time{}},
		"nobody knows when it began": {"?", began.Add(time.Hour), 1, time.Time{}},
	} {
		ns := at(tc.since, tc.now)
		if found := set.Evaluate(ns)[0].Findings; len(found) != tc.found || !ns.Recheck.Equal(tc.recheck) {
			t.Errorf("%s: found %v, look again at %v; want %d, %v", name, found, ns.Recheck, tc.found, tc.recheck)
		}
	}
	inputs := func(ns *Namespace) Inputs { return set.InputsOf(ns, ns.Workloads[0]) }
	soon, later, recovered := inputs(at(running, began)), inputs(at(waiting, began.Add(time.Minute))), inputs(at(running, began.Add(LongRun)))
	if !soon.Equal(&later) || soon.Equal(&recovered) {
		t.Error("the inputs must change once it has run for long, and not before")
	}
}

// TestImagesOfRunningContainers: what runs is known by its digests where the status gives one, and else by what is asked for.
func TestImagesOfRunningContainers(t *testing.T) {
	digest := func(b byte) string { return strings.Repeat(string(rune(b)), 32) }
	one, two, three, name := digest(1), digest(2), digest(3), ReferenceOf("example.com/api:1").Key()
	images := map[ImageKey]ImageFacts{name: {MiB: 300, Digests: two}, keyFrom(one): {MiB: 200}, keyFrom(two): {MiB: 400, Digests: one + two}}
	for what, tc := range map[string]struct {
		facts   map[string]string
		image   string
		size    uint32
		digests []string
	}{
		"a digest":                           {map[string]string{"api" + FactDigest: one}, "example.com/api:1", 200, []string{textOf(one)}},
		"a digest of several":                {map[string]string{"api" + FactDigest: two}, "example.com/api:1", 400, []string{textOf(one), textOf(two)}},
		"a digest that no node lists":        {map[string]string{"api" + FactDigest: three}, "example.com/api:1", 0, []string{textOf(three)}},
		"another container's digest":         {map[string]string{"app" + FactDigest: one}, "example.com/api:1", 300, nil},
		"an ID":                              {map[string]string{"api" + FactImageID: one}, "example.com/api:1", 300, nil},
		"the digest that is asked for":       {nil, "example.com/api:1@" + textOf(two), 400, nil},
		"nothing, and the name is not known": {nil, "example.com/api:2", 0, nil},
		"what is no name":                    {nil, "", 0, nil},
	} {
		w, run := RunningWorkload{images: images}, Run{facts: NewLabels(tc.facts)}
		size, digests := w.SizeOf(&run, Container{Container: &corev1.Container{Name: "api", Image: tc.image}}), w.Digests(&run, "api")
		if diff := cmp.Diff(tc.digests, digests); diff != "" || size != tc.size {
			t.Errorf("%s: %d MiB, want %d; digests (-want +got):\n%s", what, size, tc.size, diff)
		}
	}
}

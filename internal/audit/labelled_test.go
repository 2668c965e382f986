// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// labelled finds the labels that it sees.
func labelled() Check {
	c := podCheck("labelled", nil)
	c.Labelled = true
	c.Placed = func(p *PlacedPod, r *Reporter) {
		if p.NamespaceLabels == nil {
			r.Skip(v1alpha1.SkipDataMissing, "unseen")
			return
		}
		r.Find(Finding{Path: fmt.Sprint("spec.", p.Labels.Map()), Message: fmt.Sprint(p.NamespaceLabels.Map())})
	}
	return c
}

func unlabelled() Check {
	c := podCheck("unlabelled", nil)
	c.Placed = func(p *PlacedPod, r *Reporter) {
		if p.Labels != nil || p.NamespaceLabels != nil {
			r.Find(Finding{Path: "spec.labels", Message: "m"})
		}
	}
	return c
}

func labelledPods(sets ...map[string]string) Inventory {
	i := Inventory{Surroundings: Surroundings{Name: "shop"}, Namespace: &NamespaceRecord{Labels: map[string]string{"team": "a"}}}
	i.Controllers = []*ControllerRecord{{
		Object: object("web"), Kind: "Deployment", Shape: webShape, Active: true, Labels: NewLabels(map[string]string{"app": "web"}),
	}}
	owner := &Owner{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: i.Controllers[0].UID}
	for n, set := range sets {
		i.Pods = append(i.Pods, &PodRecord{Object: object(fmt.Sprint("web-", n)), Owner: owner, Shape: webShape, Labels: NewLabels(set)})
	}
	return i
}

func TestLabelledChecks(t *testing.T) {
	const template = "spec.template.spec."
	found := func(path string, seenIn v1alpha1.SeenIn) Finding {
		return Finding{Check: "labelled", Severity: v1alpha1.SeverityMedium, Path: template + path, Message: "map[team:a]", SeenIn: seenIn}
	}
	replica := map[string]string{
		"app": "web", "pod-template-hash": "1", "statefulset.kubernetes.io/pod-name": "web-0", "topology.kubernetes.io/zone": "a",
	}
	for name, tc := range map[string]struct {
		inventory Inventory
		want      []Finding
	}{
		"without Pods": {labelledPods(), []Finding{found("map[app:web]", "")}},
		"Pods with nothing but what differs between replicas": {
			labelledPods(replica, map[string]string{"app": "web", "pod-template-hash": "2"}), []Finding{found("map[app:web]", "")},
		},
		"Pods of other labels": {
			labelledPods(replica, map[string]string{"app": "old"}, map[string]string{"app": "old", "job-name": "x"}, nil),
			[]Finding{
				found("map[]", v1alpha1.SeenInPods), found("map[app:old]", v1alpha1.SeenInPods), found("map[app:web]", ""),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			result := newSet(t, labelled(), unlabelled()).Evaluate(Fold(tc.inventory, time.Now()))[0]
			if diff := cmp.Diff(tc.want, result.Findings); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if result.Passed != 1 {
				t.Errorf("%d passed", result.Passed)
			}
		})
	}
	unseen := labelledPods()
	unseen.Namespace = nil
	want := []Skip{{"labelled", v1alpha1.SkipDataMissing, "unseen"}}
	if diff := cmp.Diff(want, newSet(t, labelled()).Evaluate(Fold(unseen, time.Now()))[0].Skips); diff != "" {
		t.Errorf("skips of a namespace that has not been seen (-want +got):\n%s", diff)
	}
}

// TestInputsOfLabels: labels are inputs where a check looks at them, and nowhere else.
func TestInputsOfLabels(t *testing.T) {
	base := []map[string]string{{"app": "web", "pod-template-hash": "1"}}
	for name, tc := range map[string]struct {
		change func(*Inventory)
		// want says whether the inputs stay the same if a check looks at labels.
		want bool
	}{
		"nothing":         {func(*Inventory) {}, true},
		"labels of a Pod": {func(i *Inventory) { i.Pods[0].Labels = NewLabels(map[string]string{"app": "x"}) }, false},
		"labels that controllers set": {func(i *Inventory) {
			i.Pods[0].Labels = NewLabels(map[string]string{"app": "web", "controller-uid": "1"})
		}, true},
		"labels of the template":             {func(i *Inventory) { i.Controllers[0].Labels = NewLabels(nil) }, false},
		"labels of the namespace":            {func(i *Inventory) { i.Namespace.Labels = map[string]string{"team": "b"} }, false},
		"no labels of the namespace":         {func(i *Inventory) { i.Namespace.Labels = nil }, false},
		"the same labels":                    {func(i *Inventory) { i.Namespace.Labels = map[string]string{"team": "a"} }, true},
		"a namespace that is terminating":    {func(i *Inventory) { i.Namespace.Terminating = true }, true},
		"a namespace that has not been seen": {func(i *Inventory) { i.Namespace = nil }, false},
	} {
		for _, looks := range []bool{true, false} {
			set := newSet(t, unlabelled())
			if looks {
				set = newSet(t, labelled())
			}
			inputsOf := func(change func(*Inventory)) Inputs {
				i := labelledPods(base...)
				change(&i)
				ns := Fold(i, time.Now())
				return set.InputsOf(ns, ns.Workloads[0])
			}
			before, after := inputsOf(func(*Inventory) {}), inputsOf(tc.change)
			if got, want := after.Equal(&before), tc.want || !looks; got != want {
				t.Errorf("%s, a check looks at labels %v: equal %v, want %v", name, looks, got, want)
			}
		}
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/report"
)

// state is a namespace that changes at random.
type state struct {
	random      *rand.Rand
	shapes      []*audit.Shape
	controllers map[string]*audit.ControllerRecord
	pods        map[string]*audit.PodRecord
	around      audit.Surroundings
	policies    map[string]*audit.NetworkPolicyRecord
	version     int
	unavailable map[audit.Resource]*audit.Unavailable
}

func newState(seed uint64) *state {
	s := &state{
		random: rand.New(rand.NewPCG(seed, 5)), controllers: make(map[string]*audit.ControllerRecord), pods: make(map[string]*audit.PodRecord),
		around: audit.Surroundings{Name: "shop"}, policies: make(map[string]*audit.NetworkPolicyRecord),
	}
	yes := true
	for n := range 4 {
		spec := corev1.PodSpec{ServiceAccountName: "web", Containers: []corev1.Container{{Name: "app", Image: fmt.Sprint("example.com/app:", n)}}}
		if n%2 == 0 {
			spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: &yes}
		}
		for i := 0; n == 3 && i < 20; i++ { // of whose findings no report is held
			spec.Containers = append(spec.Containers, corev1.Container{Name: fmt.Sprint("more-", i), Image: "example.com/more"})
		}
		s.shapes = append(s.shapes, audit.NewShape(&audit.Pod{Spec: spec}))
	}
	return s
}

func (s *state) change() {
	name := fmt.Sprint("w", s.random.IntN(4))
	shape := s.shapes[s.random.IntN(len(s.shapes))]
	labels := audit.NewLabels(map[string]string{"app": name, "tier": fmt.Sprint(s.random.IntN(2))})
	switch s.random.IntN(10) {
	case 0, 1:
		s.controllers[name] = &audit.ControllerRecord{
			Object: audit.Object{Namespace: "shop", Name: name, UID: audit.UID(name)}, Kind: "StatefulSet", Shape: shape,
			TemplateHash: fmt.Sprint(s.random.IntN(2)), Labels: labels,
		}
	case 2:
		delete(s.controllers, name)
	case 3, 4:
		pod := fmt.Sprint(name, "-", s.random.IntN(3))
		s.pods[pod] = &audit.PodRecord{
			Object: audit.Object{Namespace: "shop", Name: pod, UID: audit.UID(pod)}, Shape: shape, Labels: labels,
			Owner: &audit.Owner{APIVersion: "apps/v1", Kind: "StatefulSet", Name: name, UID: audit.UID(name)},
		}
	case 5:
		delete(s.pods, fmt.Sprint(name, "-", s.random.IntN(3)))
	case 6:
		s.around.LimitRanges, s.around.ServiceAccounts = nil, nil
		if s.random.IntN(2) == 0 {
			s.around.LimitRanges = []*audit.LimitRangeRecord{{Object: audit.Object{Name: "l", UID: "l"}, DefaultLimits: []corev1.ResourceName{"cpu"}}}
		}
		if s.random.IntN(2) == 0 {
			s.around.ServiceAccounts = []*audit.ServiceAccountRecord{{Object: audit.Object{Name: "web", UID: "a"}}}
		}
	case 8:
		s.version++
		spec := networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}}
		if s.random.IntN(2) == 0 {
			spec.PodSelector.MatchLabels = map[string]string{"tier": "0"}
		}
		if s.random.IntN(2) == 0 {
			spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}}
		}
		s.policies[name] = audit.NewNetworkPolicyRecord(
			audit.Object{Namespace: "shop", Name: name, UID: audit.UID(name), ResourceVersion: fmt.Sprint(s.version)}, &spec)
	case 9:
		delete(s.policies, name)
	case 7:
		s.unavailable = nil
		if s.random.IntN(2) == 0 {
			r := []audit.Resource{audit.Pods, audit.LimitRanges, audit.ServiceAccounts, audit.StatefulSets}[s.random.IntN(4)]
			s.unavailable = map[audit.Resource]*audit.Unavailable{r: {Resource: r, Reason: v1alpha1.SkipSourceForbidden, Message: "no"}}
		}
	}
}

func (s *state) fold() *audit.Namespace {
	i := audit.Inventory{Surroundings: s.around, Unavailable: s.unavailable}
	for _, c := range s.controllers {
		i.Controllers = append(i.Controllers, c)
	}
	for _, p := range s.pods {
		i.Pods = append(i.Pods, p)
	}
	for _, p := range s.policies {
		i.NetworkPolicies = append(i.NetworkPolicies, p)
	}
	return audit.Fold(i, now)
}

// TestJudgeKeepsNothingThatHasChanged compares, after each of many changes, what follows from what was decided before with what
// a fresh start comes to: the same reports, byte by byte, and the same hashes.
func TestJudgeKeepsNothingThatHasChanged(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	kept, seeds := 0, uint64(40)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		s := newState(seed)
		var entries Entries
		for step := range 60 {
			s.change()
			got := Judge(set, s.fold(), Previous{Entries: entries}, now)
			want := Judge(set, s.fold(), Previous{}, now)
			if diff := cmp.Diff(described(t, want), described(t, got)); diff != "" {
				t.Fatalf("seed %d, step %d (-fresh +kept):\n%s", seed, step, diff)
			}
			next := make(Entries)
			for _, v := range got {
				if entries[v.Report] == v.Entry {
					kept++
				}
				next[v.Report] = v.Entry
			}
			entries = next
		}
	}
	if kept == 0 {
		t.Error("nothing was ever kept")
	}
}

func described(t *testing.T, verdicts []Verdict) []string {
	t.Helper()
	var all []string
	for _, v := range verdicts {
		r := v.Build()
		encoded, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if v.Hash != report.HashOf(r) || v.Report != r.Name {
			t.Errorf("%s: the entry has another hash or name than its report", v.Report)
		}
		all = append(all, fmt.Sprint(string(encoded), v.Findings, v.Exempted, v.Skips, v.Passed))
	}
	return all
}

// TestJudgeCostsWhatHasChanged counts how often Pods are judged.
func TestJudgeCostsWhatHasChanged(t *testing.T) {
	judged := 0
	set, err := audit.NewSet([]audit.Check{{
		ID: "counts", Title: "Title", Severity: low, Category: audit.CategoryImages, Rationale: "R.", Remediation: "R.", Before: "b", After: "a",
		Placed: func(*audit.PlacedPod, *audit.Reporter) { judged++ },
	}})
	if err != nil {
		t.Fatal(err)
	}
	s := newState(1)
	for n := range 100 {
		name := fmt.Sprint("w", n)
		s.controllers[name] = &audit.ControllerRecord{
			Object: audit.Object{Name: name, UID: audit.UID(name)}, Kind: "StatefulSet", Shape: s.shapes[n%4], Labels: &audit.Labels{},
		}
	}
	var entries Entries
	judge := func(what string, want int) {
		t.Helper()
		judged = 0
		next := make(Entries)
		for _, v := range Judge(set, s.fold(), Previous{Entries: entries}, now.Add(time.Hour)) {
			next[v.Report] = v.Entry
		}
		entries = next
		if judged != want {
			t.Errorf("%s: Pods are judged %d times, want %d", what, judged, want)
		}
	}
	judge("at the start", 100)
	judge("without a change", 0)
	scale := func(n int) {
		pod := fmt.Sprint("w7-", n)
		s.pods[pod] = &audit.PodRecord{
			Object: audit.Object{Name: pod, UID: audit.UID(pod)}, Shape: s.shapes[3], Labels: &audit.Labels{},
			Owner: &audit.Owner{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "w7", UID: "w7"},
		}
	}
	scale(0)
	judge("with a first Pod: it, and the template beside it", 2)
	for n := range 50 {
		scale(n)
	}
	judge("with 49 more of the same shape", 0)
	s.controllers["w8"].Shape = s.shapes[1]
	judge("with another template", 1)
	s.around.LimitRanges = []*audit.LimitRangeRecord{{Object: audit.Object{Name: "l"}}}
	judge("with something around all of them", 101)
}

// TestJudgeGoesOnFromBefore: since when a finding stands is taken from the last entry or else from what is stored.
func TestJudgeGoesOnFromBefore(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	s := newState(1)
	s.controllers["w"] = &audit.ControllerRecord{
		Object: audit.Object{Name: "w", UID: "w"}, Kind: "StatefulSet", Shape: s.shapes[3], Labels: &audit.Labels{},
	}
	first := Judge(set, s.fold(), Previous{}, now)
	stored, entries := make(map[string]report.Remembered), make(Entries)
	for _, v := range first {
		stored[v.Report], entries[v.Report] = v.Remembered, v.Entry
	}
	for name, previous := range map[string]Previous{
		"entries": {Entries: entries},
		"stored":  {Remembered: func(name string) report.Remembered { return stored[name] }},
	} {
		t.Run(name, func(t *testing.T) {
			again := Judge(set, s.fold(), previous, now.Add(time.Hour))
			if diff := cmp.Diff(described(t, first), described(t, again)); diff != "" {
				t.Errorf("an hour later (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTruncated: that a report does not list all is known from the verdict, also while nothing is written.
func TestTruncated(t *testing.T) {
	for n, want := range map[int]bool{v1alpha1.MaxFindings: false, v1alpha1.MaxFindings + 1: true} {
		result := &audit.Result{Subject: audit.Subject{APIVersion: "v1", Kind: "Pod", Name: "x"}, Report: "pod-x"}
		for i := range n {
			result.Findings = append(result.Findings, audit.Finding{Check: "c", Severity: v1alpha1.SeverityLow, Path: fmt.Sprint(i)})
		}
		if got := verdictOf("shop", result, nil, nil, now).Truncated; got != want {
			t.Errorf("%d findings: Truncated is %t, want %t", n, got, want)
		}
	}
}

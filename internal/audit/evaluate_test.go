// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// podCheck is complete but for what a test says otherwise.
func podCheck(id string, function func(*Pod, *Reporter)) Check {
	return Check{
		ID: id, Title: "Title", Severity: v1alpha1.SeverityMedium, Category: CategoryPodSecurity,
		Rationale: "Rationale.", Remediation: "Remediation.", Before: "before", After: "after", Pod: function,
	}
}

func namespaceCheck(id string, function func(*Namespace, *Reporter), needs ...Resource) Check {
	c := podCheck(id, nil)
	c.Namespace, c.Needs = function, needs
	return c
}

func newSet(t *testing.T, checks ...Check) *Set {
	t.Helper()
	s, err := NewSet(checks)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// byNodeSelector finds what a Pod's node selector says: check id → "severity path message".
func byNodeSelector(id string) Check {
	return podCheck(id, func(p *Pod, r *Reporter) {
		said, ok := p.Spec.NodeSelector[id]
		if !ok {
			return
		}
		f := strings.SplitN(said, " ", 3)
		r.Find(Finding{Severity: v1alpha1.Severity(f[0]), Path: f[1], Message: f[2]})
	})
}

func shape(said ...string) *Shape {
	pod := &Pod{Spec: corev1.PodSpec{NodeSelector: map[string]string{}}}
	for _, text := range said {
		id, found, _ := strings.Cut(text, ": ")
		pod.Spec.NodeSelector[id] = found
	}
	return NewShape(pod)
}

func podsOfShapes(shapes ...*Shape) []*PodRecord {
	var pods []*PodRecord
	for i, s := range shapes {
		pods = append(pods, &PodRecord{Object: object(fmt.Sprint("p", i)), Shape: s})
	}
	return pods
}

func static(w *Workload) *Workload {
	w.Static = true
	return w
}

func workloadOf(kind string, template *Shape, pods ...*PodRecord) *Workload {
	s := Subject{APIVersion: apiVersions[kind], Kind: kind, Name: "web", UID: "web-uid"}
	return &Workload{Subject: s, Template: template, Pods: pods, reportName: s.ReportName()}
}

func TestEvaluateWorkload(t *testing.T) {
	const (
		template = v1alpha1.SeenInTemplate
		pods     = v1alpha1.SeenInPods
	)
	finding := func(severity v1alpha1.Severity, path, message string, seenIn v1alpha1.SeenIn) Finding {
		return Finding{Check: "odd", Severity: severity, Path: path, Message: message, SeenIn: seenIn}
	}
	bad, good := shape("odd: High spec.x m"), shape()
	for name, tc := range map[string]struct {
		workload *Workload
		want     []Finding
	}{
		"a clean template and clean Pods have no findings": {workloadOf("Deployment", good, podsOfShapes(good, shape())...), nil},
		"a template without Pods: there is nothing to tell it from": {
			workloadOf("Deployment", bad), []Finding{finding("High", "spec.template.spec.x", "m", "")},
		},
		"a template and all Pods": {
			workloadOf("Deployment", bad, podsOfShapes(bad, bad)...), []Finding{finding("High", "spec.template.spec.x", "m", "")},
		},
		"a template and Pods of another shape, with the same finding": {
			workloadOf("Deployment", bad, podsOfShapes(shape("odd: High spec.x m"))...), []Finding{finding("High", "spec.template.spec.x", "m", "")},
		},
		"a template only": {
			workloadOf("Deployment", bad, podsOfShapes(good)...), []Finding{finding("High", "spec.template.spec.x", "m", template)},
		},
		"Pods only": {
			workloadOf("Deployment", good, podsOfShapes(bad)...), []Finding{finding("High", "spec.template.spec.x", "m", pods)},
		},
		"some Pods only": {
			workloadOf("Deployment", good, podsOfShapes(good, bad, shape("odd: High spec.x m"))...),
			[]Finding{finding("High", "spec.template.spec.x", "m", pods)},
		},
		"a template and some Pods": {
			workloadOf("Deployment", bad, podsOfShapes(good, bad)...), []Finding{finding("High", "spec.template.spec.x", "m", "")},
		},
		"Pods of what has no template: there is nothing to tell them from": {
			workloadOf("Rollout", nil, podsOfShapes(good, bad)...), []Finding{finding("High", "spec.x", "m", "")},
		},
		"a bare Pod": {workloadOf("Pod", nil, podsOfShapes(bad)...), []Finding{finding("High", "spec.x", "m", "")}},
		"different paths in template and Pods": {
			workloadOf("Deployment", bad, podsOfShapes(shape("odd: High spec.y m"))...),
			[]Finding{finding("High", "spec.template.spec.x", "m", template), finding("High", "spec.template.spec.y", "m", pods)},
		},
		"a worse Pod than template: the worse counts, seen in both": {
			workloadOf("Deployment", bad, podsOfShapes(shape("odd: Critical spec.x worse"))...),
			[]Finding{finding("Critical", "spec.template.spec.x", "worse", "")},
		},
		"a worse template than Pod: the worse counts, seen in both": {
			workloadOf("Deployment", bad, podsOfShapes(shape("odd: Low spec.x better"))...), []Finding{finding("High", "spec.template.spec.x", "m", "")},
		},
		"Pods of several generations: the worst counts, wherever it stands": {
			workloadOf("Deployment", good, podsOfShapes(shape("odd: Low spec.x a"), shape("odd: Critical spec.x b"), bad)...),
			[]Finding{finding("Critical", "spec.template.spec.x", "b", pods)},
		},
		"Pods of several generations that are as bad: the first message counts": {
			workloadOf("Deployment", good, podsOfShapes(shape("odd: Low spec.x b"), shape("odd: Low spec.x a"), shape("odd: Low spec.x c"))...),
			[]Finding{finding("Low", "spec.template.spec.x", "a", pods)},
		},
		"a finding without a severity has its check's": {
			workloadOf("Deployment", shape("odd:  spec.x m")), []Finding{finding("Medium", "spec.template.spec.x", "m", "")},
		},
		"the path of a ReplicationController": {workloadOf("ReplicationController", bad), []Finding{finding("High", "spec.template.spec.x", "m", "")}},
		"the path of a ReplicaSet":            {workloadOf("ReplicaSet", bad), []Finding{finding("High", "spec.template.spec.x", "m", "")}},
		"the path of a StatefulSet":           {workloadOf("StatefulSet", bad), []Finding{finding("High", "spec.template.spec.x", "m", "")}},
		"the path of a DaemonSet":             {workloadOf("DaemonSet", bad), []Finding{finding("High", "spec.template.spec.x", "m", "")}},
		"the path of a Job":                   {workloadOf("Job", bad), []Finding{finding("High", "spec.template.spec.x", "m", "")}},
		"the path of a CronJob":               {workloadOf("CronJob", bad), []Finding{finding("High", "spec.jobTemplate.spec.template.spec.x", "m", "")}},
		"the path of a live Pod of a CronJob": {
			workloadOf("CronJob", good, podsOfShapes(bad)...), []Finding{finding("High", "spec.jobTemplate.spec.template.spec.x", "m", pods)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			set := newSet(t, byNodeSelector("odd"))
			ns := &Namespace{Inventory: Inventory{Surroundings: Surroundings{Name: "shop"}}, Workloads: []*Workload{tc.workload}}
			results := set.Evaluate(ns)
			if diff := cmp.Diff(tc.want, results[0].Findings); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if passed := results[0].Passed == 1; passed != (tc.want == nil) {
				t.Errorf("passed: %v", passed)
			}
		})
	}
}

func TestEvaluateSortsChecksOut(t *testing.T) {
	forbidden := &Unavailable{Resource: NetworkPolicies, Reason: v1alpha1.SkipSourceForbidden, Message: "no"}
	noPods := &Unavailable{Resource: Pods, Reason: v1alpha1.SkipSourceSyncing, Message: "wait"}
	find := func(path string) func(*Namespace, *Reporter) {
		return func(_ *Namespace, r *Reporter) { r.Find(Finding{Path: path, Message: "m"}) }
	}
	found := func(check, path string) Finding {
		return Finding{Check: check, Severity: v1alpha1.SeverityMedium, Path: path, Message: "m"}
	}
	skip := func(message string) func(*Namespace, *Reporter) {
		return func(_ *Namespace, r *Reporter) { r.Skip(v1alpha1.SkipDataMissing, message) }
	}
	pass := func(*Namespace, *Reporter) {}
	for name, tc := range map[string]struct {
		checks       []Check
		unavailable  []*Unavailable
		wantFindings []Finding
		wantSkips    []Skip
		wantPassed   int
	}{
		"without checks there is nothing": {},
		"checks pass in the order of their ids": {
			checks: []Check{namespaceCheck("c", pass), namespaceCheck("a", pass), namespaceCheck("b", pass)}, wantPassed: 3,
		},
		"a check that breaks down is skipped, and the others go on": {
			checks: []Check{
				namespaceCheck("a", func(*Namespace, *Reporter) { panic("ouch") }), namespaceCheck("b", find("x")), namespaceCheck("c", pass),
			},
			wantFindings: []Finding{found("b", "x")},
			wantSkips:    []Skip{{"a", v1alpha1.SkipCheckFailed, `check "a" broke down: ouch`}},
			wantPassed:   1,
		},
		"what a check found before it broke down stays, and it counts as failed": {
			checks: []Check{namespaceCheck("a", func(_ *Namespace, r *Reporter) {
				r.Find(Finding{Path: "x", Message: "m"})
				panic("ouch")
			})},
			wantFindings: []Finding{found("a", "x")},
		},
		"a check whose needs cannot be read is skipped without being asked": {
			checks:      []Check{namespaceCheck("a", find("x"), NetworkPolicies), namespaceCheck("b", find("x"), ResourceQuotas)},
			unavailable: []*Unavailable{forbidden}, wantFindings: []Finding{found("b", "x")}, wantSkips: []Skip{{"a", v1alpha1.SkipSourceForbidden, "no"}},
		},
		"of several needs that cannot be read the first is told": {
			checks:      []Check{namespaceCheck("a", find("x"), Pods, NetworkPolicies), namespaceCheck("b", find("x"), NetworkPolicies, Pods)},
			unavailable: []*Unavailable{forbidden, noPods},
			wantSkips:   []Skip{{"a", v1alpha1.SkipSourceSyncing, "wait"}, {"b", v1alpha1.SkipSourceForbidden, "no"}},
		},
		"a finding wins over a skip": {
			checks: []Check{namespaceCheck("a", func(ns *Namespace, r *Reporter) {
				skip("s")(ns, r)
				find("x")(ns, r)
			})},
			wantFindings: []Finding{found("a", "x")},
		},
		"a check that skipped has not passed, and of several skips the first counts": {
			checks: []Check{namespaceCheck("a", func(ns *Namespace, r *Reporter) {
				skip("t")(ns, r)
				skip("s")(ns, r)
			})},
			wantSkips: []Skip{{"a", v1alpha1.SkipDataMissing, "s"}},
		},
		"the worst finding is first, then they go by check, object, path and message": {
			checks: []Check{
				namespaceCheck("b", func(_ *Namespace, r *Reporter) {
					r.Find(Finding{Severity: v1alpha1.SeverityLow, Path: "a", Message: "m"})
					r.Find(Finding{Severity: v1alpha1.SeverityCritical, Path: "a", Message: "m"})
				}),
				namespaceCheck("a", func(_ *Namespace, r *Reporter) {
					r.Find(Finding{Path: "z", Message: "m"})
					r.Find(Finding{Path: "y", Message: "n"})
					r.Find(Finding{Path: "y", Message: "m"})
					r.Find(Finding{Path: "a", Message: "m", Object: &v1alpha1.ObjectReference{Kind: "K", Name: "n"}})
				}),
			},
			wantFindings: []Finding{
				{Check: "b", Severity: v1alpha1.SeverityCritical, Path: "a", Message: "m"},
				{Check: "a", Severity: v1alpha1.SeverityMedium, Path: "y", Message: "m"},
				{Check: "a", Severity: v1alpha1.SeverityMedium, Path: "y", Message: "n"},
				{Check: "a", Severity: v1alpha1.SeverityMedium, Path: "z", Message: "m"},
				{Check: "a", Severity: v1alpha1.SeverityMedium, Path: "a", Message: "m", Object: &v1alpha1.ObjectReference{Kind: "K", Name: "n"}},
				{Check: "b", Severity: v1alpha1.SeverityLow, Path: "a", Message: "m"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ns := &Namespace{Inventory: Inventory{Surroundings: Surroundings{Name: "shop"}, Unavailable: make(map[Resource]*Unavailable)}}
			for _, u := range tc.unavailable {
				ns.Unavailable[u.Resource] = u
			}
			results := newSet(t, tc.checks...).Evaluate(ns)
			want := []Result{{
				Subject: Subject{APIVersion: "v1", Kind: "Namespace", Name: "shop"}, Report: "namespace-shop",
				Findings: tc.wantFindings, Skips: tc.wantSkips, Passed: tc.wantPassed,
			}}
			if diff := cmp.Diff(want, results, ignoreNetwork); diff != "" {
				t.Errorf("results (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEvaluatePodChecksThatCannotLook(t *testing.T) {
	bad := shape("odd: High spec.x m")
	noPods := &Unavailable{Resource: Pods, Reason: v1alpha1.SkipSourceForbidden, Message: "no"}
	broken := podCheck("broken", func(*Pod, *Reporter) { panic("ouch") })
	set := newSet(t, byNodeSelector("odd"), byNodeSelector("fine"), broken)
	ns := &Namespace{
		Inventory: Inventory{Surroundings: Surroundings{Name: "shop"}, Unavailable: map[Resource]*Unavailable{Pods: noPods}},
		Workloads: []*Workload{workloadOf("Deployment", bad)},
	}
	want := Result{
		Subject: ns.Workloads[0].Subject, Report: "deployment-web",
		Findings: []Finding{{Check: "odd", Severity: "High", Path: "spec.template.spec.x", Message: "m"}},
		Skips: []Skip{
			{"broken", v1alpha1.SkipCheckFailed, `check "broken" broke down: ouch`},
			{"fine", v1alpha1.SkipSourceForbidden, "no"},
		},
	}
	if diff := cmp.Diff(want, set.Evaluate(ns)[0], ignoreNetwork); diff != "" {
		t.Errorf("with Pods forbidden (-want +got):\n%s", diff)
	}
	ns.Unavailable = nil
	want.Skips, want.Passed = want.Skips[:1], 1
	if diff := cmp.Diff(want, set.Evaluate(ns)[0], ignoreNetwork); diff != "" {
		t.Errorf("with Pods (-want +got):\n%s", diff)
	}
}

// TestManifestsPassNothingThatOnlyAClusterShows: what is found in them counts, and what is not found is not known.
func TestManifestsPassNothingThatOnlyAClusterShows(t *testing.T) {
	finds := func(live string) func(*Pod, *Reporter) {
		return func(p *Pod, r *Reporter) {
			if p.Spec.NodeSelector["who"] == live {
				r.Find(Finding{Message: "m", Path: "spec"})
			}
		}
	}
	shown, hidden := podCheck("shown", finds("nobody")), podCheck("hidden", finds("pod"))
	hidden.LiveOnly = "what only Pods have"
	set := newSet(t, shown, hidden)
	template, pod := workloadOf("Deployment", shape("who: template")), workloadOf("Deployment", shape("who: template"), &PodRecord{Shape: shape("who: pod")})
	for name, tc := range map[string]struct {
		workload      *Workload
		fromManifests bool
		found, passed int
		skips         []Skip
	}{
		"a template of a cluster": {template, false, 0, 2, nil},
		"a template of manifests": {template, true, 0, 1, []Skip{{"hidden", v1alpha1.SkipDataMissing, "manifests do not show what only Pods have"}}},
		"a Pod of manifests":      {pod, true, 1, 1, nil},
	} {
		ns := &Namespace{Inventory: Inventory{Surroundings: Surroundings{FromManifests: tc.fromManifests}}, Workloads: []*Workload{tc.workload}}
		result := set.Evaluate(ns)[0]
		if diff := cmp.Diff(tc.skips, result.Skips); diff != "" || len(result.Findings) != tc.found || result.Passed != tc.passed {
			t.Errorf("%s: passed %d, found %+v, skips (-want +got):\n%s", name, result.Passed, result.Findings, diff)
		}
	}
}

func TestFindingsOfOneCheckAtOnePlaceOfAPodAreOne(t *testing.T) {
	twice := podCheck("twice", func(_ *Pod, r *Reporter) {
		r.Find(Finding{Path: "spec.x", Message: "b"})
		r.Find(Finding{Path: "spec.x", Message: "a", Severity: v1alpha1.SeverityLow})
		r.Find(Finding{Path: "spec.x", Message: "c"})
	})
	for name, tc := range map[string]struct {
		workload *Workload
		path     string
	}{
		"in a template":          {workloadOf("Deployment", shape()), "spec.template.spec.x"},
		"in a template and Pods": {workloadOf("Deployment", shape(), podsOfShapes(shape("x: y"))...), "spec.template.spec.x"},
		"in Pods":                {workloadOf("Pod", nil, podsOfShapes(shape())...), "spec.x"},
	} {
		got := newSet(t, twice).Evaluate(&Namespace{Workloads: []*Workload{tc.workload}})[0].Findings
		want := []Finding{{Check: "twice", Severity: v1alpha1.SeverityMedium, Path: tc.path, Message: "b"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestEvaluateJudgesAShapeOncePerSet(t *testing.T) {
	calls := 0
	count := podCheck("count", func(*Pod, *Reporter) { calls++ })
	shared := shape()
	ns := &Namespace{Workloads: []*Workload{
		workloadOf("Deployment", shared, podsOfShapes(shared, shared)...), workloadOf("StatefulSet", shared),
	}}
	first, second := newSet(t, count), newSet(t, count)
	for i, tc := range []struct {
		set  *Set
		want int
	}{{first, 1}, {first, 1}, {second, 2}} {
		if tc.set.Evaluate(ns); calls != tc.want {
			t.Errorf("after evaluation %d: judged %d times, want %d", i+1, calls, tc.want)
		}
	}
}

// TestEvaluateIsDeterministic shuffles what comes in and compares what comes out, byte by byte.
func TestEvaluateIsDeterministic(t *testing.T) {
	checks := []Check{
		byNodeSelector("a"), byNodeSelector("b"),
		podCheck("c", func(p *Pod, r *Reporter) {
			if len(p.Spec.NodeSelector) > 1 {
				r.Skip(v1alpha1.SkipDataMissing, fmt.Sprint(len(p.Spec.NodeSelector)))
			}
		}),
		namespaceCheck("d", func(ns *Namespace, r *Reporter) {
			for _, q := range ns.Quotas {
				r.Find(Finding{Path: "spec", Message: q.Name, Object: &v1alpha1.ObjectReference{Kind: "ResourceQuota", Name: q.Name}})
			}
		}),
	}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 2))
		inventory := randomInventory(random)
		said := func() *Shape {
			var texts []string
			for _, id := range []string{"a", "b", "x"} {
				if random.IntN(2) == 0 {
					severity := []string{"Critical", "High", "Low"}[random.IntN(3)]
					texts = append(texts, fmt.Sprintf("%s: %s spec.%d m%d", id, severity, random.IntN(2), random.IntN(3)))
				}
			}
			return shape(texts...)
		}
		for _, c := range inventory.Controllers {
			c.Shape = said()
		}
		for _, p := range inventory.Pods {
			p.Shape = said()
		}
		for n := range random.IntN(4) {
			inventory.Quotas = append(inventory.Quotas, &QuotaRecord{Object: object(fmt.Sprint("q", n))})
		}
		var first string
		for round := range 5 {
			set := newSet(t, checks...)
			encoded, err := json.Marshal(set.Evaluate(Fold(inventory, now)))
			if err != nil {
				t.Fatal(err)
			}
			if round == 0 {
				first = string(encoded)
			} else if diff := cmp.Diff(first, string(encoded)); diff != "" {
				t.Fatalf("seed %d (-first +now):\n%s", seed, diff)
			}
			random.Shuffle(len(checks), func(i, j int) { checks[i], checks[j] = checks[j], checks[i] })
			random.Shuffle(len(inventory.Pods), func(i, j int) {
				inventory.Pods[i], inventory.Pods[j] = inventory.Pods[j], inventory.Pods[i]
			})
			slices.Reverse(inventory.Quotas)
			random.Shuffle(len(inventory.Controllers), func(i, j int) {
				inventory.Controllers[i], inventory.Controllers[j] = inventory.Controllers[j], inventory.Controllers[i]
			})
		}
	}
}

func TestStandingSeverity(t *testing.T) {
	f := Finding{Path: "spec", Object: &v1alpha1.ObjectReference{Kind: "ResourceQuota", Name: "q"}}
	check := podCheck("quota", nil)
	r := &Reporter{check: &check}
	ns := &Namespace{}
	if got := ns.StandingSeverity(r, f); got != "" {
		t.Errorf("without memory: %q", got)
	}
	ns.Standing = func(k Key) v1alpha1.Severity {
		if (k == Key{Check: "quota", ObjectKind: "ResourceQuota", ObjectName: "q", Path: "spec"}) {
			return v1alpha1.SeverityHigh
		}
		return ""
	}
	if got := ns.StandingSeverity(r, f); got != v1alpha1.SeverityHigh {
		t.Errorf("of what stands: %q, want High", got)
	}
	f.Path = "other"
	if got := ns.StandingSeverity(r, f); got != "" {
		t.Errorf("of what does not stand: %q", got)
	}
}

func TestEvaluatePlacedPods(t *testing.T) {
	placed := func(id string, function func(*PlacedPod, *Reporter), needs ...Resource) Check {
		c := podCheck(id, nil)
		c.Placed, c.Needs = function, needs
		return c
	}
	noQuotas := &Unavailable{Resource: ResourceQuotas, Reason: v1alpha1.SkipSourceForbidden, Message: "no"}
	noPods := &Unavailable{Resource: Pods, Reason: v1alpha1.SkipSourceForbidden, Message: "no pods"}
	// tell finds where it is called, once for each call.
	tell := placed("tell", func(p *PlacedPod, r *Reporter) {
		path := "spec.live"
		if p.Template {
			path = "spec.template"
		}
		r.Find(Finding{Path: path, Message: fmt.Sprint(p.Around.Name, " ", p.Static, " ") + p.Spec.NodeSelector["who"]})
	})
	always := placed("always", func(_ *PlacedPod, r *Reporter) { r.Find(Finding{Path: "spec.x", Message: "m"}) })
	quiet := placed("quiet", func(*PlacedPod, *Reporter) {})
	template, old := shape("who: template"), shape("who: old")
	found := func(check, path, message string, seenIn v1alpha1.SeenIn) Finding {
		return Finding{Check: check, Severity: v1alpha1.SeverityMedium, Path: path, Message: message, SeenIn: seenIn}
	}
	for name, tc := range map[string]struct {
		checks      []Check
		workload    *Workload
		unavailable *Unavailable
		want        Result
	}{
		"a check sees the Pod, whether it is a template, whether it is static, and what is around it": {
			checks: []Check{tell}, workload: static(workloadOf("Deployment", template, podsOfShapes(old, old)...)),
			want: Result{Findings: []Finding{
				found("tell", "spec.template.spec.live", "shop true old", v1alpha1.SeenInPods),
				found("tell", "spec.template.spec.template", "shop false template", v1alpha1.SeenInTemplate),
			}},
		},
		"what template and Pods show is one finding": {
			checks: []Check{always, quiet}, workload: workloadOf("Deployment", template, podsOfShapes(template, old)...),
			want: Result{Findings: []Finding{found("always", "spec.template.spec.x", "m", "")}, Passed: 1},
		},
		"a check whose needs cannot be read is skipped, once, and the others go on": {
			checks: []Check{
				always, placed("needy", func(_ *PlacedPod, r *Reporter) { r.Find(Finding{Path: "never"}) }, Pods, ResourceQuotas), quiet,
			},
			workload: workloadOf("Deployment", template, podsOfShapes(old)...), unavailable: noQuotas,
			want: Result{
				Findings: []Finding{found("always", "spec.template.spec.x", "m", "")},
				Skips:    []Skip{{"needy", v1alpha1.SkipSourceForbidden, "no"}}, Passed: 1,
			},
		},
		"a check that breaks down is skipped, and the others go on": {
			checks:   []Check{placed("broken", func(*PlacedPod, *Reporter) { panic("ouch") }), quiet},
			workload: workloadOf("Pod", nil, podsOfShapes(old)...),
			want:     Result{Skips: []Skip{{"broken", v1alpha1.SkipCheckFailed, `check "broken" broke down: ouch`}}, Passed: 1},
		},
		"without Pods no check has passed": {
			checks: []Check{quiet, always}, workload: workloadOf("Deployment", template), unavailable: noPods,
			want: Result{
				Findings: []Finding{found("always", "spec.template.spec.x", "m", "")}, Skips: []Skip{{"quiet", v1alpha1.SkipSourceForbidden, "no pods"}},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			ns := &Namespace{Inventory: Inventory{Surroundings: Surroundings{Name: "shop"}}, Workloads: []*Workload{tc.workload}}
			if tc.unavailable != nil {
				ns.Unavailable = map[Resource]*Unavailable{tc.unavailable.Resource: tc.unavailable}
			}
			tc.want.Subject, tc.want.Report = tc.workload.Subject, tc.workload.reportName
			if diff := cmp.Diff(tc.want, newSet(t, tc.checks...).Evaluate(ns)[0], ignoreNetwork); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// exempts returns a SecurityException of the namespace "shop" that ends in an hour.
func exempts(subject v1alpha1.ExceptionSubject, checks ...string) *ExceptionRecord {
	return ExceptionFrom(&v1alpha1.SecurityException{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "e", UID: "e-uid", CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))},
		Spec: v1alpha1.SecurityExceptionSpec{
			Checks: checks, Subjects: []v1alpha1.ExceptionSubject{subject}, Reason: "r", ExpirationTime: &metav1.Time{Time: now.Add(time.Hour)},
		},
	})
}

func exemptsInCluster(namespaces *v1alpha1.NamespaceSelector, checks ...string) *ExceptionRecord {
	return ClusterExceptionFrom(&v1alpha1.ClusterSecurityException{
		ObjectMeta: metav1.ObjectMeta{Name: "c", UID: "c-uid"},
		Spec: v1alpha1.ClusterSecurityExceptionSpec{Namespaces: namespaces, SecurityExceptionSpec: v1alpha1.SecurityExceptionSpec{
			Checks: checks, Subjects: []v1alpha1.ExceptionSubject{{Name: "*"}}, Reason: "r", ExpirationTime: &metav1.Time{Time: now.Add(time.Hour)},
		}},
	})
}

// exemptionSet finds in every Pod one thing of each severity, one of them about a container, and in the namespace
// something about a Service.
func exemptionSet(t *testing.T, change func(*Settings)) *Set {
	t.Helper()
	find := func(id string, f Finding) Check {
		return podCheck(id, func(_ *Pod, r *Reporter) { r.Find(f) })
	}
	settings := DefaultSettings()
	change(&settings)
	set, err := NewSetWith([]Check{
		find("critical", Finding{Severity: "Critical", Path: "spec.a"}), find("medium", Finding{Severity: "Medium", Path: "spec.b"}),
		find("low", Finding{Severity: "Low", Path: "spec.c", Container: "app-1"}),
		namespaceCheck("service", func(_ *Namespace, r *Reporter) {
			r.Find(Finding{Severity: "Low", Path: "spec", Object: &v1alpha1.ObjectReference{Kind: "Service", Name: "web"}})
		}),
	}, settings)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestExceptions(t *testing.T) {
	subject := func(kind, name string) v1alpha1.ExceptionSubject {
		return v1alpha1.ExceptionSubject{Kind: kind, Name: name}
	}
	labelled := func(value string) v1alpha1.ExceptionSubject {
		return v1alpha1.ExceptionSubject{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": value}}}
	}
	of := func(e *ExceptionRecord, change func(*ExceptionRecord)) *ExceptionRecord {
		change(e)
		return e
	}
	all := subject("", "*")
	for name, tc := range map[string]struct {
		exceptions []*ExceptionRecord
		settings   func(*Settings)
		// want are the exempted findings, as "subject check by", and the exceptions' uses.
		want []string
	}{
		"none": {},
		"a check of a workload": {
			exceptions: []*ExceptionRecord{exempts(subject("Deployment", "web"), "medium")}, want: []string{"web medium e", "web: e 1+0"},
		},
		"all checks, as far as severities are allowed": {
			exceptions: []*ExceptionRecord{exempts(subject("Deployment", ""), "*")}, want: []string{"web medium e", "web low e", "web: e 2+1"},
		},
		"severities that are not allowed are counted": {
			exceptions: []*ExceptionRecord{exempts(all, "critical")}, want: []string{"web: e 0+1", "db: e 0+1"},
		},
		"severities that the settings allow": {
			exceptions: []*ExceptionRecord{exempts(all, "critical")},
			settings:   func(s *Settings) { s.Exceptions.Severities = setOf[v1alpha1.Severity]("Critical") },
			want:       []string{"web critical e", "web: e 1+0", "db critical e", "db: e 1+0"},
		},
		"another kind":    {exceptions: []*ExceptionRecord{exempts(subject("StatefulSet", "web"), "*")}},
		"a pattern":       {exceptions: []*ExceptionRecord{exempts(subject("", "w*b"), "low")}, want: []string{"web low e", "web: e 1+0"}},
		"another pattern": {exceptions: []*ExceptionRecord{exempts(subject("", "w"), "*")}},
		"labels of the template count, where there is one": {
			exceptions: []*ExceptionRecord{exempts(labelled("web"), "low")}, want: []string{"web low e", "web: e 1+0"},
		},
		"without a template all Pods must have the labels": {
			exceptions: []*ExceptionRecord{exempts(labelled("db"), "low")},
		},
		"a container": {
			exceptions: []*ExceptionRecord{exempts(v1alpha1.ExceptionSubject{Containers: []string{"x", "app-*"}}, "*")},
			want:       []string{"web low e", "web: e 1+0", "db low e", "db: e 1+0"},
		},
		"another container": {exceptions: []*ExceptionRecord{exempts(v1alpha1.ExceptionSubject{Containers: []string{"app"}}, "*")}},
		"an object of the namespace": {
			exceptions: []*ExceptionRecord{exempts(subject("Service", "web"), "*")}, want: []string{"shop service e", "shop: e 1+0"},
		},
		"the namespace, and what is in it": {
			exceptions: []*ExceptionRecord{exempts(subject("Namespace", "shop"), "*")}, want: []string{"shop service e", "shop: e 1+0"},
		},
		"what has ended": {exceptions: []*ExceptionRecord{of(exempts(all, "*"), func(e *ExceptionRecord) { e.Expires = new(MomentOf(now)) })}},
		"what never ends": {
			exceptions: []*ExceptionRecord{of(exempts(all, "*"), func(e *ExceptionRecord) { e.Expires = nil })},
		},
		"what never ends, where that is allowed": {
			exceptions: []*ExceptionRecord{of(exempts(subject("Deployment", "web"), "low"), func(e *ExceptionRecord) { e.Expires = nil })},
			settings:   func(s *Settings) { s.Exceptions.MaxAge = 0 },
			want:       []string{"web low e", "web: e 1+0"},
		},
		"what never ends, where only the cluster's need not": {
			exceptions: []*ExceptionRecord{of(exempts(all, "low"), func(e *ExceptionRecord) { e.Expires = nil })},
			settings:   func(s *Settings) { s.Exceptions.ClusterUnlimited = true },
		},
		"one of the cluster that never ends": {
			exceptions: []*ExceptionRecord{of(exemptsInCluster(nil, "service"), func(e *ExceptionRecord) { e.Expires = nil })},
		},
		"one of the cluster that never ends, where that is allowed": {
			exceptions: []*ExceptionRecord{of(exemptsInCluster(nil, "service"), func(e *ExceptionRecord) { e.Expires = nil })},
			settings:   func(s *Settings) { s.Exceptions.ClusterUnlimited = true },
			want:       []string{"shop service c", "shop: c 1+0"},
		},
		"a kind that the audit does not read, with its group": {
			exceptions: []*ExceptionRecord{exempts(subject("Rollout.argoproj.io", ""), "low")}, want: []string{"db low e", "db: e 1+0"},
		},
		"a kind that the audit does not read, without": {exceptions: []*ExceptionRecord{exempts(subject("Rollout", ""), "*")}},
		"a subject of nothing":                         {exceptions: []*ExceptionRecord{exempts(v1alpha1.ExceptionSubject{}, "*")}},
		"labels of nothing": {
			exceptions: []*ExceptionRecord{exempts(v1alpha1.ExceptionSubject{Selector: &metav1.LabelSelector{}}, "*")},
		},
		"without a reason": {
			exceptions: []*ExceptionRecord{of(exempts(all, "*"), func(e *ExceptionRecord) { e.Reason = "" })},
		},
		"what holds too long": {
			exceptions: []*ExceptionRecord{of(exempts(all, "*"), func(e *ExceptionRecord) { e.Created = MomentOf(now.Add(-90 * 24 * time.Hour)) })},
		},
		"where none is allowed": {
			exceptions: []*ExceptionRecord{exempts(all, "*")}, settings: func(s *Settings) { s.Exceptions.Namespaced = false },
		},
		"one of the cluster, of any severity, where none of a namespace is allowed": {
			exceptions: []*ExceptionRecord{exemptsInCluster(nil, "critical")}, settings: func(s *Settings) { s.Exceptions.Namespaced = false },
			want: []string{"web critical c", "web: c 1+0", "db critical c", "db: c 1+0"},
		},
		"one of the cluster for namespaces with labels": {
			exceptions: []*ExceptionRecord{exemptsInCluster(&v1alpha1.NamespaceSelector{
				Names: []string{"s*"}, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}},
			}, "service")},
			want: []string{"shop service c", "shop: c 1+0"},
		},
		"one of the cluster for another namespace": {
			exceptions: []*ExceptionRecord{exemptsInCluster(&v1alpha1.NamespaceSelector{Names: []string{"blog"}}, "*")},
		},
		"one with labels that are none selects nothing": {
			exceptions: []*ExceptionRecord{exemptsInCluster(&v1alpha1.NamespaceSelector{Selector: &metav1.LabelSelector{
				MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "is"}},
			}}, "*")},
		},
		"two about one finding: the cluster's counts, and both are used": {
			exceptions: []*ExceptionRecord{exempts(subject("Deployment", ""), "low"), exemptsInCluster(nil, "low")},
			want:       []string{"web low c", "web: c 1+0 e 1+0", "db low c", "db: c 1+0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.settings == nil {
				tc.settings = func(*Settings) {}
			}
			set := exemptionSet(t, tc.settings)
			web := controller("Deployment", "web", nil)
			web.Labels = LabelsOf(EncodeLabels(map[string]string{"app": "web"}))
			rollout := ref("Rollout", "db")
			one, two := pod("p", rollout), pod("q", rollout)
			one.Labels = LabelsOf(EncodeLabels(map[string]string{"app": "db"}))
			ns := Fold(Inventory{
				Surroundings: Surroundings{Name: "shop"}, Namespace: &NamespaceRecord{Labels: map[string]string{"team": "a"}},
				Controllers: []*ControllerRecord{web}, Pods: []*PodRecord{one, two}, Exceptions: tc.exceptions,
			}, now)
			var got []string
			for _, r := range set.Evaluate(ns) {
				for _, e := range r.Exempted {
					got = append(got, fmt.Sprint(r.Name, " ", e.Check, " ", e.By.Name))
				}
				uses := r.Name + ":"
				for _, u := range r.Uses {
					uses += fmt.Sprintf(" %s %d+%d", u.By.Name, u.Matches, u.Denied)
				}
				if len(r.Uses) > 0 {
					got = append(got, uses)
				}
				total := 3
				if r.Kind == KindNamespace {
					total = 1
				}
				if len(r.Findings)+len(r.Exempted) != total || r.Passed != 0 {
					t.Errorf("%s: %d findings, %d exempted, %d passed", r.Name, len(r.Findings), len(r.Exempted), r.Passed)
				}
			}
			want := tc.want
			sortBySubject(want)
			sortBySubject(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("exempted and uses (-want +got):\n%s", diff)
			}
		})
	}
}

// sortBySubject keeps the order of what is said of one subject.
func sortBySubject(lines []string) {
	order := map[string]int{"db": 0, "web": 1, "shop": 2}
	slices.SortStableFunc(lines, func(a, b string) int {
		return order[strings.FieldsFunc(a, notName)[0]] - order[strings.FieldsFunc(b, notName)[0]]
	})
}

func notName(r rune) bool { return r == ' ' || r == ':' }

// TestExceptionsEndByThemselves: an evaluation says when to look again, and only those workloads are judged anew that an
// exception is about.
func TestExceptionsEndByThemselves(t *testing.T) {
	set := exemptionSet(t, func(*Settings) {})
	inventory := Inventory{
		Surroundings: Surroundings{Name: "shop"}, Controllers: []*ControllerRecord{controller("Deployment", "db", nil), controller("Deployment", "web", nil)},
		Exceptions: []*ExceptionRecord{exempts(v1alpha1.ExceptionSubject{Name: "web"}, "low"), exemptsInCluster(&v1alpha1.NamespaceSelector{Names: []string{"blog"}}, "*")},
	}
	inputs := func(at time.Time) (ns *Namespace, inputs []Inputs) {
		ns = Fold(inventory, at)
		for _, w := range ns.Workloads {
			inputs = append(inputs, set.InputsOf(ns, w))
		}
		return ns, inputs
	}
	ns, before := inputs(now)
	if !ns.Recheck.Equal(now.Add(time.Hour)) {
		t.Errorf("look again at %v", ns.Recheck)
	}
	ns, after := inputs(ns.Recheck)
	if !ns.Recheck.IsZero() {
		t.Errorf("look again at %v, though nothing will change", ns.Recheck)
	}
	if !before[0].Equal(&after[0]) || before[1].Equal(&after[1]) {
		t.Errorf("unchanged: db %t, web %t", before[0].Equal(&after[0]), before[1].Equal(&after[1]))
	}
	inventory.Exceptions[0].Generation++ // edited
	if _, edited := inputs(now); !before[0].Equal(&edited[0]) || before[1].Equal(&edited[1]) {
		t.Error("an edit concerns the wrong workloads")
	}
}

// TestExceptionsFollowLabels: which of its subjects select is part of what a verdict depends on.
func TestExceptionsFollowLabels(t *testing.T) {
	set := exemptionSet(t, func(*Settings) {})
	labelled := func(key string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{key: "x"}}
	}
	e := exempts(v1alpha1.ExceptionSubject{Selector: labelled("a"), Containers: []string{"other"}}, "low")
	both := ExceptionFrom(&v1alpha1.SecurityException{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "e", UID: "e-uid", CreationTimestamp: metav1.NewTime(now)},
		Spec: v1alpha1.SecurityExceptionSpec{
			Checks: e.Checks, Reason: "r", ExpirationTime: &metav1.Time{Time: now.Add(time.Hour)},
			Subjects: []v1alpha1.ExceptionSubject{
				{Selector: labelled("a"), Containers: []string{"other"}}, {Selector: labelled("b"), Containers: []string{"app-1"}},
			},
		},
	})
	same := shape()
	inputs := func(labels ...string) (Inputs, int) {
		all := make(map[string]string)
		for _, key := range labels {
			all[key] = "x"
		}
		p := pod("p", nil)
		p.Shape, p.Labels = same, LabelsOf(EncodeLabels(all))
		ns := Fold(Inventory{Surroundings: Surroundings{Name: "shop"}, Pods: []*PodRecord{p}, Exceptions: []*ExceptionRecord{both}}, now)
		return set.InputsOf(ns, ns.Workloads[0]), len(set.EvaluateWorkload(ns, ns.Workloads[0]).Exempted)
	}
	with, exempted := inputs("a", "b")
	without, left := inputs("a")
	if exempted != 1 || left != 0 || with.Equal(&without) {
		t.Errorf("%d exempted, then %d; the same inputs: %t", exempted, left, with.Equal(&without))
	}
}

func TestPattern(t *testing.T) {
	long := strings.Repeat("a", 300)
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"web", "web", true},
		{"web", "web-1", false},
		{"*", "", true},
		{"*", long, true},
		{"a*", long, false}, // no object is called that
		{"web-*", "web-1", true},
		{"web-*", "web-", true},
		{"web-*", "web", false},
		{"*-web", "shop-web", true},
		{"*-web", "shop-web-1", false},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"a*b*c", "a-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"a*b*b*c", "abc", false},
		{"**", "x", true},
		{"w[e]b", "web", false},
		{"w?b", "web", false},
	} {
		if got := patternsOf([]string{tc.pattern})[0].matches(tc.name); got != tc.want {
			t.Errorf("%q matches %.20q: %t, want %t", tc.pattern, tc.name, got, tc.want)
		}
	}
}

func TestExcludedNamespaces(t *testing.T) {
	set := exemptionSet(t, func(s *Settings) { s.Excluded = true })
	unread := map[Resource]*Unavailable{NetworkPolicies: {Resource: NetworkPolicies, Reason: v1alpha1.SkipSourceForbidden}}
	ns := Fold(Inventory{
		Surroundings: Surroundings{Name: "shop"}, Controllers: []*ControllerRecord{controller("Deployment", "web", nil)}, Unavailable: unread,
	}, now)
	results := set.Evaluate(ns)
	if len(results) != 1 || results[0].Kind != KindNamespace {
		t.Fatalf("results %+v", results)
	}
	r := results[0]
	if !r.Excluded || len(r.Findings) != 0 || r.Passed != 0 || r.Network != nil || len(r.Skips) != 1 || r.Skips[0].Reason != v1alpha1.SkipNamespaceExcluded {
		t.Errorf("result %+v", r)
	}
}

func TestRepository(t *testing.T) {
	for name, tc := range map[string]struct {
		allowed, image string
		want           bool
	}{
		"a registry":                 {"registry.example.com", "registry.example.com/a/b:1", true},
		"a port is part of it":       {"registry.example.com", "registry.example.com:5000/a/b:1", false},
		"a folder":                   {"registry.example.com/team", "registry.example.com/team/app:1", true},
		"the repository itself":      {"registry.example.com/team/app", "registry.example.com/team/app:1", true},
		"half a segment":             {"registry.example.com/team", "registry.example.com/team-evil/app:1", false},
		"official images":            {"docker.io/library", "nginx", true},
		"Docker Hub by its old name": {"index.docker.io/library", "nginx", true},
		"not all of Docker Hub":      {"docker.io/library", "evil/nginx", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := RepositoryOf(tc.allowed).Holds(ReferenceOf(tc.image)); got != tc.want {
				t.Errorf("%t, want %t", got, tc.want)
			}
		})
	}
}

func TestRegraded(t *testing.T) {
	c := podCheck("c", func(_ *Pod, r *Reporter) { r.Find(Finding{Severity: v1alpha1.SeverityCritical, Path: "spec"}) })
	c.Severity, c.Regraded = v1alpha1.SeverityLow, true
	set := newSet(t, c)
	results := set.Evaluate(Fold(Inventory{Pods: []*PodRecord{pod("p", nil)}}, now))
	if got := results[0].Findings[0].Severity; got != v1alpha1.SeverityLow {
		t.Errorf("severity %s", got)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

func TestNewSetNamesFaults(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*Check)
		want   string
	}{
		"an id in capitals":           {func(c *Check) { c.ID = "Privileged" }, `check "Privileged": id must be kebab-case of at most 63 characters`},
		"an id with a double dash":    {func(c *Check) { c.ID = "a--b" }, `check "a--b": id must be kebab-case of at most 63 characters`},
		"an id that starts in digits": {func(c *Check) { c.ID = "1a" }, `check "1a": id must be kebab-case of at most 63 characters`},
		"no id":                       {func(c *Check) { c.ID = "" }, `check "": id must be kebab-case of at most 63 characters`},
		"an id that is too long": {
			func(c *Check) { c.ID = strings.Repeat("a", 64) }, `check "` + strings.Repeat("a", 64) + `": id must be kebab-case of at most 63 characters`,
		},
		"no title":            {func(c *Check) { c.Title = "" }, `check "faulty": title must not be empty and must not end with a period`},
		"a title that ends":   {func(c *Check) { c.Title = "End." }, `check "faulty": title must not be empty and must not end with a period`},
		"no severity":         {func(c *Check) { c.Severity = "" }, `check "faulty": severity "" is none of [Critical High Medium Low]`},
		"the severity None":   {func(c *Check) { c.Severity = v1alpha1.SeverityNone }, `check "faulty": severity "None" is none of [Critical High Medium Low]`},
		"an unknown category": {func(c *Check) { c.Category = "misc" }, `check "faulty": category "misc" is unknown`},
		"no rationale":        {func(c *Check) { c.Rationale = "" }, `check "faulty": rationale must be a sentence that ends with a period`},
		"an open remediation": {func(c *Check) { c.Remediation = "Do" }, `check "faulty": remediation must be a sentence that ends with a period`},
		"a reference in plain text": {
			func(c *Check) { c.References = []string{"https://ok", "http://not"} }, `check "faulty": reference "http://not" must start with https://`,
		},
		"nothing to show before":      {func(c *Check) { c.Before = "" }, `check "faulty": before and after must show a piece of a manifest`},
		"nothing to show after":       {func(c *Check) { c.After = "" }, `check "faulty": before and after must show a piece of a manifest`},
		"a control of nobody":         {func(c *Check) { c.Controls = []Control{{FrameworkPSS, "1"}, {"x", "2"}} }, `check "faulty": control "2" of framework "x" is unknown`},
		"a control without an id":     {func(c *Check) { c.Controls = []Control{{FrameworkPSS, ""}} }, `check "faulty": control "" of framework "pss" is unknown`},
		"three functions":             {func(c *Check) { c.Namespace, c.Placed = func(*Namespace, *Reporter) {}, func(*PlacedPod, *Reporter) {} }, `check "faulty": exactly one function must be set, or Connected and Namespace together`},
		"a node beside a Pod":         {func(c *Check) { c.Node = func(*Node, *Reporter) {} }, `check "faulty": exactly one function must be set, or Connected and Namespace together`},
		"no function":                 {func(c *Check) { c.Pod = nil }, `check "faulty": exactly one function must be set, or Connected and Namespace together`},
		"two functions":               {func(c *Check) { c.Namespace = func(*Namespace, *Reporter) {} }, `check "faulty": exactly one function must be set, or Connected and Namespace together`},
		"labels of what has no place": {func(c *Check) { c.Labelled = true }, `check "faulty": what looks at labels must be Placed`},
		"a whole sentence of what only a cluster shows": {
			func(c *Check) { c.LiveOnly = "It is live." }, `check "faulty": what only a cluster shows must not end with a period, and must not be of a check on namespaces`,
		},
		"what only a cluster shows of a namespace": {
			func(c *Check) { c.Pod, c.Namespace, c.LiveOnly = nil, func(*Namespace, *Reporter) {}, "it" }, `check "faulty": what only a cluster shows must not end with a period, and must not be of a check on namespaces`,
		},
		"an id that is there already": {func(c *Check) { c.ID = "good" }, `check "good": registered twice`},
	} {
		t.Run(name, func(t *testing.T) {
			good := podCheck("good", func(*Pod, *Reporter) {})
			faulty := podCheck("faulty", func(*Pod, *Reporter) {})
			tc.change(&faulty)
			set, err := NewSet([]Check{good, faulty})
			if err == nil || set != nil {
				t.Fatalf("NewSet = %v, %v; want an error", set, err)
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// TestCustomChecks may judge Pods and what is in a namespace, and are explained by nobody.
func TestCustomChecks(t *testing.T) {
	onPod, onPlaced, onNamespace := func(*Pod, *Reporter) {}, func(*PlacedPod, *Reporter) {}, func(*Namespace, *Reporter) {}
	for name, tc := range map[string]struct {
		check Check
		valid bool
	}{
		"a Pod":                            {Check{Pod: onPod}, true},
		"a Pod in its place":               {Check{Placed: onPlaced, Labelled: true}, true},
		"a namespace":                      {Check{Namespace: onNamespace}, true},
		"a Pod and a namespace":            {Check{Pod: onPod, Namespace: onNamespace}, true},
		"a Pod in its place and all of it": {Check{Placed: onPlaced, Namespace: onNamespace}, true},
		"a Pod twice":                      {Check{Pod: onPod, Placed: onPlaced, Namespace: onNamespace}, false},
		"nothing":                          {Check{}, false},
	} {
		tc.check.ID, tc.check.Title, tc.check.Severity, tc.check.Category = "own", "Own", v1alpha1.SeverityLow, CategoryCustom
		if _, err := NewSet([]Check{tc.check}); (err == nil) != tc.valid {
			t.Errorf("%s: error %v, want valid %v", name, err, tc.valid)
		}
	}
}

func TestNewSetNamesEveryFaultyCheck(t *testing.T) {
	a, b := podCheck("a", func(*Pod, *Reporter) {}), podCheck("b", nil)
	a.Title, a.Severity, b.Category = "", "", ""
	_, err := NewSet([]Check{b, podCheck("good", func(*Pod, *Reporter) {}), a})
	want := `check "a": title must not be empty and must not end with a period
severity "" is none of [Critical High Medium Low]
check "b": category "" is unknown
exactly one function must be set, or Connected and Namespace together`
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("error (-want +got):\n%s", diff)
	}
}

func TestSet(t *testing.T) {
	given := []Check{namespaceCheck("b", func(*Namespace, *Reporter) {}), podCheck("a", func(*Pod, *Reporter) {})}
	set := newSet(t, given...)
	var ids []string
	for _, c := range set.Checks() {
		ids = append(ids, c.ID)
		if got := set.Check(c.ID); got == nil || got.ID != c.ID {
			t.Errorf("Check(%q) = %v", c.ID, got)
		}
	}
	if diff := cmp.Diff([]string{"a", "b"}, ids); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	if got := set.Check("c"); got != nil {
		t.Errorf("Check of what is not there = %v", got)
	}
	if given[0].ID != "b" {
		t.Error("NewSet changed its argument")
	}
}

func TestChecksThatAreOffAreKnownAndNotRun(t *testing.T) {
	off, on := podCheck("off", func(_ *Pod, r *Reporter) { r.Find(Finding{Path: "spec"}) }), podCheck("on", func(*Pod, *Reporter) {})
	off.Off = true
	offToo := namespaceCheck("off-too", func(_ *Namespace, r *Reporter) { r.Find(Finding{Path: "spec"}) })
	offToo.Off = true
	set := newSet(t, off, offToo, on)
	if c := set.Check("off"); c == nil || !c.Off || len(set.Checks()) != 3 {
		t.Errorf("the set knows %v of it", c)
	}
	results := set.Evaluate(Fold(Inventory{Pods: []*PodRecord{{Object: Object{Name: "web", UID: "1"}, Shape: NewShape(&Pod{}), Labels: &Labels{}}}}, time.Now()))
	if r := results[0]; len(r.Findings)+len(r.Skips) > 0 || r.Passed != 1 {
		t.Errorf("result %+v", r)
	}
	if r := results[1]; len(r.Findings)+len(r.Skips)+r.Passed > 0 {
		t.Errorf("result %+v of the namespace", r)
	}
}

func TestRank(t *testing.T) {
	for severity, want := range map[v1alpha1.Severity]int{
		v1alpha1.SeverityCritical: 4, v1alpha1.SeverityHigh: 3, v1alpha1.SeverityMedium: 2, v1alpha1.SeverityLow: 1,
		v1alpha1.SeverityNone: 0, "": 0, "critical": 0,
	} {
		if got := Rank(severity); got != want {
			t.Errorf("Rank(%q) = %d, want %d", severity, got, want)
		}
	}
}

func TestSubjectsOfACheck(t *testing.T) {
	workload := []Resource{
		Pods, ReplicationControllers, ReplicaSets, Deployments, StatefulSets, DaemonSets, Jobs, CronJobs,
	}
	connected, namespace := func(*ConnectedPod, *Reporter) {}, func(*Namespace, *Reporter) {}
	for name, tc := range map[string]struct {
		check Check
		want  []Resource
	}{
		"on Pods":                {Check{Pod: func(*Pod, *Reporter) {}}, workload},
		"on images":              {Check{Image: func(Image, *Reporter) {}}, workload},
		"on Pods in their place": {Check{Placed: func(*PlacedPod, *Reporter) {}}, workload},
		"on connections":         {Check{Connected: connected}, workload},
		"on namespaces":          {Check{Namespace: namespace}, []Resource{Namespaces}},
		"on connections of both": {Check{Connected: connected, Namespace: namespace}, append([]Resource{Namespaces}, workload...)},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, tc.check.Subjects()); diff != "" {
				t.Errorf("subjects (-want +got):\n%s", diff)
			}
		})
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/compliance"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/internal/shard"
	"github.com/kubersafe/kubersafe/internal/source"
)

const (
	critical = v1alpha1.SeverityCritical
	high     = v1alpha1.SeverityHigh
	low      = v1alpha1.SeverityLow
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

var ignoreInputs = cmpopts.IgnoreUnexported(audit.Inputs{})

type counts = map[report.CheckSeverity]int32

func tallyFrom(c counts) report.Tally {
	var t report.Tally
	for k, n := range c {
		t.Add(report.Tally{report.CountOf(k, n)})
	}
	return t
}

// setOf returns a set of one check on Pods and one on namespaces.
func setOf(t *testing.T, pod, namespace string) *audit.Set {
	t.Helper()
	pattern := audit.Check{
		Title: "Title", Severity: low, Category: audit.CategoryImages, Rationale: "R.", Remediation: "R.", Before: "b", After: "a",
	}
	onPods, onNamespaces := pattern, pattern
	onPods.ID, onPods.Pod = pod, func(*audit.Pod, *audit.Reporter) {}
	onNamespaces.ID, onNamespaces.Namespace = namespace, func(*audit.Namespace, *audit.Reporter) {}
	set, err := audit.NewSet([]audit.Check{onPods, onNamespaces})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// An exception of either kind.
var (
	everywhere = &audit.ExceptionRecord{Object: audit.Object{Name: "everywhere"}, Reason: "r"}
	own        = &audit.ExceptionRecord{Object: audit.Object{Namespace: "shop", Name: "own"}, Reason: "r"}
)

func exempted(c counts) *Exempted { return &Exempted{Findings: tallyFrom(c)} }

func finding(check string, severity v1alpha1.Severity, path string) audit.Finding {
	return audit.Finding{Check: check, Severity: severity, Path: path, Message: "m"}
}

// without returns a set of which one check is off.
func without(t *testing.T, set *audit.Set, check string) *audit.Set {
	t.Helper()
	checks := slices.Clone(set.Checks())
	for i := range checks {
		checks[i].Off = checks[i].Off || checks[i].ID == check
	}
	set, err := audit.NewSet(checks)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestTotals(t *testing.T) {
	set, other := setOf(t, "on-pods", "on-namespaces"), setOf(t, "on-pods-too", "on-namespaces")
	workload, namespace := &Entry{Kind: "Pod"}, &Entry{Kind: "Namespace"}
	fails := func(check string) *Entry {
		return &Entry{Kind: "Pod", Findings: tallyFrom(counts{{Check: check, Severity: low}: 1})}
	}
	skips := func(check string, reason v1alpha1.SkipReason) *Entry {
		return &Entry{Kind: "Pod", Skips: []audit.Skip{{Check: check, Reason: reason}}}
	}
	type put struct {
		set     *audit.Set
		entries Entries
	}
	for name, tc := range map[string]struct {
		namespaces map[string]put
		want       report.Totals
	}{
		"nothing": {},
		"findings and exemptions are summed over everything, the cluster's own too": {
			namespaces: map[string]put{
				"a": {set, Entries{
					"x": {Findings: tallyFrom(counts{{Check: "c", Severity: high}: 2, {Check: "d", Severity: low}: 1}), Exempted: exempted(counts{{Check: "e", Severity: low}: 3})},
					"y": {Findings: tallyFrom(counts{{Check: "c", Severity: high}: 1, {Check: "on-pods", Severity: low}: 1})},
				}},
				"b": {set, Entries{"x": {Findings: tallyFrom(counts{{Check: "c", Severity: critical}: 1}), Exempted: exempted(counts{{Check: "e", Severity: high}: 1})}}},
				"":  {set, nil},
			},
			want: report.Totals{
				Tally: tallyFrom(counts{
					{Check: "c", Severity: high}: 3, {Check: "d", Severity: low}: 1, {Check: "c", Severity: critical}: 1, {Check: "on-pods", Severity: low}: 1,
				}),
				Exempted: 4,
			},
		},
		"a check that passes everywhere has passed, once": {
			namespaces: map[string]put{"a": {set, Entries{"x": workload, "y": workload}}, "b": {set, Entries{"x": workload}}},
			want:       report.Totals{Passed: 1},
		},
		"a check on what is not there has not passed": {
			namespaces: map[string]put{"a": {set, Entries{"x": namespace}}},
			want:       report.Totals{Passed: 1},
		},
		"each namespace counts with its own checks": {
			namespaces: map[string]put{"a": {set, Entries{"x": workload, "y": namespace}}, "b": {other, Entries{"x": workload, "y": namespace}}},
			want:       report.Totals{Passed: 3},
		},
		"a check that is off has not passed": {
			namespaces: map[string]put{"a": {without(t, set, "on-pods"), Entries{"x": workload}}},
		},
		"a check that fails anywhere has not passed": {
			namespaces: map[string]put{"a": {set, Entries{"x": workload}}, "b": {set, Entries{"x": fails("on-pods")}}},
			want:       report.Totals{Tally: fails("on-pods").Findings},
		},
		"a check that was skipped anywhere is skipped, once, and has not passed": {
			namespaces: map[string]put{
				"a": {set, Entries{"x": workload, "y": skips("on-pods", v1alpha1.SkipDataMissing)}},
				"b": {set, Entries{"x": skips("on-pods", v1alpha1.SkipCheckFailed)}},
			},
			want: report.Totals{Skipped: 1},
		},
		"a check that fails here and is skipped there counts as skipped and has its findings": {
			namespaces: map[string]put{
				"a": {set, Entries{"x": fails("on-pods"), "y": skips("on-pods", v1alpha1.SkipDataMissing), "z": workload}},
			},
			want: report.Totals{Tally: fails("on-pods").Findings, Skipped: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := New()
			// What was there before, in whatever namespaces, leaves nothing behind.
			before := Entries{"x": fails("gone"), "y": skips("gone", v1alpha1.SkipDataMissing), "z": namespace, "u": {Exempted: exempted(counts{{Check: "e", Severity: low}: 3})}}
			l.Put("gone", other, before)
			for namespace, put := range tc.namespaces {
				l.Put(namespace, other, before)
				l.Put(namespace, put.set, put.entries)
			}
			l.Drop("gone")
			if diff := cmp.Diff(tc.want, l.Totals(), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(report.Totals{}, "Evidence")); diff != "" {
				t.Errorf("totals (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEvidence(t *testing.T) {
	type evidence = map[string]compliance.Evidence
	set := setOf(t, "on-pods", "on-namespaces")
	podsOff, namespacesOff, fewer := without(t, set, "on-pods"), without(t, set, "on-namespaces"), setOf(t, "on-pods", "on-namespaces-too")
	one := func(check string) counts { return counts{{Check: check, Severity: low}: 1} }
	excluded := &Entry{Kind: "Namespace", Excluded: true, Skips: []audit.Skip{{Check: "on-namespaces", Reason: v1alpha1.SkipNamespaceExcluded}}}
	pod, namespace := &Entry{Kind: "Pod"}, &Entry{Kind: "Namespace"}
	for name, tc := range map[string]struct {
		put  func(*Ledger)
		want evidence
	}{
		"of an empty cluster nothing is known": {func(*Ledger) {}, evidence{}},
		"what there is is judged": {
			func(l *Ledger) { l.Put("a", set, Entries{"x": pod}) },
			evidence{"on-pods": {Judged: true}, "on-namespaces": {}},
		},
		"another namespace has a check off": {
			func(l *Ledger) {
				l.Put("a", set, Entries{"x": pod, "y": namespace})
				l.Put("b", podsOff, Entries{"x": pod, "y": namespace})
			},
			evidence{"on-pods": {Judged: true, Off: true}, "on-namespaces": {Judged: true}},
		},
		"another namespace has a check off that it has nothing for": {
			func(l *Ledger) {
				l.Put("a", set, Entries{"x": pod, "y": namespace})
				l.Put("b", podsOff, Entries{"y": namespace})
				l.Put("c", namespacesOff, nil)
			},
			evidence{"on-pods": {Judged: true}, "on-namespaces": {Judged: true}},
		},
		"another namespace, of another shard, does not know a check": {
			func(l *Ledger) {
				l.Put("a", set, Entries{"x": pod, "y": namespace})
				l.PutElsewhere("b", fewer, []*Entry{pod, namespace})
			},
			evidence{"on-pods": {Judged: true}, "on-namespaces": {Judged: true, Off: true}, "on-namespaces-too": {Judged: true, Off: true}},
		},
		"findings, exempted ones and reasons for skips are put together, and what is over leaves nothing": {
			func(l *Ledger) {
				l.Put("a", set, Entries{"x": {
					Kind: "Pod", Findings: tallyFrom(one("f")), Exempted: exempted(one("e")),
					Skips: []audit.Skip{{Check: "on-pods", Reason: v1alpha1.SkipSourceForbidden, Message: "m"}},
				}})
				l.Put("b", set, Entries{
					"x": {Kind: "Pod", Exempted: exempted(one("f")), Skips: []audit.Skip{{Check: "on-pods", Reason: v1alpha1.SkipCheckFailed, Message: "m"}}},
					"y": {Kind: "Pod", Skips: []audit.Skip{{Check: "on-pods", Reason: v1alpha1.SkipCheckFailed, Message: "n"}}},
				})
				over := &Entry{
					Kind: "Namespace", Findings: tallyFrom(one("g")), Exempted: exempted(one("g")), Unlisted: true,
					Skips: []audit.Skip{{Check: "on-pods", Reason: v1alpha1.SkipDataMissing}, {Check: "g", Reason: v1alpha1.SkipDataMissing}},
				}
				l.Put("c", set, Entries{"x": over})
				l.Put("c", set, nil)
				l.PutElsewhere("d", set, []*Entry{over})
				l.PutElsewhere("d", set, nil)
				l.Put("e", set, Entries{"x": excluded})
				l.Drop("e")
			},
			evidence{
				"on-pods":       {Judged: true, Skips: []v1alpha1.SkipReason{v1alpha1.SkipCheckFailed, v1alpha1.SkipSourceForbidden}},
				"on-namespaces": {}, "f": {Failed: true, Exempted: true}, "e": {Exempted: true},
			},
		},
		"a namespace that is left out": {
			func(l *Ledger) {
				l.Put("a", set, Entries{"x": pod, "y": namespace})
				l.PutElsewhere("b", set, []*Entry{excluded})
			},
			evidence{"on-pods": {Judged: true}, "on-namespaces": {Judged: true}},
		},
		"a namespace of another shard whose report leaves findings out": {
			func(l *Ledger) { l.PutElsewhere("a", set, []*Entry{pod, {Kind: "Namespace", Unlisted: true}}) },
			evidence{"on-pods": {Judged: true}, "on-namespaces": {Judged: true, Unlisted: true}},
		},
		"a workload of another shard whose report leaves findings out": {
			func(l *Ledger) { l.PutElsewhere("a", set, []*Entry{{Kind: "Other", Unlisted: true}, namespace}) },
			evidence{"on-pods": {Judged: true, Unlisted: true}, "on-namespaces": {Judged: true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := New()
			tc.put(l)
			if diff := cmp.Diff(tc.want, l.Totals().Evidence); diff != "" {
				t.Errorf("checks (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTotalsAreTheSameFromStoredReports has two shards of which the second is known from its reports, and one operator that
// has judged everything itself.
func TestTotalsAreTheSameFromStoredReports(t *testing.T) {
	set := setOf(t, "on-pods", "on-namespaces")
	finding := func(check string, severity v1alpha1.Severity, path string) audit.Finding {
		return audit.Finding{Check: check, Severity: severity, Message: "m", Path: path}
	}
	subject := func(kind, name string) audit.Subject { return audit.Subject{APIVersion: "v1", Kind: kind, Name: name} }
	many := make([]audit.Finding, 0, 2*v1alpha1.MaxFindings)
	for i := range 2 * v1alpha1.MaxFindings {
		many = append(many, finding("c", high, fmt.Sprint("p", i)))
	}
	results := map[string][]audit.Result{
		"own": {
			{Subject: subject("Pod", "a"), Passed: 1},
			{Subject: subject("Namespace", "own"), Findings: []audit.Finding{finding("d", low, "p")}},
		},
		"clean": {{Subject: subject("Pod", "a"), Passed: 1}, {Subject: subject("Namespace", "clean"), Passed: 1}},
		"bad": {
			{Subject: subject("Pod", "a"), Findings: []audit.Finding{finding("c", critical, "p"), finding("c", critical, "q"), finding("d", low, "p")}},
			{Subject: subject("Pod", "b"), Findings: many},
			{
				Subject: subject("Namespace", "bad"), Skips: []audit.Skip{{Check: "on-namespaces", Reason: v1alpha1.SkipDataMissing}},
				Exempted: []audit.Exempted{{Finding: finding("e", high, "p"), By: everywhere}, {Finding: finding("f", low, "p"), By: everywhere}},
				Uses:     []audit.Use{{By: everywhere, Matches: 2}},
			},
		},
	}
	whole, sharded := New(), New()
	for namespace, results := range results {
		judged := make(Entries)
		var stored []*Entry
		for i := range results {
			r := &results[i]
			r.Report = r.ReportName()
			judged[r.Report] = EntryOf(r)
			built, _ := report.Build(namespace, r, nil, now)
			stored = append(stored, countedReport(built).Counts)
		}
		whole.Put(namespace, set, judged)
		if namespace == "own" {
			sharded.Put(namespace, set, judged)
			continue
		}
		sharded.PutElsewhere(namespace, set, stored[:1]) // what was there before leaves nothing behind
		sharded.PutElsewhere(namespace, set, stored)
	}
	sharded.PutElsewhere("gone", set, []*Entry{{Findings: tallyFrom(counts{{Check: "gone", Severity: critical}: 1})}})
	sharded.PutElsewhere("gone", set, nil)
	want := whole.Totals()
	if want.Tally.Count(high) != 2*v1alpha1.MaxFindings || want.Exempted != 2 || want.Passed != 1 || want.Skipped != 1 {
		t.Errorf("the totals are %+v", want)
	}
	got := sharded.Totals()
	for _, id := range []string{"on-pods", "on-namespaces"} {
		if e := got.Evidence[id]; e.Unlisted != (id == "on-pods") {
			t.Errorf("%s: that a workload has more findings than its report lists is %t", id, e.Unlisted)
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(compliance.Evidence{}, "Unlisted")); diff != "" {
		t.Errorf("totals of shards (-whole +sharded):\n%s", diff)
	}
	if got := sharded.Namespaces(); !slices.Equal(got, []string{"own"}) {
		t.Errorf("the shard has %v, want its own namespace only", got)
	}
	if all := sharded.All(); len(all) != 1 || all["own"] == nil || sharded.Get("bad") != nil {
		t.Errorf("the shard shows %v, want its own namespace only", all)
	}
}

// TestCountedReports: what a report of another shard does not list is nobody's.
func TestCountedReports(t *testing.T) {
	exemption := func(check string, severity v1alpha1.Severity) v1alpha1.Exemption {
		return v1alpha1.Exemption{Check: check, Severity: severity, Message: "m"}
	}
	for name, tc := range map[string]struct {
		report   v1alpha1.SecurityReport
		exempted report.Tally
		unlisted bool
	}{
		"a clean one": {},
		"all is listed": {
			report: v1alpha1.SecurityReport{
				Summary:    v1alpha1.Summary{High: 1, Exempted: 3, Skipped: 1},
				Findings:   []v1alpha1.Finding{{Check: "c", Severity: high}},
				Exemptions: []v1alpha1.Exemption{exemption("e", high), exemption("e", high), exemption("f", low)},
				Skips:      []v1alpha1.Skip{{Check: "s", Reason: v1alpha1.SkipDataMissing}},
			},
			exempted: tallyFrom(counts{{Check: "e", Severity: high}: 2, {Check: "f", Severity: low}: 1}),
		},
		"findings are left out": {
			report:   v1alpha1.SecurityReport{Summary: v1alpha1.Summary{Low: 1}, OmittedFindings: 1},
			unlisted: true,
		},
		"exemptions are left out": {
			report:   v1alpha1.SecurityReport{Summary: v1alpha1.Summary{Exempted: 3}, Exemptions: []v1alpha1.Exemption{exemption("e", high)}},
			exempted: append(tallyFrom(counts{{Check: "e", Severity: high}: 1}), report.Count{N: 2}),
			unlisted: true,
		},
		"skips are left out": {
			report:   v1alpha1.SecurityReport{Summary: v1alpha1.Summary{Skipped: 1}},
			unlisted: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := countedReport(&tc.report).Counts
			if diff := cmp.Diff(tc.exempted, got.ExemptedFindings()); diff != "" {
				t.Errorf("exempted (-want +got):\n%s", diff)
			}
			if got.Unlisted != tc.unlisted {
				t.Errorf("unlisted is %t", got.Unlisted)
			}
		})
	}
}

func TestOtherShardsTellNobody(t *testing.T) {
	l := New()
	l.OnPut(func(string) { t.Error("told") }) // or the totals would be made for ever
	l.PutElsewhere("a", nil, []*Entry{{Kind: "Pod"}})
	l.PutElsewhere("a", nil, nil)
}

// TestWhichReportsAreKept: a shard keeps its own; the first also counts those of others.
func TestWhichReportsAreKept(t *testing.T) {
	client, err := kubernetes.NewForConfig(&rest.Config{Host: "http://unused.invalid"})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []shard.Shard{{}, {Index: 0, Count: 2}, {Index: 1, Count: 2}} {
		stored := NewStored(source.NewShard(client, part), client.CoreV1().RESTClient())
		for _, namespace := range []string{"shop", "legacy"} { // of the first and of the second of two
			r := &v1alpha1.SecurityReport{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "r"}, Findings: []v1alpha1.Finding{{Check: "c", Severity: high}},
			}
			if err := stored.Reports.Add(r); err != nil {
				t.Fatal(err)
			}
			got, ok := stored.Reports.Get(namespace, "r")
			if !ok {
				t.Fatalf("shard %s does not keep what it has read in %s", part, namespace)
			}
			if own := part.Owns(namespace); own != (got.Counts == nil) || own != (got.Remembered != nil) || got.Hash != report.HashOf(r) {
				t.Errorf("shard %s keeps of %s %+v", part, namespace, got)
			}
		}
	}
}

func TestEntryOf(t *testing.T) {
	result := &audit.Result{
		Subject:  audit.Subject{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "web"},
		Findings: []audit.Finding{{Check: "a", Severity: high}, {Check: "a", Severity: high, Path: "p"}, {Check: "b", Severity: low}},
		Exempted: []audit.Exempted{
			{Finding: finding("a", high, "q"), By: everywhere}, {Finding: finding("a", high, "r"), By: everywhere}, {Finding: finding("c", low, "p"), By: own},
		},
		Uses:   []audit.Use{{By: everywhere, Matches: 2}, {By: own, Matches: 1, Denied: 4}},
		Skips:  []audit.Skip{{Check: "s", Reason: v1alpha1.SkipDataMissing, Message: "m"}},
		Passed: 1,
	}
	want := &Entry{
		Kind: "Other", Name: "web",
		Findings: tallyFrom(counts{{Check: "a", Severity: high}: 2, {Check: "b", Severity: low}: 1}),
		Exempted: &Exempted{
			Findings: tallyFrom(counts{{Check: "a", Severity: high}: 2, {Check: "c", Severity: low}: 1}),
			Uses:     []Use{{Cluster: true, Name: "everywhere", Matches: 2}, {Name: "own", Matches: 1, Denied: 4}},
		},
		Skips:  result.Skips,
		Passed: 1,
	}
	if diff := cmp.Diff(want, EntryOf(result), ignoreInputs); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	// A name out of an owner reference may be any bytes, and becomes a label value.
	result.Name = "\xff" + strings.Repeat("a", 1000)
	if got, want := EntryOf(result).Name, "�"+strings.Repeat("a", 251)+"…"; got != want {
		t.Errorf("name %q, want %q", got, want)
	}
}

func TestLedger(t *testing.T) {
	l := New()
	var told []string
	if l.Get("a") != nil || len(l.All()) != 0 {
		t.Error("an empty ledger holds something")
	}
	entries := Entries{"x": {Name: "x"}}
	l.Put("a", nil, entries) // nobody listens yet
	l.OnPut(func(namespace string) { told = append(told, fmt.Sprint(namespace, len(l.All()))) })
	l.Put("b", nil, nil)
	if diff := cmp.Diff(entries, l.Get("a"), ignoreInputs); diff != "" {
		t.Errorf("Get (-put +got):\n%s", diff)
	}
	all := l.All()
	l.Put("a", nil, Entries{"y": {Name: "y"}})
	if diff := cmp.Diff(map[string]Entries{"a": entries, "b": nil}, all, ignoreInputs); diff != "" {
		t.Errorf("All is not what it was (-want +got):\n%s", diff)
	}
	if got := l.Get("a"); got["x"] != nil || got["y"] == nil {
		t.Errorf("Put did not replace: %v", got)
	}
	delete(all, "b")
	if len(l.All()) != 2 {
		t.Error("All gave the ledger's own map away")
	}
	l.Drop("a")
	l.Drop("never there")
	if l.Get("a") != nil {
		t.Error("Drop did not drop")
	}
	if diff := cmp.Diff([]string{"b2", "a2", "a1", "never there1"}, told); diff != "" {
		t.Errorf("told, with that many namespaces in (-want +got):\n%s", diff)
	}
}

// TestLedgerInParallel is for the race detector.
func TestLedgerInParallel(t *testing.T) {
	l, set := New(), setOf(t, "c", "d")
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 200 {
				namespace := fmt.Sprint("ns-", (worker+i)%5)
				l.Put(namespace, set, Entries{"x": {
					Findings: tallyFrom(counts{{Check: "c", Severity: high}: 1}), Passed: 1,
					Remembered: report.Remember([]v1alpha1.Finding{{Check: "c", Severity: high, Since: metav1.NewTime(now)}}),
				}})
				for _, e := range l.Get(namespace) {
					e.Remembered.Oldest(high)
				}
				if i%7 == 0 {
					l.Drop(namespace)
				}
			}
		})
		wg.Go(func() {
			for range 200 {
				if n := l.Totals().Tally.Total(); n < 0 || n > 5 {
					t.Errorf("%d findings", n)
				}
				l.OnPut(func(string) { l.All() })
			}
		})
	}
	wg.Wait()
	for n := range 5 {
		l.Put(fmt.Sprint("ns-", n), set, Entries{"x": {Findings: tallyFrom(counts{{Check: "c", Severity: high}: 1})}})
	}
	if n := l.Totals().Tally.Total(); n != 5 {
		t.Errorf("%d findings in the end, want 5", n)
	}
}

func TestStoredReports(t *testing.T) {
	meta := metav1.ObjectMeta{
		Namespace: "shop", Name: "pod-web", UID: "u", ResourceVersion: "7", Labels: map[string]string{v1alpha1.LabelSubjectKind: "Pod"},
	}
	r := &v1alpha1.SecurityReport{
		ObjectMeta: meta, Findings: []v1alpha1.Finding{{Check: "c", Severity: high, Path: "p", Since: metav1.NewTime(now)}},
	}
	c := &v1alpha1.ClusterSecurityReport{ObjectMeta: meta}
	object := audit.Object{Namespace: "shop", Name: "pod-web", UID: "u", ResourceVersion: "7"}
	for name, tc := range map[string]struct {
		convert func(runtime.Object) (*StoredReport, error)
		good    runtime.Object
		bad     runtime.Object
		want    *StoredReport
	}{
		"a report": {storedReport, r, c, &StoredReport{
			Object: object, Hash: report.HashOf(r), Kind: "Pod",
			Remembered: report.Remember([]v1alpha1.Finding{{Check: "c", Path: "p", Severity: high, Since: metav1.NewTime(now)}}),
		}},
		"a cluster report": {storedClusterReport, c, r, &StoredReport{Object: object, Hash: report.HashOfCluster(c), Kind: "Pod"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.convert(tc.good)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, err := tc.convert(tc.bad); err == nil {
				t.Error("no error for another kind")
			}
			for what, tc := range map[string]struct {
				change func(*StoredReport)
				want   bool
			}{
				"version": {func(s *StoredReport) { s.ResourceVersion = "8" }, true},
				"hash":    {func(s *StoredReport) { s.Hash[0]++ }, false},
				"UID":     {func(s *StoredReport) { s.UID = "v" }, false},
			} {
				other := *got
				if tc.change(&other); got.Equal(&other) != tc.want {
					t.Errorf("equal with another %s: %v", what, !tc.want)
				}
			}
		})
	}
}

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
			if diff := cmp.Diff(tc.want, l.Totals(), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("totals (-want +got):\n%s", diff)
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
	if diff := cmp.Diff(want, sharded.Totals()); diff != "" {
		t.Errorf("totals of shards (-whole +sharded):\n%s", diff)
	}
	if got := sharded.Namespaces(); !slices.Equal(got, []string{"own"}) {
		t.Errorf("the shard has %v, want its own namespace only", got)
	}
	if all := sharded.All(); len(all) != 1 || all["own"] == nil || sharded.Get("bad") != nil {
		t.Errorf("the shard shows %v, want its own namespace only", all)
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

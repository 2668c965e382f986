// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/report"
)

const (
	critical = v1alpha1.SeverityCritical
	high     = v1alpha1.SeverityHigh
	low      = v1alpha1.SeverityLow
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestTotals(t *testing.T) {
	for name, tc := range map[string]struct {
		namespaces map[string]Entries
		want       report.Totals
	}{
		"nothing": {want: report.Totals{Tally: report.Tally{}}},
		"findings and exemptions are summed over everything, the cluster's own too": {
			namespaces: map[string]Entries{
				"a": {
					"x": {Findings: report.Tally{{Check: "c", Severity: high}: 2, {Check: "d", Severity: low}: 1}, Exempted: report.Tally{{Check: "e", Severity: low}: 3}},
					"y": {Findings: report.Tally{{Check: "c", Severity: high}: 1}},
				},
				"b": {"x": {Findings: report.Tally{{Check: "c", Severity: critical}: 1}, Exempted: report.Tally{{Check: "e", Severity: high}: 1}}},
				"":  {"n": {Findings: report.Tally{{Check: "f", Severity: low}: 1}}},
			},
			want: report.Totals{
				Tally: report.Tally{
					{Check: "c", Severity: high}: 3, {Check: "d", Severity: low}: 1, {Check: "c", Severity: critical}: 1, {Check: "f", Severity: low}: 1,
				},
				Exempted: 4,
			},
		},
		"a check that passes everywhere has passed, once": {
			namespaces: map[string]Entries{"a": {"x": {Passed: []string{"c", "d"}}, "y": {Passed: []string{"c"}}}, "b": {"x": {Passed: []string{"c"}}}},
			want:       report.Totals{Tally: report.Tally{}, Passed: 2},
		},
		"a check that fails anywhere has not passed": {
			namespaces: map[string]Entries{"a": {"x": {Passed: []string{"c"}}}, "b": {"x": {Findings: report.Tally{{Check: "c", Severity: low}: 1}}}},
			want:       report.Totals{Tally: report.Tally{{Check: "c", Severity: low}: 1}},
		},
		"a check that was skipped anywhere is skipped, once, and has not passed": {
			namespaces: map[string]Entries{
				"a": {"x": {Passed: []string{"c"}}, "y": {Skips: []audit.Skip{{Check: "c", Reason: v1alpha1.SkipDataMissing}}}},
				"b": {"x": {Skips: []audit.Skip{{Check: "c", Reason: v1alpha1.SkipCheckFailed}}}},
			},
			want: report.Totals{Tally: report.Tally{}, Skipped: 1},
		},
		"a check that fails here and is skipped there counts as skipped and has its findings": {
			namespaces: map[string]Entries{
				"a": {"x": {Findings: report.Tally{{Check: "c", Severity: low}: 1}}, "y": {Skips: []audit.Skip{{Check: "c"}}}, "z": {Passed: []string{"c"}}},
			},
			want: report.Totals{Tally: report.Tally{{Check: "c", Severity: low}: 1}, Skipped: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := New()
			for namespace, entries := range tc.namespaces {
				l.Put(namespace, entries)
			}
			if diff := cmp.Diff(tc.want, l.Totals()); diff != "" {
				t.Errorf("totals (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.want, l.Totals()); diff != "" {
				t.Errorf("totals, summed again (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOldest(t *testing.T) {
	at := func(hours int) metav1.Time { return metav1.NewTime(now.Add(time.Duration(hours) * time.Hour)) }
	e := &Entry{Remembered: report.Remembered{
		{Check: "a"}: {Severity: high, Since: at(3)}, {Check: "b"}: {Severity: high, Since: at(1)}, {Check: "c"}: {Severity: high, Since: at(2)},
		{Check: "d"}: {Severity: low, Since: at(0)},
	}}
	for severity, want := range map[v1alpha1.Severity]time.Time{high: at(1).Time, low: at(0).Time, critical: {}} {
		for range 20 { // maps come in any order
			if got := e.Oldest(severity); !got.Equal(want) {
				t.Fatalf("Oldest(%s) = %v, want %v", severity, got, want)
			}
		}
	}
	if got := (&Entry{}).Oldest(high); !got.IsZero() {
		t.Errorf("Oldest of nothing = %v", got)
	}
}

func TestEntryOf(t *testing.T) {
	remembered := report.Remembered{{Check: "a"}: {Severity: high, Since: metav1.NewTime(now)}}
	result := &audit.Result{
		Subject:    audit.Subject{APIVersion: "argoproj.io/v1alpha1", Kind: "Rollout", Name: "web"},
		Findings:   []audit.Finding{{Check: "a", Severity: high}, {Check: "a", Severity: high, Path: "p"}, {Check: "b", Severity: low}},
		Exemptions: []v1alpha1.Exemption{{Check: "a", Severity: high}, {Check: "a", Severity: high}, {Check: "c", Severity: low}},
		Skips:      []audit.Skip{{Check: "s", Reason: v1alpha1.SkipDataMissing, Message: "m"}},
		Passed:     []string{"p"},
	}
	want := &Entry{
		Kind: "Other", Name: "web",
		Findings:   report.Tally{{Check: "a", Severity: high}: 2, {Check: "b", Severity: low}: 1},
		Exempted:   report.Tally{{Check: "a", Severity: high}: 2, {Check: "c", Severity: low}: 1},
		Skips:      result.Skips,
		Passed:     result.Passed,
		Remembered: remembered,
	}
	if diff := cmp.Diff(want, EntryOf(result, remembered)); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
	// A name out of an owner reference may be any bytes, and becomes a label value.
	result.Name = "\xff" + strings.Repeat("a", 1000)
	if got, want := EntryOf(result, nil).Name, "�"+strings.Repeat("a", 251)+"…"; got != want {
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
	l.Put("a", entries) // nobody listens yet
	l.OnPut(func() { told = append(told, fmt.Sprint(len(l.All()))) })
	l.Put("b", nil)
	if diff := cmp.Diff(entries, l.Get("a")); diff != "" {
		t.Errorf("Get (-put +got):\n%s", diff)
	}
	all := l.All()
	l.Put("a", Entries{"y": {Name: "y"}})
	if diff := cmp.Diff(map[string]Entries{"a": entries, "b": nil}, all); diff != "" {
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
	if diff := cmp.Diff([]string{"2", "2", "1", "1"}, told); diff != "" {
		t.Errorf("told, with that many namespaces in (-want +got):\n%s", diff)
	}
}

// TestLedgerInParallel is for the race detector.
func TestLedgerInParallel(t *testing.T) {
	l := New()
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 200 {
				namespace := fmt.Sprint("ns-", (worker+i)%5)
				l.Put(namespace, Entries{"x": {
					Findings: report.Tally{{Check: "c", Severity: high}: 1}, Passed: []string{"p"},
					Remembered: report.Remembered{{Check: "c"}: {Severity: high, Since: metav1.NewTime(now)}},
				}})
				for _, e := range l.Get(namespace) {
					e.Oldest(high)
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
				l.OnPut(func() { l.All() })
			}
		})
	}
	wg.Wait()
	for n := range 5 {
		l.Put(fmt.Sprint("ns-", n), Entries{"x": {Findings: report.Tally{{Check: "c", Severity: high}: 1}}})
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
			Remembered: report.Remembered{{Check: "c", Path: "p"}: {Severity: high, Since: metav1.NewTime(now)}},
		}},
		"a cluster report": {storedClusterReport, c, r, &StoredReport{Object: object, Hash: report.HashOfCluster(c), Kind: "Pod"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tc.convert(tc.good)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
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

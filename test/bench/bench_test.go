// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/source"
	"github.com/kubersafe/kubersafe/test/bench/load"
)

func TestQuantile(t *testing.T) {
	values := make([]time.Duration, 100)
	for i := range values {
		values[i] = time.Duration(100-i) * time.Millisecond
	}
	for part, want := range map[float64]float64{0.5: 50, 0.99: 99, 1: 100, 0: 1} {
		if got := quantile(values, part); got != want {
			t.Errorf("quantile %v of 1 to 100 ms is %v, want %v", part, got, want)
		}
	}
	if got := quantile(nil, 0.5); got == got {
		t.Errorf("the median of nothing is %v, want NaN", got)
	}
}

func TestRangesNameWhatThereIs(t *testing.T) {
	content, err := os.ReadFile("ranges.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var limits []limit
	if err := yaml.UnmarshalStrict(content, &limits); err != nil {
		t.Fatal(err)
	}
	known := func(column string) bool {
		for _, c := range columns {
			if c.name == column {
				return true
			}
		}
		return false
	}
	for _, l := range limits {
		if !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == l.Scenario }) || !known(l.Column) || l.Per != "" && !known(l.Per) {
			t.Errorf("%+v names a scenario or a column that there is not", l)
		}
		if l.Why == "" || l.Measured < l.Min || l.Measured > l.Max {
			t.Errorf("%+v does not say why, or what was measured is not in its range", l)
		}
	}
}

func TestCheckRanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ranges.yaml")
	limits := `
- {scenario: a, column: writes, max: 1, why: w}
- {scenario: a, column: writes, per: reports, min: 0.9, max: 1, why: w}
- {scenario: not run, column: writes, max: 1, why: w}
`
	if err := os.WriteFile(path, []byte(limits), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		values map[string]float64
		want   string
	}{
		"all is in its range":          {map[string]float64{"writes": 1, "reports": 1}, ""},
		"a count is too high":          {map[string]float64{"writes": 2, "reports": 2}, "a: writes is 2, want 0 to 1"},
		"a quotient is too low":        {map[string]float64{"writes": 1, "reports": 2}, "a: writes ÷ reports is 0.5, want 0.9 to 1"},
		"a column was not measured":    {map[string]float64{"reports": 1}, "a has no writes"},
		"nothing divided by nothing":   {map[string]float64{"writes": 0, "reports": 0}, "is NaN"},
		"the divisor was not measured": {map[string]float64{"writes": 1}, "a has no writes ÷ reports"},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkRanges(path, []*row{{"a", tc.values}})
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

// BenchmarkChange judges a namespace of a hundred Pods as after a change to nothing that its verdicts depend on: what every event
// costs.
func BenchmarkChange(b *testing.B) {
	static, nodes := source.NewStatic(), load.NewNodes()
	for namespace := range load.Generate(load.Options{Namespaces: 50, Pods: 5000, Policies: 500, Seed: 1}) {
		for _, o := range namespace.Objects() {
			nodes.Add(o)
			if err := static.Add(o); err != nil {
				b.Fatal(err)
			}
		}
	}
	for n := range nodes.All() {
		if err := static.Add(n); err != nil {
			b.Fatal(err)
		}
	}
	set, err := checks.Default()
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	judge := func(i *audit.Inventory, before ledger.Entries) ledger.Entries {
		entries := make(ledger.Entries, len(before))
		for _, v := range ledger.Judge(set, audit.Fold(*i, now), ledger.Previous{Entries: before}, now) {
			entries[v.Report] = v.Entry
		}
		return entries
	}
	inventories := static.Inventories()
	names, entries := slices.Sorted(maps.Keys(inventories)), make(map[string]ledger.Entries)
	for _, name := range names {
		entries[name] = judge(inventories[name], nil)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		name := names[n%len(names)]
		entries[name] = judge(inventories[name], entries[name])
	}
}

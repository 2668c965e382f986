// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

const (
	critical = v1alpha1.SeverityCritical
	high     = v1alpha1.SeverityHigh
	medium   = v1alpha1.SeverityMedium
	low      = v1alpha1.SeverityLow
)

type counts = map[CheckSeverity]int32

// tallyFrom adds counts in any order.
func tallyFrom(c counts) Tally {
	var t Tally
	for k, n := range c {
		t.Add(Tally{CountOf(k, n)})
	}
	return t
}

func TestScore(t *testing.T) {
	for name, tc := range map[string]struct {
		tally Tally
		want  int32
	}{
		"nothing found":                           {nil, 100},
		"one Critical":                            {tallyFrom(counts{{"a", critical}: 1}), 60},
		"one High":                                {tallyFrom(counts{{"a", high}: 1}), 85},
		"one Medium":                              {tallyFrom(counts{{"a", medium}: 1}), 95},
		"one Low":                                 {tallyFrom(counts{{"a", low}: 1}), 99},
		"many of one check count once":            {tallyFrom(counts{{"a", critical}: 1000}), 60},
		"a check counts by its worst":             {tallyFrom(counts{{"a", critical}: 1, {"a", high}: 9, {"a", low}: 9}), 60},
		"checks multiply":                         {tallyFrom(counts{{"a", critical}: 1, {"b", critical}: 1}), 36},
		"one of each":                             {tallyFrom(counts{{"a", critical}: 1, {"b", high}: 1, {"c", medium}: 1, {"d", low}: 1}), 47}, // 47.9655
		"two Lows: 98.01 is rounded down":         {tallyFrom(counts{{"a", low}: 1, {"b", low}: 1}), 98},
		"a High and a Low: 84.15 is rounded down": {tallyFrom(counts{{"a", high}: 1, {"b", low}: 1}), 84},
		"a High and a Medium: 80.75":              {tallyFrom(counts{{"a", high}: 1, {"b", medium}: 1}), 80},
		"exactly 57":                              {tallyFrom(counts{{"a", critical}: 1, {"b", medium}: 1}), 57},
		"exactly 51":                              {tallyFrom(counts{{"a", critical}: 1, {"b", high}: 1}), 51},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.tally.Score(); got != tc.want {
				t.Errorf("Score() = %d, want %d", got, tc.want)
			}
		})
	}
}

// failing is a tally with that many checks failing at each severity, worst first.
func failing(counts [4]int) Tally {
	var t Tally
	for i, severity := range audit.Severities {
		for n := range counts[i] {
			t.Add(Tally{CountOf(CheckSeverity{fmt.Sprint(severity, n), severity}, 1)})
		}
	}
	return t
}

// TestScoreIsExact compares with rational numbers, for up to seven checks failing at each severity.
func TestScoreIsExact(t *testing.T) {
	factors := [4]*big.Rat{big.NewRat(60, 100), big.NewRat(85, 100), big.NewRat(95, 100), big.NewRat(99, 100)}
	for n := range 8 * 8 * 8 * 8 {
		counts := [4]int{n & 7, n >> 3 & 7, n >> 6 & 7, n >> 9 & 7}
		exact := big.NewRat(100, 1)
		for i, count := range counts {
			for range count {
				exact.Mul(exact, factors[i])
			}
		}
		want := new(big.Int).Quo(exact.Num(), exact.Denom()).Int64()
		if got := failing(counts).Score(); int64(got) != want {
			t.Errorf("Score of %v = %d, want %d of %s", counts, got, want, exact.FloatString(12))
		}
	}
}

// TestScoreNeverRises adds finding after finding.
func TestScoreNeverRises(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 4))
	for range 200 {
		tally, last := Tally(nil), int32(100)
		for range 100 {
			k := CheckSeverity{fmt.Sprint("c", random.IntN(60)), audit.Severities[random.IntN(4)]}
			tally.Add(tallyFrom(counts{k: random.Int32N(3) + 1}))
			score := tally.Score()
			if score > last || score < 0 {
				t.Fatalf("the score went from %d to %d with %v", last, score, k)
			}
			last = score
		}
		if last > 5 {
			t.Fatalf("after a hundred findings the score is %d", last)
		}
	}
}

func TestWorst(t *testing.T) {
	for name, tc := range map[string]struct {
		tally Tally
		want  CheckSeverity
	}{
		"nothing found":                   {nil, CheckSeverity{"", v1alpha1.SeverityNone}},
		"one finding":                     {tallyFrom(counts{{"a", low}: 1}), CheckSeverity{"a", low}},
		"the severity counts":             {tallyFrom(counts{{"a", low}: 9, {"z", critical}: 1, {"b", high}: 3}), CheckSeverity{"z", critical}},
		"of the same severity, the first": {tallyFrom(counts{{"c", high}: 9, {"b", high}: 1, {"a", low}: 1}), CheckSeverity{"b", high}},
		"a check with several severities": {tallyFrom(counts{{"b", high}: 1, {"b", critical}: 1, {"a", high}: 1}), CheckSeverity{"b", critical}},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 { // maps come in any order
				if got := tc.tally.Worst(); got != tc.want {
					t.Fatalf("Worst() = %v, want %v", got, tc.want)
				}
			}
		})
	}
}

func TestTally(t *testing.T) {
	tally := TallyOf([]audit.Finding{
		{Check: "a", Severity: high}, {Check: "a", Severity: high}, {Check: "a", Severity: low}, {Check: "b", Severity: high},
	})
	want := tallyFrom(counts{{"a", high}: 2, {"a", low}: 1, {"b", high}: 1})
	if diff := cmp.Diff(want, tally); diff != "" {
		t.Errorf("TallyOf (-want +got):\n%s", diff)
	}
	other := tallyFrom(counts{{"b", high}: 5, {"c", critical}: 1})
	kept := slices.Clone(other)
	tally.Add(other)
	want = tallyFrom(counts{{"a", high}: 2, {"a", low}: 1, {"b", high}: 6, {"c", critical}: 1})
	if diff := cmp.Diff(want, tally); diff != "" {
		t.Errorf("after Add (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(kept, other); diff != "" {
		t.Errorf("Add changed its argument:\n%s", diff)
	}
	if got := tally.Total(); got != 10 {
		t.Errorf("Total() = %d, want 10", got)
	}
	for severity, want := range map[v1alpha1.Severity]int32{critical: 1, high: 8, medium: 0, low: 1, v1alpha1.SeverityNone: 0} {
		if got := tally.Count(severity); got != want {
			t.Errorf("Count(%s) = %d, want %d", severity, got, want)
		}
	}
	tally.Remove(other)
	want = tallyFrom(counts{{"a", high}: 2, {"a", low}: 1, {"b", high}: 1})
	if diff := cmp.Diff(want, tally); diff != "" {
		t.Errorf("after Remove (-want +got):\n%s", diff)
	}
}

func TestTallyOfReport(t *testing.T) {
	finding := func(check string, severity v1alpha1.Severity) v1alpha1.Finding {
		return v1alpha1.Finding{Check: check, Severity: severity}
	}
	count := func(check string, severity v1alpha1.Severity, n int32) Count {
		return CountOf(CheckSeverity{check, severity}, n)
	}
	for name, tc := range map[string]struct {
		report v1alpha1.SecurityReport
		want   Tally
	}{
		"no finding": {},
		"a list that is whole": {
			v1alpha1.SecurityReport{
				Summary: v1alpha1.Summary{Critical: 1, High: 1, Low: 2},
				Findings: []v1alpha1.Finding{
					finding("a", v1alpha1.SeverityCritical), finding("b", v1alpha1.SeverityHigh), finding("a", v1alpha1.SeverityLow), finding("a", v1alpha1.SeverityLow),
				},
			},
			Tally{count("a", v1alpha1.SeverityCritical, 1), count("b", v1alpha1.SeverityHigh, 1), count("a", v1alpha1.SeverityLow, 2)},
		},
		"a list that is cut": {
			v1alpha1.SecurityReport{
				Summary:         v1alpha1.Summary{Critical: 1, High: 300, Medium: 7, Low: 2},
				Findings:        []v1alpha1.Finding{finding("a", v1alpha1.SeverityCritical), finding("b", v1alpha1.SeverityHigh)},
				OmittedFindings: 308,
			},
			Tally{
				count("a", v1alpha1.SeverityCritical, 1), count("b", v1alpha1.SeverityHigh, 300), count("b", v1alpha1.SeverityMedium, 7),
				count("b", v1alpha1.SeverityLow, 2),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, TallyOfReport(&tc.report)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

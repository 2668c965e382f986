// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report turns verdicts into report objects: counted, scored, cut to the schema's limits, hashed.
package report

import (
	"cmp"
	"slices"
	"unique"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// CheckSeverity is a check together with the severity of one of its findings.
type CheckSeverity struct {
	Check    string
	Severity v1alpha1.Severity
}

// Count is how many findings there are of a check with a severity. Some are kept for every subject, so it is small.
type Count struct {
	Check string
	N     int32
	// Rank of the severity, as audit.Rank has it.
	Rank int8
}

// CountOf returns a count.
func CountOf(k CheckSeverity, n int32) Count { return Count{k.Check, n, rankOf(k.Severity)} }

// Severity of the findings.
func (c Count) Severity() v1alpha1.Severity { return severityOf(c.Rank) }

// Of is what is counted.
func (c Count) Of() CheckSeverity { return CheckSeverity{c.Check, c.Severity()} }

// Tally counts findings by check and severity, of one subject or of many. It is sorted: worst first, then by check. One is
// kept for every subject, and most are short, so it is a list.
type Tally []Count

// TallyOf counts findings.
func TallyOf(findings []audit.Finding) Tally {
	var t Tally
	for _, f := range findings {
		t.add(CheckSeverity{f.Check, f.Severity}, 1)
	}
	return slices.Clone(t) // no larger than it must be
}

// TallyOfReport counts the findings of a stored report, as many as its summary says. Findings that its list leaves out are
// counted with the check at which the list was cut: so the severities are right, and the score and what has passed are as
// long as each check that fails is in the list of some report.
func TallyOfReport(r *v1alpha1.SecurityReport) Tally {
	var t Tally
	last := ""
	for i := range r.Findings {
		last = unique.Make(r.Findings[i].Check).Value()
		t.add(CheckSeverity{last, r.Findings[i].Severity}, 1)
	}
	for _, c := range []struct {
		severity v1alpha1.Severity
		n        int32
	}{
		{v1alpha1.SeverityCritical, r.Summary.Critical}, {v1alpha1.SeverityHigh, r.Summary.High},
		{v1alpha1.SeverityMedium, r.Summary.Medium}, {v1alpha1.SeverityLow, r.Summary.Low},
	} {
		if cut := c.n - t.Count(c.severity); cut > 0 {
			t.add(CheckSeverity{last, c.severity}, cut)
		}
	}
	return slices.Clone(t)
}

// Add adds another tally to this one.
func (t *Tally) Add(other Tally) {
	for _, c := range other {
		t.add(c.Of(), c.N)
	}
}

// Remove takes away what was added.
func (t *Tally) Remove(other Tally) {
	for _, c := range other {
		t.add(c.Of(), -c.N)
	}
}

func (t *Tally) add(k CheckSeverity, n int32) {
	count := CountOf(k, n)
	i, found := slices.BinarySearchFunc(*t, count, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Rank, a.Rank), cmp.Compare(a.Check, b.Check))
	})
	switch {
	case !found:
		*t = slices.Insert(*t, i, count)
	case (*t)[i].N+n == 0:
		*t = slices.Delete(*t, i, i+1)
	default:
		(*t)[i].N += n
	}
}

// Count returns the number of findings of one severity.
func (t Tally) Count(severity v1alpha1.Severity) int32 {
	var n int32
	for _, c := range t {
		if c.Rank == rankOf(severity) {
			n += c.N
		}
	}
	return n
}

// Worst returns the worst finding's severity and check, the first by name if there are several; None and "" if there is
// no finding.
func (t Tally) Worst() CheckSeverity {
	if len(t) == 0 {
		return CheckSeverity{Severity: v1alpha1.SeverityNone}
	}
	return t[0].Of()
}

// perMille is what is left of the score after a check that fails with that severity.
var perMille = map[v1alpha1.Severity]int64{
	v1alpha1.SeverityCritical: 600,
	v1alpha1.SeverityHigh:     850,
	v1alpha1.SeverityMedium:   950,
	v1alpha1.SeverityLow:      990,
}

// Score is 100 without findings; every check that fails multiplies it, by its worst finding: Critical by 0.60, High by
// 0.85, Medium by 0.95, Low by 0.99; rounded down. So it does not depend on how many checks there are, nor on how many
// replicas or subjects show the same fault.
func (t Tally) Score() int32 {
	// In whole numbers and worst first, so that every machine comes to the same.
	const one = int64(1_000_000_000)
	score := 100 * one
	seen := make(map[string]bool, len(t))
	for _, c := range t {
		if !seen[c.Check] {
			seen[c.Check] = true
			score = score / 1000 * perMille[c.Severity()]
		}
	}
	return int32(score / one)
}

// Total returns the number of all findings.
func (t Tally) Total() int32 {
	var n int32
	for _, c := range t {
		n += c.N
	}
	return n
}

// rankOf and severityOf convert severities to a byte and back; 0 is none.
func rankOf(s v1alpha1.Severity) int8 { return int8(audit.Rank(s)) } //nolint:gosec // G115: there are four

func severityOf(rank int8) v1alpha1.Severity {
	if rank == 0 {
		return ""
	}
	return audit.Severities[len(audit.Severities)-int(rank)]
}

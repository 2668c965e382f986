// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report turns verdicts into report objects: counted, scored, cut to the schema's limits, hashed.
package report

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// CheckSeverity is a check together with the severity of one of its findings.
type CheckSeverity struct {
	Check    string
	Severity v1alpha1.Severity
}

// Tally counts findings by check and severity, of one subject or of many.
type Tally map[CheckSeverity]int32

// TallyOf counts findings.
func TallyOf(findings []audit.Finding) Tally {
	t := make(Tally)
	for _, f := range findings {
		t[CheckSeverity{f.Check, f.Severity}]++
	}
	return t
}

// Add adds another tally to this one.
func (t Tally) Add(other Tally) {
	for k, n := range other {
		t[k] += n
	}
}

// Count returns the number of findings of one severity.
func (t Tally) Count(severity v1alpha1.Severity) int32 {
	var n int32
	for k, v := range t {
		if k.Severity == severity {
			n += v
		}
	}
	return n
}

// Worst returns the worst finding's severity and check, the first by name if there are several; None and "" if there is
// no finding.
func (t Tally) Worst() CheckSeverity {
	worst := CheckSeverity{Severity: v1alpha1.SeverityNone}
	for k := range t {
		if d := audit.Rank(k.Severity) - audit.Rank(worst.Severity); d > 0 || d == 0 && k.Check < worst.Check {
			worst = k
		}
	}
	return worst
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
	worst := make(map[string]v1alpha1.Severity, len(t))
	for k := range t {
		if audit.Rank(k.Severity) > audit.Rank(worst[k.Check]) {
			worst[k.Check] = k.Severity
		}
	}
	// In whole numbers and worst first, so that every machine comes to the same.
	const one = int64(1_000_000_000)
	score := 100 * one
	for _, severity := range audit.Severities {
		for _, s := range worst {
			if s == severity {
				score = score / 1000 * perMille[s]
			}
		}
	}
	return int32(score / one)
}

// Total returns the number of all findings.
func (t Tally) Total() int32 {
	var n int32
	for _, v := range t {
		n += v
	}
	return n
}

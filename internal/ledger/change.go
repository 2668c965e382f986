// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"maps"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/report"
)

// Change is what has become of the findings about one subject, as far as they are of a severity or worse.
type Change struct {
	// New are those that were not there, worst first. One that has become as severe is new.
	New []v1alpha1.Finding
	// Gone is how many are there no more, by check.
	Gone map[string]int32
}

// ChangeOf returns what has changed between two decisions about one subject. r is the report of the latter. What a check could not
// look at was not there before, nor is it gone: what it says is not known. What an exception exempts is not gone either.
func ChangeOf(from, to *Entry, r *v1alpha1.SecurityReport, least v1alpha1.Severity) Change {
	counts := func(s v1alpha1.Severity) bool { return audit.Rank(s) >= audit.Rank(least) }
	stood := func(f *v1alpha1.Finding) bool {
		was, ok := from.Remembered.Get(report.KeyOf(f))
		return ok && counts(was.Severity)
	}
	c := Change{Gone: make(map[string]int32)}
	for _, n := range from.Findings {
		if counts(n.Severity()) {
			c.Gone[n.Check] += n.N
		}
	}
	for _, n := range to.Findings {
		if counts(n.Severity()) {
			c.Gone[n.Check] -= n.N
		}
	}
	for i := range r.Findings {
		switch f := &r.Findings[i]; {
		case counts(f.Severity) && !stood(f):
			c.Gone[f.Check]++ // those that were there are one less of those that are
			if !from.skips(f.Check) {
				c.New = append(c.New, *f)
			}
		case !counts(f.Severity) && stood(f):
			c.Gone[f.Check]-- // it is still there
		}
	}
	for i := range r.Exemptions {
		x := &r.Exemptions[i]
		if stood(&v1alpha1.Finding{Check: x.Check, Object: x.Object, Path: x.Path}) {
			c.Gone[x.Check]--
		}
	}
	maps.DeleteFunc(c.Gone, func(check string, n int32) bool { return n <= 0 || to.skips(check) })
	return c
}

// skips says whether a check could not look.
func (e *Entry) skips(check string) bool {
	return slices.ContainsFunc(e.Skips, func(s audit.Skip) bool { return s.Check == check })
}

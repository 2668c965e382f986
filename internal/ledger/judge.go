// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/report"
)

// Verdict is what was decided about one subject.
type Verdict struct {
	*Entry
	// Report is the name of its report.
	Report string
	// Created is set for subjects that may end by themselves soon after they began.
	Created time.Time
	// Build makes the report. It is seldom needed: most verdicts are those that the cluster holds already.
	Build func() *v1alpha1.SecurityReport
}

// Previous is what is known of a namespace from before.
type Previous struct {
	// Entries are what was decided last; nil if nothing was.
	Entries Entries
	// Remembered returns what is stored of a report, for those that have no entry. It may be nil.
	Remembered func(report string) report.Remembered
}

func (p *Previous) remembered(name string) report.Remembered {
	if e := p.Entries[name]; e != nil {
		return e.Remembered
	}
	if p.Remembered == nil {
		return nil
	}
	return p.Remembered(name)
}

// Judge decides about the workloads of a namespace, in the order of their reports' names, and then about the namespace
// itself. Workloads of which nothing has changed that matters are not judged again.
func Judge(set *audit.Set, ns *audit.Namespace, previous Previous, now time.Time) []Verdict {
	name := ns.Subject().ReportName()
	standing := previous.remembered(name)
	ns.Standing = func(k audit.Key) v1alpha1.Severity {
		s, _ := standing.Get(k)
		return s.Severity
	}
	verdicts := make([]Verdict, 0, len(ns.Workloads)+1)
	var findings, exempted report.Tally
	for _, w := range set.Judged(ns) {
		v := judgeWorkload(set, ns, w, &previous, now)
		findings.Add(v.Findings)
		exempted.Add(v.ExemptedFindings())
		verdicts = append(verdicts, v)
	}
	result := set.EvaluateNamespace(ns)
	rollUp := report.RollUp(findings, exempted.Total())
	return append(verdicts, verdictOf(ns.Name, &result, standing, rollUp, now))
}

// heldFindings is how many findings a report has at most that is held until its turn to be written comes. All of a namespace wait
// together; larger ones are made again.
const heldFindings = 64

func judgeWorkload(set *audit.Set, ns *audit.Namespace, w *audit.Workload, previous *Previous, now time.Time) Verdict {
	name, inputs := w.ReportName(), set.InputsOf(ns, w)
	again := func(e *Entry) func() *v1alpha1.SecurityReport {
		return func() *v1alpha1.SecurityReport {
			result := set.EvaluateWorkload(ns, w)
			r, _ := report.Build(ns.Name, &result, e.Remembered, now)
			return r
		}
	}
	if e := previous.Entries[name]; e != nil && e.Inputs.Equal(&inputs) {
		return Verdict{Entry: e, Report: name, Created: w.Created, Build: again(e)}
	}
	result := set.EvaluateWorkload(ns, w)
	v := verdictOf(ns.Name, &result, previous.remembered(name), nil, now)
	v.Inputs, v.Created = inputs, w.Created
	if len(result.Findings)+len(result.Exempted) > heldFindings {
		v.Build = again(v.Entry)
	}
	return v
}

func verdictOf(namespace string, result *audit.Result, previous report.Remembered, workloads *v1alpha1.RollUp, now time.Time) Verdict {
	e := EntryOf(result)
	r, remembered := report.Build(namespace, result, previous, now)
	r.Workloads = workloads
	e.Remembered, e.Hash, e.Truncated = remembered, report.HashOf(r), report.Truncated(r)
	return Verdict{Entry: e, Report: result.Report, Build: func() *v1alpha1.SecurityReport { return r }}
}

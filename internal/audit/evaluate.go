// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// Result is the verdict on one subject.
type Result struct {
	Subject
	// Report is the name of the subject's report.
	Report       string
	TemplateHash string
	// Findings, worst first.
	Findings []Finding
	// Exemptions are findings that an exception exempts.
	Exemptions []v1alpha1.Exemption
	// Skips, sorted by check.
	Skips []Skip
	// Passed are the ids of the checks that looked at everything and found nothing, sorted.
	Passed []string
}

// Evaluate judges every workload of a namespace, and then the namespace itself, which is the last result. The same
// namespace gives the same results in the same order.
func (s *Set) Evaluate(ns *Namespace) []Result {
	results := make([]Result, 0, len(ns.Workloads)+1)
	for _, w := range ns.Workloads {
		results = append(results, s.evaluateWorkload(ns, w))
	}
	return append(results, s.evaluateNamespace(ns))
}

func (s *Set) evaluateNamespace(ns *Namespace) Result {
	r := runWith(ns, s.namespace, func(c *Check) func(*Namespace, *Reporter) { return c.Namespace }, ns)
	v := verdict{findings: r.findings, skips: r.skips}
	subject := ns.Subject()
	return v.result(subject, subject.ReportName(), s.namespace)
}

func (s *Set) evaluateWorkload(ns *Namespace, w *Workload) Result {
	var (
		merged verdict
		// ofTemplate is how many of the merged findings come from the template.
		ofTemplate int
		prefix     = w.pathPrefix()
		at         = make(map[Key]int)
		shapes     = make(map[*Shape]bool, 1)
	)
	merge := func(v *verdict, seenIn v1alpha1.SeenIn) {
		merged.skips = append(merged.skips, v.skips...)
		for _, f := range v.findings {
			f.Path = prefix + f.Path
			i, known := at[f.Key()]
			switch {
			case !known:
				at[f.Key()] = len(merged.findings)
				f.SeenIn = seenIn
				merged.findings = append(merged.findings, f)
			case merged.findings[i].SeenIn != seenIn:
				merged.findings[i].SeenIn = ""
				fallthrough
			default:
				// Of a template and Pods of several generations, the worst counts; of equals the template's, or a rollout
				// that changes no verdict would change the report twice.
				worse := Rank(f.Severity) > Rank(merged.findings[i].Severity)
				if worse || i >= ofTemplate && compareFindings(f, merged.findings[i]) < 0 {
					f.SeenIn = merged.findings[i].SeenIn
					merged.findings[i] = f
				}
			}
		}
	}
	if w.Template != nil {
		seenIn := v1alpha1.SeenInTemplate
		if len(w.Pods) == 0 {
			seenIn = "" // nothing to tell it from
		}
		merge(s.judge(w.Template), seenIn)
		merge(s.judgePlaced(&PlacedPod{Pod: &w.Template.Pod, Template: true, Workload: w, Namespace: ns}), seenIn)
		ofTemplate = len(merged.findings)
	}
	for _, p := range w.Pods {
		if shapes[p.Shape] {
			continue
		}
		shapes[p.Shape] = true
		seenIn := v1alpha1.SeenInPods
		if w.Template == nil {
			seenIn = ""
		}
		merge(s.judge(p.Shape), seenIn)
		merge(s.judgePlaced(&PlacedPod{Pod: &p.Shape.Pod, Workload: w, Namespace: ns}), seenIn)
	}
	if u := ns.Missing(Pods); u != nil {
		var r Reporter
		for _, c := range s.workload {
			r.check = c
			r.SkipUnavailable(u)
		}
		merged.skips = append(merged.skips, r.skips...)
	}
	result := merged.result(w.Subject, w.reportName, s.workload)
	result.TemplateHash = w.TemplateHash
	return result
}

// verdict is what a number of checks said of one thing.
type verdict struct {
	set      *Set
	findings []Finding
	skips    []Skip
}

// judge returns the verdict on a shape, computed once for each Set. Two workers may compute it at once; they come to the
// same.
func (s *Set) judge(shape *Shape) *verdict {
	if v := shape.verdict.Load(); v != nil && v.set == s {
		return v
	}
	r := reporters.Get().(*Reporter)
	for _, c := range s.pod {
		run(r, c, c.Pod, &shape.Pod)
	}
	// A verdict stays as long as its shape: in lists of its own, no longer than they need to be.
	v := &verdict{set: s, findings: slices.Clone(r.findings), skips: slices.Clone(r.skips)}
	shape.verdict.Store(v)
	r.reset()
	reporters.Put(r)
	return v
}

// judgePlaced returns what depends on more than the shape, and so is not kept with it.
func (s *Set) judgePlaced(p *PlacedPod) *verdict {
	r := runWith(p.Namespace, s.placed, func(c *Check) func(*PlacedPod, *Reporter) { return c.Placed }, p)
	return &verdict{set: s, findings: r.findings, skips: r.skips}
}

// runWith runs checks that need more than their subject, and skips those whose needs are not met.
func runWith[T any](ns *Namespace, checks []*Check, function func(*Check) func(T, *Reporter), subject T) *Reporter {
	var r Reporter
	for _, c := range checks {
		if u := ns.Missing(c.Needs...); u != nil {
			r.check = c
			r.SkipUnavailable(u)
		} else {
			run(&r, c, function(c), subject)
		}
	}
	return &r
}

// result sorts a verdict out. A check with findings counts as failed, whatever it had to skip; one that skipped anything
// has not passed.
func (v *verdict) result(subject Subject, report string, checks []*Check) Result {
	r := Result{Subject: subject, Report: report, Findings: slices.Clone(v.findings)}
	slices.SortFunc(r.Findings, compareFindings)
	done := make(map[string]bool, len(checks))
	for _, f := range r.Findings {
		done[f.Check] = true
	}
	skips := slices.Clone(v.skips)
	slices.SortFunc(skips, func(a, b Skip) int {
		return cmp.Or(cmp.Compare(a.Check, b.Check), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
	for _, skip := range skips {
		if !done[skip.Check] {
			done[skip.Check] = true
			r.Skips = append(r.Skips, skip)
		}
	}
	for _, c := range checks {
		if !done[c.ID] {
			r.Passed = append(r.Passed, c.ID)
		}
	}
	return r
}

// run calls a check's function. A check that breaks down on odd input has not looked; the others go on.
func run[T any](r *Reporter, c *Check, function func(T, *Reporter), subject T) {
	r.check = c
	defer func() {
		if p := recover(); p != nil {
			r.Skip(v1alpha1.SkipCheckFailed, fmt.Sprintf("check %q broke down: %v", c.ID, p))
		}
	}()
	function(subject, r)
}

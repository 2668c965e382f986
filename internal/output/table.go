// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Table prints, for each namespace, its reports as kubectl would, their findings, and what could not be looked at.
func Table(out io.Writer, t Terminal, reports []*v1alpha1.SecurityReport) error {
	for rest := reports; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(r *v1alpha1.SecurityReport) bool { return r.Namespace != rest[0].Namespace })
		if n < 0 {
			n = len(rest)
		}
		if err := printNamespace(out, t, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	_, err := fmt.Fprintln(out, SummaryLine(reports))
	return err
}

func printNamespace(out io.Writer, t Terminal, reports []*v1alpha1.SecurityReport) error {
	rows := [][]string{{"NAMESPACE", "NAME", "KIND", "SCORE", "CRITICAL", "HIGH", "MEDIUM", "LOW", "SKIPPED"}}
	for _, r := range reports {
		rows = append(rows, append([]string{r.Namespace, r.Name, r.Subject.Kind}, numbersOf(&r.Summary)...))
	}
	if reports[0].Namespace == "" { // of the cluster
		for i := range rows {
			rows[i] = rows[i][1:]
		}
	}
	return cmp.Or(t.Table(out, rows), t.Table(out, findingRows(reports)), t.Table(out, exemptionRows(reports)), t.Table(out, skipRows(reports)))
}

// numbersOf are the score, the number of findings of each severity, and that of skipped checks.
func numbersOf(s *v1alpha1.Summary) []string {
	var cells []string
	for _, n := range []int32{s.Score, s.Critical, s.High, s.Medium, s.Low, s.Skipped} {
		cells = append(cells, strconv.Itoa(int(n)))
	}
	return cells
}

// exemptionRows are the findings of a namespace that exceptions exempt.
func exemptionRows(reports []*v1alpha1.SecurityReport) [][]string {
	var rows [][]string
	for _, r := range reports {
		for i := range r.Exemptions {
			x := &r.Exemptions[i]
			rows = append(rows, []string{
				string(x.Severity), x.Check, about(r, x.Object), string(x.ExceptionKind) + "/" + x.Exception, expires(x), x.Reason,
			})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return append([][]string{{"EXEMPTED", "CHECK", "SUBJECT", "EXCEPTION", "EXPIRES", "REASON"}}, rows...)
}

// expires tells when an exemption ends.
func expires(x *v1alpha1.Exemption) string {
	if x.ExpirationTime == nil {
		return "never"
	}
	return x.ExpirationTime.UTC().Format(time.RFC3339)
}

// findingRows are the findings of a namespace, worst first.
func findingRows(reports []*v1alpha1.SecurityReport) [][]string {
	type row struct {
		*v1alpha1.Finding
		subject string
	}
	var (
		found   []row
		omitted int32
	)
	for _, r := range reports {
		omitted += r.OmittedFindings
		for i := range r.Findings {
			f := &r.Findings[i]
			found = append(found, row{f, about(r, f.Object)})
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.SortStableFunc(found, func(a, b row) int {
		return cmp.Or(cmp.Compare(audit.Rank(b.Severity), audit.Rank(a.Severity)), cmp.Compare(a.Check, b.Check),
			cmp.Compare(a.subject, b.subject))
	})
	rows := [][]string{{"SEVERITY", "CHECK", "SUBJECT", "MESSAGE", "PATH"}}
	for _, f := range found {
		rows = append(rows, []string{string(f.Severity), f.Check, f.subject, f.Message, f.Path})
	}
	if omitted > 0 {
		rows = append(rows, []string{notListed(int(omitted))})
	}
	return rows
}

// skipped is a check that could not look at some subjects, for one reason.
type skipped struct {
	check, message string
	reason         v1alpha1.SkipReason
	reports        []*v1alpha1.SecurityReport
}

// on tells which subjects these are.
func (s *skipped) on() string {
	if n := len(s.reports); n > 1 {
		return Count(n, "subject")
	}
	return about(s.reports[0], nil)
}

// skippedIn returns the checks that could not look, once for each reason. Of a namespace that is left out it is all of them.
func skippedIn(reports []*v1alpha1.SecurityReport) []skipped {
	type why struct {
		check, message string
		reason         v1alpha1.SkipReason
	}
	var all []skipped
	at := make(map[why]int)
	for _, r := range reports {
		for i, s := range r.Skips {
			if s.Reason == v1alpha1.SkipNamespaceExcluded {
				if i > 0 {
					break // one line is enough
				}
				s.Check = "all"
			}
			key := why{s.Check, s.Message, s.Reason}
			if _, known := at[key]; !known {
				at[key] = len(all)
				all = append(all, skipped{check: s.Check, message: s.Message, reason: s.Reason})
			}
			all[at[key]].reports = append(all[at[key]].reports, r)
		}
	}
	slices.SortFunc(all, func(a, b skipped) int {
		return cmp.Or(cmp.Compare(a.check, b.check), cmp.Compare(a.message, b.message), cmp.Compare(a.reason, b.reason))
	})
	return all
}

// skipRows are the checks that could not look.
func skipRows(reports []*v1alpha1.SecurityReport) [][]string {
	all := skippedIn(reports)
	if len(all) == 0 {
		return nil
	}
	rows := [][]string{{"SKIPPED CHECK", "SUBJECT", "REASON"}}
	for i := range all {
		rows = append(rows, []string{all[i].check, all[i].on(), all[i].message})
	}
	return rows
}

// notListed tells of findings that reports count without telling what they are.
func notListed(n int) string { return fmt.Sprintf("and %d more that are counted but not listed", n) }

// Count returns "1 error", "2 errors".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// SummaryLine sums everything up.
func SummaryLine(reports []*v1alpha1.SecurityReport) string {
	t := totalOf(reports)
	found := make([]string, 0, len(audit.Severities))
	for i, severity := range audit.Severities {
		found = append(found, fmt.Sprintf("%d %s", t.findings[i], strings.ToLower(string(severity))))
	}
	text := fmt.Sprintf("%s in %s", Count(t.workloads, "workload"), Count(t.namespaces, "namespace"))
	if t.ofCluster > 0 {
		text += fmt.Sprintf(", %s of the cluster", Count(t.ofCluster, "part"))
	}
	text += ": " + strings.Join(found, ", ")
	if t.exempted > 0 {
		text += fmt.Sprintf("; %d exempted", t.exempted)
	}
	if t.excluded > 0 {
		text += fmt.Sprintf("; %s left out", Count(t.excluded, "namespace"))
	}
	if t.skipped > 0 {
		text += fmt.Sprintf("; %s skipped", Count(t.skipped, "check"))
	}
	return text
}

// counts are numbers of findings, by severity as audit.Severities has them.
type counts [len(audit.Severities)]int

func (c *counts) add(s *v1alpha1.Summary) {
	for i, severity := range audit.Severities {
		c[i] += int(CountOf(s, severity))
	}
}

// compare puts more findings of the worst severity first.
func (c *counts) compare(other *counts) int { return slices.Compare(other[:], c[:]) }

func (c *counts) total() int {
	n := 0
	for _, of := range c {
		n += of
	}
	return n
}

// total is what many reports count.
type total struct {
	findings                                             counts
	workloads, namespaces, ofCluster, excluded, exempted int
	skipped                                              int
}

func totalOf(reports []*v1alpha1.SecurityReport) total {
	var t total
	namespaces := make(map[string]bool)
	for _, r := range reports {
		if isExcluded(r) {
			t.excluded++
			continue
		}
		t.findings.add(&r.Summary)
		t.skipped += int(r.Summary.Skipped)
		t.exempted += int(r.Summary.Exempted)
		switch {
		case r.Namespace == "":
			t.ofCluster++
		case r.Subject.Kind != audit.KindNamespace:
			t.workloads++
		}
		if r.Namespace != "" {
			namespaces[r.Namespace] = true
		}
	}
	t.namespaces = len(namespaces)
	return t
}

// CountOf returns how many findings of a severity a report has.
func CountOf(s *v1alpha1.Summary, severity v1alpha1.Severity) int32 {
	switch severity {
	case v1alpha1.SeverityCritical:
		return s.Critical
	case v1alpha1.SeverityHigh:
		return s.High
	case v1alpha1.SeverityMedium:
		return s.Medium
	case v1alpha1.SeverityLow:
		return s.Low
	case v1alpha1.SeverityNone:
	}
	return 0
}

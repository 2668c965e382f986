// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // the parts of the page
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/compliance"
)

const (
	// maxPageFindings listed on a page: the worst ones of all. Measured on two slow cores: Chromium opens such a page in 2 seconds,
	// and one with ten times as many in 9, or 15 with a filter.
	maxPageFindings = 5000
	// unfoldedFindings are so few that nobody needs them folded.
	unfoldedFindings = 50
	// maxPageRows of exempted findings, and of skipped checks.
	maxPageRows = 1000
	// worstNamespaces in the chart of them.
	worstNamespaces = 10
)

var (
	//go:embed html/page.html
	pageText string
	//go:embed html/style.css
	pageStyle string
	//go:embed html/script.js
	pageScript string

	pageTemplate = template.Must(template.New("page").Parse(pageText))
	// pagePolicy allows the page its own style and script, and nothing else: should a text ever get out of where it stands, it
	// is still not run.
	pagePolicy = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; base-uri 'none'; form-action 'none'", hashOf(pageStyle), hashOf(pageScript))
)

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// page is what the template shows. Texts in it may be anything: the template escapes them.
type page struct {
	Of, Version, Summary, Policy string
	Style                        template.CSS
	Script                       template.JS

	Severities             []pageCount
	Bar                    []segment
	Namespaces, Categories *pageTable
	Frameworks             []pageFramework
	SkippedChecks          bool

	Findings, Listed, NotListed int
	Unfolded                    bool
	Listing                     []pageNamespace
	Rest                        string
	Checks                      []pageCheck
	NamespaceNames              []string
	FrameworkNames              []compliance.Framework
	Exempted, Skipped           *pageRows
}

type pageCount struct {
	Class string
	N     int
}

// segment of a bar, in hundredths of its width.
type segment struct {
	Class    string
	X, Width string
}

type pageTable struct {
	Head    string
	Columns []string
	Rows    []pageRow
}

type pageRow struct {
	Name, Link string
	Bar        []segment
	Numbers    []int
}

type pageFramework struct {
	Title    string
	Bar      []segment
	States   []pageState
	Controls []pageControl
}

type pageState struct {
	Class, Name string
	N           int
}

type pageControl struct{ ID, Title, State, Class, Reason string }

type pageNamespace struct {
	Name, Anchor string
	Counts       []pageCount
	Subjects     []pageSubject
	Rest         string
}

type pageSubject struct {
	Name      string
	Score     int32
	Counts    []pageCount
	Findings  []pageFinding
	NotListed int
}

type pageFinding struct{ Class, Check, Message, Object, Path, Place, Value, Fix string }

type pageCheck struct {
	*audit.Check
	Class, Frameworks, Controls, Listed string
}

type pageRows struct {
	Rows [][]string
	Rest string
}

// HTML prints a page that needs nothing but itself: it loads nothing, and can be read without its script, which filters.
func HTML(out io.Writer, a *Audit) error {
	t := totalOf(a.Reports)
	p := page{
		Of: cmp.Or(a.Of, "a cluster"), Version: a.Version, Summary: SummaryLine(a.Reports), Policy: pagePolicy,
		Style: template.CSS(pageStyle), Script: template.JS(pageScript), //nolint:gosec // G203: both are ours
		Severities: countsOf(&t.findings), Bar: barOf(&t.findings, t.findings.total()), Findings: t.findings.total(), SkippedChecks: t.skipped > 0,
		FrameworkNames: compliance.Frameworks, Exempted: exemptedOn(a.Reports), Skipped: skippedOn(a.Reports),
	}
	namespaces := namespacesOf(a.Reports)
	for _, n := range namespaces {
		if n.findings.total() > 0 {
			p.NamespaceNames = append(p.NamespaceNames, n.name)
		}
	}
	slices.Sort(p.NamespaceNames)
	p.list(a, namespaces)
	p.Namespaces, p.Categories = p.namespaceTable(namespaces), a.categoryTable()
	p.checks(a)
	for i := range a.Compliance {
		p.Frameworks = append(p.Frameworks, frameworkOn(&a.Compliance[i]))
	}
	return pageTemplate.Execute(out, &p)
}

// classOf is what a severity is called on the page.
func classOf(s v1alpha1.Severity) string {
	if audit.Rank(s) == 0 {
		return "unknown"
	}
	return strings.ToLower(string(s))
}

func countsOf(c *counts) []pageCount {
	list := make([]pageCount, 0, len(c))
	for i, severity := range audit.Severities {
		list = append(list, pageCount{classOf(severity), c[i]})
	}
	return list
}

// barOf draws counts; as much as whole fills the bar.
func barOf(c *counts, whole int) []segment {
	b := bar{whole: whole}
	for i, severity := range audit.Severities {
		b.add(classOf(severity), c[i])
	}
	return b.segments
}

type bar struct {
	whole, done int
	segments    []segment
}

func (b *bar) add(class string, n int) {
	if n == 0 {
		return
	}
	hundredths := func(n int) string { return fmt.Sprintf("%.2f", 100*float64(n)/float64(b.whole)) }
	b.segments = append(b.segments, segment{class, hundredths(b.done), hundredths(n)})
	b.done += n
}

// list fills in the findings that are listed: the worst of all, in their order.
func (p *page) list(a *Audit, namespaces []*namespace) {
	listed := make(map[*v1alpha1.Finding]bool)
	for _, severity := range audit.Severities {
		for _, n := range namespaces {
			for _, r := range n.reports {
				for i := range r.Findings {
					if f := &r.Findings[i]; f.Severity == severity && len(listed) < maxPageFindings {
						listed[f] = true
					}
				}
			}
		}
	}
	p.Listed, p.NotListed, p.Unfolded = len(listed), p.Findings-len(listed), len(listed) <= unfoldedFindings
	left, leftFindings := 0, 0
	for _, n := range namespaces {
		if n.findings.total() == 0 {
			continue
		}
		shown := pageNamespace{Name: n.name, Counts: countsOf(&n.findings)}
		subjects, findings := 0, 0
		for _, r := range worstFirst(n.reports) {
			var c counts
			c.add(&r.Summary)
			s := pageSubject{Name: about(r, nil), Score: r.Summary.Score, Counts: countsOf(&c)}
			for i := range r.Findings {
				if f := &r.Findings[i]; listed[f] {
					s.Findings = append(s.Findings, a.findingOn(r, f))
				}
			}
			if s.NotListed = c.total() - len(s.Findings); len(s.Findings) > 0 {
				shown.Subjects = append(shown.Subjects, s)
			} else if c.total() > 0 {
				subjects, findings = subjects+1, findings+c.total()
			}
		}
		if len(shown.Subjects) == 0 {
			left, leftFindings = left+1, leftFindings+findings
			continue
		}
		if subjects > 0 {
			shown.Rest = fmt.Sprintf("And %s with %s that are counted but not listed.", Count(subjects, "more subject"), Count(findings, "finding"))
		}
		shown.Anchor = fmt.Sprintf("namespace-%d", len(p.Listing)+1) // whatever its name
		p.Listing = append(p.Listing, shown)
	}
	if left > 0 {
		p.Rest = fmt.Sprintf("And %s with %s that are counted but not listed.", Count(left, "more namespace"), Count(leftFindings, "finding"))
	}
}

func (a *Audit) findingOn(r *v1alpha1.SecurityReport, f *v1alpha1.Finding) pageFinding {
	shown := pageFinding{Class: classOf(f.Severity), Check: f.Check, Message: f.Message, Path: f.Path, Value: suggested(f), Fix: cmp.Or(a.fix(f), "as the message says")}
	if f.Object != nil {
		shown.Object = about(r, f.Object)
	}
	if place, ok := a.place(r, f.Object, f.Path); ok {
		shown.Place = place.String()
	}
	return shown
}

var severityColumns = []string{"critical", "high", "medium", "low"}

// namespaceTable has the worst namespaces, and one row for all others.
func (p *page) namespaceTable(namespaces []*namespace) *pageTable {
	t := pageTable{Head: "namespace", Columns: severityColumns}
	most := 0
	for _, n := range namespaces[:min(len(namespaces), worstNamespaces)] {
		most = max(most, n.findings.total())
	}
	var rest counts
	for i, n := range namespaces {
		if i >= worstNamespaces {
			for j := range rest {
				rest[j] += n.findings[j]
			}
			continue
		}
		row := pageRow{Name: cmp.Or(n.name, "the cluster itself"), Bar: barOf(&n.findings, most), Numbers: n.findings[:]}
		if i < len(p.Listing) && p.Listing[i].Name == n.name { // both are sorted
			row.Link = p.Listing[i].Anchor
		}
		t.Rows = append(t.Rows, row)
	}
	if more := len(namespaces) - worstNamespaces; more > 0 {
		t.Rows = append(t.Rows, pageRow{Name: fmt.Sprintf("%d more", more), Numbers: rest[:]})
	}
	if len(t.Rows) == 0 {
		return nil
	}
	return &t
}

// categoryTable counts findings by the category of their check.
func (a *Audit) categoryTable() *pageTable {
	all := make(map[string]*counts)
	of := func(name string) *counts {
		if all[name] == nil {
			all[name] = new(counts)
		}
		return all[name]
	}
	for _, r := range a.Reports {
		var unlisted counts
		unlisted.add(&r.Summary)
		for i := range r.Findings {
			f := &r.Findings[i]
			if rank := audit.Rank(f.Severity); rank > 0 {
				of(string(a.check(f.Check).Category))[len(audit.Severities)-rank]++
				unlisted[len(audit.Severities)-rank]--
			}
		}
		if unlisted.total() > 0 {
			c := of("not listed in reports")
			for i := range c {
				c[i] += unlisted[i]
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	t, most := pageTable{Head: "category", Columns: severityColumns}, 0
	for _, c := range all {
		most = max(most, c.total())
	}
	for _, name := range worstNames(all) {
		t.Rows = append(t.Rows, pageRow{Name: name, Bar: barOf(all[name], most), Numbers: all[name][:]})
	}
	return &t
}

// checks fills in the checks that have found anything, the worst first.
func (p *page) checks(a *Audit) {
	all := countsByCheck(a.Reports)
	ids := worstNames(all)
	for _, id := range ids {
		c := a.check(id)
		shown := pageCheck{Check: c, Class: "unknown", Listed: Count(all[id].total(), "finding")}
		for i, severity := range audit.Severities {
			if all[id][i] > 0 {
				shown.Class = classOf(severity)
				break
			}
		}
		var frameworks, controls []string
		for _, control := range c.Controls {
			if !slices.Contains(frameworks, string(control.Framework)) {
				frameworks = append(frameworks, string(control.Framework))
			}
			controls = append(controls, titleOf(control.Framework)+", "+control.ID)
		}
		shown.Frameworks, shown.Controls = strings.Join(frameworks, " "), strings.Join(controls, "; ")
		p.Checks = append(p.Checks, shown)
	}
}

func titleOf(id audit.Framework) string {
	if f := compliance.Find(id); f != nil {
		return f.Title
	}
	return string(id)
}

// frameworkOn shows what has become of the controls of a framework.
func frameworkOn(f *v1alpha1.FrameworkCompliance) pageFramework {
	shown := pageFramework{Title: f.Title}
	titles, order := make(map[string]string), make(map[string]int)
	if known := compliance.Find(audit.Framework(f.Framework)); known != nil {
		for i, c := range known.Controls {
			titles[c.ID], order[c.ID] = c.Title, i
		}
	}
	add := func(state, class, reason string, ids []string) {
		for _, id := range ids {
			shown.Controls = append(shown.Controls, pageControl{id, titles[id], state, class, reason})
		}
	}
	add("failed", "failed", "", f.Failed)
	add("passed", "passed", "", f.Passed)
	add("exempted", "exempted", "", f.Exempted)
	for _, n := range f.NotAssessed {
		add("not assessed", "unknown", n.Reason, n.Controls)
	}
	slices.SortStableFunc(shown.Controls, func(a, b pageControl) int { return cmp.Compare(order[a.ID], order[b.ID]) })
	b := bar{whole: len(shown.Controls)}
	assessed := len(f.Failed) + len(f.Passed) + len(f.Exempted)
	for _, s := range []pageState{
		{"passed", "passed", len(f.Passed)}, {"exempted", "exempted", len(f.Exempted)}, {"failed", "failed", len(f.Failed)},
		{"unknown", "not assessed", len(shown.Controls) - assessed},
	} {
		b.add(s.Class, s.N)
		shown.States = append(shown.States, s)
	}
	shown.Bar = b.segments
	return shown
}

func exemptedOn(reports []*v1alpha1.SecurityReport) *pageRows {
	var rows [][]string
	for _, r := range reports {
		for i := range r.Exemptions {
			x := &r.Exemptions[i]
			rows = append(rows, []string{
				string(x.Severity), x.Check, r.Namespace + "/" + about(r, x.Object), string(x.ExceptionKind) + "/" + x.Exception, expires(x), x.Reason,
			})
		}
	}
	return rowsOf(rows)
}

func skippedOn(reports []*v1alpha1.SecurityReport) *pageRows {
	var rows [][]string
	for _, s := range skippedIn(reports) {
		rows = append(rows, []string{s.check, s.on(), s.message})
	}
	return rowsOf(rows)
}

func rowsOf(rows [][]string) *pageRows {
	if len(rows) == 0 {
		return nil
	}
	shown := &pageRows{Rows: rows}
	if more := len(rows) - maxPageRows; more > 0 {
		shown.Rows, shown.Rest = rows[:maxPageRows], fmt.Sprintf("And %d more.", more)
	}
	return shown
}

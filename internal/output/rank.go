// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Ranking is what is worst.
type Ranking struct {
	Namespaces []Ranked `json:"namespaces,omitempty"`
	Workloads  []Ranked `json:"workloads,omitempty"`
	Checks     []Ranked `json:"checks,omitempty"`
}

// Ranked is a namespace, workload or check with what was found.
type Ranked struct {
	Namespace string `json:"namespace,omitempty"`
	// Name of a namespace or check, or kind and name of a workload.
	Name     string `json:"name"`
	Score    *int32 `json:"score,omitempty"`
	Critical int    `json:"critical"`
	High     int    `json:"high"`
	Medium   int    `json:"medium"`
	Low      int    `json:"low"`
	// Subjects is on how many subjects a check has findings.
	Subjects int    `json:"subjects,omitempty"`
	Title    string `json:"title,omitempty"`
}

func ranked(name string, c *counts) Ranked {
	return Ranked{Name: name, Critical: c[0], High: c[1], Medium: c[2], Low: c[3]}
}

// Rank returns the worst namespaces, workloads and checks: those with the most Critical findings, then High ones, and so on. What is
// in no namespace counts for checks alone.
// Those without any are left out. Unlisted is the number of findings whose check is not known, because reports do not list them.
func Rank(a *Audit, limit int) (worst Ranking, unlisted int) {
	for _, n := range namespacesOf(a.Reports) {
		if n.name != "" && n.findings.total() > 0 && len(worst.Namespaces) < limit {
			worst.Namespaces = append(worst.Namespaces, ranked(n.name, &n.findings))
		}
	}
	for _, r := range worstFirst(a.Reports) {
		var c counts
		c.add(&r.Summary)
		if r.Namespace != "" && r.Subject.Kind != audit.KindNamespace && c.total() > 0 && len(worst.Workloads) < limit {
			row := ranked(about(r, nil), &c)
			row.Namespace, row.Score = r.Namespace, &r.Summary.Score
			worst.Workloads = append(worst.Workloads, row)
		}
	}
	subjects := make(map[string]int)
	for _, r := range a.Reports {
		unlisted += int(r.OmittedFindings)
		seen := make(map[string]bool)
		for i := range r.Findings {
			if id := r.Findings[i].Check; !seen[id] {
				seen[id] = true
				subjects[id]++
			}
		}
	}
	all := countsByCheck(a.Reports)
	ids := worstNames(all)
	for _, id := range ids[:min(len(ids), limit)] {
		row := ranked(id, all[id])
		row.Subjects = subjects[id]
		if row.Title = a.check(id).Title; row.Title == id {
			row.Title = ""
		}
		worst.Checks = append(worst.Checks, row)
	}
	return worst, unlisted
}

// countsByCheck counts the findings that reports list, by check.
func countsByCheck(reports []*v1alpha1.SecurityReport) map[string]*counts {
	all := make(map[string]*counts)
	for _, r := range reports {
		for i := range r.Findings {
			f := &r.Findings[i]
			if all[f.Check] == nil {
				all[f.Check] = new(counts)
			}
			if rank := audit.Rank(f.Severity); rank > 0 {
				all[f.Check][len(audit.Severities)-rank]++
			}
		}
	}
	return all
}

// worstNames returns the names of what is counted, the worst first.
func worstNames(all map[string]*counts) []string {
	return slices.SortedFunc(maps.Keys(all), func(x, y string) int { return cmp.Or(all[x].compare(all[y]), cmp.Compare(x, y)) })
}

// Table prints a ranking.
func (r *Ranking) Table(out io.Writer, t Terminal) error {
	numbers := func(of *Ranked) []string {
		return []string{fmt.Sprint(of.Critical), fmt.Sprint(of.High), fmt.Sprint(of.Medium), fmt.Sprint(of.Low)}
	}
	severities := []string{"CRITICAL", "HIGH", "MEDIUM", "LOW"}
	tables := []struct {
		list []Ranked
		head []string
		row  func(*Ranked) []string
	}{
		{r.Namespaces, append([]string{"NAMESPACE"}, severities...), func(of *Ranked) []string { return append([]string{of.Name}, numbers(of)...) }},
		{r.Workloads, append([]string{"NAMESPACE", "WORKLOAD", "SCORE"}, severities...), func(of *Ranked) []string {
			return append([]string{of.Namespace, of.Name, fmt.Sprint(*of.Score)}, numbers(of)...)
		}},
		{r.Checks, append(append([]string{"CHECK"}, severities...), "SUBJECTS", "TITLE"), func(of *Ranked) []string {
			return append(append([]string{of.Name}, numbers(of)...), fmt.Sprint(of.Subjects), of.Title)
		}},
	}
	found := false
	for _, of := range tables {
		rows := [][]string{of.head}
		for i := range of.list {
			rows = append(rows, of.row(&of.list[i]))
		}
		if len(of.list) > 0 {
			found = true
			if err := t.Table(out, rows); err != nil {
				return err
			}
		}
	}
	if !found {
		_, err := fmt.Fprintln(out, "Nothing was found.")
		return err
	}
	return nil
}

// Overview is how a cluster is.
type Overview struct {
	Summary v1alpha1.Summary `json:"summary"`
	// Version of the operator.
	Version string `json:"version,omitempty"`
	// Unread are the kinds that the operator cannot read.
	Unread             []v1alpha1.SourceStatus        `json:"unread,omitempty"`
	NamespacesExcluded bool                           `json:"namespacesExcluded,omitempty"`
	Compliance         []v1alpha1.FrameworkCompliance `json:"compliance,omitempty"`
	// WorstNamespaces, by what was found in their workloads and in themselves.
	WorstNamespaces []Ranked `json:"worstNamespaces"`
}

// OverviewOf sums up a cluster, given its own report and those of its namespaces.
func OverviewOf(cluster *v1alpha1.ClusterSecurityReport, namespaces []*v1alpha1.SecurityReport, limit int) *Overview {
	o := &Overview{
		Summary: cluster.Summary, Version: cluster.Version, NamespacesExcluded: cluster.NamespacesExcluded, Compliance: cluster.Compliance,
		WorstNamespaces: []Ranked{}, // null is no list
	}
	for _, s := range cluster.Sources {
		optional := s.State == v1alpha1.SourceNotServed && audit.Resource(s.Resource).Optional()
		if s.State != v1alpha1.SourceSynced && !optional {
			o.Unread = append(o.Unread, s)
		}
	}
	found := make(map[string]*counts)
	for _, r := range namespaces {
		c := new(counts)
		c.add(&r.Summary)
		if w := r.Workloads; w != nil {
			c.add(&v1alpha1.Summary{Critical: w.Critical, High: w.High, Medium: w.Medium, Low: w.Low})
		}
		if c.total() > 0 {
			found[r.Namespace] = c
		}
	}
	names := worstNames(found)
	for _, name := range names[:min(len(names), limit)] {
		o.WorstNamespaces = append(o.WorstNamespaces, ranked(name, found[name]))
	}
	return o
}

// Table prints an overview.
func (o *Overview) Table(out io.Writer, t Terminal) error {
	var c counts
	c.add(&o.Summary)
	fmt.Fprintf(out, "%s   score %d   %s\n", t.bold("Cluster"), o.Summary.Score, t.counts(&c))
	fmt.Fprintf(out, "%s passed, %d skipped; %s exempted\n", Count(int(o.Summary.Passed), "check"), o.Summary.Skipped, Count(int(o.Summary.Exempted), "finding"))
	if o.NamespacesExcluded {
		fmt.Fprintln(out, "The AuditConfiguration leaves namespaces out: nothing here is about them.")
	}
	fmt.Fprintln(out)
	rows := [][]string{{"NOT READ", "STATE", "MESSAGE"}}
	for _, s := range o.Unread {
		rows = append(rows, []string{s.Resource, string(s.State), s.Message})
	}
	if len(o.Unread) > 0 {
		if err := t.Table(out, rows); err != nil {
			return err
		}
	}
	rows = [][]string{{"FRAMEWORK", "PASSED", "FAILED", "EXEMPTED", "NOT ASSESSED", "TITLE"}}
	for i := range o.Compliance {
		f := &o.Compliance[i]
		unknown := 0
		for _, n := range f.NotAssessed {
			unknown += len(n.Controls)
		}
		rows = append(rows, []string{
			f.Framework, fmt.Sprint(len(f.Passed)), fmt.Sprint(len(f.Failed)), fmt.Sprint(len(f.Exempted)), fmt.Sprint(unknown), f.Title,
		})
	}
	if len(o.Compliance) > 0 {
		if err := t.Table(out, rows); err != nil {
			return err
		}
	}
	worst := Ranking{Namespaces: o.WorstNamespaces}
	return worst.Table(out, t)
}

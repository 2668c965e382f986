// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Answers are what Prometheus has answered to the queries of all dashboards.
type Answers struct {
	// From and To are the time range that was asked about.
	From, To time.Time
	// Results are those of each query of each panel, by the UID of the dashboard, in the order of Panels.
	Results map[string][][][]Sample
}

// Sample is one series of a query's result; for everything but Series it has one point.
type Sample struct {
	Labels map[string]string `json:"labels"`
	Points []Point           `json:"points"`
}

// Point is a value at a time, in seconds since 1970.
type Point struct {
	Time  float64 `json:"t"`
	Value float64 `json:"v"`
}

// Line is one that Series draws.
type Line struct {
	Name, Color string
	Points      []Point
}

// Grid is what a Table or Bars shows.
type Grid struct {
	Labels  []string // titles of the columns with labels
	Queries []*Query // the columns with values
	Rows    []GridRow
}

// GridRow has a value for each query: NaN where it has none.
type GridRow struct {
	Labels []string
	Values []float64
}

var placeholder = regexp.MustCompile(`{{(\w+)}}`)

// Lines returns what a Series or a Stat draws of the results of its queries. It is an error if a line's name refers to a label
// that is not there, or if a Stat gets more than one number.
func (p *Panel) Lines(results [][]Sample) ([]Line, error) {
	var lines []Line
	for i, q := range p.Queries {
		for _, s := range results[i] {
			var missing error
			name := placeholder.ReplaceAllStringFunc(q.Name, func(match string) string {
				label := strings.Trim(match, "{}")
				if s.Labels[label] == "" {
					missing = fmt.Errorf("%q: the name %q refers to a label that %v lacks", p.Title, q.Name, s.Labels)
				}
				return s.Labels[label]
			})
			if missing != nil {
				return nil, missing
			}
			lines = append(lines, Line{Name: name, Color: q.Color, Points: s.Points})
		}
	}
	if p.Kind == Stat && len(lines) > 1 {
		return nil, fmt.Errorf("%q: %d numbers, want one", p.Title, len(lines))
	}
	names := make(map[string]bool)
	for _, l := range lines {
		if names[l.Name] {
			return nil, fmt.Errorf("%q: two lines are called %q", p.Title, l.Name)
		}
		names[l.Name] = true
	}
	return lines, nil
}

// Grid returns what a Table or Bars shows of the results of its queries, as Grafana's transformations make it. It is an error
// if a query's result has other labels than the panel's, or two values for a cell.
func (p *Panel) Grid(results [][]Sample) (Grid, error) {
	grid := Grid{Queries: make([]*Query, 0, len(p.Queries))}
	var labels []string
	for _, l := range p.Labels {
		labels = append(labels, l.Label)
	}
	rows := make(map[string]*GridRow)
	seen := make(map[string]bool)
	for i := range p.Queries {
		grid.Queries = append(grid.Queries, &p.Queries[i])
		for _, s := range results[i] {
			for label := range s.Labels {
				if !slices.Contains(labels, label) {
					return grid, fmt.Errorf("%q: %q has the label %s, which no column shows", p.Title, p.Queries[i].Name, label)
				}
				seen[label] = true
			}
			row := GridRow{Values: slices.Repeat([]float64{math.NaN()}, len(p.Queries))}
			for _, l := range labels {
				row.Labels = append(row.Labels, s.Labels[l])
			}
			key := strings.Join(row.Labels, "\x00")
			if rows[key] == nil {
				rows[key] = &row
			}
			if !math.IsNaN(rows[key].Values[i]) {
				return grid, fmt.Errorf("%q: %q has two values for %v", p.Title, p.Queries[i].Name, row.Labels)
			}
			rows[key].Values[i] = s.Points[0].Value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		grid.Rows = append(grid.Rows, *rows[key])
	}
	for i, l := range p.Labels {
		if !seen[l.Label] && l.Label != "cluster" && len(grid.Rows) > 0 {
			return grid, fmt.Errorf("%q: no result has the label %s", p.Title, l.Label)
		}
		grid.Labels = append(grid.Labels, p.Labels[i].Title)
	}
	p.sort(&grid)
	return grid.without(labels, seen), nil
}

// sort sorts as the panel says, and otherwise by labels.
func (p *Panel) sort(grid *Grid) {
	column, descending := strings.CutPrefix(p.SortBy, "-")
	compare := func(GridRow, GridRow) int { return 0 }
	if i := slices.Index(grid.Labels, column); i >= 0 {
		compare = func(a, b GridRow) int { return cmp.Compare(a.Labels[i], b.Labels[i]) }
	}
	if i := slices.IndexFunc(grid.Queries, func(q *Query) bool { return q.Name == column }); i >= 0 {
		compare = func(a, b GridRow) int { return cmp.Compare(a.Values[i], b.Values[i]) }
	}
	slices.SortStableFunc(grid.Rows, func(a, b GridRow) int {
		if descending {
			a, b = b, a
		}
		return compare(a, b)
	})
}

// without leaves out the columns of labels that no result has: Grafana has no field for them.
func (g Grid) without(labels []string, seen map[string]bool) Grid {
	keep := func(texts []string) []string {
		var kept []string
		for i, text := range texts {
			if seen[labels[i]] {
				kept = append(kept, text)
			}
		}
		return kept
	}
	g.Labels = keep(g.Labels)
	for i := range g.Rows {
		g.Rows[i].Labels = keep(g.Rows[i].Labels)
	}
	return g
}

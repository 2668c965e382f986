// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// row is one scenario's results.
type row struct {
	name   string
	values map[string]float64
}

// columns of the table, and how many decimals they have.
var columns = []struct {
	name     string
	decimals int
}{
	{"pods", 0}, {"namespaces", 0}, {"reports", 0}, {"report bytes", 0}, {"etcd MiB", 1},
	{"heap MiB", 1}, {"heap B/pod", 0}, {"anon rss MiB", 1}, {"peak rss MiB", 1}, {"seconds", 1}, {"last write s", 1}, {"cpu s", 2},
	{"changes", 0}, {"cpu ms/change", 2}, {"evaluations", 0},
	{"list", 0}, {"watch", 0}, {"get", 0}, {"writes", 0}, {"cluster writes", 0}, {"other", 0},
	{"p50 ms", 1}, {"p99 ms", 1}, {"floor p50 ms", 1}, {"floor p99 ms", 1}, {"p50 ratio", 2}, {"p99 ratio", 2},
}

// format makes a Markdown table. What a scenario does not measure is left empty.
func format(rows []*row) string {
	header := []string{"scenario"}
	for _, c := range columns {
		header = append(header, c.name)
	}
	lines := [][]string{header}
	for _, r := range rows {
		line := []string{r.name}
		for _, c := range columns {
			text := ""
			if v, ok := r.values[c.name]; ok {
				text = fmt.Sprintf("%.*f", c.decimals, v)
			}
			line = append(line, text)
		}
		lines = append(lines, line)
	}
	var text strings.Builder
	for i, line := range lines {
		for j, cell := range line {
			width := 0
			for _, other := range lines {
				width = max(width, len(other[j]))
			}
			if j == 0 {
				fmt.Fprintf(&text, "| %-*s |", width, cell)
			} else {
				fmt.Fprintf(&text, " %*s |", width, cell)
			}
		}
		text.WriteString("\n")
		if i == 0 {
			text.WriteString("|---|" + strings.Repeat("---:|", len(columns)) + "\n")
		}
	}
	return text.String()
}

// latencies of changes to reports, and of the floor in the same run.
type latencies struct{ changes, floor []time.Duration }

// enter enters the quantiles and their ratios. l may be nil.
func (l *latencies) enter(r *row) {
	if l == nil {
		return
	}
	for _, q := range []struct {
		name string
		part float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		change, floor := quantile(l.changes, q.part), quantile(l.floor, q.part)
		r.values[q.name+" ms"] = change
		r.values["floor "+q.name+" ms"] = floor
		r.values[q.name+" ratio"] = change / floor
	}
}

// quantile returns milliseconds: the smallest value that at least that part of all is not above.
func quantile(values []time.Duration, part float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return math.NaN()
	}
	i := int(math.Ceil(part*float64(len(sorted)))) - 1
	return float64(sorted[max(0, i)]) / float64(time.Millisecond)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Terminal is what is printed to.
type Terminal struct {
	// Width in characters; 0 if it has none, as a file.
	Width int
	// Color says that it shows colours.
	Color bool
}

// sgr are the colours of severities, as terminals have known them for ever: bold red, red, yellow, blue.
var sgr = map[v1alpha1.Severity]string{
	v1alpha1.SeverityCritical: "1;31", v1alpha1.SeverityHigh: "31", v1alpha1.SeverityMedium: "33", v1alpha1.SeverityLow: "34",
}

// severity paints a text in the colour of a severity.
func (t Terminal) severity(s v1alpha1.Severity, text string) string {
	if color := sgr[s]; t.Color && color != "" {
		return "\x1b[" + color + "m" + text + "\x1b[0m"
	}
	return text
}

func (t Terminal) bold(text string) string {
	if t.Color {
		return "\x1b[1m" + text + "\x1b[0m"
	}
	return text
}

// counts tells what is found, without what is not.
func (t Terminal) counts(c *counts) string {
	var found []string
	for i, severity := range audit.Severities {
		if c[i] > 0 {
			found = append(found, t.severity(severity, fmt.Sprintf("%d %s", c[i], strings.ToLower(string(severity)))))
		}
	}
	if len(found) == 0 {
		return "nothing found"
	}
	return strings.Join(found, ", ")
}

// columnGap is what kubectl leaves between columns.
const columnGap = 3

// Table aligns rows of cells, as kubectl does. If they do not fit, the widest columns are cut. A blank line follows.
func (t Terminal) Table(out io.Writer, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	widths := t.widths(rows)
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			cell = cut(cell, widths[i])
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+columnGap))
			}
		}
		text := strings.TrimRight(line.String(), " ")
		if t.Width > 0 {
			text = cut(text, t.Width) // narrower than the columns can be
		}
		fmt.Fprintln(out, text)
	}
	_, err := fmt.Fprintln(out)
	return err
}

// widths returns how wide columns are so that they fit, at least two characters each.
func (t Terminal) widths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	total := columnGap * (len(widths) - 1)
	for i := range widths {
		for _, row := range rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		total += widths[i]
	}
	for t.Width > 0 && total > t.Width {
		widest, next := 0, 2
		for i, w := range widths {
			if w > widths[widest] {
				widest = i
			}
		}
		for i, w := range widths {
			if i != widest {
				next = max(next, w)
			}
		}
		// As wide as the next one, and if there are two of that width both by and by.
		by := min(total-t.Width, max(widths[widest]-next, 1))
		if widths[widest]-by < 2 {
			break
		}
		widths[widest] -= by
		total -= by
	}
	return widths
}

// cut returns the beginning of a text that is too wide.
func cut(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:width-1]) + "…"
}

// wrap prints a text in lines that fit, each behind an indentation; the first one behind a lead of the same length.
func (t Terminal) wrap(out io.Writer, lead, text string) {
	indent := strings.Repeat(" ", utf8.RuneCountInString(lead))
	width := t.Width - len(indent)
	line, length := lead, 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		if length > 0 && t.Width > 0 && length+1+n > width {
			fmt.Fprintln(out, line)
			line, length = indent, 0
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		for runes := []rune(word); ; { // a word that fits nowhere, such as a path, goes on in the next line
			if t.Width <= 0 || len(runes) <= width || width <= 0 {
				line, length = line+string(runes), length+len(runes)
				break
			}
			fmt.Fprintln(out, line+string(runes[:width]))
			line, runes = indent, runes[width:]
		}
	}
	fmt.Fprintln(out, line)
}

// Details prints subjects, and below what was found on each and how it is fixed.
func Details(out io.Writer, t Terminal, a *Audit) error {
	if len(a.Reports) > 1 {
		rows := [][]string{{"NAMESPACE", "SUBJECT", "SCORE", "CRITICAL", "HIGH", "MEDIUM", "LOW", "SKIPPED"}}
		for _, r := range a.Reports {
			s := r.Summary
			row := []string{r.Namespace, about(r, nil)}
			for _, n := range []int32{s.Score, s.Critical, s.High, s.Medium, s.Low, s.Skipped} {
				row = append(row, fmt.Sprint(n))
			}
			rows = append(rows, row)
		}
		if err := t.Table(out, rows); err != nil {
			return err
		}
	}
	for _, r := range a.Reports {
		if len(a.Reports) == 1 || len(r.Findings)+len(r.Skips)+len(r.Exemptions) > 0 {
			a.details(out, t, r)
		}
	}
	if len(a.Reports) > 1 {
		fmt.Fprintln(out, SummaryLine(a.Reports))
	}
	return nil
}

func (a *Audit) details(out io.Writer, t Terminal, r *v1alpha1.SecurityReport) {
	var c counts
	c.add(&r.Summary)
	fmt.Fprintf(out, "%s   score %d   %s\n\n", t.bold(qualified(r)), r.Summary.Score, t.counts(&c))
	for i := range r.Findings {
		f := &r.Findings[i]
		fmt.Fprintf(out, "  %s   %s\n", t.severity(f.Severity, fmt.Sprintf("%-8s", f.Severity)), t.bold(f.Check))
		t.wrap(out, "             ", f.Message)
		where := f.Path
		if f.Object != nil {
			where = about(r, f.Object) + " " + where
		}
		t.wrap(out, "         at  ", where)
		if fix := a.fix(f); fix != "" {
			t.wrap(out, "        fix  ", fix)
		}
	}
	if r.OmittedFindings > 0 {
		fmt.Fprintf(out, "  and %d more that are counted but not listed\n", r.OmittedFindings)
	}
	for i := range r.Exemptions {
		x := &r.Exemptions[i]
		fmt.Fprintf(out, "  %-8s   %s\n", "exempted", t.bold(x.Check))
		t.wrap(out, "             ", x.Message)
		t.wrap(out, "         by  ", fmt.Sprintf("%s/%s until %s: %s", x.ExceptionKind, x.Exception, expires(x), x.Reason))
	}
	for i := range r.Skips {
		s := &r.Skips[i]
		if isExcluded(r) {
			t.wrap(out, "  skipped    ", s.Message)
			break // one line is enough
		}
		fmt.Fprintf(out, "  %-8s   %s\n", "skipped", t.bold(s.Check))
		t.wrap(out, "             ", s.Message)
	}
	if len(r.Findings)+len(r.Exemptions)+len(r.Skips) > 0 {
		fmt.Fprintln(out)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/width"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/plain"
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

// severity paints a text in the colour of a severity. As from bold and wrap, what comes of it is no command to a terminal.
func (t Terminal) severity(s v1alpha1.Severity, text string) string {
	text = plain.Printable(text)
	if color := sgr[s]; t.Color && color != "" {
		return "\x1b[" + color + "m" + text + "\x1b[0m"
	}
	return text
}

func (t Terminal) bold(text string) string {
	text = plain.Printable(text)
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

const (
	// columnGap is what kubectl leaves between columns.
	columnGap = 3
	// minTitle is how much of a title is worth printing.
	minTitle = 20
)

// yielding are the heads of columns that yield where a table does not fit, one after the other, until it does. What is in all
// others, people look for and copy.
var yielding = []string{"TITLE", "MESSAGE", "REASON", "PATH"}

// below is the width of a column that is printed in lines below its row.
const below = -1

// Table aligns rows of cells, as kubectl does, and prints a blank line behind them. The first row is the head; a row of one cell is
// a text on the row above it. Cells may be any text: what would be a command to a terminal is replaced. If the rows do not fit,
// titles are cut, and texts and paths go below; names and numbers stay what they are.
func (t Terminal) Table(out io.Writer, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	widths := t.widths(rows)
	for i, row := range rows {
		if isNote(row, widths) {
			t.wrap(out, "  ", row[0])
			continue
		}
		var line strings.Builder
		gap := 0
		for j, cell := range row {
			if widths[j] == below {
				continue
			}
			cell = cut(cell, widths[j])
			if cell != "" {
				line.WriteString(strings.Repeat(" ", gap) + t.severity(v1alpha1.Severity(cell), cell))
				gap = 0
			}
			gap += widths[j] - columns(cell) + columnGap
		}
		fmt.Fprintln(out, line.String())
		for j, cell := range row {
			if i > 0 && widths[j] == below && cell != "" {
				t.wrap(out, "  ", cell)
			}
		}
	}
	_, err := fmt.Fprintln(out)
	return err
}

func isNote(row []string, widths []int) bool { return len(row) == 1 && len(widths) > 1 }

// widths returns how wide columns are so that they fit, if they can.
func (t Terminal) widths(rows [][]string) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		if isNote(row, widths) {
			continue
		}
		for i, cell := range row {
			widths[i] = max(widths[i], columns(cell))
		}
	}
	over := columnGap*(len(widths)-1) - t.Width
	for _, w := range widths {
		over += w
	}
	for _, head := range yielding {
		i := slices.Index(rows[0], head)
		if i < 0 || over <= 0 || t.Width <= 0 {
			continue
		}
		if rest := widths[i] - over; head == "TITLE" && rest >= minTitle {
			widths[i] = rest
			break
		}
		over -= widths[i] + columnGap
		widths[i] = below
	}
	return widths
}

// columns returns how many columns of a terminal a text takes.
func columns(text string) int {
	n := 0
	for _, r := range text {
		n += columnsOf(r)
	}
	return n
}

// columnsOf returns how many columns a character takes: two if it is wide, as those of East Asia are, and none if it combines with
// the one before.
func columnsOf(r rune) int {
	if r < 0x300 { // no combining ones below, and no wide ones
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() { //nolint:exhaustive // the others are narrow
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// split returns the beginning of a text that takes no more than so many columns, and the rest.
func split(text string, most int) (begin, rest string) {
	n := 0
	for i, r := range text {
		if n += columnsOf(r); n > most {
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// cut returns the beginning of a text that is too wide.
func cut(text string, most int) string {
	if columns(text) <= most {
		return text
	}
	begin, _ := split(text, most-1)
	return begin + "…"
}

// wrap prints a text in lines that fit, each behind an indentation; the first one behind a lead of the same length.
func (t Terminal) wrap(out io.Writer, lead, text string) {
	indent := strings.Repeat(" ", columns(lead))
	room := t.Width - len(indent)
	line, length := lead, 0
	for word := range strings.FieldsSeq(plain.Printable(text)) {
		n := columns(word)
		if length > 0 && t.Width > 0 && length+1+n > room {
			fmt.Fprintln(out, line)
			line, length = indent, 0
		}
		if length > 0 {
			line, length = line+" ", length+1
		}
		for t.Width > 0 && room > 1 && columns(word) > room { // one that fits nowhere, such as a path, goes on in the next line
			var begin string
			begin, word = split(word, room)
			fmt.Fprintln(out, line+begin)
			line = indent
		}
		line, length = line+word, length+columns(word)
	}
	fmt.Fprintln(out, line)
}

// Details prints subjects, and below what was found on each and how it is fixed.
func Details(out io.Writer, t Terminal, a *Audit) error {
	if len(a.Reports) > 1 {
		rows := [][]string{{"NAMESPACE", "SUBJECT", "SCORE", "CRITICAL", "HIGH", "MEDIUM", "LOW", "SKIPPED"}}
		for _, r := range a.Reports {
			rows = append(rows, append([]string{r.Namespace, about(r, nil)}, numbersOf(&r.Summary)...))
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
		fmt.Fprintf(out, "  %s\n", notListed(int(r.OmittedFindings)))
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

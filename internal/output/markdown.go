// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// What fits into a comment: GitHub takes 65,536 characters, and whoever posts it may add some.
const (
	maxMarkdown = 60_000
	// maxMarkdownNamespaces is what people read of a table.
	maxMarkdownNamespaces = 20
	// maxMarkdownFindings of one subject; with texts as long as they can be they take half of the comment.
	maxMarkdownFindings = 30
)

// Markdown prints a comment for a change of manifests: counts, then the findings of each subject, the worst first, folded.
// What does not fit is counted, and it is told how much that is. No text of the input can be taken for markup.
func Markdown(out io.Writer, a *Audit) error {
	var text strings.Builder
	text.WriteString("## kubersafe\n\n" + SummaryLine(a.Reports) + "\n")
	markdownNamespaces(&text, a.Reports)
	tail := markdownExemptions(a.Reports) + markdownSkips(a.Reports)
	if len(tail) > maxMarkdown/4 {
		tail = markdownNote("Exempted findings and skipped checks are too many to be listed here.")
	}
	left, leftFindings := 0, 0
	for _, r := range worstFirst(a.Reports) {
		var c counts
		c.add(&r.Summary)
		if c.total() == 0 {
			continue
		}
		section := a.markdownSubject(r, &c)
		if left > 0 || text.Len()+len(section)+len(tail)+len(markdownNote("")) > maxMarkdown-200 { // 200: the sentence below
			left, leftFindings = left+1, leftFindings+c.total()
			continue
		}
		text.WriteString(section)
	}
	if left > 0 {
		text.WriteString(markdownNote(fmt.Sprintf("And %s with %s that do not fit here.", Count(left, "more subject"), Count(leftFindings, "finding"))))
	}
	text.WriteString(tail)
	_, err := io.WriteString(out, text.String())
	return err
}

// worstFirst returns reports by what they find.
func worstFirst(reports []*v1alpha1.SecurityReport) []*v1alpha1.SecurityReport {
	sorted := slices.Clone(reports)
	slices.SortStableFunc(sorted, func(x, y *v1alpha1.SecurityReport) int {
		var a, b counts
		a.add(&x.Summary)
		b.add(&y.Summary)
		return a.compare(&b)
	})
	return sorted
}

func markdownNamespaces(text *strings.Builder, reports []*v1alpha1.SecurityReport) {
	namespaces := namespacesOf(reports)
	if len(namespaces) == 0 {
		return
	}
	text.WriteString("\n| namespace | critical | high | medium | low |\n|---|--:|--:|--:|--:|\n")
	for i, n := range namespaces {
		if i == maxMarkdownNamespaces {
			var rest counts
			for _, n := range namespaces[i:] {
				for j := range rest {
					rest[j] += n.findings[j]
				}
			}
			fmt.Fprintf(text, "| and %d more | %d | %d | %d | %d |\n", len(namespaces)-i, rest[0], rest[1], rest[2], rest[3])
			break
		}
		c := n.findings
		fmt.Fprintf(text, "| %s | %d | %d | %d | %d |\n", code(cmp.Or(n.name, "(cluster)")), c[0], c[1], c[2], c[3])
	}
}

// namespace is what is found in a namespace, in its workloads and in itself.
type namespace struct {
	name     string
	findings counts
	reports  []*v1alpha1.SecurityReport
}

// namespacesOf returns the namespaces of reports, the worst first.
func namespacesOf(reports []*v1alpha1.SecurityReport) []*namespace {
	var all []*namespace
	for _, r := range reports { // sorted by namespace
		if len(all) == 0 || all[len(all)-1].name != r.Namespace {
			all = append(all, &namespace{name: r.Namespace})
		}
		n := all[len(all)-1]
		n.findings.add(&r.Summary)
		n.reports = append(n.reports, r)
	}
	slices.SortStableFunc(all, func(a, b *namespace) int { return a.findings.compare(&b.findings) })
	return all
}

func (a *Audit) markdownSubject(r *v1alpha1.SecurityReport, c *counts) string {
	var found []string
	for i, severity := range audit.Severities {
		if c[i] > 0 {
			found = append(found, fmt.Sprintf("%d %s", c[i], strings.ToLower(string(severity))))
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\n<details>\n<summary>%s: %s</summary>\n\n", code(qualified(r)), strings.Join(found, ", "))
	listed := r.Findings[:min(len(r.Findings), maxMarkdownFindings)]
	for i := range listed {
		f := &listed[i]
		fmt.Fprintf(&text, "- **%s** %s %s<br>", f.Severity, span(f.Check), span(f.Message))
		if f.Object != nil {
			text.WriteString(span(about(r, f.Object)) + " ")
		}
		text.WriteString("at " + span(f.Path))
		if place, ok := a.place(r, f.Object, f.Path); ok {
			text.WriteString(", " + span(place.String()))
		}
		if value := suggested(f); value != "" {
			text.WriteString("<br>Fix: set it to " + span(value))
		} else if fix := a.fix(f); fix != "" {
			text.WriteString("<br>Fix: " + escapeMarkdown(fix))
		}
		text.WriteString("\n")
	}
	if n := c.total() - len(listed); n > 0 {
		fmt.Fprintf(&text, "- %s\n", notListed(n))
	}
	text.WriteString("\n</details>\n")
	return text.String()
}

func markdownExemptions(reports []*v1alpha1.SecurityReport) string {
	var lines []string
	for _, r := range reports {
		for i := range r.Exemptions {
			x := &r.Exemptions[i]
			lines = append(lines, fmt.Sprintf("- **%s** %s %s by %s until %s: %s", x.Severity, span(x.Check), span(r.Namespace+"/"+about(r, x.Object)),
				span(string(x.ExceptionKind)+"/"+x.Exception), expires(x), span(x.Reason)))
		}
	}
	return markdownList("Exempted findings", lines)
}

func markdownSkips(reports []*v1alpha1.SecurityReport) string {
	var lines []string
	for _, s := range skippedIn(reports) {
		lines = append(lines, fmt.Sprintf("- %s on %s: %s", span(s.check), span(s.on()), span(s.message)))
	}
	return markdownList("Skipped checks", lines)
}

func markdownList(title string, lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return fmt.Sprintf("\n<details>\n<summary>%s: %d</summary>\n\n%s\n\n</details>\n", title, len(lines), strings.Join(lines, "\n"))
}

func markdownNote(text string) string { return "\n" + text + "\n" }

// span returns a text as code in a line that is neither HTML nor of a table: there nothing is taken for the mention of a person,
// an issue or an address.
func span(text string) string {
	if text == "" || strings.ContainsAny(text, "`\r\n") {
		return code(text)
	}
	return "`" + text + "`"
}

// code is span for everywhere.
func code(text string) string { return "<code>" + escapeMarkdown(text) + "</code>" }

// harmless are the punctuation marks that mean nothing inside of a line, as long as all others are escaped.
const harmless = " -,=\"'/()%+{};?"

// escapeMarkdown returns a text in which no character means anything to Markdown, whatever is around it.
func escapeMarkdown(text string) string {
	var out strings.Builder
	for _, c := range text {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c > '~', strings.ContainsRune(harmless, c):
			out.WriteRune(c)
		case c < ' ':
			out.WriteByte(' ')
		default:
			fmt.Fprintf(&out, "&#%d;", c)
		}
	}
	return out.String()
}

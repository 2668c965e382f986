// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package catalog describes the checks to people: as a table, one by one, and as the page docs/checks.md.
package catalog

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/compliance"
)

// WriteTable writes a line for each check.
func WriteTable(out io.Writer, set *audit.Set) error {
	table := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tSEVERITY\tCATEGORY\tTITLE")
	for _, c := range set.Checks() {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.ID, severityOf(&c), c.Category, c.Title)
	}
	return table.Flush()
}

// Explain writes all there is to say about one check.
func Explain(out io.Writer, c *audit.Check) error {
	rows := []struct{ name, text string }{
		{"Severity", severityOf(c)},
		{"Category", string(c.Category)},
		{"Why", c.Rationale},
		{"How to fix", c.Remediation},
		{"Before", c.Before},
		{"After", c.After},
		{"Standards", strings.Join(controls(c), "\n")},
		{"References", strings.Join(c.References, "\n")},
	}
	const width = 14
	text := c.ID + ": " + c.Title + "\n\n"
	for _, row := range rows {
		if row.text != "" {
			text += fmt.Sprintf("%-*s%s\n", width, row.name+":", strings.ReplaceAll(row.text, "\n", "\n"+strings.Repeat(" ", width)))
		}
	}
	_, err := io.WriteString(out, text)
	return err
}

// severityOf tells the severity, and whether the check runs by default.
func severityOf(c *audit.Check) string {
	defaults := audit.DefaultSettings()
	if c.Off || c.Applies != nil && !c.Applies(&defaults) {
		return string(c.Severity) + ", off"
	}
	return string(c.Severity)
}

// runs tells what makes the check run, or "" if it always does.
func runs(c *audit.Check) string {
	switch {
	case c.Off:
		return "where a rule in spec.checks of the AuditConfiguration enables it"
	case c.Setting != "":
		return "while " + c.Setting + " in the AuditConfiguration"
	}
	return ""
}

func controls(c *audit.Check) []string {
	lines := make([]string, 0, len(c.Controls))
	for _, control := range c.Controls {
		lines = append(lines, compliance.Find(control.Framework).Title+", "+control.ID)
	}
	return lines
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/plain"
)

func (o *imageOptions) print(out io.Writer, list []*scanned) error {
	switch o.output.Value {
	case "table":
		for _, s := range list {
			if err := printReport(out, s.report); err != nil {
				return err
			}
		}
		return nil
	case "json":
		if !o.many {
			return printJSON(out, list[0].report)
		}
		all := &v1alpha1.ImageReportList{Items: []v1alpha1.ImageReport{}}
		all.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ImageReportList"))
		for _, s := range list {
			all.Items = append(all.Items, *s.report)
		}
		return printJSON(out, all)
	}
	if !slices.ContainsFunc(list, func(s *scanned) bool { return s.report.Summary != nil }) {
		return nil // there is nothing to be said in the other formats, and nothing said is no good result
	}
	switch o.output.Value {
	case "sarif":
		return printJSON(out, newSARIF(list))
	case "cyclonedx":
		return printCycloneDX(out, list[0])
	default:
		return printSPDX(out, list[0])
	}
}

func printJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// printReport prints a report as kubectl would, and its vulnerabilities.
func printReport(out io.Writer, r *v1alpha1.ImageReport) error {
	counts := "-\t-\t-\t-\t-\t-"
	if s := r.Summary; s != nil {
		counts = fmt.Sprintf("%d\t%d\t%d\t%d\t%d\t%d", s.All.Critical, s.All.High, s.All.Medium, s.All.Low, s.All.Unknown, s.Fixable.Total)
	}
	distribution := "-"
	if r.Image.Distribution != nil {
		distribution = cmp.Or(r.Image.Distribution.Name, r.Image.Distribution.ID)
	}
	rows := []string{
		"IMAGE\tPLATFORM\tOS\tCRITICAL\tHIGH\tMEDIUM\tLOW\tUNKNOWN\tFIXABLE\tSTATE",
		fmt.Sprintf("%s\t%s\t%s\t%s\t%s", r.Image.Name, cmp.Or(r.Image.Platform, "-"), distribution, counts, r.State),
	}
	if err := printTable(out, rows); err != nil {
		return err
	}
	if len(r.Vulnerabilities) > 0 {
		rows = []string{"SEVERITY\tVULNERABILITY\tPACKAGE\tINSTALLED\tFIXED\tECOSYSTEM\tCVSS\tPATH"}
		for i := range r.Vulnerabilities {
			v := &r.Vulnerabilities[i]
			score := "-"
			if v.CVSS != nil {
				score = v.CVSS.Score
			}
			rows = append(rows, strings.Join([]string{
				string(v.Severity), v.ID, v.Package, v.InstalledVersion, cmp.Or(v.FixedVersion, "-"), v.Ecosystem, score, cmp.Or(v.Path, "-"),
			}, "\t"))
		}
		if err := printTable(out, rows); err != nil {
			return err
		}
	}
	line := count(int(r.Image.PackageCount), "package")
	if s := r.Summary; s != nil {
		line += fmt.Sprintf(": %d critical, %d high, %d medium, %d low, %d unknown; %d can be fixed",
			s.All.Critical, s.All.High, s.All.Medium, s.All.Low, s.All.Unknown, s.Fixable.Total)
	} else {
		line = "not judged"
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

// printTable aligns rows of cells that are separated by tabs, as kubectl does. Strangers may have written what is in the cells.
func printTable(out io.Writer, rows []string) error {
	var aligned bytes.Buffer
	table := tabwriter.NewWriter(&aligned, 0, 8, 3, ' ', 0)
	for _, row := range rows {
		cells := strings.Split(row, "\t")
		for i := range cells {
			cells[i] = plain.Printable(cells[i])
		}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s\n", aligned.Bytes())
	return err
}

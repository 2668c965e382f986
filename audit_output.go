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
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

func printReports(out io.Writer, format string, reports []*v1alpha1.SecurityReport) error {
	if format == "table" {
		return printTables(out, reports)
	}
	for _, r := range reports {
		kind := "SecurityReport"
		if r.Namespace == "" {
			kind = "ClusterSecurityReport"
		}
		r.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind))
	}
	if format == "yaml" {
		return printYAML(out, reports)
	}
	list := struct {
		metav1.TypeMeta `json:",inline"`
		metav1.ListMeta `json:"metadata"`
		Items           []*v1alpha1.SecurityReport `json:"items"`
	}{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "List"}, Items: reports}
	if list.Items == nil {
		list.Items = []*v1alpha1.SecurityReport{} // null is no list
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(list)
}

// printYAML prints one report after the other: all at once would take gigabytes.
func printYAML(out io.Writer, reports []*v1alpha1.SecurityReport) error {
	head := "apiVersion: v1\nitems:\n"
	if len(reports) == 0 {
		head = "apiVersion: v1\nitems: []\n"
	}
	if _, err := io.WriteString(out, head); err != nil {
		return err
	}
	var text []byte
	for _, r := range reports {
		encoded, err := json.Marshal(r)
		if err != nil {
			return err
		}
		decoder := json.NewDecoder(bytes.NewReader(encoded))
		decoder.UseNumber()
		var item any
		if err := decoder.Decode(&item); err != nil {
			return err
		}
		text = append(appendYAML(text[:0], []any{item}, 0), '\n')
		if _, err := out.Write(text); err != nil {
			return err
		}
	}
	_, err := io.WriteString(out, "kind: List\nmetadata: {}\n")
	return err
}

// printTables prints, for each namespace, its reports as kubectl would, their findings, and what could not be looked at.
func printTables(out io.Writer, reports []*v1alpha1.SecurityReport) error {
	for rest := reports; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(r *v1alpha1.SecurityReport) bool { return r.Namespace != rest[0].Namespace })
		if n < 0 {
			n = len(rest)
		}
		if err := printNamespace(out, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	_, err := fmt.Fprintln(out, summaryLine(reports))
	return err
}

func printNamespace(out io.Writer, reports []*v1alpha1.SecurityReport) error {
	rows := []string{"NAMESPACE\tNAME\tKIND\tSCORE\tCRITICAL\tHIGH\tMEDIUM\tLOW\tSKIPPED"}
	for _, r := range reports {
		s := r.Summary
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d",
			r.Namespace, r.Name, r.Subject.Kind, s.Score, s.Critical, s.High, s.Medium, s.Low, s.Skipped))
	}
	if reports[0].Namespace == "" { // of the cluster
		for i, row := range rows {
			_, rows[i], _ = strings.Cut(row, "\t")
		}
	}
	return cmp.Or(printTable(out, rows), printTable(out, findingRows(reports)), printTable(out, exemptionRows(reports)),
		printTable(out, skipRows(reports)))
}

// exemptionRows are the findings of a namespace that exceptions exempt.
func exemptionRows(reports []*v1alpha1.SecurityReport) []string {
	var rows []string
	for _, r := range reports {
		for i := range r.Exemptions {
			x := &r.Exemptions[i]
			subject, expires := r.Subject.Kind+"/"+r.Subject.Name, "never"
			if x.Object != nil {
				subject = x.Object.Kind + "/" + x.Object.Name
			}
			if x.ExpirationTime != nil {
				expires = x.ExpirationTime.UTC().Format(time.RFC3339)
			}
			rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s/%s\t%s\t%s", x.Severity, x.Check, subject, x.ExceptionKind, x.Exception, expires, x.Reason))
		}
	}
	if len(rows) == 0 {
		return nil
	}
	return append([]string{"EXEMPTED\tCHECK\tSUBJECT\tEXCEPTION\tEXPIRES\tREASON"}, rows...)
}

// findingRows are the findings of a namespace, worst first.
func findingRows(reports []*v1alpha1.SecurityReport) []string {
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
			subject := r.Subject.Kind + "/" + r.Subject.Name
			if f.Object != nil { // whose field the path is
				subject = f.Object.Kind + "/" + f.Object.Name
			}
			found = append(found, row{f, subject})
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.SortStableFunc(found, func(a, b row) int {
		return cmp.Or(cmp.Compare(audit.Rank(b.Severity), audit.Rank(a.Severity)), cmp.Compare(a.Check, b.Check),
			cmp.Compare(a.subject, b.subject))
	})
	rows := []string{"SEVERITY\tCHECK\tSUBJECT\tMESSAGE\tPATH"}
	for _, f := range found {
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s\t%s\t%s", f.Severity, f.Check, f.subject, f.Message, f.Path))
	}
	if omitted > 0 {
		rows = append(rows, fmt.Sprintf("and %d more that are counted but not listed", omitted))
	}
	return rows
}

// skipRows are the checks that could not look, once for each reason.
func skipRows(reports []*v1alpha1.SecurityReport) []string {
	type skip struct{ check, message string }
	var order []skip
	subjects := make(map[skip][]string)
	for _, r := range reports {
		for i, s := range r.Skips {
			if s.Reason == v1alpha1.SkipNamespaceExcluded {
				if i > 0 {
					break // one line is enough
				}
				s.Check = "all"
			}
			key := skip{s.Check, s.Message}
			if subjects[key] == nil {
				order = append(order, key)
			}
			subjects[key] = append(subjects[key], r.Subject.Kind+"/"+r.Subject.Name)
		}
	}
	if len(order) == 0 {
		return nil
	}
	slices.SortFunc(order, func(a, b skip) int { return cmp.Or(cmp.Compare(a.check, b.check), cmp.Compare(a.message, b.message)) })
	rows := []string{"SKIPPED CHECK\tSUBJECT\tREASON"}
	for _, key := range order {
		subject := subjects[key][0]
		if n := len(subjects[key]); n > 1 {
			subject = count(n, "subject")
		}
		rows = append(rows, fmt.Sprintf("%s\t%s\t%s", key.check, subject, key.message))
	}
	return rows
}

// printTable aligns rows of cells that are separated by tabs, as kubectl does.
func printTable(out io.Writer, rows []string) error {
	if len(rows) == 0 {
		return nil
	}
	var aligned bytes.Buffer
	table := tabwriter.NewWriter(&aligned, 0, 8, 3, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(table, row)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s\n", aligned.Bytes())
	return err
}

// summaryLine sums everything up.
func summaryLine(reports []*v1alpha1.SecurityReport) string {
	var (
		workloads, namespaces, ofCluster, skipped, exempted, excluded int
		found                                                         []string
	)
	for _, r := range reports {
		if len(r.Skips) > 0 && r.Skips[0].Reason == v1alpha1.SkipNamespaceExcluded {
			excluded++
			continue
		}
		skipped += int(r.Summary.Skipped)
		exempted += int(r.Summary.Exempted)
		switch {
		case r.Namespace == "":
			ofCluster++
		case r.Subject.Kind == audit.KindNamespace:
			namespaces++
		default:
			workloads++
		}
	}
	for _, severity := range audit.Severities {
		var n int32
		for _, r := range reports {
			n += countOf(&r.Summary, severity)
		}
		found = append(found, fmt.Sprintf("%d %s", n, strings.ToLower(string(severity))))
	}
	text := fmt.Sprintf("%s in %s", count(workloads, "workload"), count(namespaces, "namespace"))
	if ofCluster > 0 {
		text += fmt.Sprintf(", %s of the cluster", count(ofCluster, "part"))
	}
	text += ": " + strings.Join(found, ", ")
	if exempted > 0 {
		text += fmt.Sprintf("; %d exempted", exempted)
	}
	if excluded > 0 {
		text += fmt.Sprintf("; %s left out", count(excluded, "namespace"))
	}
	if skipped > 0 {
		text += fmt.Sprintf("; %s skipped", count(skipped, "check"))
	}
	return text
}

func countOf(s *v1alpha1.Summary, severity v1alpha1.Severity) int32 {
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

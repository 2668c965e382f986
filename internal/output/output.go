// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package output prints reports: as tables, as the objects that they are, as pages for people, and in the formats of other tools.
package output

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Audit is what is printed. Nothing of it is changed, but for the kind that reports are printed with.
type Audit struct {
	// Reports, sorted by namespace and name.
	Reports []*v1alpha1.SecurityReport
	// Check returns the check of that id, graded as it is in general, or nil if it is not known.
	Check func(id string) *audit.Check
	// Passed returns the ids of the checks that have passed on the subject of a report, sorted; ok is false where only their
	// number is known. It may be nil: then it is of no report.
	Passed func(*v1alpha1.SecurityReport) (ids []string, ok bool)
	// Place returns where a field of a report's subject stands or, if it is not nil, of another object. ok is false if that is
	// in no file. It may be nil: then everything is in a cluster.
	Place func(r *v1alpha1.SecurityReport, object *v1alpha1.ObjectReference, path string) (place Place, ok bool)
	// Compliance is what has become of the controls of published standards; nil if that is not known.
	Compliance []v1alpha1.FrameworkCompliance
	// Of says what was audited, such as "the cluster at https://example.com".
	Of string
	// Version of the command.
	Version string
}

// Place is where something stands.
type Place struct {
	// File is a path, or "" for the standard input.
	File string
	// Line, from 1.
	Line int
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", cmp.Or(p.File, "stdin"), p.Line) }

// Formats are the names of the formats that Write knows.
var Formats = []string{"table", "json", "yaml", "html", "sarif", "junit", "markdown"}

// Write prints an audit in a format; t is the terminal that it is for, if it is one.
func Write(out io.Writer, t Terminal, format string, a *Audit) error {
	switch format {
	case "table":
		return Table(out, t, a.Reports)
	case "json", "yaml":
		return writeList(out, format, a.Reports)
	case "html":
		return HTML(out, a)
	case "sarif":
		return SARIF(out, a)
	case "junit":
		return JUnit(out, a)
	case "markdown":
		return Markdown(out, a)
	}
	return fmt.Errorf("there is no format %q", format)
}

// writeList prints reports as kubectl would.
func writeList(out io.Writer, format string, reports []*v1alpha1.SecurityReport) error {
	for _, r := range reports {
		if r.Kind == "" { // it may be a ClusterSecurityReport
			r.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("SecurityReport"))
		}
	}
	if format == "yaml" {
		return writeYAML(out, reports)
	}
	list := struct {
		metav1.TypeMeta `json:",inline"`
		metav1.ListMeta `json:"metadata"`
		Items           []*v1alpha1.SecurityReport `json:"items"`
	}{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "List"}, Items: reports}
	if list.Items == nil {
		list.Items = []*v1alpha1.SecurityReport{} // null is no list
	}
	return JSON(out, list)
}

// escaping writes JSON in which whatever cannot be printed is escaped: what a terminal would take for a command is no more than text.
type escaping struct{ out io.Writer }

func (w escaping) Write(encoded []byte) (int, error) {
	text, done := []byte(nil), 0
	for i, r := range string(encoded) {
		if r < 0x7f || unicode.IsPrint(r) { // JSON escapes those below
			continue
		}
		text = append(text, encoded[done:i]...)
		for _, unit := range utf16.AppendRune(nil, r) {
			text = fmt.Appendf(text, `\u%04x`, unit)
		}
		done = i + utf8.RuneLen(r)
	}
	if _, err := w.out.Write(append(text, encoded[done:]...)); err != nil {
		return 0, err
	}
	return len(encoded), nil
}

// JSON prints a value for people to read.
func JSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(escaping{out})
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// check returns the check of that id. Of one that is not known nothing but that is told.
func (a *Audit) check(id string) *audit.Check {
	if a.Check != nil {
		if c := a.Check(id); c != nil {
			return c
		}
	}
	return &audit.Check{ID: id, Title: id, Category: audit.CategoryCustom}
}

// place is Place where there is any.
func (a *Audit) place(r *v1alpha1.SecurityReport, object *v1alpha1.ObjectReference, path string) (Place, bool) {
	if a.Place == nil {
		return Place{}, false
	}
	return a.Place(r, object, path)
}

// about returns the kind and name of what a finding of a report is about.
func about(r *v1alpha1.SecurityReport, object *v1alpha1.ObjectReference) string {
	if object != nil { // whose field the path is
		return object.Kind + "/" + object.Name
	}
	return kindOf(&r.Subject) + "/" + r.Subject.Name
}

// kindOf returns the kind of a subject, as the names of reports have it: with its group if the audit does not read that kind
// itself, so that nobody takes one for the other.
func kindOf(s *v1alpha1.Subject) string {
	of := audit.Subject{APIVersion: s.APIVersion, Kind: s.Kind, Name: s.Name}
	if s.APIVersion == "" || of.KindLabel() != audit.KindOther {
		return s.Kind
	}
	group, _, found := strings.Cut(s.APIVersion, "/")
	if !found {
		group = "core"
	}
	return s.Kind + "." + group
}

// suggested returns the value that mends a finding, on one line, or "" if there is not just one.
func suggested(f *v1alpha1.Finding) string {
	if f.SuggestedValue == nil {
		return ""
	}
	var text bytes.Buffer
	if err := json.Compact(&text, f.SuggestedValue.Raw); err != nil {
		return "" // no report that the operator or the command has made
	}
	return text.String()
}

// isExcluded says whether a report is of a namespace that the configuration leaves out.
func isExcluded(r *v1alpha1.SecurityReport) bool {
	return len(r.Skips) > 0 && r.Skips[0].Reason == v1alpha1.SkipNamespaceExcluded
}

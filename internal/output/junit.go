// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// The part of JUnit's format that every reader of it knows.
type (
	junitSuites struct {
		XMLName xml.Name `xml:"testsuites"`
		Name    string   `xml:"name,attr"`
		junitCounts
		Suites []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name string `xml:"name,attr"`
		junitCounts
		Cases []junitCase `xml:"testcase"`
	}
	junitCounts struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Errors   int `xml:"errors,attr"`
		Skipped  int `xml:"skipped,attr"`
	}
	junitCase struct {
		ClassName string        `xml:"classname,attr"`
		Name      string        `xml:"name,attr"`
		File      string        `xml:"file,attr,omitempty"`
		Line      int           `xml:"line,attr,omitempty"`
		Failure   *junitFailure `xml:"failure"`
		Skipped   *junitSkipped `xml:"skipped"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
)

// JUnit prints a suite of tests for each subject, and in it a test for each check: failed with what it finds, skipped where it
// could not look or an exception exempts all that it finds. Where it is not known which checks have passed, one test stands for
// all of them.
func JUnit(out io.Writer, a *Audit) error {
	all := junitSuites{Name: "kubersafe"}
	for _, r := range a.Reports {
		suite := a.junitSuite(r)
		for i := range suite.Cases {
			suite.Tests++
			switch {
			case suite.Cases[i].Failure != nil:
				suite.Failures++
			case suite.Cases[i].Skipped != nil:
				suite.Skipped++
			}
		}
		all.Tests, all.Failures, all.Skipped = all.Tests+suite.Tests, all.Failures+suite.Failures, all.Skipped+suite.Skipped
		all.Suites = append(all.Suites, suite)
	}
	if _, err := io.WriteString(out, xml.Header); err != nil {
		return err
	}
	encoder := xml.NewEncoder(out)
	encoder.Indent("", "  ")
	if err := encoder.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(out, "\n")
	return err
}

func (a *Audit) junitSuite(r *v1alpha1.SecurityReport) junitSuite {
	suite := junitSuite{Name: qualified(r)}
	at := make(map[string]int) // of a check, in Cases
	of := func(check string, object *v1alpha1.ObjectReference, path string) *junitCase {
		i, known := at[check]
		if !known {
			i = len(suite.Cases)
			at[check] = i
			c := junitCase{ClassName: suite.Name, Name: check}
			if place, ok := a.place(r, object, path); ok && place.File != "" {
				c.File, c.Line = place.File, place.Line
			}
			suite.Cases = append(suite.Cases, c)
		}
		return &suite.Cases[i]
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		c := of(f.Check, f.Object, f.Path)
		if c.Failure == nil { // the first is the worst
			c.Failure = &junitFailure{Type: string(f.Severity), Message: f.Message}
		}
		c.Failure.Text += a.describe(r, f)
	}
	// not tells why a check does not fail, or not with more. A test that fails is not skipped, too: then it stands in its text.
	not := func(c *junitCase, why string) {
		switch {
		case c.Failure != nil:
			c.Failure.Text += why + "\n"
		case c.Skipped == nil:
			c.Skipped = &junitSkipped{why}
		default:
			c.Skipped.Message += "; " + why
		}
	}
	for i := range r.Exemptions {
		x := &r.Exemptions[i]
		not(of(x.Check, x.Object, x.Path), fmt.Sprintf("exempted by %s/%s: %s", x.ExceptionKind, x.Exception, x.Reason))
	}
	for i := range r.Skips {
		skip := &r.Skips[i]
		message := fmt.Sprintf("%s: %s", skip.Reason, skip.Message)
		if isExcluded(r) {
			of("all", nil, "").Skipped = &junitSkipped{message}
			return suite
		}
		not(of(skip.Check, nil, ""), message)
	}
	slices.SortFunc(suite.Cases, func(x, y junitCase) int { return strings.Compare(x.Name, y.Name) })
	if n := r.OmittedFindings; n > 0 {
		suite.Cases = append(suite.Cases, junitCase{ClassName: suite.Name, Name: "omitted findings", Failure: &junitFailure{Type: "omitted", Message: notListed(int(n))}})
	}
	passed, known := []string(nil), false
	if a.Passed != nil {
		passed, known = a.Passed(r)
	}
	if n := r.Summary.Passed; !known && n > 0 {
		passed = []string{Count(int(n), "check") + " passed"}
	}
	for _, name := range passed {
		suite.Cases = append(suite.Cases, junitCase{ClassName: suite.Name, Name: name})
	}
	return suite
}

// qualified names the subject of a report.
func qualified(r *v1alpha1.SecurityReport) string {
	if r.Namespace == "" || r.Subject.Kind == "Namespace" {
		return about(r, nil)
	}
	return r.Namespace + "/" + about(r, nil)
}

// describe tells what a finding is and how it is fixed, in lines.
func (a *Audit) describe(r *v1alpha1.SecurityReport, f *v1alpha1.Finding) string {
	text := fmt.Sprintf("%s: %s\n", f.Severity, f.Message)
	if f.Object != nil {
		text += "  object: " + about(r, f.Object) + "\n"
	}
	text += "  path: " + f.Path + "\n"
	if place, ok := a.place(r, f.Object, f.Path); ok {
		text += "  file: " + place.String() + "\n"
	}
	if fix := a.fix(f); fix != "" {
		text += "  fix: " + fix + "\n"
	}
	return text
}

// fix tells how a finding is fixed: by the one value that does or, where there is not just one, as the check says; "" if
// neither is known.
func (a *Audit) fix(f *v1alpha1.Finding) string {
	if value := suggested(f); value != "" {
		return "set it to " + value
	}
	return a.check(f.Check).Remediation
}

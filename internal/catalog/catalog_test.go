// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/catalog"
	"github.com/kubersafe/kubersafe/internal/compliance"
)

func TestDocsAreCurrent(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"docs/checks.md": catalog.Markdown(set), "docs/compliance.md": catalog.ComplianceMarkdown(set),
	} {
		page, err := os.ReadFile("../../" + path)
		if err != nil {
			t.Fatal(err)
		}
		if string(page) != want {
			t.Errorf(`%s is not what the checks say: run "make generate"`, path)
		}
	}
}

func TestWriteFramework(t *testing.T) {
	check := func(id string, off bool, controls ...string) audit.Check {
		c := audit.Check{
			ID: id, Title: "Title", Severity: v1alpha1.SeverityLow, Category: audit.CategoryImages, Rationale: "R.", Remediation: "R.",
			Before: "b", After: "a", Off: off, Pod: func(*audit.Pod, *audit.Reporter) {},
		}
		for _, control := range controls {
			c.Controls = append(c.Controls, audit.Control{Framework: "cis", ID: control})
		}
		return c
	}
	set, err := audit.NewSet([]audit.Check{check("c", false, "1"), check("b", true, "1", "3"), check("a", false), check("d", false, "4")})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		controls []compliance.Control
		want     string
	}{
		"with titles": {
			[]compliance.Control{{ID: "1", Title: "First"}, {ID: "2", Title: "Second"}, {ID: "3", Title: "Third"}}, `
CONTROL   TITLE    CHECKS
1         First    b (off), c
2         Second   -
3         Third    b (off)
`,
		},
		"with headings alone": {
			[]compliance.Control{{ID: "1"}, {ID: "2"}}, `
CONTROL   CHECKS
1         b (off), c
2         -
`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			if err := catalog.WriteFramework(&out, set, &compliance.Framework{ID: "cis", Controls: tc.controls}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, "\n"+out.String()); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExplainSaysAllThereIs(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range set.Checks() {
		var out strings.Builder
		if err := catalog.Explain(&out, &c); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{c.ID, c.Title, string(c.Severity), c.Rationale, c.Remediation} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: the explanation lacks %q", c.ID, want)
			}
		}
	}
	var table strings.Builder
	if err := catalog.WriteTable(&table, set); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Count(table.String(), "\n"), len(set.Checks())+1; got != want {
		t.Errorf("the table has %d lines, want %d", got, want)
	}
}

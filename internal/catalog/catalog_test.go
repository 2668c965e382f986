// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"os"
	"strings"
	"testing"

	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/catalog"
)

func TestDocsAreCurrent(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/checks.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(page) != catalog.Markdown(set) {
		t.Error(`docs/checks.md is not what the checks say: run "make generate"`)
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

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/internal/audit"
)

const intro = `<!-- Generated from internal/audit/checks by "make generate". Do not edit. -->

# Checks

Every check judges one practice. Checks on Pods judge Pod templates and live Pods alike, of every kind that makes Pods, and
name the field to change from the root of the object that you would edit. A check that cannot look (a kind that the operator
may not read, a status that is not there yet) is *skipped*, with the reason; it has not passed.

The severity below is what a check reports unless its finding says otherwise. A check that is *off* does not run by default;
its section says what makes it run. [configuration.md](configuration.md) says how.

## Score

A report's score is 100 without findings. Every check that fails multiplies it once, by its worst finding:

| Critical | High | Medium | Low |
|---|---|---|---|
| × 0.60 | × 0.85 | × 0.95 | × 0.99 |

The result is rounded down. So it depends neither on how many checks there are nor on how many replicas show the same
fault, and skipped checks do not change it. Where many subjects are scored together (the section workloads of a namespace's
report, the metric kubersafe_score, the cluster's report), a check that fails anywhere among them counts once. This is
version 1 of the formula; a change of it is announced in the release notes.

## Overview

| check | severity | category | practice |
|---|---|---|---|
`

// Markdown returns the page docs/checks.md.
func Markdown(set *audit.Set) string {
	var page strings.Builder
	page.WriteString(intro)
	byCategory := make(map[audit.Category][]audit.Check)
	for _, c := range set.Checks() {
		fmt.Fprintf(&page, "| [%s](#%s) | %s | %s | %s |\n", c.ID, c.ID, severityOf(&c), c.Category, c.Title)
		byCategory[c.Category] = append(byCategory[c.Category], c)
	}
	categories := make([]audit.Category, 0, len(byCategory))
	for category := range byCategory {
		categories = append(categories, category)
	}
	slices.Sort(categories)
	for _, category := range categories {
		fmt.Fprintf(&page, "\n## Category %s\n", category)
		for _, c := range byCategory[category] {
			writeCheck(&page, &c)
		}
	}
	writeNotJudged(&page, set)
	return page.String()
}

func writeCheck(page *strings.Builder, c *audit.Check) {
	fmt.Fprintf(page, "\n### %s\n\n**%s.** Severity: %s.\n\n", c.ID, c.Title, severityOf(c))
	fmt.Fprintf(page, "*Why:* %s\n\n*How to fix:* %s\n", c.Rationale, c.Remediation)
	fmt.Fprintf(page, "\nBefore:\n\n```yaml\n%s\n```\n\nAfter:\n\n```yaml\n%s\n```\n", c.Before, c.After)
	if text := runs(c); text != "" {
		fmt.Fprintf(page, "\n*Runs:* %s.\n", text)
	}
	if len(c.Controls) > 0 {
		fmt.Fprintf(page, "\n*Standards:* %s.\n", strings.Join(controls(c), "; "))
	}
	if len(c.Needs) > 0 {
		needs := make([]string, 0, len(c.Needs))
		for _, r := range c.Needs {
			needs = append(needs, "`"+string(r)+"`")
		}
		fmt.Fprintf(page, "\n*Skipped without:* %s.\n", strings.Join(needs, ", "))
	}
	if c.LiveOnly != "" {
		fmt.Fprintf(page, "\n*Skipped for manifests,* which do not show %s.\n", c.LiveOnly)
	}
	if len(c.References) > 0 {
		fmt.Fprintf(page, "\n*References:* <%s>\n", strings.Join(c.References, ">, <"))
	}
}

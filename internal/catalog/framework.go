// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/compliance"
)

// WriteFramework writes a line for each control of a framework, with the checks that map to it.
func WriteFramework(out io.Writer, set *audit.Set, f *compliance.Framework) error {
	table := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	for _, row := range rows(set, f, func(c *audit.Check) string { return c.ID }) {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	return table.Flush()
}

// rows returns a head, and for each control its id, its title if any of them has one, and the checks that map to it.
func rows(set *audit.Set, f *compliance.Framework, name func(*audit.Check) string) [][]string {
	rows, titled, mapping := [][]string{{"CONTROL", "TITLE", "CHECKS"}}, false, f.Mapping(set.Checks())
	for _, control := range f.Controls {
		checks := make([]string, 0, len(mapping[control.ID]))
		for _, c := range mapping[control.ID] {
			text := name(c)
			if c.Off {
				text += " (off)"
			}
			checks = append(checks, text)
		}
		if len(checks) == 0 {
			checks = append(checks, "-")
		}
		rows = append(rows, []string{control.ID, control.Title, strings.Join(checks, ", ")})
		titled = titled || control.Title != ""
	}
	if !titled {
		for i, row := range rows {
			rows[i] = slices.Delete(row, 1, 2)
		}
	}
	return rows
}

const complianceIntro = `<!-- Generated from internal/compliance and internal/audit/checks by "make generate". Do not edit. -->

# Compliance

Checks map to controls of published standards. The report ` + "`cluster`" + ` says of every control of these standards what has become
of it in the whole cluster:

| list | what it means |
|---|---|
| ` + "`passed`" + ` | every check that maps to the control has judged everything that there is, and found nothing |
| ` + "`failed`" + ` | some check that maps to it has a finding somewhere, whatever the others say |
| ` + "`exempted`" + ` | every check that maps to it has judged everything, and all that was found is exempted by exceptions |
| ` + "`notAssessed`" + ` | none has a finding, but not everything is known: the reason says why |

Namespaces that the AuditConfiguration leaves out count for nothing; the field namespacesExcluded says that there are some.

*Passed* means by the checks that map to the control. Most controls ask for more than checks can see, such as a review by
people. A control that no check judges is never passed.

| reason | what it means |
|---|---|
| no check judges it | nothing maps to the control |
| off | the check is off, in some namespace at least |
| not configured | the checks run only once the AuditConfiguration gives them something to go by, such as which workloads are sensitive, or once image scanning is installed |
| not everything is seen | the operator cannot read a kind of objects that may hold more to judge |
| skipped | the check could not look somewhere; the words behind it are those of the reports' ` + "`skips`" + ` |
| there is nothing to judge | the cluster has nothing that the check is about |
| a report leaves findings out | with [shards](sharding.md): a report of another shard does not list all that was found |

A reason names the checks that it is about: ` + "`off: no-user-namespace`" + `.

## Read it

` + "```yaml" + `
compliance:
- framework: owasp
  title: OWASP Kubernetes Top Ten 2022
  passed: [K04, K08]
  failed: [K01, K07]
  notAssessed:
  - reason: "skipped (DataMissing): image-not-pinned"
    controls: [K02]
  - reason: no check judges it
    controls: [K03, K05, K06, K09, K10]
` + "```" + `

` + "```sh" + `
kubectl get csecrep cluster -o jsonpath='{.compliance[?(@.framework=="cis")]}' | jq
kubectl get csecrep cluster -o jsonpath='{.compliance[?(@.framework=="pss")].failed}'
kubersafe checks --framework cis       # what maps to what, as below
` + "```" + `

The metric ` + "`kubersafe_compliance_controls{framework,state}`" + ` counts the controls in each state: ` + "`Passed`, `Failed`, `Exempted`, `NotAssessed`" + `.
The report has no counts: it is written again only when the state of some control or a reason changes. With shards, both are
the first shard's, and follow what the others have stored.

The lists below are complete: all recommendations of the CIS benchmark, all sections of the guide of NSA and CISA that
advise something, all techniques that ATT&CK 15 knows on containers. Later versions of ATT&CK have others.
`

// ComplianceMarkdown returns the page docs/compliance.md.
func ComplianceMarkdown(set *audit.Set) string {
	var page strings.Builder
	page.WriteString(complianceIntro)
	for i := range compliance.Frameworks {
		f := &compliance.Frameworks[i]
		fmt.Fprintf(&page, "\n## %s\n\nFramework `%s`.\n\n", f.Title, f.ID)
		for n, row := range rows(set, f, func(c *audit.Check) string { return "[" + c.ID + "](checks.md#" + c.ID + ")" }) {
			if n == 0 {
				fmt.Fprintf(&page, "| %s |\n|%s\n", strings.ToLower(strings.Join(row, " | ")), strings.Repeat("---|", len(row)))
				continue
			}
			fmt.Fprintf(&page, "| %s |\n", strings.Join(row, " | "))
		}
	}
	return page.String()
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
)

func newChecksCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "checks [NAME]",
		Short:   "List the checks, or explain one",
		Example: "  kubersafe checks\n  kubersafe checks privileged-container",
		Args:    cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			set, err := checks.Default()
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			var ids []string
			for _, c := range set.Checks() {
				ids = append(ids, c.ID+"\t"+c.Title)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := checks.Default()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return listChecks(cmd.OutOrStdout(), set)
			}
			c := set.Check(args[0])
			if c == nil {
				return fmt.Errorf("no check is called %q; \"kubersafe checks\" lists them", args[0])
			}
			return explainCheck(cmd.OutOrStdout(), c)
		},
	}
}

func listChecks(out io.Writer, set *audit.Set) error {
	table := tabwriter.NewWriter(out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(table, "NAME\tSEVERITY\tCATEGORY\tTITLE")
	for _, c := range set.Checks() {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.ID, c.Severity, c.Category, c.Title)
	}
	return table.Flush()
}

func explainCheck(out io.Writer, c *audit.Check) error {
	_, err := fmt.Fprintf(out, "%s: %s\n\nSeverity:     %s\nCategory:     %s\nWhy:          %s\nHow to fix:   %s\nReferences:   %s\n",
		c.ID, c.Title, c.Severity, c.Category, c.Rationale, c.Remediation, strings.Join(c.References, "\n              "))
	return err
}

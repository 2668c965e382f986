// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/catalog"
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
				return catalog.WriteTable(cmd.OutOrStdout(), set)
			}
			c := set.Check(args[0])
			if c == nil {
				return fmt.Errorf("no check is called %q; \"kubersafe checks\" lists them", args[0])
			}
			return catalog.Explain(cmd.OutOrStdout(), c)
		},
	}
}

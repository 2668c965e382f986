// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/catalog"
	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/internal/compliance"
)

func newChecksCommand() *cobra.Command {
	framework := command.Choice{}
	var completions []cobra.Completion
	for _, f := range compliance.Frameworks {
		framework.Values = append(framework.Values, string(f.ID))
		completions = append(completions, cobra.CompletionWithDesc(string(f.ID), f.Title))
	}
	cmd := &cobra.Command{
		Use:     "checks [NAME]",
		Short:   "List the checks, explain one, or list the controls of a framework",
		Example: "  kubersafe checks\n  kubersafe checks privileged-container\n  kubersafe checks --framework cis",
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
			if f := compliance.Find(audit.Framework(framework.Value)); f != nil {
				if len(args) > 0 {
					return errors.New("NAME and --framework exclude each other: it is either a check or the controls of a framework")
				}
				return catalog.WriteFramework(cmd.OutOrStdout(), set, f)
			}
			if len(args) == 0 {
				return catalog.WriteTable(cmd.OutOrStdout(), set)
			}
			c := set.Check(args[0])
			if c == nil {
				return fmt.Errorf("no check is called %q; \"%s\" lists them", args[0], cmd.CommandPath())
			}
			return catalog.Explain(cmd.OutOrStdout(), c)
		},
	}
	cmd.Flags().Var(&framework, "framework", "List the controls of this framework, and the checks that map to each.")
	if err := cmd.RegisterFlagCompletionFunc("framework", cobra.FixedCompletions(completions, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is registered one line above
	}
	return cmd
}

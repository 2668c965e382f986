// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/internal/output"
)

type topOptions struct {
	clusterOptions
	limit  int
	output command.Choice
}

var topKinds = []string{"namespaces", "workloads", "checks"}

func newTopCommand() *cobra.Command {
	o := topOptions{output: newFormat()}
	kinds := command.Choice{Values: topKinds}
	cmd := &cobra.Command{
		Use:   "top [namespaces|workloads|checks]",
		Short: "Rank the worst namespaces, workloads and checks",
		Long: `Rank the worst namespaces, workloads and checks of the operator's reports: those with the most Critical findings come first, then
those with the most High ones, and so on. Those without any are left out.`,
		Example: `  kubersafe top
  kubersafe top workloads --limit 50
  kubersafe top checks -n shop`,
		ValidArgs: topKinds,
		Args: func(cmd *cobra.Command, args []string) error {
			err := cobra.MaximumNArgs(1)(cmd, args)
			if err == nil && len(args) > 0 {
				err = kinds.Set(args[0])
			}
			return command.UsageError(cmd, err)
		},
	}
	o.addFlags(cmd)
	f := cmd.Flags()
	f.IntVar(&o.limit, "limit", 10, "How many of each.")
	f.VarP(&o.output, "output", "o", "What to print.")
	command.Complete(cmd, map[string]*command.Choice{"output": &o.output})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.limit < 1 {
			return command.UsageError(cmd, errors.New("--limit must be 1 or more"))
		}
		return printing(cmd, func(ctx context.Context, out *bufio.Writer) error { return o.run(ctx, cmd, out, kinds.Value) })
	}
	return cmd
}

func (o *topOptions) run(ctx context.Context, cmd *cobra.Command, out io.Writer, kind string) error {
	reader, err := o.reader(cmd)
	if err != nil {
		return err
	}
	reports, err := reader.everything(ctx, o.namespace())
	if err != nil {
		return err
	}
	a, err := newAudit(reports, "")
	if err != nil {
		return err
	}
	worst, unlisted := output.Rank(a, o.limit)
	switch kind {
	case "namespaces":
		worst = output.Ranking{Namespaces: worst.Namespaces}
	case "workloads":
		worst = output.Ranking{Workloads: worst.Workloads}
	case "checks":
		worst = output.Ranking{Checks: worst.Checks}
	}
	if unlisted > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %s that reports do not list: their checks are not known\n", output.Count(unlisted, "finding"))
	}
	return printAs(cmd, out, o.output.Value, &worst)
}

// overviewNamespaces is how many of the worst an overview names.
const overviewNamespaces = 10

type overviewOptions struct {
	clusterOptions
	output command.Choice
}

// makeOverview makes a command print an overview of the cluster.
func makeOverview(cmd *cobra.Command) {
	o := overviewOptions{output: newFormat()}
	o.addFlags(cmd)
	cmd.Flags().Lookup("namespace").Hidden = true
	cmd.Flags().VarP(&o.output, "output", "o", "What to print.")
	command.Complete(cmd, map[string]*command.Choice{"output": &o.output})
	cmd.Args = func(cmd *cobra.Command, args []string) error { return command.UsageError(cmd, cobra.NoArgs(cmd, args)) }
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.namespace() != "" {
			return command.UsageError(cmd, fmt.Errorf("an overview is of the whole cluster; \"%s report -n NAMESPACE\" prints what was found in one namespace", cmd.CommandPath()))
		}
		return printing(cmd, func(ctx context.Context, out *bufio.Writer) error { return o.run(ctx, cmd, out) })
	}
}

func (o *overviewOptions) run(ctx context.Context, cmd *cobra.Command, out io.Writer) error {
	reader, err := o.reader(cmd)
	if err != nil {
		return err
	}
	cluster, err := reader.cluster(ctx)
	if err != nil {
		return err
	}
	if cluster == nil {
		return errors.New("there is no report on the cluster yet: is the operator running?")
	}
	namespaces, err := reader.namespaced(ctx, "", v1alpha1.LabelSubjectKind+"="+audit.KindNamespace)
	if err != nil {
		return err
	}
	return printAs(cmd, out, o.output.Value, output.OverviewOf(cluster, namespaces, overviewNamespaces))
}

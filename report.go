// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/internal/output"
)

// completionTimeout is what a shell may wait for the names of subjects.
const completionTimeout = 2 * time.Second

type reportOptions struct {
	clusterOptions
	all            bool
	output, failOn command.Choice
}

func newReportCommand() *cobra.Command {
	o := reportOptions{output: command.Choice{Value: "table", Values: output.Formats}, failOn: newBar(never)}
	cmd := &cobra.Command{
		Use:   "report [TYPE/NAME]",
		Short: "Print the operator's reports: what was found, and how to fix it",
		Long: `Print the reports that the operator has written: what was found on each workload and on the namespace itself, and how to fix it.

Without TYPE/NAME it prints all reports of the namespace or, with -A, of the cluster and what is in no namespace. TYPE is what kubectl
takes: deploy, deployment, sts, ns, node; or controlplane and admission, whose name is "cluster".

Exit codes:
  0  no finding is as severe as --fail-on
  1  some finding is as severe as --fail-on, or more
  2  the reports could not be read, there is none, or the command line is wrong`,
		Example: `  kubersafe report -n shop
  kubersafe report deploy/checkout -n shop
  kubersafe report ns/shop
  kubersafe report node/worker-1
  kubersafe report -A -o html > cluster.html
  kubersafe report -A -o json > monday.json    # for "kubersafe diff"`,
		Args: func(cmd *cobra.Command, args []string) error {
			return command.UsageError(cmd, cobra.MaximumNArgs(2)(cmd, args))
		},
	}
	o.addFlags(cmd)
	f := cmd.Flags()
	f.BoolVarP(&o.all, "all-namespaces", "A", false, "All namespaces, and what is in none.")
	f.VarP(&o.output, "output", "o", "What to print.")
	f.Var(&o.failOn, "fail-on", "Exit with 1 if there is a finding of this severity or a worse one.")
	command.Complete(cmd, map[string]*command.Choice{"output": &o.output, "fail-on": &o.failOn})
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		return o.complete(cmd, args)
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kind, name, err := subjectArgs(args)
		switch n := o.namespace(); {
		case err != nil:
		case o.all && kind != "":
			err = errors.New("-A and TYPE/NAME exclude each other: a subject is in one namespace, or in none")
		case n != "" && isClusterKind(kind):
			err = fmt.Errorf("%s/%s is in no namespace: leave out -n", kind, name)
		case n != "" && isKind(kind, audit.KindNamespace) && n != name:
			err = fmt.Errorf("%s/%s is not in namespace %q: leave out -n", kind, name, n)
		}
		if err != nil {
			return command.UsageError(cmd, err)
		}
		return printing(cmd, func(ctx context.Context, out *bufio.Writer) error { return o.run(ctx, cmd, out, kind, name) })
	}
	return cmd
}

func (o *reportOptions) run(ctx context.Context, cmd *cobra.Command, out io.Writer, kind, name string) error {
	reader, err := o.reader(cmd)
	if err != nil {
		return err
	}
	a, err := o.read(ctx, reader, kind, name)
	if err != nil {
		return err
	}
	if o.output.Value == "table" {
		err = output.Details(out, terminalOf(cmd.OutOrStdout()), a)
	} else {
		err = writeAudit(cmd, out, o.output.Value, a)
	}
	if err != nil {
		return fmt.Errorf("printing reports: %w", err)
	}
	if fails(a.Reports, o.failOn.Value) {
		return command.ErrFindings
	}
	return nil
}

// read reads the reports that are asked for. It is an error if there is none.
func (o *reportOptions) read(ctx context.Context, reader *reportReader, kind, name string) (*output.Audit, error) {
	a, err := newAudit(nil, "the cluster at "+reader.host)
	if err != nil {
		return nil, err
	}
	if isClusterKind(kind) {
		_, others, err := reader.clusters(ctx)
		if err != nil {
			return nil, err
		}
		if a.Reports = on(others, kind, name); len(a.Reports) == 0 {
			return nil, fmt.Errorf("there is no report on %s/%s; \"%s report -A\" prints those that there are. A node has one once something is found", kind, name, reader.command)
		}
		return a, nil
	}
	of, err := o.scope(kind, name)
	if err != nil {
		return nil, err
	}
	if a.Reports, err = reader.namespaced(ctx, of, selectorOf(kind)); err != nil {
		return nil, err
	}
	switch {
	case o.all:
		cluster, others, err := reader.clusters(ctx)
		if err != nil {
			return nil, err
		}
		if a.Reports = slices.Concat(others, a.Reports); cluster != nil {
			a.Compliance = cluster.Compliance
		}
	case kind != "":
		a.Reports = on(a.Reports, kind, name)
		if len(a.Reports) == 0 && !isKind(kind, audit.KindNamespace) {
			return nil, fmt.Errorf("there is no report on %s/%s in namespace %q; \"%s report -n %s\" prints those that there are", kind, name, of, reader.command, of)
		}
	default:
		a.Of = fmt.Sprintf("namespace %q of %s", of, a.Of)
	}
	if len(a.Reports) == 0 {
		if of == "" {
			return nil, errors.New("there is no report yet: is the operator running? See: kubectl get clustersecurityreport cluster")
		}
		return nil, fmt.Errorf("there is no report in namespace %q: does it exist, and is the operator running?", of)
	}
	return a, nil
}

// on returns the reports on one subject.
func on(reports []*v1alpha1.SecurityReport, kind, name string) []*v1alpha1.SecurityReport {
	return slices.DeleteFunc(reports, func(r *v1alpha1.SecurityReport) bool { return r.Subject.Name != name || !isKind(kind, r.Subject.Kind) })
}

// selectorOf returns the labels of the reports on subjects of a type; all if it is "".
func selectorOf(kind string) string {
	if kind == "" {
		return ""
	}
	values := audit.KindOther // of another group it may have the same name
	for _, known := range []string{
		audit.KindNamespace, "CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "ReplicationController", "StatefulSet",
	} {
		if isKind(kind, known) {
			values += "," + known
		}
	}
	return v1alpha1.LabelSubjectKind + " in (" + values + ")"
}

// scope returns the namespace that is asked for, or "" for all.
func (o *reportOptions) scope(kind, name string) (string, error) {
	switch {
	case o.all:
		return "", nil
	case isKind(kind, audit.KindNamespace):
		return name, nil // its report is in itself
	}
	namespace, _, err := o.config.Namespace()
	return namespace, err
}

// complete returns the subjects that have reports.
func (o *reportOptions) complete(cmd *cobra.Command, args []string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	reader, err := o.reader(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	namespace, _, err := o.config.Namespace()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	reports, err := reader.namespaced(ctx, namespace, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var subjects []string
	for _, r := range reports {
		subjects = append(subjects, strings.ToLower(r.Subject.Kind)+"/"+r.Subject.Name)
	}
	return subjects, cobra.ShellCompDirectiveNoFileComp
}

// subjectArgs takes TYPE/NAME, or TYPE and NAME, as kubectl does.
func subjectArgs(args []string) (kind, name string, err error) {
	switch len(args) {
	case 0:
		return "", "", nil
	case 1:
		var ok bool
		if kind, name, ok = strings.Cut(args[0], "/"); !ok || kind == "" || name == "" {
			return "", "", fmt.Errorf("%q must be TYPE/NAME, such as deploy/checkout", args[0])
		}
	default:
		kind, name = args[0], args[1]
	}
	return kind, name, nil
}

// shortNames of kinds, as kubectl has them.
var shortNames = map[string]string{
	"po": "Pod", "deploy": "Deployment", "sts": "StatefulSet", "ds": "DaemonSet", "rs": "ReplicaSet", "rc": "ReplicationController",
	"cj": "CronJob", "ns": "Namespace", "no": "Node",
}

// isKind says whether a type on the command line is a kind: its name, plural or short name, with or without a group.
func isKind(given, kind string) bool {
	given, _, _ = strings.Cut(strings.ToLower(given), ".")
	return given != "" && (given == strings.ToLower(kind) || given == strings.ToLower(kind)+"s" || shortNames[given] == kind)
}

// isClusterKind says whether a type on the command line is one of what is in no namespace and has reports.
func isClusterKind(given string) bool {
	return slices.ContainsFunc([]string{audit.KindNode, audit.KindControlPlane, audit.KindAdmission, "ClusterRole", "ClusterRoleBinding"},
		func(kind string) bool { return isKind(given, kind) })
}

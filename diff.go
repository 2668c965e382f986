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

	"github.com/spf13/cobra"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/internal/output"
)

type diffOptions struct {
	clusterOptions
	output, failOn command.Choice
}

func newDiffCommand() *cobra.Command {
	o := diffOptions{output: newFormat(), failOn: newBar("high")}
	cmd := &cobra.Command{
		Use:   "diff OLD [NEW]",
		Short: "Tell what is new, fixed or changed since reports were saved",
		Long: `Compare reports that were saved with those of the cluster, or with others that were saved.

OLD and NEW are files, or - for standard input, with what "kubersafe report -A -o json", "kubersafe audit -o json" or "kubectl get
securityreports -A -o json" has printed; YAML will do too. With -n only that namespace is compared.

What was found and is not any more is Fixed only if the check has looked again. If it could not, or if the report does not list all
that was found, it is Unknown; if an exception exempts it, Exempted; if its subject has no report any more, Gone. In the same way,
what is found is not New but Unknown if the check could not look before. What one side cannot hold, such as other namespaces than
the one that was saved, is left out with a warning.

Exit codes:
  0  nothing as severe as --fail-on is new, or has become so
  1  something is
  2  the reports could not be read, or the command line is wrong`,
		Example: `  kubersafe report -A -o json > monday.json
  kubersafe diff monday.json
  kubersafe diff monday.json -n shop --fail-on low
  kubersafe diff before.json after.json -o json | jq '.changes[] | select(.state == "New")'
  kubersafe audit -f deploy/ -o json | kubersafe diff main.json -    # what a change of manifests brings`,
		Args: func(cmd *cobra.Command, args []string) error {
			return command.UsageError(cmd, cobra.RangeArgs(1, 2)(cmd, args))
		},
	}
	o.addFlags(cmd)
	f := cmd.Flags()
	f.VarP(&o.output, "output", "o", "What to print.")
	f.Var(&o.failOn, "fail-on", "Exit with 1 if a finding of this severity or a worse one is new.")
	command.Complete(cmd, map[string]*command.Choice{"output": &o.output, "fail-on": &o.failOn})
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 2 {
			if args[0] == args[1] {
				return command.UsageError(cmd, errors.New("OLD and NEW are the same"))
			}
			if err := o.exclude(cmd, "NEW", "a file"); err != nil {
				return err
			}
		}
		return printing(cmd, func(ctx context.Context, out *bufio.Writer) error { return o.run(ctx, cmd, out, args) })
	}
	return cmd
}

func (o *diffOptions) run(ctx context.Context, cmd *cobra.Command, out io.Writer, files []string) error {
	before, err := readReports(files[0], cmd.InOrStdin())
	if err != nil {
		return err
	}
	var after []*v1alpha1.SecurityReport
	if len(files) == 2 {
		after, err = readReports(files[1], cmd.InOrStdin())
	} else {
		after, err = o.readCluster(ctx, cmd)
	}
	if err != nil {
		return err
	}
	if before, after, err = o.comparable(before, after, cmd.ErrOrStderr()); err != nil {
		return err
	}
	omitted := int32(0)
	for _, r := range slices.Concat(before, after) {
		omitted += r.OmittedFindings
	}
	if omitted > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "Warning: %s that reports do not list: these are not compared\n", output.Count(int(omitted), "finding"))
	}
	c, err := output.Compare(before, after)
	if err != nil {
		return err
	}
	if err := printAs(cmd, out, o.output.Value, c); err != nil {
		return fmt.Errorf("printing changes: %w", err)
	}
	for _, change := range c.Worse() {
		if reaches(change.Severity, o.failOn.Value) {
			return command.ErrFindings
		}
	}
	return nil
}

// readCluster reads the reports of the cluster, or of one namespace.
func (o *diffOptions) readCluster(ctx context.Context, cmd *cobra.Command) ([]*v1alpha1.SecurityReport, error) {
	reader, err := o.reader(cmd)
	if err != nil {
		return nil, err
	}
	return reader.everything(ctx, o.namespace())
}

// everything returns the reports of a namespace or, if it is "", all that there are but the cluster's sum.
func (c *reportReader) everything(ctx context.Context, namespace string) ([]*v1alpha1.SecurityReport, error) {
	reports, err := c.namespaced(ctx, namespace, "")
	if err != nil || namespace != "" {
		return reports, err
	}
	_, others, err := c.clusters(ctx)
	return slices.Concat(others, reports), err
}

// comparable leaves out the reports that the other side cannot hold: they would be taken for new, or for gone.
func (o *diffOptions) comparable(before, after []*v1alpha1.SecurityReport, stderr io.Writer) (was, is []*v1alpha1.SecurityReport, err error) {
	old, now := scopeOf(before), scopeOf(after)
	if namespace := o.namespace(); namespace != "" {
		others := func(r *v1alpha1.SecurityReport) bool { return r.Namespace != namespace }
		before, after = slices.DeleteFunc(before, others), slices.DeleteFunc(after, others)
		if old.namespace != "" && old.namespace != namespace {
			return nil, nil, fmt.Errorf("OLD has %s", old)
		}
	}
	if old.namespace != "" && now.namespace != "" && old.namespace != now.namespace {
		return nil, nil, fmt.Errorf("OLD has %s, and NEW has %s", old, now)
	}
	limit := func(reports []*v1alpha1.SecurityReport, name string, to *scope) []*v1alpha1.SecurityReport {
		kept := slices.DeleteFunc(slices.Clone(reports), func(r *v1alpha1.SecurityReport) bool { return !to.holds(r) })
		if n := len(reports) - len(kept); n > 0 {
			fmt.Fprintf(stderr, "Warning: %s has %s: %s of the other side cannot be compared\n", name, to, output.Count(n, "report"))
		}
		return kept
	}
	return limit(before, "NEW", now), limit(after, "OLD", old), nil
}

// scope is which reports one side of a comparison can hold.
type scope struct {
	// namespace is the only one, "" if there is none.
	namespace string
	// cluster says that it holds those on what is in no namespace.
	cluster bool
	// subjects are the names of all reports if it is not even one whole namespace; nil if it is.
	subjects map[[2]string]bool
}

// scopeOf tells from reports what was asked for when they were saved. What "kubersafe audit" prints is all that there is. The
// operator, whose reports have a UID, always has some on the cluster and one on each namespace.
func scopeOf(reports []*v1alpha1.SecurityReport) *scope {
	if !slices.ContainsFunc(reports, func(r *v1alpha1.SecurityReport) bool { return r.UID != "" }) {
		return &scope{cluster: true}
	}
	s, whole := &scope{namespace: reports[0].Namespace, subjects: make(map[[2]string]bool)}, false
	for _, r := range reports {
		s.cluster = s.cluster || r.Namespace == ""
		whole = whole || r.Subject.Kind == audit.KindNamespace
		if r.Namespace != s.namespace {
			s.namespace = ""
		}
		s.subjects[[2]string{r.Namespace, r.Name}] = true
	}
	if whole {
		s.subjects = nil
	}
	return s
}

func (s *scope) holds(r *v1alpha1.SecurityReport) bool {
	switch {
	case s.subjects != nil:
		return s.subjects[[2]string{r.Namespace, r.Name}]
	case r.Namespace == "":
		return s.cluster
	}
	return s.namespace == "" || r.Namespace == s.namespace
}

func (s *scope) String() string {
	switch {
	case s.subjects != nil:
		return fmt.Sprintf("no more than %s, and none on a whole namespace", output.Count(len(s.subjects), "report"))
	case s.namespace != "":
		return fmt.Sprintf("reports of namespace %q alone", s.namespace)
	}
	return "no reports on what is in no namespace"
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/internal/manifest"
	"github.com/kubersafe/kubersafe/internal/output"
)

// auditGCPercent trades memory for CPU: the command ends before most of its garbage would have to go. Measured with 8,000
// Deployments: a third less CPU than with Go's default of 100.
const auditGCPercent = 400

const never = "never"

type auditOptions struct {
	clusterOptions
	files  []string
	config string
	output command.Choice
	failOn command.Choice
	fix    bool
}

func newAuditCommand() *cobra.Command {
	o := auditOptions{
		output: command.Choice{Value: "table", Values: output.Formats},
		failOn: newBar("high"),
	}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Audit manifests, or a cluster once, and print the SecurityReports",
		Long: `Audit manifests, or a cluster once, and print the SecurityReports that the operator would write.

With -f it judges files, folders (with all *.yaml, *.yml and *.json in them) and standard input, and needs no cluster.
Objects without a namespace are taken to be in "default", and namespaces that no manifest describes to be bare. Kinds that no
check reads are left out unread. What only a cluster knows, such as how much of a quota is used or how containers end, is reported
as skipped.

Without -f it reads the cluster of the current kubeconfig once, with your own permissions. What you may not list and watch
is reported as skipped. Nothing is written.

The AuditConfiguration of the cluster holds or, of --config, that in a file; without any, and always with -f alone, the built-in
defaults do. SecurityExceptions and ClusterSecurityExceptions count wherever they are read from, within what the configuration
allows. Those that exempt nothing are told on standard error.

With -f and --fix it prints the manifests instead, all of them in their order, and sets every field for which a finding has
just one right value. No other line is changed: comments, order, blank lines and quotes stay, and JSON stays JSON. What was
fixed, and what remains to be done by hand, it tells on standard error; the exit code is about what remains. Try the result:
a workload may need what it may not do any more.

Exit codes:
  0  no finding is as severe as --fail-on
  1  some finding is as severe as --fail-on, or more
  2  an input could not be read or judged, or the command line is wrong; what could be judged is printed all the same`,
		Example: `  # Manifests, before they are applied
  kubersafe audit -f deploy/
  kustomize build config/default | kubersafe audit -f -
  helm template my-release ./chart | kubersafe audit -f - --fail-on medium
  kubersafe audit -f deploy/ --config auditconfiguration.yaml
  kubersafe audit -f deploy/ --fix > fixed.yaml
  kubersafe audit -f deploy/ -o sarif > kubersafe.sarif

  # The cluster as it is now
  kubersafe audit
  kubersafe audit -o html > cluster.html
  kubersafe audit -n shop
  kubersafe audit --context staging -o json | jq '.items[].summary'`,
		Args: func(cmd *cobra.Command, args []string) error {
			return command.UsageError(cmd, cobra.NoArgs(cmd, args))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.addFlags(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.files, "filename", "f", nil, "File or folder with manifests, or - for standard input. Can be given several times.")
	f.StringVar(&o.config, "config", "", "File with the AuditConfiguration to audit by.")
	f.VarP(&o.output, "output", "o", "What to print.")
	f.Var(&o.failOn, "fail-on", "Exit with 1 if there is a finding of this severity or a worse one.")
	f.BoolVar(&o.fix, "fix", false, "Print the manifests with what can be fixed fixed. Needs --filename.")
	f.Lookup("namespace").Usage = "Namespace of the cluster to audit. Empty: all, and what is in none."
	command.Complete(cmd, map[string]*command.Choice{"output": &o.output, "fail-on": &o.failOn})
	return cmd
}

func (o *auditOptions) run(cmd *cobra.Command) error {
	if cmd.Flags().Changed("filename") {
		o.flags = append(o.flags, "namespace") // manifests say where objects are
		if err := o.exclude(cmd, "--filename", "manifests"); err != nil {
			return err
		}
	}
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(auditGCPercent))
	}
	set, err := checks.Default()
	if err != nil {
		return command.InputError(err)
	}
	judge := newJudge(set.Checks())
	given := cmd.Flags().Changed("config")
	if given {
		c, err := readConfiguration(o.config)
		if err != nil {
			return command.InputError(err)
		}
		for _, p := range judge.configure(&c.Spec) {
			fmt.Fprintf(cmd.ErrOrStderr(), "Error: %s: %s\n", o.config, p)
			judge.wrong++
		}
	}
	if o.fix {
		return o.runFix(cmd, judge)
	}
	if cmd.Flags().Changed("filename") {
		err = o.auditManifests(judge, cmd.InOrStdin(), cmd.ErrOrStderr())
	} else {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		err = o.auditCluster(ctx, judge, given, cmd.ErrOrStderr())
	}
	if err != nil {
		return command.InputError(err)
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if err := cmp.Or(writeAudit(cmd, out, o.output.Value, judge.audit()), out.Flush()); err != nil {
		return command.InputError(fmt.Errorf("printing reports: %w", err))
	}
	return o.verdict(judge)
}

// verdict is how the command ends.
func (o *auditOptions) verdict(judge *judge) error {
	switch {
	case judge.wrong > 0:
		return command.InputError(fmt.Errorf("%s in the input", output.Count(judge.wrong, "error")))
	case fails(judge.reports, o.failOn.Value):
		return command.ErrFindings
	}
	return nil
}

// fails says whether any finding is as severe as the bar.
func fails(reports []*v1alpha1.SecurityReport, bar string) bool {
	return slices.ContainsFunc(reports, func(r *v1alpha1.SecurityReport) bool {
		return slices.ContainsFunc(audit.Severities[:], func(s v1alpha1.Severity) bool {
			return output.CountOf(&r.Summary, s) > 0 && reaches(s, bar)
		})
	})
}

// reaches says whether a severity is as bad as the bar, or worse.
func reaches(severity v1alpha1.Severity, bar string) bool {
	for _, s := range audit.Severities {
		if strings.EqualFold(string(s), bar) {
			return audit.Rank(severity) >= audit.Rank(s)
		}
	}
	return false // never
}

// auditManifests judges what files hold. What is wrong with them is told as soon as it is known.
func (o *auditOptions) auditManifests(judge *judge, stdin io.Reader, stderr io.Writer) error {
	objects, wrong, err := o.readManifests(judge, stdin, stderr)
	if err != nil {
		return err
	}
	judge.wrong += wrong
	exceptions, err := judge.manifests(objects)
	if err != nil {
		return err
	}
	judge.tellExceptions(exceptions, stderr)
	if text := leftOut(objects.LeftOut); text != "" {
		fmt.Fprintln(stderr, text)
	}
	return nil
}

// readManifests reads files. Texts are kept only for formats that say where things stand in them.
func (o *auditOptions) readManifests(judge *judge, stdin io.Reader, stderr io.Writer) (objects *manifest.Objects, wrong int, err error) {
	judge.of = "manifests"
	switch o.output.Value {
	case "table", "json", "yaml":
		return readManifests(o.files, stdin, stderr)
	}
	if f := o.output.Value; (f == "sarif" || f == "junit") && slices.Contains(o.files, manifest.Stdin) {
		fmt.Fprintln(stderr, "Warning: what is read from standard input is in no file: results name objects alone, and code scanning needs files")
	}
	input := manifest.Load(o.files, stdin)
	objects = input.Objects()
	judge.places = newPlaces(input, objects)
	wrong, err = tellProblems(objects, stderr)
	return objects, wrong, err
}

// leftOut tells which kinds were left out.
func leftOut(kinds map[string]int) string {
	total, names := 0, make([]string, 0, len(kinds))
	for kind, n := range kinds {
		total += n
		names = append(names, kind)
	}
	if total == 0 {
		return ""
	}
	slices.Sort(names)
	const most = 10
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return fmt.Sprintf("Left out %s of kinds that no check reads: %s", output.Count(total, "object"), strings.Join(names, ", "))
}

// contextError tells why a context has ended.
func contextError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return errors.New("interrupted")
	}
	return ctx.Err()
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/spf13/cobra"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/imagereport"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/inventory"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/match"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/scan"
	"github.com/kubersafe/kubersafe/internal/command"
)

const never = "never"

type imageOptions struct {
	// many: there may be several images.
	many        bool
	database    databaseOptions
	platform    string
	output      command.Choice
	failOn      command.Choice
	onlyFixable bool
	timeout     time.Duration
	maxAge      time.Duration
	tempDir     string
}

func newImageCommand() *cobra.Command {
	o := imageOptions{
		output: command.Choice{Value: "table", Values: []string{"table", "json", "sarif", "cyclonedx", "spdx"}},
		failOn: command.Choice{Value: "high", Values: []string{"critical", "high", "medium", "low", never}},
	}
	cmd := &cobra.Command{
		Use:   "image IMAGE | oci-layout:DIR | docker-archive:FILE",
		Short: "Scan an image and print what is known to be vulnerable in it",
		Long: `Scan an image and print what is known to be vulnerable in it: in the packages of its distribution, and in those of Go, Java,
JavaScript, Python, Ruby, Rust and .NET. Nothing of the image is run.

The image comes from a registry, with the credentials of docker's or podman's configuration, or from a folder in the OCI layout, or from a
file as "docker save" writes it. Of an image for several platforms, one is scanned.

The vulnerability database comes from --db: the OSV project's own storage, a mirror of it, an artifact in a registry (oci://REFERENCE), or a
folder with <ecosystem>/all.zip; see "kubersafe-scanner db". Only the ecosystems of the image's packages are fetched, and kept for the next time.

A vulnerability that is known by several names counts once in each package. Its severity is what the distribution says, or else by its
CVSS score. What cannot be judged is told, and never counts as free of vulnerabilities.

Exit codes:
  0  everything was judged, and no vulnerability is as severe as --fail-on
  1  some vulnerability is as severe as --fail-on, or more
  2  the image or the database could not be read, or not all of the image could be judged, or the command line is wrong; what could be
     judged is printed all the same`,
		Example: `  kubersafe-scanner image registry.example.com/shop/checkout:1.4
  kubersafe-scanner image docker-archive:image.tar --fail-on critical --only-fixable
  kubersafe-scanner image oci-layout:build/image --db oci://registry.example.com/mirror/osv:latest -o sarif > findings.sarif
  kubersafe-scanner image registry.example.com/shop/checkout:1.4 --platform linux/arm64 -o cyclonedx > bom.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			return command.UsageError(cmd, cobra.ExactArgs(1)(cmd, args))
		},
		RunE: o.run,
	}
	o.add(cmd, "What to print: findings as a table, an ImageReport or SARIF, or a bill of materials with them (cyclonedx) or without (spdx).")
	return cmd
}

// add adds the flags.
func (o *imageOptions) add(cmd *cobra.Command, output string) {
	cmd.SetFlagErrorFunc(command.UsageError)
	f := cmd.Flags()
	o.database.add(f)
	f.StringVar(&o.platform, "platform", "linux/"+runtime.GOARCH, "Platform to scan, of images for several.")
	f.VarP(&o.output, "output", "o", output)
	f.Var(&o.failOn, "fail-on", "Exit with 1 if there is a vulnerability of this severity or a worse one.")
	f.BoolVar(&o.onlyFixable, "only-fixable", false, "With --fail-on, count only vulnerabilities that a newer version of the package mends.")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "How long pulling and reading an image may take.")
	f.DurationVar(&o.maxAge, "db-max-age", 7*24*time.Hour, "How long ago the database may have been published. 0: as long as it likes.")
	f.StringVar(&o.tempDir, "temp-dir", os.TempDir(), "Folder for the contents of an image's files while it is read.")
	command.Complete(cmd, map[string]*command.Choice{"output": &o.output, "fail-on": &o.failOn})
}

// scanned is a scan of an image and what has come of it.
type scanned struct {
	source    string
	about     v1alpha1.Image
	inventory *inventory.Inventory
	result    *match.Result
	report    *v1alpha1.ImageReport
	// err is why the report has no result.
	err error
}

// fail ends a scan without a result.
func (s *scanned) fail(reported, err error) {
	s.result, s.report, s.err = &match.Result{}, imagereport.Failed(&s.about, reported), err
}

// problem returns why not everything in the image was judged.
func (s *scanned) problem() error {
	if s.err == nil && s.report.State != v1alpha1.ImageScanned {
		return fmt.Errorf("%q is %s (%s): %s", s.source, s.report.State, s.report.Reason, s.report.Message)
	}
	return s.err
}

// run scans images, and prints what has come of it.
func (o *imageOptions) run(cmd *cobra.Command, sources []string) error {
	platform, err := image.ParsePlatform(o.platform)
	if err != nil {
		return command.UsageError(cmd, err)
	}
	// Libraries have temporary files too.
	if err := os.Setenv("TMPDIR", o.tempDir); err != nil {
		return command.InputError(err)
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	steps := &progress{out: cmd.ErrOrStderr()}
	defer steps.done()
	open := image.Options{Platform: platform, Keychain: authn.DefaultKeychain, PlainHTTP: o.database.plainHTTP, UserAgent: userAgent()}
	list := o.scan(ctx, sources, open, steps)
	if ctx.Err() != nil {
		return command.InputError(errors.New("interrupted"))
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if err := errors.Join(o.print(out, list), out.Flush()); err != nil {
		return command.InputError(fmt.Errorf("printing the result: %w", err))
	}
	var problems []error
	for _, s := range list {
		if err := s.problem(); err != nil && !slices.ContainsFunc(problems, func(p error) bool { return p.Error() == err.Error() }) {
			problems = append(problems, err)
		}
	}
	switch {
	case len(problems) > 0:
		return command.InputError(errors.Join(problems...))
	case slices.ContainsFunc(list, func(s *scanned) bool { return o.fails(s.result.Vulnerabilities) }):
		return command.ErrFindings
	}
	return nil
}

func userAgent() string { return "kubersafe-scanner/" + version }

// scan never leaves an image out: where it cannot be judged, its report says why.
func (o *imageOptions) scan(ctx context.Context, sources []string, open image.Options, steps *progress) []*scanned {
	var list []*scanned
	var ecosystems []string
	for _, source := range sources {
		s := &scanned{source: source, about: v1alpha1.Image{Name: source}}
		if err := o.look(ctx, s, open, steps); err != nil {
			s.fail(err, fmt.Errorf("scanning %q: %w", source, err))
		} else {
			ecosystems = append(ecosystems, ecosystemsOf(s.inventory)...)
		}
		list = append(list, s)
	}
	slices.Sort(ecosystems)
	view, err := o.database.view(ctx, slices.Compact(ecosystems), open, steps)
	if err != nil {
		for _, s := range list {
			if s.err == nil {
				s.fail(problem.Errorf(v1alpha1.ReasonDatabaseMissing, "%w", err), err)
			}
		}
		return list
	}
	defer func() { _ = view.Close() }() // only read
	matcher := match.New(view)
	for _, s := range list {
		if s.err == nil {
			o.match(ctx, s, matcher, view, steps)
		}
	}
	return list
}

// look finds out what is in an image.
func (o *imageOptions) look(ctx context.Context, s *scanned, open image.Options, steps *progress) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	steps.step("Looking for %s", s.source)
	img, err := image.Open(ctx, s.source, open)
	if err != nil {
		return err
	}
	s.about = img.About
	steps.step("Reading %s (%d MB)", s.about.Name, s.about.SizeBytes/1e6)
	extractor, err := inventory.NewExtractor(o.tempDir)
	if err != nil {
		return err
	}
	scanner := scan.Scanner{Extractor: extractor}
	if s.inventory, err = scanner.Inventory(ctx, img); err == nil {
		s.about = s.inventory.About
	}
	return err
}

// match finds out what of that is vulnerable.
func (o *imageOptions) match(ctx context.Context, s *scanned, matcher *match.Matcher, view *osvdb.View, steps *progress) {
	steps.step("Comparing %d packages with the database", len(s.inventory.Packages))
	result, err := matcher.Match(ctx, s.inventory)
	if err != nil {
		s.fail(err, fmt.Errorf("scanning %q: %w", s.source, err))
		return
	}
	s.result, s.report = result, imagereport.Build(&s.about, result, view.State, len(result.Vulnerabilities))
	if o.maxAge > 0 {
		imagereport.Stale(s.report, view.Published, time.Now(), o.maxAge)
	}
}

// ecosystemsOf returns the ecosystems of an image's packages that a database can have.
func ecosystemsOf(inv *inventory.Inventory) []string {
	var list []string
	for _, c := range inv.About.Packages {
		base, _, _ := strings.Cut(c.Ecosystem, ":")
		if slices.Contains(osvdb.DefaultEcosystems, base) && !slices.Contains(list, base) {
			list = append(list, base)
		}
	}
	return list
}

// fails says whether any vulnerability is as severe as the bar.
func (o *imageOptions) fails(list []match.Vulnerability) bool {
	if o.failOn.Value == never {
		return false
	}
	bar := v1alpha1.VulnerabilitySeverity(strings.ToUpper(o.failOn.Value[:1]) + o.failOn.Value[1:])
	return slices.ContainsFunc(list, func(v match.Vulnerability) bool {
		return match.AtLeast(v.Severity, bar) && (v.FixedVersion != "" || !o.onlyFixable)
	})
}

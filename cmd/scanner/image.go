// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"cmp"
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
)

const never = "never"

type imageOptions struct {
	database    databaseOptions
	platform    string
	output      choice
	failOn      choice
	onlyFixable bool
	timeout     time.Duration
	maxAge      time.Duration
	tempDir     string
}

func newImageCommand() *cobra.Command {
	o := imageOptions{
		output: choice{value: "table", values: []string{"table", "json", "sarif", "cyclonedx", "spdx"}},
		failOn: choice{value: "high", values: []string{"critical", "high", "medium", "low", never}},
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
			return usageError(cmd, cobra.ExactArgs(1)(cmd, args))
		},
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args[0]) },
	}
	cmd.SetFlagErrorFunc(usageError)
	f := cmd.Flags()
	o.database.add(f)
	f.StringVar(&o.platform, "platform", "linux/"+runtime.GOARCH, "Platform to scan, of images for several.")
	f.VarP(&o.output, "output", "o", "What to print: findings as a table, an ImageReport or SARIF, or a bill of materials with them (cyclonedx) or without (spdx).")
	f.Var(&o.failOn, "fail-on", "Exit with 1 if there is a vulnerability of this severity or a worse one.")
	f.BoolVar(&o.onlyFixable, "only-fixable", false, "With --fail-on, count only vulnerabilities that a newer version of the package mends.")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "How long pulling and reading the image may take.")
	f.DurationVar(&o.maxAge, "db-max-age", 7*24*time.Hour, "How long ago the database may have been published. 0: as long as it likes.")
	f.StringVar(&o.tempDir, "temp-dir", os.TempDir(), "Folder for the contents of the image's files while it is read.")
	for name, c := range map[string]*choice{"output": &o.output, "fail-on": &o.failOn} {
		if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(c.values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag is registered some lines above
		}
	}
	return cmd
}

// scanned is a scan of an image and what has come of it.
type scanned struct {
	inventory *inventory.Inventory
	result    *match.Result
	report    *v1alpha1.ImageReport
}

func (o *imageOptions) run(cmd *cobra.Command, source string) error {
	platform, err := image.ParsePlatform(o.platform)
	if err != nil {
		return usageError(cmd, err)
	}
	// Libraries have temporary files too.
	if err := os.Setenv("TMPDIR", o.tempDir); err != nil {
		return &exitError{exitInput, err}
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	steps := &progress{out: cmd.ErrOrStderr()}
	defer steps.done()
	open := image.Options{Platform: platform, Keychain: authn.DefaultKeychain, PlainHTTP: o.database.plainHTTP, UserAgent: userAgent()}
	s, scanErr := o.scan(ctx, source, open, steps)
	if ctx.Err() != nil {
		return &exitError{exitInput, errors.New("interrupted")}
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	if err := errors.Join(o.print(out, s), out.Flush()); err != nil {
		return &exitError{exitInput, fmt.Errorf("printing the result: %w", err)}
	}
	switch {
	case scanErr != nil:
		return &exitError{exitInput, scanErr}
	case s.report.State != v1alpha1.ImageScanned:
		return &exitError{exitInput, fmt.Errorf("%q is %s (%s): %s", source, s.report.State, s.report.Reason, s.report.Message)}
	case o.fails(s.result.Vulnerabilities):
		return &exitError{code: exitFindings}
	}
	return nil
}

func userAgent() string { return "kubersafe-scanner/" + version }

// scan never returns nothing: where the image cannot be judged, the report says why.
func (o *imageOptions) scan(ctx context.Context, source string, open image.Options, steps *progress) (*scanned, error) {
	s := &scanned{result: &match.Result{}}
	about := v1alpha1.Image{Name: source}
	err := func() error {
		limited, cancel := context.WithTimeout(ctx, o.timeout)
		defer cancel()
		steps.step("Looking for %s", source)
		img, err := image.Open(limited, source, open)
		if err != nil {
			return err
		}
		about = img.About
		steps.step("Reading %s (%d MB)", about.Name, about.SizeBytes/1e6)
		extractor, err := inventory.NewExtractor(o.tempDir)
		if err != nil {
			return err
		}
		scanner := scan.Scanner{Extractor: extractor}
		if s.inventory, err = scanner.Inventory(limited, img); err != nil {
			return err
		}
		about = s.inventory.About
		return nil
	}()
	if err != nil {
		s.report = imagereport.Failed(&about, err)
		return s, fmt.Errorf("scanning %q: %w", source, err)
	}
	view, err := o.database.view(ctx, ecosystemsOf(s.inventory), open, steps)
	if err != nil {
		s.report = imagereport.Failed(&about, problem.Errorf(v1alpha1.ReasonDatabaseMissing, "%w", err))
		return s, err
	}
	defer func() { _ = view.Close() }() // only read
	steps.step("Comparing %d packages with the database", len(s.inventory.Packages))
	if s.result, err = match.New(view).Match(ctx, s.inventory); err != nil {
		s.result = &match.Result{}
		s.report = imagereport.Failed(&about, err)
		return s, fmt.Errorf("scanning %q: %w", source, err)
	}
	s.report = imagereport.Build(&about, s.result, view.State, len(s.result.Vulnerabilities))
	if o.maxAge > 0 {
		imagereport.Stale(s.report, view.Published, time.Now(), o.maxAge)
	}
	return s, nil
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
	slices.SortFunc(list, cmp.Compare[string])
	return list
}

// fails says whether any vulnerability is as severe as the bar.
func (o *imageOptions) fails(list []match.Vulnerability) bool {
	if o.failOn.value == never {
		return false
	}
	bar := v1alpha1.VulnerabilitySeverity(strings.ToUpper(o.failOn.value[:1]) + o.failOn.value[1:])
	return slices.ContainsFunc(list, func(v match.Vulnerability) bool {
		return match.AtLeast(v.Severity, bar) && (v.FixedVersion != "" || !o.onlyFixable)
	})
}

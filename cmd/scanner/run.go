// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/rootfs"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/service"
	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/internal/server"
)

type runOptions struct {
	service  service.Options
	database databaseOptions
	server   server.Options
}

func newRunCommand() *cobra.Command {
	o := runOptions{server: server.Options{QPS: 20, Burst: 40}}
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Scan the images that a cluster uses, and keep ImageReports on them",
		Long: `Scan the images that a cluster uses, and keep ImageReports on them: those that Pods run, and those that templates name of which there
are no Pods. Each is pulled once, those of most Pods first, with the pull secrets of the Pods as far as the scanner may read them. A new
vulnerability database is matched against what is kept of the images, and nothing is pulled for that. Registries are asked where tags lead and,
if the AuditConfiguration demands signatures, for those.

docs/images.md says how it is installed.`,
		Args: func(cmd *cobra.Command, args []string) error {
			return command.UsageError(cmd, cobra.NoArgs(cmd, args))
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	cmd.SetFlagErrorFunc(command.UsageError)
	f := cmd.Flags()
	o.database.addSource(f)
	s := &o.service
	f.DurationVar(&s.DatabasePoll, "db-poll", time.Hour, "How often the source is asked for a newer database.")
	f.DurationVar(&s.DatabaseMaxAge, "db-max-age", 7*24*time.Hour, "How long ago the database may have been published. 0: as long as it likes.")
	f.StringArrayVar(&s.Ecosystems, "ecosystem", osvdb.DefaultEcosystems, "Ecosystem to fetch the database of. Can be given several times.")
	f.StringVar(&s.StoreDir, "store-dir", filepath.Join(defaultDir(), "images"), "Folder in which it is kept what is in images.")
	f.StringVar(&s.TempDir, "temp-dir", os.TempDir(), "Folder for the contents of an image's files while it is read.")
	f.Int64Var(&s.MaxDisk, "temp-limit", rootfs.DefaultLimits.Disk, "Bytes that the contents of one image may take there.")
	f.IntVar(&s.Concurrency, "concurrency", 1, "How many images are scanned at a time. Each takes memory, and --temp-limit of disk.")
	f.DurationVar(&s.Timeout, "timeout", 10*time.Minute, "How long pulling and reading one image may take.")
	f.DurationVar(&s.Retry.Min, "retry-min", time.Minute, "How long an image waits that has failed, before it is tried again. Each time it waits twice as long.")
	f.DurationVar(&s.Retry.Max, "retry-max", 6*time.Hour, "How long it waits at most.")
	f.DurationVar(&s.Recheck, "recheck", 24*time.Hour, "How often registries are asked where tags lead, which there are, and whether an image is signed that was not.")
	f.StringVar(&s.TrustedRoot, "trusted-root", "", `File with the trusted root that keyless signatures are verified by, as "cosign trusted-root create" writes it. Empty: they are not verified.`)
	f.DurationVar(&s.Keep, "keep", 24*time.Hour, "How long a report is kept after nothing refers to its image any more.")
	o.server.AddTo(f)
	return cmd
}

// validate returns what is wrong with the command line.
func (o *runOptions) validate() error {
	s := &o.service
	switch {
	case s.Concurrency < 1:
		return errors.New("--concurrency must be 1 or more")
	case s.MaxDisk < 1:
		return errors.New("--temp-limit must be 1 or more")
	case s.DatabasePoll <= 0, s.Timeout <= 0, s.Retry.Min <= 0, s.Recheck <= 0:
		return errors.New("--db-poll, --timeout, --retry-min and --recheck must be more than 0")
	case s.Retry.Max < s.Retry.Min:
		return errors.New("--retry-max must not be less than --retry-min")
	case s.Keep < 0, s.DatabaseMaxAge < 0:
		return errors.New("--keep and --db-max-age must not be negative")
	}
	return nil
}

func (o *runOptions) run(cmd *cobra.Command) error {
	if err := o.validate(); err != nil {
		return command.UsageError(cmd, err)
	}
	log := o.server.Log(cmd.ErrOrStderr())
	if err := os.Setenv("TMPDIR", o.service.TempDir); err != nil { // libraries have temporary files too
		return err
	}
	o.service.Database, o.service.DatabaseDir = o.database.location, o.database.dir
	o.service.PlainHTTP, o.service.UserAgent = o.database.plainHTTP, userAgent()
	cfg, err := o.server.Config(userAgent())
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{Metrics: o.server.Metrics(), HealthProbeBindAddress: o.server.ProbeAddress, Logger: log})
	if err != nil {
		return fmt.Errorf("manager: %w", err)
	}
	if err := o.setup(mgr); err != nil {
		return err
	}
	return server.Start(ctx, mgr, "version", version)
}

func (o *runOptions) setup(mgr ctrl.Manager) error {
	registry := prometheus.NewRegistry()
	scanner, err := service.New(mgr.GetConfig(), mgr.GetHTTPClient(), o.service, service.NewMetrics(registry, version), mgr.GetLogger())
	if err != nil {
		return err
	}
	all := promhttp.HandlerFor(prometheus.Gatherers{registry, ctrlmetrics.Registry}, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	return errors.Join(
		mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return scanner.Run(ctx) })),
		mgr.AddMetricsServerExtraHandler(server.MetricsPattern, all),
		mgr.AddHealthzCheck("scans", func(*http.Request) error { return scanner.Alive() }),
		mgr.AddReadyzCheck("cluster", func(*http.Request) error { return scanner.Ready() }),
	)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubeconfigs of every provider
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/rootfs"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/service"
	"github.com/kubersafe/kubersafe/internal/command"
)

type runOptions struct {
	service         service.Options
	database        databaseOptions
	kubeconfig      string
	qps             float32
	burst           int
	probeAddress    string
	metricsAddress  string
	metricsCertPath string
	logging         zap.Options
}

func newRunCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Scan the images that a cluster uses, and keep ImageReports on them",
		Long: `Scan the images that a cluster uses, and keep ImageReports on them: those that Pods run, and those that templates name of which there
are no Pods. Each is pulled once, those of most Pods first, with the pull secrets of the Pods as far as the scanner may read them. A new
vulnerability database is matched against what is kept of the images, and nothing is pulled for that.

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
	f.DurationVar(&s.Recheck, "recheck", 24*time.Hour, "How often it is looked which image a tag leads to that only templates name.")
	f.DurationVar(&s.Keep, "keep", 24*time.Hour, "How long a report is kept after nothing refers to its image any more.")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "Kubeconfig file. Empty: $KUBECONFIG, the Pod's ServiceAccount, or the home directory's.")
	f.Float32Var(&o.qps, "kube-api-qps", 20, "Requests per second to the API server, at most.")
	f.IntVar(&o.burst, "kube-api-burst", 40, "Requests to the API server in one burst, at most.")
	f.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address for /healthz and /readyz; 0 for none.")
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "Address for /metrics, served over HTTPS to whom the cluster allows it; 0 for none.")
	f.StringVar(&o.metricsCertPath, "metrics-cert-path", "", "Directory of the metrics server's certificate (tls.crt, tls.key), reloaded when it changes. Empty: one signed by itself.")
	logging := flag.NewFlagSet("logging", flag.ContinueOnError)
	o.logging.BindFlags(logging)
	f.AddGoFlagSet(logging)
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
	log := zap.New(zap.UseFlagOptions(&o.logging), zap.WriteTo(cmd.ErrOrStderr()))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	if err := os.Setenv("TMPDIR", o.service.TempDir); err != nil { // libraries have temporary files too
		return err
	}
	o.service.Database, o.service.DatabaseDir = o.database.location, o.database.dir
	o.service.PlainHTTP, o.service.UserAgent = o.database.plainHTTP, userAgent()
	cfg, err := restConfig(o.kubeconfig)
	if err != nil {
		return fmt.Errorf("no configuration to reach a cluster: %w", err)
	}
	cfg.QPS, cfg.Burst = o.qps, o.burst
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{Metrics: o.metricsServer(), HealthProbeBindAddress: o.probeAddress, Logger: log})
	if err != nil {
		return fmt.Errorf("manager: %w", err)
	}
	if err := o.setup(mgr); err != nil {
		return err
	}
	memory, err := memlimit.Set(memlimit.WithRefreshInterval(ctx, time.Minute))
	if err != nil {
		log.Info("No memory limit can be read, so none is kept to", "reason", err.Error())
	}
	log.Info("Starting", "version", version, "memoryLimit", memory)
	return mgr.Start(ctx)
}

// restConfig returns how to reach the cluster of a kubeconfig or, if that is "", of the environment.
func restConfig(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, err
	}
	return rest.AddUserAgent(cfg, userAgent()), nil
}

func (o *runOptions) metricsServer() metricsserver.Options {
	return metricsserver.Options{
		BindAddress:    o.metricsAddress,
		SecureServing:  true,
		FilterProvider: filters.WithAuthenticationAndAuthorization,
		CertDir:        o.metricsCertPath,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) {
			c.MinVersion, c.NextProtos = tls.VersionTLS12, []string{"http/1.1"}
		}},
	}
}

// metricsPattern is more specific than the pattern of the metrics server's own handler, /metrics, and goes before it.
const metricsPattern = "GET /metrics"

func (o *runOptions) setup(mgr ctrl.Manager) error {
	registry := prometheus.NewRegistry()
	scanner, err := service.New(mgr.GetConfig(), mgr.GetHTTPClient(), o.service, service.NewMetrics(registry, version), mgr.GetLogger())
	if err != nil {
		return err
	}
	all := promhttp.HandlerFor(prometheus.Gatherers{registry, ctrlmetrics.Registry}, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	return errors.Join(
		mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return scanner.Run(ctx) })),
		mgr.AddMetricsServerExtraHandler(metricsPattern, all),
		mgr.AddHealthzCheck("scans", func(*http.Request) error { return scanner.Alive() }),
		mgr.AddReadyzCheck("cluster", func(*http.Request) error { return scanner.Ready() }),
	)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/pprof"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	openreportsv1alpha1 "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubeconfigs of every provider
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/controllers"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/configuration"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/metrics"
	"github.com/kubersafe/kubersafe/internal/openreports"
	"github.com/kubersafe/kubersafe/internal/shard"
	"github.com/kubersafe/kubersafe/internal/source"
)

var scheme = runtime.NewScheme()

func init() {
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	utilruntime.Must(openreportsv1alpha1.Install(scheme))
}

type operatorOptions struct {
	kubeconfig              string
	qps                     float32
	burst                   int
	shard                   string
	leaderElect             bool
	leaderElectionNamespace string
	probeAddress            string
	metricsAddress          string
	metricsCertPath         string
	metricsCertName         string
	metricsKeyName          string
	enableHTTP2             bool
	workloadMetrics         bool
	dropLabels              []string
	exemplars               bool
	profiling               bool
	events                  string
	openReports             bool
	logging                 zap.Options
}

func newOperatorCommand() *cobra.Command {
	var o operatorOptions
	cmd := &cobra.Command{
		Use:   "operator",
		Short: "Run the operator: audit the cluster, write SecurityReports, serve metrics",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return o.run() },
	}
	f := cmd.Flags()
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "Kubeconfig file. Empty: $KUBECONFIG, the Pod's ServiceAccount, or the home directory's.")
	f.Float32Var(&o.qps, "kube-api-qps", 200, "Requests per second to the API server, at most.")
	f.IntVar(&o.burst, "kube-api-burst", 400, "Requests to the API server in one burst, at most.")
	f.StringVar(&o.shard, "shard", "0/1", "Part I/N of the namespaces to audit, from 0/N to N-1/N. For I also the name of a StatefulSet's Pod: its ordinal counts, modulo N.")
	f.BoolVar(&o.leaderElect, "leader-elect", false, "Elect a leader, so that several replicas can run; the others stand by.")
	f.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "", "Namespace of the leader's Lease. Empty: the Pod's own.")
	f.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", "Address for /healthz and /readyz; 0 for none.")
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "Address for /metrics, served over HTTPS to whom the cluster allows it; 0 for none.")
	f.StringVar(&o.metricsCertPath, "metrics-cert-path", "", "Directory of the metrics server's certificate, reloaded when it changes. Empty: one signed by itself.")
	f.StringVar(&o.metricsCertName, "metrics-cert-name", "tls.crt", "File of the certificate.")
	f.StringVar(&o.metricsKeyName, "metrics-cert-key", "tls.key", "File of the certificate's key.")
	f.BoolVar(&o.enableHTTP2, "enable-http2", false, "Serve metrics over HTTP/2 too.")
	f.BoolVar(&o.workloadMetrics, "workload-metrics", true, "Export kubersafe_workload_violations, a series for each workload and severity with violations.")
	f.StringSliceVar(&o.dropLabels, "metrics-drop-labels", nil, "Labels that series of the cluster's state do not have, of: "+strings.Join(metrics.Droppable, ", ")+". For what they would tell apart there is the sum, or the least.")
	f.BoolVar(&o.exemplars, "metrics-exemplars", false, "Name in OpenMetrics, as exemplars, namespaces of the latest changes of each bucket of kubersafe_change_to_report_duration_seconds.")
	f.BoolVar(&o.profiling, "profiling", false, "Serve /debug/pprof/ beside /metrics, under the same authentication and authorization.")
	f.StringVar(&o.events, "events", string(v1alpha1.SeverityHigh), "Least severity of findings whose coming and going Events on their object tell: Critical, High, Medium or Low; None for no Events.")
	f.BoolVar(&o.openReports, "openreports", false, "Copy reports with findings into reports of OpenReports (openreports.io), while the API server serves those.")
	logging := flag.NewFlagSet("logging", flag.ContinueOnError)
	o.logging.BindFlags(logging)
	f.AddGoFlagSet(logging)
	return cmd
}

func (o *operatorOptions) run() error {
	log := zap.New(zap.UseFlagOptions(&o.logging))
	ctrl.SetLogger(log)
	klog.SetLogger(log)

	part, err := shard.Parse(o.shard)
	if err != nil {
		return err
	}
	for _, label := range o.dropLabels {
		if !slices.Contains(metrics.Droppable, label) {
			return fmt.Errorf("--metrics-drop-labels: %q must be one of %s", label, strings.Join(metrics.Droppable, ", "))
		}
	}
	if least := v1alpha1.Severity(o.events); audit.Rank(least) == 0 && least != v1alpha1.SeverityNone {
		return fmt.Errorf("--events: %q must be Critical, High, Medium, Low or None", o.events)
	}
	if o.leaderElect && o.leaderElectionNamespace == "" {
		if o.leaderElectionNamespace, err = podNamespace(); err != nil {
			return err
		}
	}
	cfg, err := o.restConfig()
	if err != nil {
		return fmt.Errorf("no configuration to reach a cluster: %w", err)
	}
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       o.metricsServer(),
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              controllers.LeaseName(part),
		LeaderElectionNamespace:       o.leaderElectionNamespace,
		LeaderElectionReleaseOnCancel: true, // main ends right after the manager
	})
	if err != nil {
		return fmt.Errorf("manager: %w", err)
	}
	if err := o.setup(mgr, part); err != nil {
		return err
	}
	ctx := ctrl.SetupSignalHandler()
	// The limit may change while the Pod runs. Without one, the garbage collector goes by GOGC alone.
	memory, err := memlimit.Set(memlimit.WithRefreshInterval(ctx, time.Minute))
	if err != nil {
		log.Info("No memory limit can be read, so none is kept to", "reason", err.Error())
	}
	log.Info("Starting", "version", version, "shard", part.String(), "memoryLimit", memory)
	return mgr.Start(ctx)
}

// podNamespace returns the namespace of the Pod that the operator runs in.
func podNamespace() (string, error) {
	namespace, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("outside a cluster, --leader-elect needs --leader-election-namespace")
	}
	return string(namespace), err
}

func (o *operatorOptions) restConfig() (*rest.Config, error) {
	cfg, err := restConfig(o.kubeconfig)
	if err != nil {
		return nil, err
	}
	cfg.QPS, cfg.Burst = o.qps, o.burst
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return bounded{next} })
	return cfg, nil
}

// restConfig returns how to reach the cluster of a kubeconfig or, if that is "", of the environment.
func restConfig(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, err
	}
	return rest.AddUserAgent(cfg, "kubersafe/"+version), nil
}

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

func (o *operatorOptions) metricsServer() metricsserver.Options {
	options := metricsserver.Options{
		BindAddress:    o.metricsAddress,
		SecureServing:  true,
		FilterProvider: filters.WithAuthenticationAndAuthorization,
		CertDir:        o.metricsCertPath,
		CertName:       o.metricsCertName,
		KeyName:        o.metricsKeyName,
	}
	if o.profiling {
		options.ExtraHandlers = map[string]http.Handler{
			"/debug/pprof/":        http.HandlerFunc(pprof.Index),
			"/debug/pprof/cmdline": http.HandlerFunc(pprof.Cmdline),
			"/debug/pprof/profile": http.HandlerFunc(pprof.Profile),
			"/debug/pprof/symbol":  http.HandlerFunc(pprof.Symbol),
			"/debug/pprof/trace":   http.HandlerFunc(pprof.Trace),
		}
	}
	options.TLSOpts = append(options.TLSOpts, func(c *tls.Config) {
		c.MinVersion = tls.VersionTLS12
		if !o.enableHTTP2 {
			c.NextProtos = []string{"http/1.1"}
		}
	})
	return options
}

// metricsPattern is more specific than the pattern of the metrics server's own handler, /metrics, and goes before it.
const metricsPattern = "GET /metrics"

// setup puts the parts together: sources feed the reconcilers, those the ledger, and the ledger writes and metrics.
func (o *operatorOptions) setup(mgr ctrl.Manager, part shard.Shard) error {
	set, err := checks.Default()
	if err != nil {
		return err
	}
	clientset, err := kubernetes.NewForConfigAndClient(protobuf(mgr.GetConfig()), mgr.GetHTTPClient())
	if err != nil {
		return err
	}
	reports, err := apiutil.RESTClientForGVK(
		v1alpha1.GroupVersion.WithKind("SecurityReport"), false, false, mgr.GetConfig(), serializer.NewCodecFactory(scheme), mgr.GetHTTPClient())
	if err != nil {
		return err
	}
	operations, err := metrics.NewOperations(ctrlmetrics.Registry, version, max(1, part.Count))
	if err != nil {
		return err
	}
	operations.Exemplars = o.exemplars
	sources := source.NewShard(clientset, part)
	if err := source.AddOptional(sources, mgr.GetConfig(), mgr.GetHTTPClient()); err != nil {
		return err
	}
	stored := ledger.NewStored(sources, reports)
	book := ledger.New()
	writer := controllers.NewWriter(mgr.GetClient(), stored, operations)
	live := configuration.NewLive(set.Checks(), sources.Configuration)
	if least := v1alpha1.Severity(o.events); least != v1alpha1.SeverityNone {
		writer.Announcer = controllers.NewAnnouncer(mgr.GetClient(), operations, least, func(id string) bool {
			c := live.Current().Check(id)
			return c == nil || !c.Category.ForViewers()
		})
		if err := mgr.Add(writer.Announcer); err != nil {
			return err
		}
	}
	progress := &controllers.Progress{}
	namespaces := &controllers.NamespaceReconciler{
		Sources: sources, Stored: stored, Ledger: book, Configuration: live, Writer: writer, Operations: operations, Audited: progress,
	}
	settings := &controllers.SettingsReconciler{
		Sources: sources, Ledger: book, Configuration: live, Client: mgr.GetClient(), Audited: progress,
	}
	progress.FirstPass = settings.LookAtCluster
	if o.leaderElect {
		layout := &controllers.Layout{Leases: mgr.GetAPIReader(), Namespace: o.leaderElectionNamespace, Shard: part}
		namespaces.Await = layout.Await
	}
	state := &metrics.State{
		Ledger: book, Checks: func() []audit.Check { return live.Current().Checks() }, Sources: sources.Status,
		Complete: progress.Complete, LastComplete: progress.LastComplete, Workloads: o.workloadMetrics, Drop: o.dropLabels,
	}
	progress.Idle = func() bool { return namespaces.Settled() && sources.Current() }
	if part.First() {
		cluster := &controllers.ClusterReconciler{
			Sources: sources, Stored: stored, Ledger: book, Configuration: live, Writer: writer, Audited: progress, Version: version,
			Elsewhere: settings.LookAtCluster,
		}
		if err := cluster.SetupWithManager(mgr); err != nil {
			return err
		}
		progress.Cluster, progress.Begin = true, cluster.Judge
		progress.Idle = func() bool { return namespaces.Settled() && cluster.Settled() && sources.Current() }
		progress.FirstPass, state.Compliance = func() { cluster.SumUp(); settings.LookAtCluster() }, cluster.Compliance
		state.Images = sources.ImageTotals
	}
	if o.openReports {
		copies := &controllers.OpenReportsReconciler{
			Reader: mgr.GetAPIReader(), Writer: mgr.GetClient(), Converter: openreports.NewConverter(set.Checks()),
		}
		if err := copies.SetupWithManager(mgr, reports, part); err != nil {
			return err
		}
	}
	return errors.Join(
		mgr.Add(sources),
		namespaces.SetupWithManager(mgr),
		settings.SetupWithManager(mgr),
		mgr.AddMetricsServerExtraHandler(metricsPattern, state.Handler(ctrlmetrics.Registry)),
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("sources", func(*http.Request) error {
			if !sources.Settled() {
				return errors.New("some resources have not been read yet")
			}
			return nil
		}),
	)
}

// protobuf returns a configuration for built-in kinds, which the API server sends in less bytes and CPU that way.
func protobuf(cfg *rest.Config) *rest.Config {
	cfg = rest.CopyConfig(cfg)
	cfg.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	cfg.ContentType = runtime.ContentTypeProtobuf
	return cfg
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/pprof"
	"os"
	"slices"
	"strings"

	openreportsv1alpha1 "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/controllers"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/configuration"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/metrics"
	"github.com/kubersafe/kubersafe/internal/openreports"
	"github.com/kubersafe/kubersafe/internal/server"
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
	server                  server.Options
	shard                   string
	leaderElect             bool
	leaderElectionNamespace string
	workloadMetrics         bool
	dropLabels              []string
	exemplars               bool
	profiling               bool
	events                  string
	openReports             bool
}

func newOperatorCommand() *cobra.Command {
	o := operatorOptions{server: server.Options{QPS: 200, Burst: 400}}
	cmd := &cobra.Command{
		Use:   "operator",
		Short: "Run the operator: audit the cluster, write SecurityReports, serve metrics",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return o.run() },
	}
	f := cmd.Flags()
	f.StringVar(&o.shard, "shard", "0/1", "Part I/N of the namespaces to audit, from 0/N to N-1/N. For I also the name of a StatefulSet's Pod: its ordinal counts, modulo N.")
	f.BoolVar(&o.leaderElect, "leader-elect", false, "Elect a leader, so that several replicas can run; the others stand by.")
	f.StringVar(&o.leaderElectionNamespace, "leader-election-namespace", "", "Namespace of the leader's Lease. Empty: the Pod's own.")
	f.BoolVar(&o.workloadMetrics, "workload-metrics", true, "Export kubersafe_workload_violations, a series for each workload and severity with violations.")
	f.StringSliceVar(&o.dropLabels, "metrics-drop-labels", nil, "Labels that series of the cluster's state do not have, of: "+strings.Join(metrics.Droppable, ", ")+". For what they would tell apart there is the sum, or the least.")
	f.BoolVar(&o.exemplars, "metrics-exemplars", false, "Name in OpenMetrics, as exemplars, namespaces of the latest changes of each bucket of kubersafe_change_to_report_duration_seconds.")
	f.BoolVar(&o.profiling, "profiling", false, "Serve /debug/pprof/ beside /metrics, under the same authentication and authorization.")
	f.StringVar(&o.events, "events", string(v1alpha1.SeverityHigh), "Least severity of findings whose coming and going Events on their object tell: Critical, High, Medium or Low; None for no Events.")
	f.BoolVar(&o.openReports, "openreports", false, "Copy reports with findings into reports of OpenReports (openreports.io), while the API server serves those.")
	o.server.AddTo(f)
	return cmd
}

func (o *operatorOptions) run() error {
	o.server.Log(os.Stderr)

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
	cfg, err := o.server.Config("kubersafe/" + version)
	if err != nil {
		return err
	}
	mgr, err := ctrl.NewManager(cfg, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       o.metricsServer(),
		HealthProbeBindAddress:        o.server.ProbeAddress,
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
	return server.Start(ctrl.SetupSignalHandler(), mgr, "version", version, "shard", part.String())
}

// podNamespace returns the namespace of the Pod that the operator runs in.
func podNamespace() (string, error) {
	namespace, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if errors.Is(err, fs.ErrNotExist) {
		return "", errors.New("outside a cluster, --leader-elect needs --leader-election-namespace")
	}
	return string(namespace), err
}

// +kubebuilder:rbac:groups=authentication.k8s.io,resources=tokenreviews,verbs=create
// +kubebuilder:rbac:groups=authorization.k8s.io,resources=subjectaccessreviews,verbs=create

func (o *operatorOptions) metricsServer() metricsserver.Options {
	options := o.server.Metrics()
	if o.profiling {
		options.ExtraHandlers = map[string]http.Handler{
			"/debug/pprof/":        http.HandlerFunc(pprof.Index),
			"/debug/pprof/cmdline": http.HandlerFunc(pprof.Cmdline),
			"/debug/pprof/profile": http.HandlerFunc(pprof.Profile),
			"/debug/pprof/symbol":  http.HandlerFunc(pprof.Symbol),
			"/debug/pprof/trace":   http.HandlerFunc(pprof.Trace),
		}
	}
	return options
}

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
		mgr.AddMetricsServerExtraHandler(server.MetricsPattern, state.Handler(ctrlmetrics.Registry)),
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

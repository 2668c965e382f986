// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package server has what the servers of this repository, the operator and the scanner, have in common: how they reach the cluster, log,
// keep to their memory limit and serve probes and metrics.
package server

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubeconfigs of every provider
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// MetricsPattern is more specific than the pattern of the metrics server's own handler, /metrics, and goes before it.
const MetricsPattern = "GET /metrics"

// Options are the flags of a server.
type Options struct {
	// QPS and Burst bound the requests to the API server. What they are when the flags are added is the default.
	QPS   float32
	Burst int
	// ProbeAddress is where /healthz and /readyz are served.
	ProbeAddress string

	kubeconfig      string
	metricsAddress  string
	metricsCertPath string
	metricsCertName string
	metricsKeyName  string
	enableHTTP2     bool
	logging         zap.Options
}

// AddTo adds the flags.
func (o *Options) AddTo(f *pflag.FlagSet) {
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "Kubeconfig file. Empty: $KUBECONFIG, the Pod's ServiceAccount, or the home directory's.")
	f.Float32Var(&o.QPS, "kube-api-qps", o.QPS, "Requests per second to the API server, at most.")
	f.IntVar(&o.Burst, "kube-api-burst", o.Burst, "Requests to the API server in one burst, at most.")
	f.StringVar(&o.ProbeAddress, "health-probe-bind-address", ":8081", "Address for /healthz and /readyz; 0 for none.")
	f.StringVar(&o.metricsAddress, "metrics-bind-address", ":8443", "Address for /metrics, served over HTTPS to whom the cluster allows it; 0 for none.")
	f.StringVar(&o.metricsCertPath, "metrics-cert-path", "", "Directory of the metrics server's certificate, reloaded when it changes. Empty: one signed by itself.")
	f.StringVar(&o.metricsCertName, "metrics-cert-name", "tls.crt", "File of the certificate.")
	f.StringVar(&o.metricsKeyName, "metrics-cert-key", "tls.key", "File of the certificate's key.")
	f.BoolVar(&o.enableHTTP2, "enable-http2", false, "Serve metrics over HTTP/2 too.")
	// Where a request has failed says nothing to those who read the log, and twenty lines of it for each hide what does.
	o.logging.StacktraceLevel = zapcore.PanicLevel
	logging := flag.NewFlagSet("logging", flag.ContinueOnError)
	o.logging.BindFlags(logging)
	f.AddGoFlagSet(logging)
}

// Log returns the logger, to which also the libraries log from now on.
func (o *Options) Log(to io.Writer) logr.Logger {
	log := zap.New(zap.UseFlagOptions(&o.logging), zap.WriteTo(to))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	return log
}

// Config returns how to reach the cluster of the kubeconfig or, if none is named, of the environment.
func (o *Options) Config(userAgent string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("no configuration to reach a cluster: %w", err)
	}
	cfg.QPS, cfg.Burst = o.QPS, o.Burst
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return bounded{next} })
	return rest.AddUserAgent(cfg, userAgent), nil
}

// Metrics returns how metrics are served: over TLS, to whom the cluster allows it.
func (o *Options) Metrics() metricsserver.Options {
	return metricsserver.Options{
		BindAddress:    o.metricsAddress,
		SecureServing:  true,
		FilterProvider: filters.WithAuthenticationAndAuthorization,
		CertDir:        o.metricsCertPath,
		CertName:       o.metricsCertName,
		KeyName:        o.metricsKeyName,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) {
			c.MinVersion = tls.VersionTLS12
			if !o.enableHTTP2 {
				c.NextProtos = []string{"http/1.1"}
			}
		}},
	}
}

// Start starts the manager, and returns when ctx has ended and it has stopped. The garbage collector keeps to the memory limit, which may
// change meanwhile; without one it goes by GOGC alone.
func Start(ctx context.Context, mgr ctrl.Manager, details ...any) error {
	log := mgr.GetLogger()
	memory, err := memlimit.Set(memlimit.WithRefreshInterval(ctx, time.Minute))
	if err != nil {
		log.Info("No memory limit can be read, so none is kept to", "reason", err.Error())
	}
	log.Info("Starting", append(details, "memoryLimit", memory)...)
	return mgr.Start(ctx)
}

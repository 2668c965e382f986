// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo shows the operator at work: a real control plane, the sample workloads, their reports, the metrics, and how
// fast a fix shows. It fails when anything is not as the documentation promises, so it is a test as well.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/test/controlplane"
)

const (
	systemNamespace = "kubersafe-system"
	serviceAccount  = "kubersafe"
	// stopTimeout is what the operator may take to end after SIGTERM; a kubelet would wait 30 seconds by default.
	stopTimeout = 15 * time.Second
)

// demo is one run.
type demo struct {
	keep     bool
	operator string // path of the binary
	root     string // of the module
	console  *console

	plane      *controlplane.ControlPlane
	client     client.Client
	process    *controlplane.Process // the operator
	metrics    metricsServer
	healthAddr string
}

func main() {
	d := &demo{console: newConsole(os.Stdout)}
	flag.BoolVar(&d.keep, "keep", false, "leave everything running, until Ctrl-C")
	flag.StringVar(&d.operator, "operator", "bin/kubersafe", "the kubersafe binary")
	flag.Parse()
	ctrllog.SetLogger(logr.Discard()) // what fails is told by errors

	// Never given back: a second Ctrl-C must not stop the cleaning up.
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := d.run(ctx); err != nil {
		if errors.Is(err, context.Canceled) {
			err = errors.New("interrupted")
		}
		fmt.Fprintf(os.Stderr, "\ndemo: %v\n", err)
		os.Exit(1)
	}
}

// run does everything, and stops everything whatever happens.
func (d *demo) run(ctx context.Context) (err error) {
	defer func() {
		if d.plane == nil {
			return
		}
		if stopErr := d.console.step(context.WithoutCancel(ctx), "Stopping the control plane", d.stopControlPlane); err == nil {
			err = stopErr
		}
	}()
	if err := d.prepare(); err != nil {
		return err
	}
	for _, step := range []struct {
		title string
		do    func(context.Context) error
	}{
		{"Starting a control plane: etcd, kube-apiserver, kube-controller-manager", d.startControlPlane},
		{"Installing the CRDs, the operator's ServiceAccount and its RBAC", d.install},
		{"Applying config/samples: the namespaces shop (hardened) and legacy (not)", d.applySamples},
		{"Starting the operator as ServiceAccount " + systemNamespace + "/" + serviceAccount, d.startOperator},
		{"Waiting for a report on everything", d.waitForReports},
		{"What kubectl shows", d.showReports},
		{"Scraping the metrics as Prometheus would", d.scrapeMetrics},
		{"Mending legacy/checkout, and waiting for its report to say so", d.mend},
	} {
		if err := d.console.step(ctx, step.title, step.do); err != nil {
			return d.withOperatorLog(fmt.Errorf("%s: %w", step.title, err))
		}
	}
	if d.keep {
		d.waitForInterrupt(ctx)
	}
	// Also when that was a Ctrl-C: the operator has to end well.
	const title = "Stopping the operator with SIGTERM"
	if err := d.console.step(context.WithoutCancel(ctx), title, d.stopOperator); err != nil {
		return d.withOperatorLog(fmt.Errorf("%s: %w", title, err))
	}
	return nil
}

// prepare finds what is needed before anything is started.
func (d *demo) prepare() error {
	var err error
	if d.root, err = controlplane.ModuleRoot(); err != nil {
		return err
	}
	if d.operator, err = filepath.Abs(d.operator); err != nil {
		return err
	}
	if info, err := os.Stat(d.operator); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("there is no operator binary %s: run make build first", d.operator)
	}
	return nil
}

func (d *demo) startControlPlane(ctx context.Context) error {
	plane, err := controlplane.Start(ctx, controlplane.Options{Log: d.console.status})
	if err != nil {
		return err
	}
	d.plane = plane
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	if d.client, err = client.New(plane.Config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	d.console.printf("API server: %s\n", plane.Config.Host)
	return nil
}

// install applies what users install, except what needs a node: of config/default only the identity and its permissions.
func (d *demo) install(ctx context.Context) error {
	if err := d.apply(ctx, nil, "-k", filepath.Join(d.root, "config", "crd")); err != nil {
		return err
	}
	if _, err := d.kubectl(ctx, nil, "wait", "crd", "--all", "--for=condition=Established", "--timeout=60s"); err != nil {
		return err
	}
	rendered, err := d.kubectl(ctx, nil, "kustomize", filepath.Join(d.root, "config", "default"))
	if err != nil {
		return err
	}
	documents, err := selectKinds(rendered,
		"Namespace", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
	if err != nil {
		return fmt.Errorf("reading config/default: %w", err)
	}
	return d.apply(ctx, strings.NewReader(documents), "-f", "-")
}

func (d *demo) applySamples(ctx context.Context) error {
	return d.apply(ctx, nil, "-k", filepath.Join(d.root, "config", "samples"))
}

func (d *demo) startOperator(ctx context.Context) error {
	_, kubeconfig, err := d.plane.ServiceAccount(ctx, systemNamespace, serviceAccount)
	if err != nil {
		return err
	}
	addresses, err := freeAddresses(2)
	if err != nil {
		return err
	}
	d.healthAddr = addresses[1]
	if d.metrics, err = newMetricsServer(filepath.Join(d.plane.Dir, "metrics-certificates"), addresses[0]); err != nil {
		return err
	}
	d.process, err = d.plane.Run("operator", d.operator, "operator",
		"--kubeconfig", kubeconfig,
		"--leader-elect",
		"--leader-election-namespace", systemNamespace,
		"--metrics-bind-address", d.metrics.address,
		"--metrics-cert-path", d.metrics.certificates,
		"--health-probe-bind-address", d.healthAddr,
	)
	if err != nil {
		return err
	}
	d.console.status("waiting for http://%s/readyz", d.healthAddr)
	return d.poll(ctx, "the operator to become ready", d.ready)
}

func (d *demo) stopOperator(context.Context) error {
	code, err := d.process.Stop(stopTimeout)
	if err != nil {
		return err
	}
	if code != 0 {
		return fmt.Errorf("the operator ended with exit code %d after SIGTERM, want 0", code)
	}
	d.console.printf("exit code 0\n")
	return nil
}

func (d *demo) stopControlPlane(context.Context) error { return d.plane.Stop() }

func (d *demo) waitForInterrupt(ctx context.Context) {
	d.console.printf(`
Everything is still running. In another terminal:

  export KUBECONFIG=%s
  alias kubectl=%s
  kubectl get securityreports -A

Logs and certificates are in %s.
Press Ctrl-C here to stop everything and remove it.
`, d.plane.Kubeconfig, d.plane.KubectlPath(), d.plane.Dir)
	select {
	case <-ctx.Done():
	case <-d.process.Done(): // stopOperator reports it
	}
}

// withOperatorLog adds the end of the operator's log to an error, if the operator was started.
func (d *demo) withOperatorLog(err error) error {
	if d.process == nil {
		return err
	}
	return fmt.Errorf("%w\n%s", err, d.process.LogTail())
}

// freeAddresses returns loopback addresses with ports that nobody listens on.
func freeAddresses(n int) ([]string, error) {
	var addresses []string
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		defer func() { _ = listener.Close() }() // all stay open until the last is found, so that they differ
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}

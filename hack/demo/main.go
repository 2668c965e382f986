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
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/test/controlplane"
	"github.com/kubersafe/kubersafe/test/operator"
)

// demo is one run.
type demo struct {
	keep    bool
	binary  string // path of the operator's
	root    string // of the module
	console *console

	plane    *controlplane.ControlPlane
	client   client.Client
	operator *operator.Operator
}

func main() {
	d := &demo{console: newConsole(os.Stdout)}
	flag.BoolVar(&d.keep, "keep", false, "leave everything running, until Ctrl-C")
	flag.StringVar(&d.binary, "operator", "bin/kubersafe", "the kubersafe binary")
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
		{"Starting the operator as ServiceAccount " + operator.Namespace + "/" + operator.ServiceAccount, d.startOperator},
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
	if d.binary, err = filepath.Abs(d.binary); err != nil {
		return err
	}
	if info, err := os.Stat(d.binary); err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("there is no operator binary %s: run make build first", d.binary)
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
	var err error
	if d.operator, err = operator.New(ctx, d.plane, d.binary); err != nil {
		return err
	}
	d.console.status("waiting for the operator to become ready")
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	return d.operator.Start(ctx)
}

func (d *demo) stopOperator(context.Context) error {
	if err := d.operator.Stop(); err != nil {
		return err
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
	case <-d.operator.Process().Done(): // stopOperator reports it
	}
}

// withOperatorLog adds the end of the operator's log to an error, if the operator was started.
func (d *demo) withOperatorLog(err error) error {
	if d.operator == nil {
		return err
	}
	return fmt.Errorf("%w\n%s", err, d.operator.LogTail())
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Command bench measures the operator on a real API server that holds a realistic load: memory, CPU, API calls, the size of
// reports, and how long a change takes to show in its report, against what a bare client takes. After each scenario every
// report must be what a fresh evaluation of the same state gives. docs/performance.md has results and explains them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/test/bench/load"
	"github.com/kubersafe/kubersafe/test/controlplane"
	"github.com/kubersafe/kubersafe/test/operator"
)

// readyTimeout is for a cold start on the largest cluster, which has some 50,000 reports to be written: at 200 requests a
// second, the operator's own limit, that is 5 minutes; the rest is for machines whose API server takes less.
const readyTimeout = 40 * time.Minute

type bench struct {
	size      load.Options
	binary    string
	duration  time.Duration // of the scenarios with a rate
	verify    bool
	apiServer string // the memory that it tries to stay within

	plane    *controlplane.ControlPlane
	client   client.WithWatch
	operator *operator.Operator
	sentinel *sentinel
	rows     []*row
	begun    time.Time
}

func main() {
	b := &bench{begun: time.Now()}
	var names, ranges, table string
	all := make([]string, len(scenarios))
	for i, s := range scenarios {
		all[i] = s.name
	}
	flag.StringVar(&names, "scenario", strings.Join(all, ","), "scenarios to run, in the order in which they are listed here")
	flag.IntVar(&b.size.Pods, "pods", 5000, "number of Pods")
	flag.IntVar(&b.size.Namespaces, "namespaces", 50, "number of namespaces")
	flag.IntVar(&b.size.Policies, "policies", 500, "number of NetworkPolicies")
	flag.Uint64Var(&b.size.Seed, "seed", 1, "seed of the load; the same seed makes the same load")
	flag.DurationVar(&b.duration, "duration", time.Minute, "how long the scenarios with a rate last")
	flag.StringVar(&b.binary, "operator", "bin/kubersafe", "the kubersafe binary")
	flag.StringVar(&ranges, "ranges", "", "file with the ranges that the results must be in; empty checks none")
	flag.StringVar(&table, "table", "", "file that the table is written to as well")
	flag.StringVar(&b.apiServer, "apiserver-memory", "", "what the API server tries to stay within, such as 12GiB")
	flag.BoolVar(&b.verify, "verify", true, "compare the reports with a fresh evaluation after each scenario")
	flag.Parse()
	ctrllog.SetLogger(logr.Discard()) // what fails is told by errors

	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := b.run(ctx, strings.Split(names, ","))
	text := format(b.rows)
	fmt.Printf("\n%s\n", text)
	if table != "" {
		err = errors.Join(err, os.WriteFile(table, []byte(text), 0o600))
	}
	if ranges != "" && err == nil {
		err = checkRanges(ranges, b.rows)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func (b *bench) run(ctx context.Context, names []string) (err error) {
	for _, name := range names {
		if !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == name }) {
			return fmt.Errorf("there is no scenario %q", name)
		}
	}
	if err := b.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.plane.Stop()) }()
	for _, s := range scenarios {
		if !slices.Contains(names, s.name) && !s.always {
			continue
		}
		b.log("%s", s.title)
		if err := s.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w\n%s", s.name, err, b.operator.LogTail())
		}
		if s.name == "empty" || !b.verify {
			continue
		}
		if err := b.compare(ctx); err != nil {
			return fmt.Errorf("after %s: %w", s.name, err)
		}
		b.log("the reports are those of a fresh evaluation")
	}
	return b.operator.Stop()
}

// start boots a control plane with the operator's kinds and permissions in it.
func (b *bench) start(ctx context.Context) error {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return err
	}
	if b.binary, err = filepath.Abs(b.binary); err != nil {
		return err
	}
	if _, err := os.Stat(b.binary); err != nil {
		return fmt.Errorf("there is no operator: %w: run make build first", err)
	}
	b.log("starting the control plane")
	b.plane, err = controlplane.Start(ctx, controlplane.Options{
		CRDs:     []string{filepath.Join(root, "config/crd/bases")},
		AuditLog: true, AuditUsers: []string{operator.User},
		WithoutControllers: true, APIServerMemory: b.apiServer,
	})
	if err != nil {
		return err
	}
	if err := b.install(ctx, root); err != nil {
		return errors.Join(err, b.plane.Stop())
	}
	return nil
}

func (b *bench) install(ctx context.Context, root string) error {
	if _, err := b.plane.Kubectl(ctx, nil, "apply", "-f", filepath.Join(root, "dist/install.yaml")); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(v1alpha1.AddToScheme(scheme))
	config := rest.CopyConfig(b.plane.Config)
	config.QPS = -1 // the load is as fast as the API server
	config.WarningHandler = rest.NoWarnings{}
	var err error
	if b.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	b.operator, err = operator.New(ctx, b.plane, b.binary)
	return err
}

// log tells what is being done, and when.
func (b *bench) log(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "[%6.1f s] %s\n", time.Since(b.begun).Seconds(), fmt.Sprintf(format, args...))
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package integration tests the operator as it is installed: a process of its own with its own ServiceAccount, against a
// real API server and the controllers of Kubernetes.
package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	openreportsv1alpha1 "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/test/controlplane"
	"github.com/kubersafe/kubersafe/test/operator"
)

// timeout of one condition. Measured: milliseconds; the rest is for machines that do something else meanwhile.
const timeout = time.Minute

var (
	cluster *controlplane.ControlPlane
	// admin does to the cluster what its users do.
	admin client.Client
	// replica is the operator under test.
	replica *operator.Operator
)

func TestMain(m *testing.M) {
	log.SetLogger(logr.Discard()) // envtest's
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return 1, err
	}
	cluster, err = controlplane.Start(ctx, controlplane.Options{
		CRDs: []string{filepath.Join(root, "config/crd/bases")}, AuditLog: true,
	})
	if err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := cluster.Stop(); err == nil {
			err = stopErr
		}
	}()
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return 1, err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return 1, err
	}
	if err := v1alpha2.Install(scheme); err != nil {
		return 1, err
	}
	if err := openreportsv1alpha1.Install(scheme); err != nil {
		return 1, err
	}
	config := rest.CopyConfig(cluster.Config)
	config.QPS = -1 // tests make bursts
	if admin, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	// What users install. The Deployment's Pods stay pending; the operator under test runs as a process instead.
	if _, err := cluster.Kubectl(ctx, nil, "apply", "-f", filepath.Join(root, "dist/install.yaml")); err != nil {
		return 1, err
	}
	binary := filepath.Join(cluster.Dir, "kubersafe")
	if err := operator.Build(ctx, binary); err != nil {
		return 1, err
	}
	if replica, err = operator.New(ctx, cluster, binary); err != nil {
		return 1, err
	}
	if err := startOperator(ctx, replica); err != nil {
		return 1, err
	}
	code = m.Run()
	return code, keptToPermissions(ctx)
}

// keptToPermissions returns an error if the operator has asked for anything, in any of the tests, that it has no permission for.
func keptToPermissions(ctx context.Context) error {
	granted, err := operator.ReadPermissions(ctx, cluster.Config)
	if err != nil {
		return err
	}
	events, err := cluster.AuditEvents()
	if err != nil {
		return err
	}
	if undeclared := granted.Undeclared(events); len(undeclared) > 0 {
		return fmt.Errorf("the operator has no permission for\n%s", strings.Join(undeclared, "\n"))
	}
	return nil
}

// startOperator starts a replica and returns when it is ready.
func startOperator(ctx context.Context, o *operator.Operator) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := o.Start(ctx); err != nil {
		return fmt.Errorf("%w\n%s", err, o.LogTail())
	}
	return nil
}

func start(t *testing.T) {
	t.Helper()
	if err := startOperator(t.Context(), replica); err != nil {
		t.Fatal(err)
	}
}

func stop(t *testing.T) {
	t.Helper()
	if err := replica.Stop(); err != nil {
		t.Fatalf("%v\n%s", err, replica.LogTail())
	}
}

// scrape returns the metrics as Prometheus gets them, a line each.
func scrape(t *testing.T) []string {
	t.Helper()
	lines, err := replica.Scrape(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// series returns the state series that name the namespace.
func series(t *testing.T, namespace string) []string {
	t.Helper()
	var found []string
	for _, line := range scrape(t) {
		if strings.HasPrefix(line, "kubersafe_") && strings.Contains(line, `namespace="`+namespace+`"`) {
			found = append(found, line)
		}
	}
	return found
}

func poll(condition wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(context.Background(), 10*time.Millisecond, timeout, true, condition)
}

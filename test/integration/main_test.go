// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package integration tests the operator as it is installed: a process of its own with its own ServiceAccount, against a
// real API server and the controllers of Kubernetes.
package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/test/controlplane"
)

const (
	operatorNamespace = "kubersafe-system"
	operatorUser      = "system:serviceaccount:" + operatorNamespace + ":kubersafe"

	// timeout of one condition. Measured: milliseconds; the rest is for machines that do something else meanwhile.
	timeout = time.Minute
)

var (
	cluster *controlplane.ControlPlane
	// admin does to the cluster what its users do.
	admin    client.Client
	operator *operatorProcess
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
	config := rest.CopyConfig(cluster.Config)
	config.QPS = -1 // tests make bursts
	if admin, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	// What users install. The Deployment's Pods stay pending; the operator under test runs as a process instead.
	if _, err := cluster.Kubectl(ctx, nil, "apply", "-f", filepath.Join(root, "dist/install.yaml")); err != nil {
		return 1, err
	}
	if operator, err = buildOperator(ctx, root); err != nil {
		return 1, err
	}
	if err := operator.start(); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// operatorProcess is the operator under test.
type operatorProcess struct {
	binary, kubeconfig, certs string
	metrics, probe            string
	args                      []string // after those that connect it to the control plane
	scraper                   *http.Client
	process                   *controlplane.Process
}

// starts numbers the processes, so that each has a log of its own.
var starts atomic.Int32

func buildOperator(ctx context.Context, root string) (*operatorProcess, error) {
	o := &operatorProcess{binary: filepath.Join(cluster.Dir, "kubersafe"), certs: filepath.Join(cluster.Dir, "certs")}
	build := exec.CommandContext(ctx, "go", "build", "-o", o.binary, ".")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building the operator: %w\n%s", err, out)
	}
	var err error
	if _, o.kubeconfig, err = cluster.ServiceAccount(ctx, operatorNamespace, "kubersafe"); err != nil {
		return nil, err
	}
	if err := o.makeCertificate(); err != nil {
		return nil, err
	}
	return o, o.allowScraping(ctx)
}

// makeCertificate makes a serving certificate and a client that trusts nothing else.
func (o *operatorProcess) makeCertificate() error {
	cert, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.certs, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.certs, "tls.crt"), cert, 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.certs, "tls.key"), key, 0o600); err != nil {
		return err
	}
	pool := x509.NewCertPool()
	for block, rest := pem.Decode(cert); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return err
		}
		pool.AddCert(c)
	}
	o.scraper = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}}
	return nil
}

// allowScraping gives the ServiceAccount default/prometheus what Prometheus gets.
func (o *operatorProcess) allowScraping(ctx context.Context) error {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "prometheus"}}
	if err := admin.Create(ctx, account); err != nil {
		return err
	}
	return admin.Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "prometheus"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubersafe-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: account.Namespace, Name: account.Name}},
	})
}

func (o *operatorProcess) start() error {
	for _, address := range []*string{&o.metrics, &o.probe} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		*address = l.Addr().String()
		if err := l.Close(); err != nil {
			return err
		}
	}
	var err error
	o.process, err = cluster.Run(fmt.Sprintf("kubersafe-%d", starts.Add(1)), o.binary, append([]string{
		"operator",
		"--kubeconfig=" + o.kubeconfig, "--leader-elect", "--leader-election-namespace=" + operatorNamespace,
		"--metrics-bind-address=" + o.metrics, "--metrics-cert-path=" + o.certs, "--health-probe-bind-address=" + o.probe,
	}, o.args...)...)
	if err != nil {
		return err
	}
	err = poll(func(ctx context.Context) (bool, error) {
		select {
		case <-o.process.Done():
			return false, fmt.Errorf("the operator has ended:\n%s", o.process.LogTail())
		default:
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.probe+"/readyz", nil)
		if err != nil {
			return false, err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return false, nil // not listening yet
		}
		return response.StatusCode == http.StatusOK, response.Body.Close()
	})
	if err != nil {
		return fmt.Errorf("waiting for the operator to be ready: %w\n%s", err, o.process.LogTail())
	}
	return nil
}

func (o *operatorProcess) stop(t *testing.T) {
	t.Helper()
	code, err := o.process.Stop(15 * time.Second)
	if err != nil || code != 0 {
		t.Fatalf("the operator ended with code %d, want 0 (%v)\n%s", code, err, o.process.LogTail())
	}
}

// scrape returns the metrics as Prometheus gets them, a line each.
func (o *operatorProcess) scrape(t *testing.T) []string {
	t.Helper()
	config, _, err := cluster.ServiceAccount(t.Context(), "default", "prometheus")
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+o.metrics+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+config.BearerToken)
	response, err := o.scraper.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("scraping: %s %v\n%s", response.Status, err, body)
	}
	return strings.Split(strings.TrimSpace(string(body)), "\n")
}

// series returns the state series that name the namespace.
func (o *operatorProcess) series(t *testing.T, namespace string) []string {
	t.Helper()
	var found []string
	for _, line := range o.scrape(t) {
		if strings.HasPrefix(line, "kubersafe_") && strings.Contains(line, `namespace="`+namespace+`"`) {
			found = append(found, line)
		}
	}
	return found
}

func poll(condition wait.ConditionWithContextFunc) error {
	return wait.PollUntilContextTimeout(context.Background(), 10*time.Millisecond, timeout, true, condition)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package operator runs the operator as a process beside a control plane, as its Deployment would: with the ServiceAccount
// and the permissions that it is installed with, elected leader, and with metrics that are served over verified HTTPS.
package operator

import (
	"context"
	"crypto/tls"
	"crypto/x509"
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
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"

	"github.com/kubersafe/kubersafe/test/controlplane"
)

const (
	// Namespace that the operator is installed in.
	Namespace = "kubersafe-system"
	// ServiceAccount that it runs as.
	ServiceAccount = "kubersafe"
	// User is the name that the API server knows it by.
	User = "system:serviceaccount:" + Namespace + ":" + ServiceAccount

	// scraper is the ServiceAccount, in the namespace default, that gets what Prometheus gets.
	scraper = "prometheus"

	// serverName is what a ServiceMonitor asks for, which reaches Pods by addresses that no certificate has.
	serverName = "kubersafe-metrics." + Namespace + ".svc"

	// stopTimeout is what the operator may take to end after SIGTERM; a kubelet would wait 30 seconds by default.
	stopTimeout = 15 * time.Second
	// requestTimeout of a scrape. Measured: milliseconds, and a second with 10,000 namespaces.
	requestTimeout = 30 * time.Second
	pollInterval   = 10 * time.Millisecond
)

// runs numbers the processes, so that each has a log of its own.
var runs atomic.Int32

// Operator is one replica.
type Operator struct {
	// Binary is the path of the command kubersafe.
	Binary string
	// Args are passed on, after those that connect it to the control plane.
	Args []string

	plane           *controlplane.ControlPlane
	config          *rest.Config
	kubeconfig      string
	certificates    string // directory with tls.crt and tls.key
	client          *http.Client
	token           string // of the scraper
	metrics, probes string // addresses
	process         *controlplane.Process
}

// Build builds the command at the path binary, as make build does; and with the race detector where whoever calls it was built so.
func Build(ctx context.Context, binary string) error {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return err
	}
	how, cgo := "-trimpath", "CGO_ENABLED=0"
	if raceDetector {
		how, cgo = "-race", "CGO_ENABLED=1" // the detector is a library in C
	}
	cmd := exec.CommandContext(ctx, "go", "build", how, "-o", binary, ".") //nolint:gosec // building there is its purpose
	cmd.Dir, cmd.Env = root, append(os.Environ(), cgo)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the operator: %w\n%s", err, out)
	}
	return nil
}

// New prepares a replica that is not started. The manifests that give the operator its ServiceAccount and permissions must
// have been applied. It is to be called once for a control plane; Replica makes more of it.
func New(ctx context.Context, plane *controlplane.ControlPlane, binary string) (*Operator, error) {
	o := &Operator{Binary: binary, plane: plane, certificates: filepath.Join(plane.Dir, "metrics-certificates")}
	var err error
	if o.config, o.kubeconfig, err = plane.ServiceAccount(ctx, Namespace, ServiceAccount); err != nil {
		return nil, err
	}
	if err := o.makeCertificate(); err != nil {
		return nil, fmt.Errorf("making the metrics server's certificate: %w", err)
	}
	return o, o.allowScraping(ctx)
}

// Replica returns another replica, which is not started.
func (o *Operator) Replica() *Operator {
	replica := *o
	replica.process = nil
	return &replica
}

// Through returns another replica, which is not started and reaches the API server at another URL, whose certificate is verified
// against that of authority.
func (o *Operator) Through(url string, authority []byte) (*Operator, error) {
	replica := o.Replica()
	replica.config = rest.CopyConfig(o.config)
	replica.config.Host, replica.config.CAData = url, authority
	replica.kubeconfig = filepath.Join(o.plane.Dir, fmt.Sprintf("through-%d.kubeconfig", runs.Add(1)))
	return replica, controlplane.WriteKubeconfig(replica.kubeconfig, replica.config)
}

// Config is the client configuration of the operator's ServiceAccount.
func (o *Operator) Config() *rest.Config { return o.config }

// makeCertificate makes a serving certificate, as cert-manager would in a cluster, and a client that trusts nothing else.
func (o *Operator) makeCertificate() error {
	cert, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, []string{serverName})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.certificates, 0o700); err != nil {
		return err
	}
	for name, content := range map[string][]byte{"tls.crt": cert, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(o.certificates, name), content, 0o600); err != nil {
			return err
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	o.client = &http.Client{
		Timeout: requestTimeout, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}},
	}
	return nil
}

// allowScraping gives a ServiceAccount what Prometheus gets.
func (o *Operator) allowScraping(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(o.plane.Config)
	if err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: scraper}}
	if _, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Create(ctx, account, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the ServiceAccount that scrapes: %w", err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: scraper},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubersafe-metrics-reader"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceDefault, Name: scraper}},
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("allowing to scrape: %w", err)
	}
	config, _, err := o.plane.ServiceAccount(ctx, metav1.NamespaceDefault, scraper)
	if err != nil {
		return err
	}
	o.token = config.BearerToken
	return nil
}

// Start starts the process and returns when it is ready. It is an error if it ends before, or is not ready when ctx ends.
func (o *Operator) Start(ctx context.Context) error {
	var err error
	if o.metrics, o.probes, err = freeAddresses(); err != nil {
		return fmt.Errorf("finding free ports: %w", err)
	}
	args := append([]string{
		"operator",
		"--kubeconfig=" + o.kubeconfig,
		"--leader-elect", "--leader-election-namespace=" + Namespace,
		"--metrics-bind-address=" + o.metrics, "--metrics-cert-path=" + o.certificates,
		"--health-probe-bind-address=" + o.probes,
	}, o.Args...)
	if o.process, err = o.plane.Run(fmt.Sprintf("kubersafe-%d", runs.Add(1)), o.Binary, args...); err != nil {
		return err
	}
	last := ""
	err = wait.PollUntilContextCancel(ctx, pollInterval, true, func(ctx context.Context) (bool, error) {
		select {
		case <-o.process.Done():
			return false, errors.New("it has ended")
		default:
		}
		var ready bool
		var err error
		ready, last, err = o.ready(ctx)
		return ready, err
	})
	if err != nil {
		return fmt.Errorf("waiting for the operator to be ready: %w: %s", err, last)
	}
	return nil
}

// freeAddresses returns two loopback addresses with ports that nobody listens on.
func freeAddresses() (string, string, error) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	second, err := net.Listen("tcp", "127.0.0.1:0") // while the first is still open, so that they differ
	if err != nil {
		return "", "", errors.Join(err, first.Close())
	}
	return first.Addr().String(), second.Addr().String(), errors.Join(first.Close(), second.Close())
}

// ready asks the operator whether it is. The text says why not.
func (o *Operator) ready(ctx context.Context) (bool, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+o.probes+"/readyz", nil)
	if err != nil {
		return false, "", err
	}
	response, err := o.client.Do(request)
	if err != nil {
		return false, err.Error(), nil // it does not listen yet
	}
	return response.StatusCode == http.StatusOK, "/readyz answers " + response.Status, response.Body.Close()
}

// Stop sends SIGTERM and waits. The operator must end in time, with exit code 0.
func (o *Operator) Stop() error {
	code, err := o.process.Stop(stopTimeout)
	if err == nil && code != 0 {
		err = fmt.Errorf("the operator ended with exit code %d after SIGTERM, want 0", code)
	}
	return err
}

// Kill sends SIGKILL and returns when the operator has ended, which it may have before.
func (o *Operator) Kill() { o.process.Kill() }

// Process is what Start has started last, or nil.
func (o *Operator) Process() *controlplane.Process { return o.process }

// LogTail is the end of the log, fit for an error; "" before the first Start.
func (o *Operator) LogTail() string {
	if o.process == nil {
		return ""
	}
	return o.process.LogTail()
}

// Scrape returns the metrics as Prometheus gets them, a line each.
func (o *Operator) Scrape(ctx context.Context) ([]string, error) {
	code, body, err := o.GetAs(ctx, "/metrics", o.token)
	if err == nil && code != http.StatusOK {
		err = fmt.Errorf("a scrape is answered %d: %s", code, body)
	}
	return strings.Split(strings.TrimSpace(body), "\n"), err
}

// GetAs asks for a path beside the metrics with the token of any account, or with none if it is "", and returns status and
// body.
func (o *Operator) GetAs(ctx context.Context, path, token string) (int, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+o.metrics+path, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := o.client.Do(request)
	if err != nil {
		return 0, "", fmt.Errorf("getting %s: %w", path, err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return 0, "", fmt.Errorf("getting %s: %w", path, err)
	}
	return response.StatusCode, string(body), nil
}

// Token is that of a ServiceAccount that may scrape, and nothing else.
func (o *Operator) Token() string { return o.token }

// Authority is the path of the certificate to verify the metrics server against.
func (o *Operator) Authority() string { return filepath.Join(o.certificates, "tls.crt") }

// MetricsURL is where the metrics are.
func (o *Operator) MetricsURL() string { return "https://" + o.metrics + "/metrics" }

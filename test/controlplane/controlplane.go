// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controlplane boots a real Kubernetes control plane (etcd, kube-apiserver and kube-controller-manager) on the
// loopback interface, for the integration tests and the demo. There is no kubelet and no scheduler: Pods stay Pending.
package controlplane

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

const (
	// componentTimeout bounds the start and the stop of one component. Measured: 3 to 8 seconds on two idle cores; the
	// rest is for machines that compile something else meanwhile.
	componentTimeout = 90 * time.Second
	// readyTimeout bounds the wait for the controllers, after the API server is up.
	readyTimeout = 90 * time.Second
	pollInterval = 50 * time.Millisecond

	apiServerName = "kube-apiserver"
)

// Options of a control plane.
type Options struct {
	// CRDs are files or directories of CustomResourceDefinitions to install. A missing one is an error.
	CRDs []string
	// AuditLog makes the API server log every request, for AuditEvents.
	AuditLog bool
	// Features are feature gates of the API server to switch on.
	Features []string
	// AuditUsers are the users whose requests are logged; empty means everybody's.
	AuditUsers []string
	// WithoutControllers leaves kube-controller-manager out: nothing is created, counted or collected but by the caller.
	WithoutControllers bool
	// APIServerMemory is what the API server tries to stay within, such as 12GiB; "" lets it double what it needs.
	APIServerMemory string
	// Log is told what is going on. May be nil.
	Log func(format string, args ...any)
}

// ControlPlane is a running control plane.
type ControlPlane struct {
	// Config is the administrator's (group system:masters).
	Config *rest.Config
	// Kubeconfig is the path of the administrator's kubeconfig, readable by its owner only.
	Kubeconfig string
	// Dir holds all files of the control plane: data, keys, logs, kubeconfigs. Stop removes it.
	Dir string

	log      func(format string, args ...any)
	binaries binaries
	env      *envtest.Environment
	guard    *guard
	auditLog string

	mu        sync.Mutex
	processes []*Process

	stopOnce sync.Once
	stopErr  error
}

// Start boots a control plane and returns when its controllers, if there are any, work: the default ServiceAccount is
// there, and quotas are counted. If it fails, nothing is left running. Cancelling ctx makes it give up at the next step.
func Start(ctx context.Context, options Options) (*ControlPlane, error) {
	binaries, err := findBinaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "kubersafe-controlplane-")
	if err != nil {
		return nil, fmt.Errorf("creating a directory for the control plane: %w", err)
	}
	c := &ControlPlane{Dir: dir, Kubeconfig: filepath.Join(dir, "admin.kubeconfig"), log: options.Log, binaries: binaries}
	if c.log == nil {
		c.log = func(string, ...any) {}
	}
	if err := c.start(ctx, options); err != nil {
		return nil, errors.Join(fmt.Errorf("starting the control plane: %w", err), c.Stop())
	}
	return c, nil
}

func (c *ControlPlane) start(ctx context.Context, options Options) error {
	var err error
	if c.guard, err = startGuard(c.Dir); err != nil {
		return err
	}
	steps := []func(context.Context, Options) error{c.startAPIServer}
	if !options.WithoutControllers {
		steps = append(steps, c.startControllerManager, c.waitUntilReady)
	}
	for _, step := range steps {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := step(ctx, options); err != nil {
			return err
		}
	}
	return nil
}

// startAPIServer starts etcd and the API server, and installs the CRDs.
func (c *ControlPlane) startAPIServer(_ context.Context, options Options) error {
	if err := c.configure(options); err != nil {
		return err
	}
	c.log("starting etcd and kube-apiserver of %s", c.binaries.dir)
	config, err := c.env.Start()
	if err != nil {
		return fmt.Errorf("%w\n%s\n%s", err, c.logTail("etcd"), c.logTail(apiServerName))
	}
	c.Config = config
	return WriteKubeconfig(c.Kubeconfig, config)
}

// configure prepares the environment. Everything goes below Dir, so that removing it is all the cleaning there is.
func (c *ControlPlane) configure(options Options) error {
	existing := false // whatever USE_EXISTING_CLUSTER says: nobody's cluster is to be tested on
	c.env = &envtest.Environment{
		UseExistingCluster:       &existing,
		CRDDirectoryPaths:        options.CRDs,
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: componentTimeout,
		ControlPlaneStopTimeout:  componentTimeout,
	}
	apiServer := c.env.ControlPlane.GetAPIServer()
	c.env.ControlPlane.Etcd = &envtest.Etcd{}
	etcd := c.env.ControlPlane.Etcd
	c.env.ControlPlane.KubectlPath = c.binaries.path("kubectl")

	var err error
	if apiServer.CertDir, err = c.mkdir("apiserver"); err != nil {
		return err
	}
	if etcd.DataDir, err = c.mkdir("etcd"); err != nil {
		return err
	}
	if apiServer.Path, apiServer.Out, err = c.component(apiServerName, options.APIServerMemory); err != nil {
		return err
	}
	if etcd.Path, etcd.Out, err = c.component("etcd", ""); err != nil {
		return err
	}
	apiServer.Err, etcd.Err = apiServer.Out, etcd.Out
	// By default etcd takes 2 GB, less than the largest cluster needs with the old versions of its objects.
	etcd.Configure().Set("quota-backend-bytes", strconv.Itoa(16<<30))

	// envtest switches the ServiceAccount plugin off, because nothing creates the default ServiceAccounts without the
	// controller manager. It runs here, and without the plugin Pods would look different from any real cluster's.
	apiServer.Configure().Disable("disable-admission-plugins").Set("authorization-mode", "RBAC")
	for _, feature := range options.Features {
		apiServer.Configure().Append("feature-gates", feature+"=true")
	}
	if options.AuditLog {
		return c.configureAuditLog(apiServer, options.AuditUsers)
	}
	return nil
}

// component returns what envtest is to run for a component, and where its output goes.
func (c *ControlPlane) component(name, memory string) (string, io.Writer, error) {
	path, err := c.guard.wrap(name, c.binaries.path(name), memory)
	if err != nil {
		return "", nil, err
	}
	log, err := os.OpenFile(c.logPath(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return "", nil, fmt.Errorf("creating the log of %s: %w", name, err)
	}
	c.guard.closeWith(log)
	return path, log, nil
}

// startControllerManager runs kube-controller-manager with a user of its own, so that the audit log tells it from the
// administrator.
func (c *ControlPlane) startControllerManager(_ context.Context, _ Options) error {
	user, err := c.env.AddUser(envtest.User{Name: "system:kube-controller-manager", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return fmt.Errorf("creating the controller manager's user: %w", err)
	}
	kubeconfig := filepath.Join(c.Dir, "kube-controller-manager.kubeconfig")
	if err := WriteKubeconfig(kubeconfig, user.Config()); err != nil {
		return err
	}
	rootCA := filepath.Join(c.Dir, "ca.crt")
	if err := os.WriteFile(rootCA, c.Config.CAData, 0o600); err != nil {
		return fmt.Errorf("writing the CA: %w", err)
	}
	signer, err := c.makeSigner()
	if err != nil {
		return err
	}
	c.log("starting kube-controller-manager")
	_, err = c.Run("kube-controller-manager", c.binaries.path("kube-controller-manager"), append(signer,
		"--kubeconfig="+kubeconfig,
		"--leader-elect=false",
		"--secure-port=0",
		"--use-service-account-credentials=false",
		"--service-account-private-key-file="+filepath.Join(c.env.ControlPlane.APIServer.CertDir, "sa-signer.key"),
		"--root-ca-file="+rootCA,
		// Its default, 20 requests a second, makes tests with hundreds of objects wait for it.
		"--kube-api-qps=200", "--kube-api-burst=400",
	)...)
	return err
}

// waitUntilReady returns once Pods can be created in the default namespace and quotas are counted.
func (c *ControlPlane) waitUntilReady(ctx context.Context, _ Options) error {
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return fmt.Errorf("creating a client: %w", err)
	}
	c.log("waiting for the controllers")
	if err := c.poll(ctx, "the default ServiceAccount", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, ignoreNotFound(err)
	}); err != nil {
		return err
	}
	return c.waitForQuotas(ctx, client)
}

// waitForQuotas creates a quota, waits until it is counted, and removes it.
func (c *ControlPlane) waitForQuotas(ctx context.Context, client kubernetes.Interface) error {
	quotas := client.CoreV1().ResourceQuotas(metav1.NamespaceDefault)
	probe := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "controlplane-probe"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/leases.coordination.k8s.io": resource.MustParse("1")}},
	}
	if _, err := quotas.Create(ctx, probe, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating a quota: %w", err)
	}
	if err := c.poll(ctx, "the quota controller", func(ctx context.Context) (bool, error) {
		quota, err := quotas.Get(ctx, probe.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return len(quota.Status.Used) == len(probe.Spec.Hard), nil
	}); err != nil {
		return err
	}
	if err := quotas.Delete(ctx, probe.Name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("deleting the quota: %w", err)
	}
	return nil
}

// RestartAPIServer kills the API server, calls meanwhile, and starts it again at the same address, with what etcd has. Asked to end, it
// would wait for a minute for those who watch.
func (c *ControlPlane) RestartAPIServer(meanwhile func() error) error {
	c.log("restarting kube-apiserver")
	trusted, err := os.ReadFile(c.clientAuthorities())
	if err == nil {
		err = c.guard.kill(apiServerName)
	}
	if err == nil {
		err = c.cutAuditLog()
	}
	if err != nil {
		return fmt.Errorf("killing the API server: %w", err)
	}
	errMeanwhile := meanwhile()
	if err := c.env.ControlPlane.GetAPIServer().Start(); err != nil {
		return errors.Join(errMeanwhile, fmt.Errorf("starting the API server again: %w\n%s", err, c.logTail(apiServerName)))
	}
	// envtest has written the file anew, with its own authority alone.
	return errors.Join(errMeanwhile, os.WriteFile(c.clientAuthorities(), trusted, 0o600)) //nolint:gosec // G703: a path of ours
}

// poll waits for a condition that the controller manager brings about; if that has died, its log is in the error.
func (c *ControlPlane) poll(ctx context.Context, what string, condition wait.ConditionWithContextFunc) error {
	err := wait.PollUntilContextTimeout(ctx, pollInterval, readyTimeout, true, func(ctx context.Context) (bool, error) {
		if err := c.checkProcesses(); err != nil {
			return false, err
		}
		return condition(ctx)
	})
	if err != nil {
		return fmt.Errorf("waiting for %s: %w\n%s", what, err, c.logTail("kube-controller-manager"))
	}
	return nil
}

// Stop ends everything that Start and Run have started, and removes Dir. Calling it again changes nothing.
func (c *ControlPlane) Stop() error {
	c.stopOnce.Do(func() { c.stopErr = c.stop() })
	return c.stopErr
}

func (c *ControlPlane) stop() error {
	var errs []error
	for _, process := range c.startedLastFirst() {
		_, err := process.Stop(componentTimeout)
		errs = append(errs, err)
	}
	if c.env != nil {
		errs = append(errs, c.env.Stop())
	}
	if c.guard != nil {
		errs = append(errs, c.guard.release())
	}
	errs = append(errs, os.RemoveAll(c.Dir))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stopping the control plane: %w", err)
	}
	return nil
}

func (c *ControlPlane) mkdir(name string) (string, error) {
	dir := filepath.Join(c.Dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("creating a directory: %w", err)
	}
	return dir, nil
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// unique returns a string that no other call returns, fit for a name.
func unique() string { return rand.Text()[:12] }

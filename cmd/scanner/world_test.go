// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
	"github.com/kubersafe/kubersafe/test/controlplane"
)

const (
	// timeout of one condition. Measured: a second or two; the rest is for machines that do something else meanwhile.
	timeout = time.Minute
	// scannerUser is what the API server calls the scanner.
	scannerUser = "system:serviceaccount:kubersafe-system:kubersafe-scanner"
)

// installation is a control plane on which the operator and the component image-scan are installed. Nothing runs on it.
type installation struct {
	*controlplane.ControlPlane
	admin      client.Client
	kubeconfig string // of the scanner
}

var installed = sync.OnceValues(install)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard()) // envtest's
	code := m.Run()
	if started {
		if plane, err := installed(); err == nil {
			if err := plane.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
	}
	os.Exit(code)
}

// started: some test has asked for the control plane.
var started bool

func install() (*installation, error) {
	started = true
	ctx := context.Background()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		if err := os.Setenv("KUBEBUILDER_ASSETS", filepath.Join("..", "..", "bin", "controlplane")); err != nil {
			return nil, err
		}
	}
	plane, err := controlplane.Start(ctx, controlplane.Options{AuditLog: true, AuditUsers: []string{scannerUser}, WithoutControllers: true})
	if err != nil {
		return nil, err
	}
	i := &installation{ControlPlane: plane}
	if err := i.install(ctx); err != nil {
		_ = plane.Stop() // the first error says more
		return nil, err
	}
	return i, nil
}

// install installs what users install.
func (i *installation) install(ctx context.Context) error {
	scheme := runtime.NewScheme()
	if err := clientgoscheme.AddToScheme(scheme); err != nil {
		return err
	}
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	config := rest.CopyConfig(i.Config)
	config.QPS = -1 // tests make bursts
	var err error
	if i.admin, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	dir, err := writeKustomization(i.Dir)
	if err != nil {
		return err
	}
	if _, err := i.Kubectl(ctx, nil, "apply", "-k", dir); err != nil {
		return err
	}
	_, i.kubeconfig, err = i.ServiceAccount(ctx, "kubersafe-system", "kubersafe-scanner")
	return err
}

// writeKustomization writes a kustomization with the operator, the component image-scan and more components into a folder of dir.
func writeKustomization(dir string, components ...string) (string, error) {
	dir, err := os.MkdirTemp(dir, "kustomization-")
	if err != nil {
		return "", err
	}
	// Of what only kubectl reads, go test would not know that it has changed since it passed.
	if err := os.CopyFS(filepath.Join(dir, "config"), os.DirFS(filepath.Join("..", "..", "config"))); err != nil {
		return "", err
	}
	text := "resources: [config/default]\ncomponents:\n- config/components/image-scan\n"
	for _, c := range components {
		text += "- config/components/" + c + "\n"
	}
	return dir, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600)
}

// world is what one test has of the cluster: namespaces, Pods and reports, all of which go with it.
type world struct {
	*testing.T
	*installation
	dir      string // of the scanner
	database string
	output   *buffer // of the scanner
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	plane, err := installed()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, installation: plane, dir: t.TempDir(), database: fixture.Database(t), output: &buffer{}}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the scanner says, at last:\n%.20000s", w.output.String())
		}
		w.clean()
	})
	w.create(&corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "node"},
		Status:     corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{OperatingSystem: "linux", Architecture: "amd64"}},
	})
	return w
}

// in returns the same world for a part of the test.
func (w *world) in(t *testing.T) *world {
	part := *w
	part.T = t
	return &part
}

// clean removes what the next test must not see. The test's own context is over.
func (w *world) clean() {
	ctx := context.Background()
	for _, o := range []client.Object{&v1alpha1.ImageReport{}, &corev1.Node{}} {
		if err := w.admin.DeleteAllOf(ctx, o); err != nil {
			w.Error(err)
		}
	}
	namespaces := &corev1.NamespaceList{}
	if err := w.admin.List(ctx, namespaces, client.HasLabels{"test"}); err != nil {
		w.Error(err)
	}
	for i := range namespaces.Items {
		w.deleteIn(ctx, namespaces.Items[i].Name)
	}
}

// deleteIn deletes what runs in a namespace, and what would.
func (w *world) deleteIn(ctx context.Context, namespace string) {
	for _, o := range []client.Object{&corev1.Pod{}, &appsv1.Deployment{}, &batchv1.CronJob{}} {
		err := w.admin.DeleteAllOf(ctx, o, client.InNamespace(namespace), client.GracePeriodSeconds(0), client.PropagationPolicy(metav1.DeletePropagationBackground))
		if err != nil {
			w.Error(err)
		}
	}
}

// namespace makes a namespace that Pods can be created in.
func (w *world) namespace() string {
	w.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: map[string]string{"test": ""}}}
	w.create(ns)
	w.create(&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "default"}})
	return ns.Name
}

func (w *world) create(o client.Object) {
	w.Helper()
	if err := w.admin.Create(w.Context(), o); err != nil {
		w.Fatal(err)
	}
}

// pod makes a Pod that runs an image, as its status says.
func (w *world) pod(namespace, image, imageID string, secrets ...string) {
	w.Helper()
	w.podWith(namespace, image, imageID, func(p *corev1.Pod) {
		for _, s := range secrets {
			p.Spec.ImagePullSecrets = append(p.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: s})
		}
	})
}

// podWith makes such a Pod with something else about it.
func (w *world) podWith(namespace, image, imageID string, more func(*corev1.Pod)) {
	w.Helper()
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "pod-"},
		Spec:       corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "app", Image: image}}},
	}
	more(p)
	w.create(p)
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: "app", Image: image, ImageID: imageID}}}
	if err := w.admin.Status().Update(w.Context(), p); err != nil {
		w.Fatal(err)
	}
}

// scanner starts "kubersafe-scanner run" as its Deployment would, and returns a function that ends it, which the end of the test does too.
func (w *world) scanner(args ...string) (stop func()) {
	w.Helper()
	w.Setenv("TMPDIR", os.TempDir()) // --temp-dir sets it
	ctx, cancel := context.WithCancel(w.Context())
	cmd := newCommand()
	cmd.SetArgs(w.runArgs(args...))
	cmd.SetErr(w.output)
	cmd.SetContext(ctx)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Execute() }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.Errorf("the scanner ended: %v", err)
		}
	})
	w.Cleanup(stop)
	return stop
}

// runArgs are the arguments of "kubersafe-scanner run" for this world.
func (w *world) runArgs(more ...string) []string {
	return append([]string{
		"run", "--kubeconfig", w.kubeconfig, "--metrics-bind-address=0", "--health-probe-bind-address=0",
		"--db", w.database, "--db-dir", filepath.Join(w.dir, "db"), "--store-dir", filepath.Join(w.dir, "images"), "--temp-dir", w.TempDir(),
		"--kube-api-qps=1000", "--kube-api-burst=1000", "--retry-min=100ms", "--retry-max=1s", "--db-poll=100ms",
	}, more...)
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// eventually waits until a condition returns nothing that is wrong.
func (w *world) eventually(what string, condition func() (wrong string)) {
	w.Helper()
	var last string
	err := wait.PollUntilContextTimeout(w.Context(), 20*time.Millisecond, timeout, true, func(context.Context) (bool, error) {
		last = condition()
		return last == "", nil
	})
	if err != nil {
		w.Fatalf("waiting for %s: %v; last: %s", what, err, last)
	}
}

// reports returns the ImageReports on images, sorted by name.
func (w *world) reports() []v1alpha1.ImageReport {
	w.Helper()
	return slices.DeleteFunc(w.allReports(), isOnKubernetes)
}

func (w *world) allReports() []v1alpha1.ImageReport {
	w.Helper()
	list := &v1alpha1.ImageReportList{}
	if err := w.admin.List(w.Context(), list); err != nil {
		w.Fatal(err)
	}
	return list.Items
}

func isOnKubernetes(r v1alpha1.ImageReport) bool { return v1alpha1.KubernetesVersionOf(r.Name) != "" }

// await waits until there are n reports that are as they should be, and returns them.
func (w *world) await(what string, n int, right func(*v1alpha1.ImageReport) bool) []v1alpha1.ImageReport {
	w.Helper()
	var list []v1alpha1.ImageReport
	w.eventually(what, func() string {
		list = w.reports()
		var states []string
		for i := range list {
			if !right(&list[i]) {
				states = append(states, fmt.Sprintf("%s: %s %s %s", list[i].Image.Name, list[i].State, list[i].Reason, list[i].Message))
			}
		}
		if len(list) != n || len(states) > 0 {
			return fmt.Sprintf("%d reports, of which %d are not right: %.2000s", len(list), len(states), strings.Join(states, "; "))
		}
		return ""
	})
	return list
}

func isScanned(r *v1alpha1.ImageReport) bool { return r.State == v1alpha1.ImageScanned }

// isComplete: it is told where each tag leads, too.
func isComplete(r *v1alpha1.ImageReport) bool {
	return isScanned(r) && !slices.ContainsFunc(r.References, func(r v1alpha1.ImageReference) bool { return r.CurrentDigest == "" || r.NewestTag == "" })
}

// writes returns the names of the reports on images that the scanner has written so far, sorted, each as often as that.
func (w *world) writes() []string {
	w.Helper()
	events, err := w.AuditEvents()
	if err != nil {
		w.Fatal(err)
	}
	var names []string
	for i := range events {
		e := &events[i]
		if e.User == scannerUser && e.Resource == "imagereports" && v1alpha1.KubernetesVersionOf(e.Name) == "" && slices.Contains([]string{"create", "update", "delete"}, e.Verb) {
			names = append(names, e.Verb+" "+e.Name)
		}
	}
	slices.Sort(names)
	return names
}

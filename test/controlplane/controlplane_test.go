// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

// conditionTimeout is for what takes about a second on idle machines.
const conditionTimeout = 60 * time.Second

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard()) // or controller-runtime complains, with a stack trace, that nobody did
	os.Exit(m.Run())
}

func TestControlPlane(t *testing.T) {
	root, err := ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Start(t.Context(), Options{CRDs: []string{filepath.Join(root, "config", "crd", "bases")}, AuditLog: true, Log: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stopAndLookForRemains(t, c) })
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}

	t.Run("a Deployment gets its Pods, and they are as admission makes them", func(t *testing.T) { testDeployment(t, client) })
	t.Run("a ResourceQuota is counted", func(t *testing.T) { testQuota(t, client) })
	t.Run("a namespace with content is deleted completely", func(t *testing.T) { testNamespaceDeletion(t, client) })
	t.Run("the audit log counts requests exactly", func(t *testing.T) { testAuditLog(t, c, client) })
	t.Run("a ServiceAccount's client can do what it may and nothing else", func(t *testing.T) { testServiceAccount(t, c, client) })
	t.Run("kubectl works and its errors say why", func(t *testing.T) { testKubectl(t, c) })
	t.Run("the API server restarts with what there was", func(t *testing.T) { testRestart(t, c, client) })
}

func TestWhatAnAPIServerWasKilledAmidOfIsNoEvent(t *testing.T) {
	c := &ControlPlane{auditLog: filepath.Join(t.TempDir(), "audit.jsonl")}
	if err := os.WriteFile(c.auditLog, []byte(`{"auditID":"1","verb":"get"}`+"\n"+`{"auditID":"2","ve`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.cutAuditLog(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(c.auditLog)
	if err != nil {
		t.Fatal(err)
	}
	if events, err := ParseAuditLog(content); err != nil || len(events) != 1 || events[0].Verb != "get" {
		t.Errorf("events: %+v, %v", events, err)
	}
}

func TestStartFailsAndLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	_, err := Start(t.Context(), Options{CRDs: []string{"/nonexistent/crds"}, Log: t.Logf})
	if err == nil || !strings.Contains(err.Error(), "/nonexistent/crds") {
		t.Errorf("Start with a missing CRD returned %v, want an error that names it", err)
	}
	if remains, _ := os.ReadDir(os.TempDir()); len(remains) != 0 {
		t.Errorf("Start failed and left %v", remains)
	}
}

func TestStartSaysWhatIsMissing(t *testing.T) {
	t.Setenv("KUBEBUILDER_ASSETS", t.TempDir())
	_, err := Start(t.Context(), Options{})
	if err == nil || !strings.Contains(err.Error(), "run make controlplane first") {
		t.Errorf("Start without programs returned %v, want an error that says how to get them", err)
	}
}

func testDeployment(t *testing.T, client kubernetes.Interface) {
	ctx, replicas := t.Context(), int32(2)
	labels := map[string]string{"app": "web"}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: podSpec()},
		},
	}
	if _, err := client.AppsV1().Deployments("default").Create(ctx, deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var pods *corev1.PodList
	eventually(t, "two Pods", func(ctx context.Context) (bool, error) {
		var err error
		pods, err = client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
		return err == nil && len(pods.Items) == 2, err
	})
	for _, pod := range pods.Items {
		if pod.Spec.ServiceAccountName != "default" {
			t.Errorf("Pod %s has serviceAccountName %q, want default", pod.Name, pod.Spec.ServiceAccountName)
		}
		if len(pod.Spec.Volumes) != 1 || !strings.HasPrefix(pod.Spec.Volumes[0].Name, "kube-api-access-") {
			t.Errorf("Pod %s has volumes %v, want a kube-api-access one", pod.Name, pod.Spec.Volumes)
		}
	}
}

func testQuota(t *testing.T, client kubernetes.Interface) {
	ctx := t.Context()
	createNamespace(t, client, "counted")
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "pods"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("3")}},
	}
	if _, err := client.CoreV1().ResourceQuotas("counted").Create(ctx, quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	used := func(want int64) {
		t.Helper()
		eventually(t, fmt.Sprintf("%d Pods counted", want), func(ctx context.Context) (bool, error) {
			quota, err := client.CoreV1().ResourceQuotas("counted").Get(ctx, "pods", metav1.GetOptions{})
			if err != nil {
				return false, err
			}
			got, counted := quota.Status.Used[corev1.ResourcePods]
			return counted && got.Value() == want, nil
		})
	}
	used(0)
	createPod(t, client, "counted", "one")
	used(1)
}

func testNamespaceDeletion(t *testing.T, client kubernetes.Interface) {
	createNamespace(t, client, "doomed")
	createPod(t, client, "doomed", "pod")
	if err := client.CoreV1().Namespaces().Delete(t.Context(), "doomed", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace's end", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Namespaces().Get(ctx, "doomed", metav1.GetOptions{})
		return apierrors.IsNotFound(err), ignoreNotFound(err)
	})
}

func testAuditLog(t *testing.T, c *ControlPlane, client kubernetes.Interface) {
	const want = 25
	createNamespace(t, client, "audited")
	for i := range want {
		configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("c%02d", i)}}
		if _, err := client.CoreV1().ConfigMaps("audited").Create(t.Context(), configMap, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	events, err := c.AuditEvents()
	if err != nil {
		t.Fatal(err)
	}
	var got []AuditEvent
	for _, event := range events {
		if event.Verb == "create" && event.Resource == "configmaps" && event.Namespace == "audited" && event.User == "admin" {
			got = append(got, event)
		}
	}
	if len(got) != want {
		t.Fatalf("the audit log has %d creates, want %d", len(got), want)
	}
	wantFirst := AuditEvent{
		User: "admin", Verb: "create", Path: "/api/v1/namespaces/audited/configmaps", Resource: "configmaps", Namespace: "audited", Name: "c00", Code: 201, UserAgent: got[0].UserAgent,
		Answered: got[0].Answered,
	}
	if diff := cmp.Diff(wantFirst, got[0]); diff != "" {
		t.Errorf("first create (-want +got):\n%s", diff)
	}
	if took := time.Since(got[0].Answered); took < 0 || took > conditionTimeout {
		t.Errorf("the first create was answered at %s", got[0].Answered)
	}
	if !strings.HasPrefix(got[0].UserAgent, "controlplane.test/") {
		t.Errorf("user agent %q, want the test's", got[0].UserAgent)
	}
}

func testRestart(t *testing.T, c *ControlPlane, client kubernetes.Interface) {
	createNamespace(t, client, "before")
	err := c.RestartAPIServer(func() error {
		if _, err := client.Discovery().ServerVersion(); err == nil {
			t.Error("the API server answers while it is away")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	createNamespace(t, client, "after")
	if _, err := client.CoreV1().Namespaces().Get(t.Context(), "before", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := c.AuditEvents(); err != nil {
		t.Error(err)
	}
}

func testServiceAccount(t *testing.T, c *ControlPlane, client kubernetes.Interface) {
	config, kubeconfig, err := c.ServiceAccount(t.Context(), "default", "default")
	if err != nil {
		t.Fatal(err)
	}
	own, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("listing Pods as the ServiceAccount: %v, want forbidden", err)
	}
	who, err := c.Kubectl(t.Context(), nil, "--kubeconfig="+kubeconfig, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
	if want := "system:serviceaccount:default:default"; err != nil || who != want {
		t.Errorf("the kubeconfig is of %q (%v), want %q", who, err, want)
	}
	if info, err := os.Stat(kubeconfig); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig: %v, %v, want mode 0600", info, err)
	}
}

func testKubectl(t *testing.T, c *ControlPlane) {
	out, err := c.Kubectl(t.Context(), strings.NewReader("{apiVersion: v1, kind: ConfigMap, metadata: {name: piped}}"), "apply", "-f", "-")
	if err != nil || out != "configmap/piped created\n" {
		t.Errorf("kubectl apply printed %q, %v", out, err)
	}
	_, err = c.Kubectl(t.Context(), nil, "get", "configmap", "missing")
	if err == nil || !strings.Contains(err.Error(), `configmaps "missing" not found`) {
		t.Errorf("kubectl get of a missing object returned %v, want its message", err)
	}
	if _, err := c.Kubectl(t.Context(), nil, "get", "securityreports", "-A"); err != nil {
		t.Errorf("the CRDs are not installed: %v", err)
	}
}

// stopAndLookForRemains stops the control plane twice and fails if a process or a file has outlived it.
func stopAndLookForRemains(t *testing.T, c *ControlPlane) {
	files, err := filepath.Glob(filepath.Join(c.guard.dir, "*.pid"))
	if err != nil || len(files) != 3 {
		t.Errorf("guarded processes: %v, %v, want three", files, err)
	}
	var pids []int
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		var pid int
		if _, err := fmt.Sscan(string(content), &pid); err != nil {
			t.Error(err)
		}
		pids = append(pids, pid)
	}
	for range 2 {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}
	for _, pid := range append(pids, c.guard.cmd.Process.Pid) {
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("process %d is still running", pid)
		}
	}
	if _, err := os.Stat(c.Dir); !os.IsNotExist(err) {
		t.Errorf("%s is still there", c.Dir)
	}
}

func createNamespace(t *testing.T, client kubernetes.Interface, name string) {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the ServiceAccount of "+name, func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err == nil, ignoreNotFound(err)
	})
}

func createPod(t *testing.T, client kubernetes.Interface, namespace, name string) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: podSpec()}
	if _, err := client.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func podSpec() corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "registry.k8s.io/pause:3.10"}}}
}

func eventually(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), pollInterval, conditionTimeout, true, condition); err != nil {
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

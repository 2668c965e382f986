// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	intstrutil "k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/test/operator"
)

var namespaceCount atomic.Int32

// newNamespace makes a namespace for one test, and waits until the audit has seen it.
func newNamespace(t *testing.T) string {
	t.Helper()
	return newLabelledNamespace(t, nil)
}

func newLabelledNamespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	// Short, and never twice: a namespace takes a while to go.
	name := fmt.Sprintf("%.40s", strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")))
	name = fmt.Sprintf("%s-%d", strings.TrimRight(name, "-"), namespaceCount.Add(1))
	makeNamespace(t, name, labels)
	return name
}

func makeNamespace(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
	eventually(t, "the ServiceAccount of new Pods", func(ctx context.Context) (bool, string) {
		err := admin.Get(ctx, client.ObjectKey{Namespace: name, Name: "default"}, &corev1.ServiceAccount{})
		return err == nil, fmt.Sprint(err)
	})
	waitForReport(t, name, "namespace-"+name)
	t.Cleanup(func() {
		// There is no kubelet to end Pods that are on a node. They would keep the namespace until the garbage collector of Pods comes.
		err := admin.DeleteAllOf(context.Background(), &corev1.Pod{}, client.InNamespace(name), client.GracePeriodSeconds(0))
		if err != nil {
			t.Error(err)
		}
		removeAfterwards(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	})
}

// removeAfterwards removes what may be gone already when the test's own context is over.
func removeAfterwards(t *testing.T, o client.Object) {
	t.Helper()
	err := admin.Delete(context.Background(), o, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		t.Error(err)
	}
}

func create(t *testing.T, o client.Object) {
	t.Helper()
	if err := admin.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// change changes an object as it is now.
func change[T client.Object](t *testing.T, o T, mutate func(T)) {
	t.Helper()
	eventually(t, "an update of "+o.GetName(), func(ctx context.Context) (bool, string) {
		if err := admin.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return false, err.Error()
		}
		mutate(o)
		err := admin.Update(ctx, o)
		if err != nil && !apierrors.IsConflict(err) {
			t.Fatal(err)
		}
		return err == nil, fmt.Sprint(err)
	})
}

func remove(t *testing.T, o client.Object) {
	t.Helper()
	if err := admin.Delete(t.Context(), o, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a condition, which says what it saw last.
func eventually(t *testing.T, what string, condition func(context.Context) (bool, string)) {
	t.Helper()
	var last string
	err := poll(func(ctx context.Context) (bool, error) {
		var ok bool
		ok, last = condition(ctx)
		return ok, nil
	})
	if err != nil {
		t.Fatalf("waiting for %s: %v; last: %s\n%s", what, err, last, replica.LogTail())
	}
}

func getReport(ctx context.Context, namespace, name string) (*v1alpha1.SecurityReport, error) {
	r := &v1alpha1.SecurityReport{}
	return r, admin.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, r)
}

func waitForReport(t *testing.T, namespace, name string) *v1alpha1.SecurityReport {
	t.Helper()
	return waitFor(t, namespace, name, func(*v1alpha1.SecurityReport) bool { return true })
}

// waitFor waits until a report is as it should be.
func waitFor(t *testing.T, namespace, name string, right func(*v1alpha1.SecurityReport) bool) *v1alpha1.SecurityReport {
	t.Helper()
	var r *v1alpha1.SecurityReport
	eventually(t, "report "+namespace+"/"+name, func(ctx context.Context) (bool, string) {
		var err error
		if r, err = getReport(ctx, namespace, name); err != nil {
			return false, err.Error()
		}
		return right(r), show(r)
	})
	return r
}

func waitForNoReport(t *testing.T, namespace, name string) {
	t.Helper()
	eventually(t, "no report "+namespace+"/"+name, func(ctx context.Context) (bool, string) {
		r, err := getReport(ctx, namespace, name)
		return apierrors.IsNotFound(err), show(r)
	})
}

// shown are the checks that tests look at, one for each kind of input. The others have their fixtures.
var shown = map[string]bool{
	"privileged-container": true, "image-tag-latest": true, "no-resource-quota": true, "quota-nearly-exhausted": true,
	"no-default-deny-ingress": true,
}

// show returns what tests compare of a report: a line for each finding.
func show(r *v1alpha1.SecurityReport) string {
	lines := make([]string, 0, len(r.Findings))
	for _, f := range r.Findings {
		if !shown[f.Check] {
			continue
		}
		line := fmt.Sprintf("%s %s %s", f.Severity, f.Check, f.Path)
		if f.SeenIn != "" {
			line += " (" + string(f.SeenIn) + ")"
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func shows(want ...string) func(*v1alpha1.SecurityReport) bool {
	return func(r *v1alpha1.SecurityReport) bool { return show(r) == strings.Join(want, "\n") }
}

func reportNames(t *testing.T, namespace string) []string {
	t.Helper()
	list := &v1alpha1.SecurityReportList{}
	if err := admin.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(list.Items))
	for _, r := range list.Items {
		names = append(names, r.Name)
	}
	return names
}

// writes returns what the operator has written in a namespace so far: lines "verb report".
func writes(t *testing.T, namespace string) []string {
	t.Helper()
	events, err := cluster.AuditEvents()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range events {
		if e.User != operator.User || e.Namespace != namespace || e.Resource != "securityreports" {
			continue
		}
		switch e.Verb {
		case "get", "list", "watch":
		default:
			found = append(found, e.Verb+" "+e.Name)
		}
	}
	return found
}

// settle returns when the operator has worked off everything that has happened to Pods and controllers in a namespace:
// what comes last over the same watches is judged last.
func settle(t *testing.T, namespace string) {
	t.Helper()
	// No check finds anything in it, or the namespace's roll-up would change twice.
	app := restrictedContainer("app", "example.com/sentinel@sha256:b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c")
	sentinel := deployment(namespace, "sentinel", 1, app)
	sentinel.Spec.Template.Spec.AutomountServiceAccountToken = new(false)
	create(t, sentinel)
	waitForReport(t, namespace, "deployment-sentinel")
	waitForPods(t, namespace, "sentinel", 1)
	pod := pod(namespace, "sentinel", app)
	pod.Spec.AutomountServiceAccountToken = new(false)
	// A Pod that nothing owns would be a finding. The garbage collector leaves owners alone whose kind is not served.
	pod.OwnerReferences = []metav1.OwnerReference{
		{APIVersion: "example.com/v1", Kind: "Watch", Name: "sentinel", UID: "sentinel", Controller: new(true)},
	}
	create(t, pod)
	waitForReport(t, namespace, "watch.example.com-sentinel")
	remove(t, pod)
	waitForNoReport(t, namespace, "watch.example.com-sentinel")
	remove(t, sentinel)
	waitForNoReport(t, namespace, "deployment-sentinel")
}

func waitForPods(t *testing.T, namespace, app string, n int) []corev1.Pod {
	t.Helper()
	list := &corev1.PodList{}
	eventually(t, fmt.Sprintf("%d Pods of %s", n, app), func(ctx context.Context) (bool, string) {
		err := admin.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels{"app": app})
		return err == nil && len(list.Items) == n, fmt.Sprintf("%d Pods, %v", len(list.Items), err)
	})
	return list.Items
}

func container(name, image string, privileged bool) corev1.Container {
	return corev1.Container{Name: name, Image: image, SecurityContext: &corev1.SecurityContext{Privileged: &privileged}}
}

// restrictedContainer is one in which no check finds anything but what the image reference says. Its amounts are the
// least and the most that the LimitRanges of the fixtures admit.
func restrictedContainer(name, image string) corev1.Container {
	amounts := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("100m"),
		corev1.ResourceMemory:           resource.MustParse("64Mi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Gi"),
	}
	return corev1.Container{
		Name: name, Image: image,
		Resources: corev1.ResourceRequirements{Requests: amounts, Limits: amounts},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			RunAsNonRoot:             new(true),
			ReadOnlyRootFilesystem:   new(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}
}

func podTemplate(app string, containers ...corev1.Container) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{Containers: containers},
	}
}

func pod(namespace, name string, containers ...corev1.Container) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       corev1.PodSpec{Containers: containers},
	}
}

func deployment(namespace, name string, replicas int32, containers ...corev1.Container) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: podTemplate(name, containers...),
		},
	}
}

func intstr(n int) intstrutil.IntOrString { return intstrutil.FromInt(n) }

// waitForSeries waits until n series of a namespace contain a text.
func waitForSeries(t *testing.T, namespace, text string, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d series of %s with %q", n, namespace, text), func(context.Context) (bool, string) {
		var found []string
		for _, s := range series(t, namespace) {
			if strings.Contains(s, text) {
				found = append(found, s)
			}
		}
		return len(found) == n, strings.Join(found, "\n")
	})
}

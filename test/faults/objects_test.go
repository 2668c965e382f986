// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var namespaceCount atomic.Int32

// shop makes a namespace with an object of most kinds that are judged, and returns its name.
func (w *world) shop(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("shop-%d", namespaceCount.Add(1))
	w.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	eventually(t, "the ServiceAccount of new Pods", func(ctx context.Context) (bool, string) {
		err := w.admin.Get(ctx, client.ObjectKey{Namespace: name, Name: "default"}, &corev1.ServiceAccount{})
		return err == nil, fmt.Sprint(err)
	})
	w.alter(t, name, 0)
	return name
}

// alter makes the objects of a shop what they are in a round: each differs from that of the round before, and so do verdicts.
func (w *world) alter(t *testing.T, namespace string, round int) {
	t.Helper()
	for _, o := range objects(namespace, round) {
		if err := w.put(t.Context(), o); err != nil {
			t.Fatalf("%T %s/%s: %v", o, namespace, o.GetName(), err)
		}
	}
}

// objects of a shop in a round.
func objects(namespace string, round int) []client.Object {
	odd := round%2 == 1
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: name} }
	namespaced := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{"round": strconv.Itoa(round)}}}
	if odd {
		namespaced.Labels["pod-security.kubernetes.io/warn"] = "restricted"
	}
	role := &rbacv1.Role{ObjectMeta: meta("reader"), Rules: []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}}}}
	if odd {
		role.Rules[0].Resources = append(role.Rules[0].Resources, "secrets")
	}
	policy := &networkingv1.NetworkPolicy{ObjectMeta: meta("deny"), Spec: networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress},
	}}
	if odd {
		policy.Spec.PodSelector = metav1.LabelSelector{MatchLabels: map[string]string{"app": "none"}}
	}
	service := &corev1.Service{ObjectMeta: meta("web"), Spec: corev1.ServiceSpec{
		Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}},
	}}
	if odd {
		service.Spec.Selector = map[string]string{"app": "none"}
	}
	quota := &corev1.ResourceQuota{ObjectMeta: meta("all"), Spec: corev1.ResourceQuotaSpec{
		Hard: corev1.ResourceList{"count/configmaps": resource.MustParse(strconv.Itoa(100 + round))},
	}}
	return []client.Object{
		namespaced, &corev1.ServiceAccount{ObjectMeta: meta("app")}, role,
		&rbacv1.RoleBinding{
			ObjectMeta: meta("reader"), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "reader"},
			Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "app"}},
		},
		policy, service, quota, deployment(namespace, "web", round),
		pod(namespace, fmt.Sprintf("bare-%d", round), odd),
	}
}

func deployment(namespace, name string, round int) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       podSpec(fmt.Sprintf("registry.example.com/web:%d", round), round%2 == 1),
			},
		},
	}
}

func pod(namespace, name string, privileged bool) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: podSpec("registry.example.com/bare:1", privileged),
	}
}

func podSpec(image string, privileged bool) corev1.PodSpec {
	return corev1.PodSpec{
		ServiceAccountName: "app",
		Containers:         []corev1.Container{{Name: "app", Image: image, SecurityContext: &corev1.SecurityContext{Privileged: &privileged}}},
	}
}

// put creates an object or makes the one that is there equal to it. Pods stay as they are.
func (w *world) put(ctx context.Context, o client.Object) error {
	err := w.admin.Create(ctx, o)
	if _, isPod := o.(*corev1.Pod); isPod {
		err = client.IgnoreAlreadyExists(err)
	}
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		stored, ok := o.DeepCopyObject().(client.Object)
		if !ok {
			return fmt.Errorf("a copy of %T is no object", o)
		}
		if err := w.admin.Get(ctx, client.ObjectKeyFromObject(o), stored); err != nil {
			return err
		}
		if before, ok := stored.(*corev1.Service); ok {
			o.(*corev1.Service).Spec.ClusterIP = before.Spec.ClusterIP // it cannot change
		}
		o.SetResourceVersion(stored.GetResourceVersion())
		return w.admin.Update(ctx, o)
	})
}

// concurrently calls do with 0 to n-1, some at a time.
func concurrently(t *testing.T, n int, do func(ctx context.Context, i int) error) {
	t.Helper()
	const atOnce = 8
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(atOnce)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// since returns what has been written in a namespace after a mark, without what settling writes.
func since(t *testing.T, namespace string, mark int) []string {
	t.Helper()
	return slices.DeleteFunc(writes(t, namespace)[mark:], func(w string) bool {
		return strings.HasSuffix(w, "-sentinel")
	})
}

func TestStatusUpdatesOfPodsWriteNothing(t *testing.T) {
	ns := newNamespace(t)
	create(t, deployment(ns, "web", 10, container("app", "example.com/web:1", true)))
	waitForReport(t, ns, "deployment-web")
	pods := waitForPods(t, ns, "web", 10)
	settle(t, ns)
	mark := len(writes(t, ns))

	for i := range 1000 {
		p := &pods[i%len(pods)]
		p.Status.Phase = corev1.PodRunning
		p.Status.Message = fmt.Sprint("update ", i)
		if err := admin.Status().Update(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	settle(t, ns)
	if w := since(t, ns, mark); len(w) > 0 {
		t.Errorf("1,000 status updates caused writes: %v", w)
	}
}

func TestScaleOutWritesNothingAndRolloutOnce(t *testing.T) {
	ns := newNamespace(t)
	d := deployment(ns, "web", 2, container("app", "example.com/web:1", true))
	surge := intstr(500)
	d.Spec.Strategy = appsv1.DeploymentStrategy{
		Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &surge},
	}
	create(t, d)
	waitForReport(t, ns, "deployment-web")
	waitForPods(t, ns, "web", 2)
	settle(t, ns)
	mark := len(writes(t, ns))

	change(t, d, func(d *appsv1.Deployment) { *d.Spec.Replicas = 500 })
	waitForPods(t, ns, "web", 500)
	settle(t, ns)
	if w := since(t, ns, mark); len(w) > 0 {
		t.Errorf("a scale-out from 2 to 500 caused writes: %v", w)
	}

	mark = len(writes(t, ns))
	change(t, d, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "example.com/web:2" })
	eventually(t, "the rollout", func(ctx context.Context) (bool, string) {
		list := &corev1.PodList{}
		if err := admin.List(ctx, list, client.InNamespace(ns), client.MatchingLabels{"app": "web"}); err != nil {
			return false, err.Error()
		}
		fresh := 0
		for _, p := range list.Items {
			if p.Spec.Containers[0].Image == "example.com/web:2" {
				fresh++
			}
		}
		return fresh == 500 && len(list.Items) == 500, fmt.Sprintf("%d of %d Pods are new", fresh, len(list.Items))
	})
	settle(t, ns)
	if w := since(t, ns, mark); len(w) > 1 {
		t.Errorf("a rollout of 500 Pods caused %d writes, want at most one: %v", len(w), w)
	}
}

func TestQuotaStatusUpdatesWriteNothing(t *testing.T) {
	ns := newNamespace(t)
	q := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "counts"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/configmaps": resource.MustParse("1000")}},
	}
	create(t, q)
	report := "namespace-" + ns
	waitFor(t, ns, report, func(r *v1alpha1.SecurityReport) bool { return len(r.Skips) == 0 })
	mark := len(writes(t, ns))
	for i := range 100 {
		create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprint("c", i)}})
	}
	eventually(t, "the quota controller to count", func(ctx context.Context) (bool, string) {
		err := admin.Get(ctx, client.ObjectKeyFromObject(q), q)
		used := q.Status.Used["count/configmaps"]
		return err == nil && used.Value() >= 100, fmt.Sprint(used.String(), err)
	})
	if w := since(t, ns, mark); len(w) > 0 {
		t.Errorf("100 updates of a quota's status caused writes: %v", w)
	}

	// And when it matters, they do: 101 ConfigMaps (one is the cluster's CA) are 91 % of 110 and 100 % of 101.
	change(t, q, func(q *corev1.ResourceQuota) { q.Spec.Hard["count/configmaps"] = resource.MustParse("110") })
	waitFor(t, ns, report, shows("Medium quota-nearly-exhausted spec.hard[count/configmaps]"))
	change(t, q, func(q *corev1.ResourceQuota) { q.Spec.Hard["count/configmaps"] = resource.MustParse("101") })
	waitFor(t, ns, report, shows("High quota-nearly-exhausted spec.hard[count/configmaps]"))
	// 101 of 115 are 88 %: below where it rises, above where it falls.
	change(t, q, func(q *corev1.ResourceQuota) { q.Spec.Hard["count/configmaps"] = resource.MustParse("115") })
	waitFor(t, ns, report, shows("Medium quota-nearly-exhausted spec.hard[count/configmaps]"))
	change(t, q, func(q *corev1.ResourceQuota) { q.Spec.Hard["count/configmaps"] = resource.MustParse("1000") })
	waitFor(t, ns, report, shows())
}

func TestNothingIsLeftOfWhatIsDeleted(t *testing.T) {
	ns := newNamespace(t)
	d := deployment(ns, "web", 3, container("app", "example.com/web", true))
	create(t, d)
	create(t, pod(ns, "bare", container("app", "example.com/bare", true)))
	waitForReport(t, ns, "deployment-web")
	waitForReport(t, ns, "pod-bare")
	waitForPods(t, ns, "web", 3)
	mark := len(writes(t, ns))

	remove(t, d)
	waitForNoReport(t, ns, "deployment-web")
	waitForPods(t, ns, "web", 0)
	settle(t, ns)
	for _, w := range since(t, ns, mark) {
		if strings.HasPrefix(w, "create") {
			t.Errorf("deleting a Deployment caused %q: what it leaves behind is no subject of its own", w)
		}
	}
	waitForSeries(t, ns, `name="web"`, 0)
	waitForSeries(t, ns, `name="bare",namespace="`+ns+`",severity="Critical"`, 1)

	mark = len(writes(t, ns))
	remove(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	eventually(t, "the end of the namespace", func(ctx context.Context) (bool, string) {
		err := admin.Get(ctx, client.ObjectKey{Name: ns}, &corev1.Namespace{})
		return apierrors.IsNotFound(err), fmt.Sprint(err)
	})
	waitForSeries(t, ns, "", 0)
	for _, w := range since(t, ns, mark) {
		if !strings.HasPrefix(w, "delete") {
			t.Errorf("a terminating namespace was written to: %s", w)
		}
	}
}

func TestEditedAndDeletedReportsAreRestored(t *testing.T) {
	ns := newNamespace(t)
	create(t, deployment(ns, "web", 1, container("app", "example.com/web:1", true)))
	finding := "Critical privileged-container spec.template.spec.containers[name=app].securityContext.privileged"
	before := waitFor(t, ns, "deployment-web", shows(finding))

	edits := map[string]func(*v1alpha1.SecurityReport){
		"findings":   func(r *v1alpha1.SecurityReport) { r.Findings = nil },
		"summary":    func(r *v1alpha1.SecurityReport) { r.Summary.Critical, r.Summary.Score = 0, 100 },
		"a label":    func(r *v1alpha1.SecurityReport) { r.Labels[v1alpha1.LabelWorst] = "None" },
		"the owner":  func(r *v1alpha1.SecurityReport) { r.OwnerReferences = nil },
		"the reason": func(r *v1alpha1.SecurityReport) { r.Findings[0].Message = "all is well" },
		"since when": func(r *v1alpha1.SecurityReport) {
			r.Findings[0].Since = metav1.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
		},
	}
	for what, edit := range edits {
		t.Run(what, func(t *testing.T) {
			r, err := getReport(t.Context(), ns, "deployment-web")
			if err != nil {
				t.Fatal(err)
			}
			edit(r)
			if err := admin.Update(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			waitFor(t, ns, "deployment-web", func(now *v1alpha1.SecurityReport) bool {
				return now.ResourceVersion != r.ResourceVersion && shows(finding)(now) && now.Summary == before.Summary &&
					now.Labels[v1alpha1.LabelWorst] == "Critical" && len(now.OwnerReferences) == 1 &&
					equality.Semantic.DeepEqual(now.Findings, before.Findings)
			})
		})
	}
	t.Run("all of it", func(t *testing.T) {
		r, err := getReport(t.Context(), ns, "deployment-web")
		if err != nil {
			t.Fatal(err)
		}
		remove(t, r)
		now := waitFor(t, ns, "deployment-web", func(now *v1alpha1.SecurityReport) bool { return now.UID != r.UID })
		if !now.Findings[0].Since.Equal(&before.Findings[0].Since) {
			t.Errorf("the finding stands since %s, want %s as before", now.Findings[0].Since, before.Findings[0].Since)
		}
	})
	t.Run("a report about nothing", func(t *testing.T) {
		r := before.DeepCopy()
		r.ObjectMeta = metav1.ObjectMeta{Namespace: ns, Name: "deployment-invented"}
		create(t, r)
		waitForNoReport(t, ns, "deployment-invented")
	})
	t.Run("a cluster report about nothing", func(t *testing.T) {
		r := &v1alpha1.ClusterSecurityReport{
			ObjectMeta: metav1.ObjectMeta{Name: "node-invented"},
			Subject:    v1alpha1.Subject{Kind: "Node", Name: "invented"}, Summary: before.Summary,
		}
		create(t, r)
		eventually(t, "the report to go", func(ctx context.Context) (bool, string) {
			err := admin.Get(ctx, client.ObjectKeyFromObject(r), r)
			return apierrors.IsNotFound(err), fmt.Sprint(err)
		})
	})
}

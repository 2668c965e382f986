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

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// waitForReportOf waits until a report on what belongs to no namespace is as it should be.
func waitForReportOf(t *testing.T, name string, right func(*v1alpha1.ClusterSecurityReport) bool) *v1alpha1.ClusterSecurityReport {
	t.Helper()
	r := &v1alpha1.ClusterSecurityReport{}
	eventually(t, "cluster report "+name, func(ctx context.Context) (bool, string) {
		r = &v1alpha1.ClusterSecurityReport{}
		if err := admin.Get(ctx, client.ObjectKey{Name: name}, r); err != nil {
			return false, err.Error()
		}
		return right(r), showCluster(r)
	})
	return r
}

func waitForNoReportOf(t *testing.T, name string) {
	t.Helper()
	eventually(t, "no cluster report "+name, func(ctx context.Context) (bool, string) {
		r := &v1alpha1.ClusterSecurityReport{}
		err := admin.Get(ctx, client.ObjectKey{Name: name}, r)
		return apierrors.IsNotFound(err), showCluster(r)
	})
}

// showCluster returns a line for each finding and each skip.
func showCluster(r *v1alpha1.ClusterSecurityReport) string {
	var lines []string
	for _, f := range r.Findings {
		line := fmt.Sprintf("%s %s %s", f.Severity, f.Check, f.Path)
		if f.Object != nil {
			line += " of " + f.Object.Kind + "/" + f.Object.Name
		}
		lines = append(lines, line)
	}
	for _, s := range r.Skips {
		lines = append(lines, fmt.Sprintf("%s skipped: %s", s.Check, s.Message))
	}
	return strings.Join(lines, "\n")
}

func has(lines ...string) func(*v1alpha1.ClusterSecurityReport) bool {
	return func(r *v1alpha1.ClusterSecurityReport) bool {
		shown := strings.Split(showCluster(r), "\n")
		return !slices.ContainsFunc(lines, func(line string) bool { return !slices.Contains(shown, line) })
	}
}

func lacks(line string) func(*v1alpha1.ClusterSecurityReport) bool {
	return func(r *v1alpha1.ClusterSecurityReport) bool { return !strings.Contains(showCluster(r), line) }
}

// TestControlPlane: the API server of the test is a process on its own, of which nothing is seen, until something like its
// static Pod is.
func TestControlPlane(t *testing.T) {
	const unseen = `secrets-not-encrypted skipped: no static Pod of "kube-apiserver" is seen in namespace "kube-system": ` +
		"it runs elsewhere, as on managed clusters, or in another program, as in k3s"
	r := waitForReportOf(t, "control-plane", has(unseen))
	for _, f := range r.Findings { // its version and the address that it advertises are seen
		if !strings.HasPrefix(f.Check, "kubernetes-") && f.Check != "api-server-public" {
			t.Errorf("found what cannot be seen: %v", f)
		}
	}
	if r.Subject != (v1alpha1.Subject{Kind: "ControlPlane", Name: "control-plane"}) || len(r.OwnerReferences) > 0 {
		t.Errorf("subject %v, owners %v", r.Subject, r.OwnerReferences)
	}

	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "cp-one"}}
	create(t, node)
	t.Cleanup(func() { removeAfterwards(t, node) })
	server := pod("kube-system", "kube-apiserver-cp-one", corev1.Container{
		Name: "kube-apiserver", Image: "registry.k8s.io/kube-apiserver:v1.37.2",
		Command: []string{"kube-apiserver", "--authorization-mode=Node,RBAC", "--anonymous-auth=true", "--encryption-provider-config", "/etc/kubernetes/encryption.yaml"},
	})
	server.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "hash"}
	server.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID, Controller: new(true)}}
	server.Spec.NodeName, server.Spec.HostNetwork = node.Name, true
	create(t, server)
	t.Cleanup(func() { removeAfterwards(t, server) })
	const path = "spec.containers[name=kube-apiserver].command[--%s] of Pod/kube-apiserver-cp-one"
	waitForReportOf(t, "control-plane", has(
		"Medium api-server-anonymous-auth "+fmt.Sprintf(path, "anonymous-auth"),
		"High audit-log-disabled "+fmt.Sprintf(path, "audit-log-path"),
	))
	waitForReportOf(t, "control-plane", has(`secrets-not-encrypted skipped: "kube-apiserver" takes that from the file of its flag `+
		`"--encryption-provider-config", which the API does not show`))

	if err := admin.Delete(t.Context(), server, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	waitForReportOf(t, "control-plane", has(unseen))
}

func TestAdmission(t *testing.T) {
	ns := newNamespace(t)
	const uncovered = "Medium no-pod-admission metadata.labels[pod-security.kubernetes.io/enforce] of Namespace/"
	waitForReportOf(t, "admission", has(uncovered+ns))

	scope := admissionregistrationv1.NamespacedScope
	hook := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "open"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "validate.example.com", AdmissionReviewVersions: []string{"v1"},
			FailurePolicy: new(admissionregistrationv1.Ignore), SideEffects: new(admissionregistrationv1.SideEffectClassNone),
			TimeoutSeconds:    new(int32(1)),
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": ns}},
			ClientConfig:      admissionregistrationv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}, Scope: &scope},
			}},
		}},
	}
	create(t, hook)
	t.Cleanup(func() { removeAfterwards(t, hook) })
	const open = "Medium admission-fails-open webhooks[name=validate.example.com].failurePolicy of ValidatingWebhookConfiguration/open"
	waitForReportOf(t, "admission", has(open, strings.Replace(open, "failurePolicy", "namespaceSelector", 1)))
	waitForReportOf(t, "admission", lacks(uncovered+ns))
	metric := `kubersafe_cluster_violations{category="infrastructure",check="admission-fails-open",severity="Medium"} 2`
	eventually(t, metric, func(context.Context) (bool, string) {
		return slices.Contains(scrape(t), metric), ""
	})
	remove(t, hook)
	waitForReportOf(t, "admission", func(r *v1alpha1.ClusterSecurityReport) bool { return lacks(open)(r) && has(uncovered+ns)(r) })

	exception := &v1alpha1.ClusterSecurityException{
		ObjectMeta: metav1.ObjectMeta{Name: "uncovered"},
		Spec: v1alpha1.ClusterSecurityExceptionSpec{SecurityExceptionSpec: v1alpha1.SecurityExceptionSpec{
			Checks: []string{"no-pod-admission"}, Reason: "a test", ExpirationTime: &metav1.Time{Time: time.Now().Add(time.Hour)},
			Subjects: []v1alpha1.ExceptionSubject{{Kind: "Namespace", Name: ns}},
		}},
	}
	create(t, exception)
	t.Cleanup(func() { removeAfterwards(t, exception) })
	waitForReportOf(t, "admission", func(r *v1alpha1.ClusterSecurityReport) bool {
		return lacks(uncovered+ns)(r) && slices.ContainsFunc(r.Exemptions, func(e v1alpha1.Exemption) bool { return e.Object.Name == ns })
	})
}

func TestNodesWithFindingsHaveReports(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "worker-one"}}
	create(t, node)
	t.Cleanup(func() { removeAfterwards(t, node) })
	setStatus := func(status string) {
		if err := admin.Status().Patch(t.Context(), node, client.RawPatch(types.MergePatchType, []byte(`{"status":`+status+`}`))); err != nil {
			t.Fatal(err)
		}
	}
	setStatus(`{"addresses":[{"type":"ExternalIP","address":"3.120.0.7"}]}`)
	const public = "High node-public-ip status.addresses[type=ExternalIP]"
	r := waitForReportOf(t, "node-worker-one", has(public))
	if len(r.OwnerReferences) != 1 || r.OwnerReferences[0].UID != node.UID || r.Subject.UID != string(node.UID) {
		t.Errorf("subject %v, owners %v", r.Subject, r.OwnerReferences)
	}
	if r.Labels[v1alpha1.LabelSubjectKind] != "Node" || r.Labels[v1alpha1.LabelWorst] != "High" {
		t.Errorf("labels %v", r.Labels)
	}
	waitForReportOf(t, "cluster", func(r *v1alpha1.ClusterSecurityReport) bool { return r.Summary.High > 0 })
	since := r.Findings[0].Since

	// A heartbeat is no event, and a restart remembers since when.
	version := r.ResourceVersion
	setStatus(`{"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"2026-11-21T08:00:00Z"}]}`)
	stop(t)
	start(t)
	waitUntilComplete(t)
	if again := waitForReportOf(t, "node-worker-one", has(public)); again.ResourceVersion != version || !again.Findings[0].Since.Equal(&since) {
		t.Errorf("written again: version %s, then %s; since %v, then %v", version, again.ResourceVersion, since, again.Findings[0].Since)
	}
	remove(t, node)
	waitForNoReportOf(t, "node-worker-one")
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	openreportsv1alpha1 "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/openreports"
	"github.com/kubersafe/kubersafe/test/controlplane"
	"github.com/kubersafe/kubersafe/test/operator"
)

// removeCopies is what docs/openreports.md has people do when they switch the copies off.
var removeCopies = []string{
	"delete", "reports.openreports.io,clusterreports.openreports.io", "--all-namespaces", "-l", "app.kubernetes.io/managed-by=kubersafe",
}

// openReportsCRDs returns the folder of the CRDs as their project has them.
func openReportsCRDs(t *testing.T) string {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/openreports/reports-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(strings.TrimSpace(string(dir)), "config/crd")
}

// restartWith restarts the operator with arguments.
func restartWith(t *testing.T, args ...string) {
	t.Helper()
	stop(t)
	replica.Args = args
	start(t)
	waitUntilComplete(t)
}

// waitForCopy waits until there is a copy of a report that says what the report says now.
func waitForCopy(t *testing.T, namespace, name string) *openreportsv1alpha1.Report {
	t.Helper()
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	converter := openreports.NewConverter(set.Checks())
	copied := &openreportsv1alpha1.Report{}
	eventually(t, "a copy of "+namespace+"/"+name, func(ctx context.Context) (bool, string) {
		r, err := getReport(ctx, namespace, name)
		if err != nil {
			return false, err.Error()
		}
		*copied = openreportsv1alpha1.Report{}
		if err := admin.Get(ctx, client.ObjectKeyFromObject(r), copied); err != nil {
			return false, err.Error()
		}
		original, err := openreports.OriginalOf(r)
		if err != nil {
			return false, err.Error()
		}
		want := converter.Report(original)
		return openreports.HashOf(want) == openreports.HashOf(copied), cmp.Diff(want, copied)
	})
	return copied
}

func waitForNoCopy(t *testing.T, o client.Object) {
	t.Helper()
	key := client.ObjectKeyFromObject(o)
	eventually(t, fmt.Sprintf("no %T %s", o, key), func(ctx context.Context) (bool, string) {
		err := admin.Get(ctx, key, o)
		return apierrors.IsNotFound(err), fmt.Sprintf("%v %+v", err, o)
	})
}

// copyWrites returns what the operator has written of copies in a namespace: lines "verb name".
func copyWrites(t *testing.T, namespace string) []string {
	t.Helper()
	events, err := cluster.AuditEvents()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range events {
		if e.User == operator.User && e.Resource == "reports" && e.Namespace == namespace && e.Verb != "get" {
			found = append(found, e.Verb+" "+e.Name)
		}
	}
	return found
}

// TestOpenReports: reports are copied while the kinds of OpenReports are served, and copies are kept right whatever happens.
func TestOpenReports(t *testing.T) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	component, crds := filepath.Join(root, "config/components/openreports"), openReportsCRDs(t)
	for _, file := range []string{"role.yaml", "role_binding.yaml"} {
		kubectl(t, "apply", "-f", filepath.Join(component, file))
	}
	restartWith(t, "--openreports")
	t.Cleanup(func() {
		if err := replica.Stop(); err != nil {
			t.Error(err)
		}
		replica.Args = nil
		if err := startOperator(context.Background(), replica); err != nil {
			t.Error(err)
		}
	})
	ns := newNamespace(t)
	app := container("app", "example.com/web@sha256:b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c", true)
	web := deployment(ns, "web", 1, app)
	web.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	create(t, web)
	original := waitForReport(t, ns, "deployment-web")

	// The kinds come to be served.
	installed := func() {
		t.Helper()
		kubectl(t, "apply", "-f", crds)
		kubectl(t, "wait", "--for=condition=Established", "-f", crds)
	}
	installed()
	t.Cleanup(func() {
		if _, err := cluster.Kubectl(context.Background(), nil, "delete", "--ignore-not-found", "--wait", "-f", crds); err != nil {
			t.Error(err)
		}
	})
	copied := waitForCopy(t, ns, "deployment-web")
	want := []metav1.OwnerReference{
		{APIVersion: "audit.kubersafe.io/v1alpha1", Kind: "SecurityReport", Name: "deployment-web", UID: original.UID},
	}
	if diff := cmp.Diff(want, copied.OwnerReferences); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	if out := kubectl(t, "get", "reports.openreports.io", "deployment-web", "-n", ns, "-o", "wide"); !strings.Contains(out, "Deployment   web") {
		t.Errorf("kubectl shows\n%s", out)
	}
	eventually(t, "a copy of what is found of the cluster", func(ctx context.Context) (bool, string) {
		var admission v1alpha1.ClusterSecurityReport
		var copied openreportsv1alpha1.ClusterReport
		key := client.ObjectKey{Name: "admission"}
		if err := errors.Join(admin.Get(ctx, key, &admission), admin.Get(ctx, key, &copied)); err != nil {
			return false, err.Error()
		}
		return len(copied.Results) > 0 && len(copied.Results) == len(admission.Findings), fmt.Sprint(copied.Results)
	})

	// What differs is put right, and nothing else is written.
	change(t, copied, func(r *openreportsv1alpha1.Report) { r.Results = nil })
	waitForCopy(t, ns, "deployment-web")
	change(t, copied, func(r *openreportsv1alpha1.Report) { delete(r.Labels, "app.kubernetes.io/managed-by") })
	waitForCopy(t, ns, "deployment-web")
	remove(t, copied)
	waitForCopy(t, ns, "deployment-web")
	change(t, web, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].SecurityContext = nil })
	waitFor(t, ns, "deployment-web", shows())
	waitForCopy(t, ns, "deployment-web")
	settle(t, ns)
	mark := len(copyWrites(t, ns))
	restartWith(t, "--openreports")
	process := replica.Process()
	create(t, deployment(ns, "next", 1, app))
	waitForReport(t, ns, "deployment-next")
	waitForCopy(t, ns, "deployment-next")
	if w := copyWrites(t, ns)[mark:]; len(w) == 0 || strings.Contains(strings.Join(w, "\n"), "web") {
		t.Errorf("after a restart this was written: %v", w)
	}

	// What has no original goes, and so does what has no findings any more. Other tools' reports stay.
	labels := map[string]string{"app.kubernetes.io/managed-by": "kubersafe"}
	orphan := &openreportsv1alpha1.Report{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "orphan", Labels: labels}}
	orphanOfCluster := &openreportsv1alpha1.ClusterReport{ObjectMeta: metav1.ObjectMeta{Name: "orphan", Labels: labels}}
	foreign := &openreportsv1alpha1.Report{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "deployment-foreign"}, Source: "other"}
	for _, o := range []client.Object{orphan, orphanOfCluster, foreign} {
		create(t, o)
	}
	create(t, deployment(ns, "foreign", 1, app))
	waitForReport(t, ns, "deployment-foreign")
	waitForNoCopy(t, orphan)
	waitForNoCopy(t, orphanOfCluster)
	change(t, web, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers[0] = restrictedContainer("app", app.Image)
		d.Spec.Template.Spec.AutomountServiceAccountToken = new(false)
		d.Spec.Template.Spec.HostUsers = new(false)
	})
	waitFor(t, ns, "deployment-web", func(r *v1alpha1.SecurityReport) bool { return len(r.Findings) == 0 })
	waitForNoCopy(t, copied)
	if err := admin.Get(t.Context(), client.ObjectKeyFromObject(foreign), foreign); err != nil || foreign.Source != "other" {
		t.Errorf("another tool's report is %+v, %v", foreign, err)
	}

	// Whoever deletes a workload, deletes all that is said of it.
	remove(t, deployment(ns, "next", 1))
	waitForNoCopy(t, &openreportsv1alpha1.Report{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "deployment-next"}})

	// The kinds go, and come again.
	kubectl(t, "delete", "--wait", "-f", crds)
	create(t, deployment(ns, "late", 1, app))
	waitForReport(t, ns, "deployment-late")
	installed()
	waitForCopy(t, ns, "deployment-late")
	select {
	case <-process.Done():
		t.Error("the operator has ended")
	default:
	}

	// Switched off, copies still go with their originals, and all of them as the page says.
	restartWith(t)
	remove(t, deployment(ns, "late", 1))
	waitForNoCopy(t, &openreportsv1alpha1.Report{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "deployment-late"}})
	page, err := os.ReadFile(filepath.Join(root, "docs/openreports.md"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "\nkubectl "+strings.Join(removeCopies, " ")+"\n") {
		t.Error("docs/openreports.md says something else")
	}
	foreign = &openreportsv1alpha1.Report{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "other-tool"}, Source: "other"}
	create(t, foreign)
	kubectl(t, removeCopies...)
	list := &openreportsv1alpha1.ReportList{}
	if err := admin.List(t.Context(), list); err != nil || len(list.Items) != 1 || list.Items[0].Name != foreign.Name {
		t.Errorf("%d reports are left, %v, want another tool's", len(list.Items), err)
	}
}

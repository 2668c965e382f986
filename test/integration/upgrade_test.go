// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/test/controlplane"
	"github.com/kubersafe/kubersafe/test/operator"
)

const (
	// upgraded is the namespace of the fixtures.
	upgraded = "upgrade"
	// fixtureExpiry stands in the fixtures for a time that is near enough to be allowed.
	fixtureExpiry = "2100-01-01T00:00:00Z"
)

// TestUpgrade installs this version over an older one, of which test/fixtures/upgrade has the manifests, the objects that it read
// and the reports that it stored.
func TestUpgrade(t *testing.T) {
	plane, err := controlplane.Start(t.Context(), controlplane.Options{AuditLog: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := plane.Stop(); err != nil {
			t.Error(err)
		}
	})
	users, err := client.New(plane.Config, client.Options{Scheme: admin.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	fixtures := filepath.Join(root, "test/fixtures/upgrade")
	install := func(manifest string) {
		t.Helper()
		if _, err := plane.Kubectl(t.Context(), nil, "apply", "-f", manifest); err != nil {
			t.Fatal(err)
		}
		if _, err := plane.Kubectl(t.Context(), nil, "wait", "crd", "--all", "--for=condition=Established", "--timeout=60s"); err != nil {
			t.Fatal(err)
		}
	}
	install(filepath.Join(fixtures, "install.yaml"))
	for _, o := range manifests(t, filepath.Join(fixtures, "objects.yaml")) {
		createWithStatus(t, users, o)
	}
	eventually(t, "the Pod that the stored reports know of", func(ctx context.Context) (bool, string) {
		list := &corev1.PodList{}
		err := users.List(ctx, list, client.InNamespace(upgraded))
		return err == nil && len(list.Items) == 1, fmt.Sprintf("%d Pods, %v", len(list.Items), err)
	})
	for _, o := range manifests(t, filepath.Join(fixtures, "reports.yaml")) {
		createReport(t, users, o)
	}
	old := reportsOf(t, users)

	install(filepath.Join(root, "dist/install.yaml"))
	if diff := cmp.Diff(old, reportsOf(t, users)); diff != "" {
		t.Errorf("reports as they are read with the new CRDs (-before +after):\n%s", diff)
	}
	newer, err := operator.New(t.Context(), plane, replica.Binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(newer.LogTail())
		}
	})
	if err := startOperator(t.Context(), newer); err != nil {
		t.Fatal(err)
	}
	waitUntilUpgraded(t, plane, users)
	checkSince(t, old, reportsOf(t, users))
	checkPolicies(t, users)
	lines, err := newer.Scrape(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, "retired-check") }); i >= 0 {
		t.Errorf("metrics tell of a check that there is no more: %s", lines[i])
	}
	if err := newer.Stop(); err != nil {
		t.Error(err)
	}
	want := []string{
		"delete securityreports widget.example.com-gone",
		"patch securityexceptions/status empty-selector",
		"patch securityexceptions/status unlimited",
		"update securityreports cronjob-cleanup",
		"update securityreports deployment-checkout",
		"update securityreports namespace-upgrade",
	}
	if diff := cmp.Diff(want, writesOf(t, plane)); diff != "" {
		t.Errorf("writes in the namespace, each once (-want +got):\n%s", diff)
	}
}

// TestUpgradeLeavesNoManifest: kubectl apply does not delete what newer manifests leave out, so they must leave nothing out.
func TestUpgradeLeavesNoManifest(t *testing.T) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	names := func(path string) []string {
		var names []string
		for _, o := range manifests(t, filepath.Join(root, path)) {
			names = append(names, o.GroupVersionKind().GroupKind().String()+" "+o.GetNamespace()+"/"+o.GetName())
		}
		return names
	}
	current := names("dist/install.yaml")
	for _, name := range names("test/fixtures/upgrade/install.yaml") {
		if !slices.Contains(current, name) {
			t.Errorf("%s of the older version is not in dist/install.yaml, and stays behind", name)
		}
	}
}

// manifests returns the objects of a file.
func manifests(t *testing.T, path string) []*unstructured.Unstructured {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	soon := time.Now().Add(30 * 24 * time.Hour).UTC().Format(time.RFC3339)
	content = bytes.ReplaceAll(content, []byte(fixtureExpiry), []byte(soon))
	var objects []*unstructured.Unstructured
	reader := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		o := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &o.Object); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if len(o.Object) > 0 {
			objects = append(objects, o)
		}
	}
}

// createWithStatus creates an object, with its status if that has one.
func createWithStatus(t *testing.T, users client.Client, o *unstructured.Unstructured) {
	t.Helper()
	status, has := o.Object["status"]
	if err := users.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if !has {
		return
	}
	o.Object["status"] = status
	if err := users.Status().Update(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

// createReport stores a report on a subject as it is in this cluster, if it is.
func createReport(t *testing.T, users client.Client, o *unstructured.Unstructured) {
	t.Helper()
	subject := o.Object["subject"].(map[string]any)
	if _, seen := subject["uid"]; seen {
		live := &unstructured.Unstructured{Object: map[string]any{"apiVersion": subject["apiVersion"], "kind": subject["kind"]}}
		key := client.ObjectKey{Namespace: o.GetNamespace(), Name: subject["name"].(string)}
		if live.GetKind() == "Namespace" {
			key.Namespace = ""
		}
		if err := users.Get(t.Context(), key, live); err != nil {
			t.Fatal(err)
		}
		subject["uid"] = string(live.GetUID())
		owners := o.GetOwnerReferences()
		for i := range owners {
			owners[i].UID = live.GetUID()
		}
		o.SetOwnerReferences(owners)
	}
	if err := users.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
}

func reportsOf(t *testing.T, users client.Client) []v1alpha1.SecurityReport {
	t.Helper()
	list := &v1alpha1.SecurityReportList{}
	if err := users.List(t.Context(), list, client.InNamespace(upgraded)); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// waitUntilUpgraded waits until all that is stored is what this version says, and until that knows it.
func waitUntilUpgraded(t *testing.T, plane *controlplane.ControlPlane, users client.Client) {
	t.Helper()
	eventually(t, "the reports to be those of a fresh audit", func(ctx context.Context) (bool, string) {
		live := ofNamespaces(auditCommand(ctx, t, nil, "--kubeconfig="+plane.Kubeconfig), upgraded)
		diff := cmp.Diff(contents(live), contents(reportsOf(t, users)))
		return diff == "", "(-command +operator):\n" + diff
	})
	eventually(t, "the report of the cluster", func(ctx context.Context) (bool, string) {
		r := &v1alpha1.ClusterSecurityReport{}
		err := users.Get(ctx, client.ObjectKey{Name: v1alpha1.ClusterReportName}, r)
		return err == nil && r.ConfigurationGeneration > 0 && len(r.Compliance) > 0, fmt.Sprint(err, r.Summary)
	})
}

// checkSince: what was found before and still is has stood since then.
func checkSince(t *testing.T, old, now []v1alpha1.SecurityReport) {
	t.Helper()
	type place struct{ report, check, path string }
	since := make(map[place]metav1.Time)
	for _, r := range old {
		for _, f := range r.Findings {
			since[place{r.Name, f.Check, f.Path}] = f.Since
		}
	}
	carried, added := 0, 0
	for _, r := range now {
		for _, f := range r.Findings {
			before, known := since[place{r.Name, f.Check, f.Path}]
			switch {
			case !known:
				added++
			case f.Since.Equal(&before):
				carried++
			default:
				t.Errorf("report %s: %s at %s stands since %s, before since %s", r.Name, f.Check, f.Path, f.Since, before)
			}
		}
	}
	// Those of exceptions that hold no more are new.
	if carried == 0 || added == 0 {
		t.Errorf("%d findings stand since before, and %d are new: want both", carried, added)
	}
}

// checkPolicies: what users have told the older version is read, and what it means no more they are told.
func checkPolicies(t *testing.T, users client.Client) {
	t.Helper()
	want := map[string]string{
		"AuditConfiguration default":            "Valid False PartlyIgnored",
		"ClusterSecurityException host-network": "Active True Matched",
		"SecurityException empty-selector":      "Active False Invalid",
		"SecurityException unlimited":           "Active False NotPermitted",
	}
	eventually(t, "the statuses of policies", func(ctx context.Context) (bool, string) {
		got := make(map[string]string)
		for _, kind := range []string{"AuditConfiguration", "ClusterSecurityException", "SecurityException"} {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kind + "List"))
			if err := users.List(ctx, list); err != nil {
				return false, err.Error()
			}
			for _, o := range list.Items {
				conditions, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range conditions {
					c := c.(map[string]any)
					got[kind+" "+o.GetName()] += fmt.Sprintf("%s %s %s", c["type"], c["status"], c["reason"])
				}
			}
		}
		return cmp.Equal(want, got), cmp.Diff(want, got)
	})
}

// writesOf returns what the operator has written in the namespace: lines "verb resource name".
func writesOf(t *testing.T, plane *controlplane.ControlPlane) []string {
	t.Helper()
	events, err := plane.AuditEvents()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range events {
		if e.User != operator.User || e.Namespace != upgraded || slices.Contains([]string{"get", "list", "watch"}, e.Verb) {
			continue
		}
		resource := e.Resource
		if e.Subresource != "" {
			resource += "/" + e.Subresource
		}
		found = append(found, fmt.Sprintf("%s %s %s", e.Verb, resource, e.Name))
	}
	slices.Sort(found)
	return found
}

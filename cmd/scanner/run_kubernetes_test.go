// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
)

// TestKubernetesVersions: there is a report on each version of Kubernetes that the cluster runs, with the scanner's own permissions.
func TestKubernetesVersions(t *testing.T) {
	w := newWorld(t)
	client, err := discovery.NewDiscoveryClientForConfig(w.Config)
	if err != nil {
		t.Fatal(err)
	}
	info, err := client.ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	server := v1alpha1.KubernetesReportName(info.GitVersion)
	node := func(name, kubelet string) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{KubeletVersion: kubelet}}}
	}
	w.create(node("one", "v1.30.2"))
	w.create(node("build", "v1.30.2-gke.100"))
	old := node("old", "v1.27.1")
	w.create(old)
	w.create(node("odd", "nonsense"))

	if err := os.RemoveAll(w.database); err != nil {
		t.Fatal(err)
	}
	stop := w.scanner()
	w.onKubernetes("reports without a database", map[string]string{
		server:               "Pending DatabaseMissing -",
		"kubernetes-v1.30.2": "Pending DatabaseMissing -", "kubernetes-v1.27.1": "Pending DatabaseMissing -",
	})
	if err := os.CopyFS(w.database, os.DirFS(fixture.Database(t))); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		server:               "Scanned ",
		"kubernetes-v1.30.2": "Scanned CVE-2025-0426 in kubelet",
		"kubernetes-v1.27.1": "Scanned CVE-2024-3177 in kube-apiserver, CVE-2023-2431 in k8s.io/kubernetes, CVE-2025-0426 in kubelet",
	}
	w.onKubernetes("reports", want)
	for _, r := range w.allReports() {
		version := v1alpha1.KubernetesVersionOf(r.Name)
		if diff := cmp.Diff(v1alpha1.Image{Name: "k8s.io/kubernetes@" + version}, r.Image); diff != "" || r.Database == nil || r.Summary == nil {
			t.Errorf("%s: %+v (-want +got):\n%s", r.Name, r, diff)
		}
	}

	// A new database, and what somebody has written.
	fixture.WriteArchive(t, w.database, "Go", map[string]string{"a.json": `{"id": "GO-2030-1", "aliases": ["CVE-2030-1"], "affected": [
		{"package": {"ecosystem": "Go", "name": "k8s.io/apiserver"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "0.30.3"}]}]}]}`})
	want["kubernetes-v1.30.2"], want["kubernetes-v1.27.1"] = "Scanned CVE-2030-1 in k8s.io/apiserver", "Scanned CVE-2030-1 in k8s.io/apiserver"
	w.onKubernetes("the new vulnerability", want)
	edited := w.allReports()[0]
	edited.Vulnerabilities, edited.Summary = nil, nil
	if err := w.admin.Update(t.Context(), &edited); err != nil {
		t.Fatal(err)
	}
	w.onKubernetes("the report to be mended", want)

	// A version that nothing runs any more.
	if err := w.admin.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	want["kubernetes-v1.27.1"] = "unused " + want["kubernetes-v1.27.1"]
	w.onKubernetes("the report to be unused", want)
	stop()
	delete(want, "kubernetes-v1.27.1")
	stop = w.scanner("--keep=1s")
	w.onKubernetes("the report to be deleted", want)
	stop()

	// A restart without a change writes nothing.
	before := w.allReports()
	w.create(node("new", "v1.32.1"))
	want["kubernetes-v1.32.1"] = "Scanned "
	w.scanner()
	w.onKubernetes("the report on a new version", want)
	for _, r := range w.allReports() {
		i := slices.IndexFunc(before, func(b v1alpha1.ImageReport) bool { return b.Name == r.Name })
		if i >= 0 && before[i].ResourceVersion != r.ResourceVersion {
			t.Errorf("%s was written again", r.Name)
		}
	}
}

// onKubernetes waits until the reports on versions of Kubernetes are as they should be: state, reason, and vulnerabilities.
func (w *world) onKubernetes(what string, want map[string]string) {
	w.Helper()
	w.eventually(what, func() string {
		got := make(map[string]string)
		for _, r := range w.allReports() {
			if !isOnKubernetes(r) {
				continue
			}
			text := strings.TrimSpace(fmt.Sprintf("%s %s", r.State, r.Reason)) + " "
			if r.Annotations["audit.kubersafe.io/unused-since"] != "" {
				text = "unused " + text
			}
			var list []string
			for _, v := range r.Vulnerabilities {
				list = append(list, v.ID+" in "+v.Package)
			}
			if text += strings.Join(list, ", "); r.Summary == nil {
				text += "-"
			}
			got[r.Name] = text
		}
		return cmp.Diff(want, got)
	})
}

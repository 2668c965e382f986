// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

func reportOn(image string, version int) *v1alpha1.ImageReport {
	return &v1alpha1.ImageReport{
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ImageReportName(image, ""), UID: "u", ResourceVersion: fmt.Sprint(version)},
		State:      v1alpha1.ImageScanned, Image: v1alpha1.Image{Name: image},
		Summary: &v1alpha1.ImageSummary{All: v1alpha1.VulnerabilityCounts{Total: int32(version)}},
	}
}

func podRunning(namespace, image string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image}}},
	}
}

// TestImageReportsReachWhatRunsTheImage: of however many reports that change at once, each namespace is told once, and only those
// whose Pods and templates name one of the images.
func TestImageReportsReachWhatRunsTheImage(t *testing.T) {
	s := everything(t)
	syncAll(s)
	addNamespaces(t, s, "shop", "blog", "idle")
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "blog", Name: "d"}, Spec: appsv1.DeploymentSpec{
		Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "example.com/blog:1"}}}},
	}}
	mustAdd(t, s.pods.Add(podRunning("shop", "example.com/shop:1")), s.pods.Add(podRunning("idle", "example.com/idle:1")), s.controllers[audit.Deployments].Add(deployment))
	var told []string
	s.OnEvent(func(e Event) {
		if e.Resource == audit.ImageReports {
			told = append(told, e.Namespace)
		}
	})
	reached := func() []string {
		told = nil
		s.tellOfImageReports()
		slices.Sort(told)
		return told
	}
	known := func(namespace string) []int32 {
		i, _ := s.Inventory(namespace)
		var versions []int32
		for _, records := range i.ImageReports {
			for _, r := range records {
				versions = append(versions, r.Known.All.Total)
			}
		}
		return versions
	}
	store := s.imageReports.store
	for n := range 100 {
		mustAdd(t, store.Add(reportOn(fmt.Sprint("example.com/other:", n), 1)))
	}
	mustAdd(t, store.Add(reportOn("example.com/shop:1", 1)), store.Update(reportOn("example.com/shop:1", 2)), store.Add(reportOn("example.com/blog:1", 3)))
	if diff := cmp.Diff([]string{"blog", "shop"}, reached()); diff != "" {
		t.Errorf("new reports (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]int32{{2}, {3}, nil}, [][]int32{known("shop"), known("blog"), known("idle")}); diff != "" {
		t.Errorf("known (-want +got):\n%s", diff)
	}
	if got := reached(); len(got) > 0 {
		t.Errorf("without a change %q are told", got)
	}
	mustAdd(t, store.Update(reportOn("example.com/blog:1", 4)))
	if diff := cmp.Diff([]string{"blog"}, reached()); diff != "" || !slices.Equal(known("blog"), []int32{4}) {
		t.Errorf("a report that changes (-want +got):\n%s\nknown %v", diff, known("blog"))
	}
	again := reportOn("example.com/shop:1", 2)
	again.ResourceVersion = "3"
	mustAdd(t, store.Update(again)) // nothing but its version has changed
	s.imageReports.look()
	if got := reached(); len(got) > 0 {
		t.Errorf("of another version of the same %q are told", got)
	}
	mustAdd(t, store.Delete(reportOn("example.com/shop:1", 5)))
	if diff := cmp.Diff([]string{"shop"}, reached()); diff != "" || known("shop") != nil {
		t.Errorf("a report that goes (-want +got):\n%s\nknown %v", diff, known("shop"))
	}
	mustAdd(t, store.Replace([]any{reportOn("example.com/idle:1", 6), reportOn("example.com/blog:1", 4)}, ""))
	if diff := cmp.Diff([]string{"idle"}, reached()); diff != "" {
		t.Errorf("a list (-want +got):\n%s", diff)
	}
}

// TestReportsOnKubernetesReachTheCluster: they are on no image, whatever containers name.
func TestReportsOnKubernetesReachTheCluster(t *testing.T) {
	s := everything(t)
	syncAll(s)
	addNamespaces(t, s, "shop")
	mustAdd(t, s.pods.Add(podRunning("shop", "k8s.io/kubernetes:v1.37.2")))
	var told []string
	s.OnEvent(func(e Event) { told = append(told, string(e.Resource)+" in "+e.Namespace) })
	report := reportOn("k8s.io/kubernetes:v1.37.2", 1)
	report.Name = "kubernetes-v1.37.2"
	for _, step := range []struct {
		name    string
		do      func() error
		told, n int // events, reports
	}{
		{"a report", func() error { return s.imageReports.store.Add(report.DeepCopy()) }, 1, 1},
		{"no change", func() error { return nil }, 0, 1},
		{"a change", func() error {
			changed := report.DeepCopy()
			changed.State, changed.ResourceVersion = v1alpha1.ImageStale, "2"
			return s.imageReports.store.Update(changed)
		}, 1, 1},
		{"another report", func() error { return s.imageReports.store.Add(reportOn("example.com/other:1", 1)) }, 0, 1},
		{"a deletion", func() error {
			report.ResourceVersion = "3"
			return s.imageReports.store.Delete(report)
		}, 1, 0},
	} {
		told = nil
		mustAdd(t, step.do())
		s.tellOfImageReports()
		if len(told) != step.told || step.told > 0 && told[0] != "imagereports.audit.kubersafe.io in " {
			t.Errorf("%s: %q are told", step.name, told)
		}
		if n := len(s.Cluster().Kubernetes); n != step.n {
			t.Errorf("%s: %d reports are known", step.name, n)
		}
		if i, _ := s.Inventory("shop"); len(i.ImageReports) > 0 {
			t.Errorf("%s: it is taken for an image", step.name)
		}
		if totals, _ := s.ImageTotals(); totals.States[v1alpha1.ImageStale] > 0 {
			t.Errorf("%s: it is counted among the images", step.name)
		}
	}
}

// TestInventoriesKeepTheirReports: what is known of a namespace does not change while it is judged.
func TestInventoriesKeepTheirReports(t *testing.T) {
	s := everything(t)
	syncAll(s)
	addNamespaces(t, s, "shop")
	mustAdd(t, s.pods.Add(podRunning("shop", "example.com/shop:1")))
	add := func(name string) {
		r := reportOn("example.com/shop:1", 1)
		r.Name = name
		mustAdd(t, s.imageReports.store.Add(r))
	}
	for _, name := range []string{"e", "d", "c"} {
		add(name)
	}
	i, _ := s.Inventory("shop")
	add("b")
	for _, records := range i.ImageReports {
		if len(records) != 3 || records[0].Name != "c" {
			t.Errorf("%d reports, of which the first is %q", len(records), records[0].Name)
		}
	}
}

// TestANewDatabaseAfterLong: that somebody looks again concerns all images, and that the database is a little newer those alone of which
// it says something else.
func TestANewDatabaseAfterLong(t *testing.T) {
	s := everything(t)
	syncAll(s)
	addNamespaces(t, s, "shop", "blog")
	mustAdd(t, s.pods.Add(podRunning("shop", "example.com/shop:1")), s.pods.Add(podRunning("blog", "example.com/blog:1")))
	var told []string
	s.OnEvent(func(e Event) { told = append(told, e.Namespace) })
	put := func(image string, version int, modified time.Time) {
		r := reportOn(image, version)
		r.Database = &v1alpha1.VulnerabilityDatabase{Modified: metav1.NewTime(modified)}
		mustAdd(t, s.imageReports.store.Update(r))
		told = nil
		s.tellOfImageReports()
		slices.Sort(told)
	}
	now := time.Now()
	put("example.com/shop:1", 1, now.Add(-48*time.Hour))
	put("example.com/blog:1", 2, now.Add(-47*time.Hour))
	if diff := cmp.Diff([]string{"blog", "shop"}, told); diff != "" {
		t.Errorf("a newer database after long (-want +got):\n%s", diff)
	}
	put("example.com/blog:1", 3, now.Add(-time.Hour))
	put("example.com/blog:1", 4, now)
	if diff := cmp.Diff([]string{"blog"}, told); diff != "" {
		t.Errorf("a newer database soon (-want +got):\n%s", diff)
	}
	if i, _ := s.Inventory("shop"); i.NewestMatched != audit.MomentOf(now) {
		t.Errorf("the newest is of %v", i.NewestMatched.Time())
	}
}

func TestImageTotals(t *testing.T) {
	s := everything(t)
	if _, known := s.ImageTotals(); known {
		t.Error("totals are known before anything is read")
	}
	syncAll(s)
	modified := metav1.NewTime(time.Unix(1700000000, 0))
	for n, state := range []v1alpha1.ImageState{v1alpha1.ImageScanned, v1alpha1.ImageFailed, v1alpha1.ImageScanned} {
		r := reportOn(fmt.Sprint("example.com/app:", n), 1)
		r.State = state
		if n == 0 {
			r.Database = &v1alpha1.VulnerabilityDatabase{Modified: modified}
		}
		mustAdd(t, s.imageReports.store.Add(r))
	}
	want := audit.ImageTotals{States: map[v1alpha1.ImageState]int{v1alpha1.ImageScanned: 2, v1alpha1.ImageFailed: 1}, Matched: 1700000000}
	if totals, known := s.ImageTotals(); !known || cmp.Diff(want, totals) != "" {
		t.Errorf("known %v (-want +got):\n%s", known, cmp.Diff(want, totals))
	}
}

// TestImageReportsAreToldOfInBulk runs on a clock that stands still unless everybody waits.
func TestImageReportsAreToldOfInBulk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := everything(t)
		syncAll(s)
		mustAdd(t, s.pods.Add(podRunning("shop", "example.com/shop:1")))
		told := 0
		s.OnEvent(func(Event) { told++ })
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.followImageReports(ctx) }()
		for n := 1; n <= 1000; n++ {
			mustAdd(t, s.imageReports.store.Update(reportOn("example.com/shop:1", n)))
			time.Sleep(time.Millisecond)
		}
		time.Sleep(imageWindow)
		synctest.Wait()
		stop()
		<-done
		if told < 1 || told > 3 {
			t.Errorf("it is told %d times of 1000 changes within a second", told)
		}
	})
}

// TestWithoutAScanner: that ImageReports are not served is told, and is no fault.
func TestWithoutAScanner(t *testing.T) {
	s := everything(t)
	syncAll(s)
	addNamespaces(t, s, "shop")
	w := watcherOf(t, s, audit.ImageReports)
	w.observe(outcomes["404"], false)
	w.now = func() time.Time { return time.Now().Add(time.Hour) }
	w.observe(outcomes["404"], false)
	i, _ := s.Inventory("shop")
	u := i.Unavailable[audit.ImageReports]
	if u == nil || u.Reason != v1alpha1.SkipSourceNotServed || !strings.Contains(u.Message, "image scanning is not installed") || !s.read() {
		t.Errorf("unavailable %+v", u)
	}
}

// BenchmarkHeapPerImageReport: what is kept of a report with as many vulnerabilities as one may list.
func BenchmarkHeapPerImageReport(b *testing.B) {
	for b.Loop() {
		const n = 1000
		x := newImageReports()
		before := liveHeap()
		for i := range n {
			digest := fmt.Sprintf("sha256:%064x", i+1<<32)
			r := &v1alpha1.ImageReport{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ImageReportName("", digest), UID: "0c9b7a5e-6f0e-4c3b-9a39-0d9c5f3c8c11"}, State: v1alpha1.ImageScanned}
			r.Image = v1alpha1.Image{Name: fmt.Sprint("registry.example.com/shop/app-", i, ":1.4.2"), Digest: digest, Platform: "linux/amd64", PackageCount: 250}
			r.Summary = &v1alpha1.ImageSummary{All: v1alpha1.VulnerabilityCounts{Total: 100, High: 100}}
			r.References = []v1alpha1.ImageReference{{Name: r.Image.Name, CurrentDigest: digest}}
			for v := range v1alpha1.MaxVulnerabilities {
				r.Vulnerabilities = append(r.Vulnerabilities, v1alpha1.Vulnerability{
					ID: fmt.Sprintf("CVE-20%d-%d", 10+v%16, 1000+(i*7919+v*104729)%60000), Severity: v1alpha1.VulnerabilityHigh, Package: fmt.Sprint("lib-package-", v%40),
					Ecosystem: "Debian:12", InstalledVersion: fmt.Sprintf("1.%d.%d-1+deb12u1", v%9, v%7), FixedVersion: fmt.Sprintf("1.%d.%d-1+deb12u2", v%9, v%7),
					Path: "var/lib/dpkg/status",
				})
			}
			mustAdd(b, x.store.Add(r))
		}
		x.look()
		b.ReportMetric(float64(liveHeap()-before)/n, "B/report")
		if x.none() {
			b.Fatal("nothing is kept")
		}
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/test/controlplane"
)

const vulnerable = "image-vulnerabilities"

// finding returns what a report finds by image-vulnerabilities, or nil.
func finding(r *v1alpha1.SecurityReport) *v1alpha1.Finding {
	for i := range r.Findings {
		if r.Findings[i].Check == vulnerable {
			return &r.Findings[i]
		}
	}
	return nil
}

// skips says whether a report skips image-vulnerabilities for a reason, with a message that has the text.
func skips(reason v1alpha1.SkipReason, text string) func(*v1alpha1.SecurityReport) bool {
	return func(r *v1alpha1.SecurityReport) bool {
		for _, s := range r.Skips {
			if s.Check == vulnerable {
				return s.Reason == reason && strings.Contains(s.Message, text) && finding(r) == nil
			}
		}
		return false
	}
}

// TestImageReports: what a scanner writes is found on what runs the image, as it comes, changes and goes; that there is no scanner is
// told, and disturbs nothing.
func TestImageReports(t *testing.T) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	crd := filepath.Join(root, "config/crd/bases/audit.kubersafe.io_imagereports.yaml")
	kubectl := func(args ...string) {
		t.Helper()
		if _, err := cluster.Kubectl(t.Context(), nil, args...); err != nil {
			t.Fatal(err)
		}
	}
	install := func() {
		kubectl("apply", "-f", crd)
		kubectl("wait", "--for=condition=Established", "-f", crd)
	}
	kubectl("delete", "--wait", "-f", crd)
	reinstalled := false
	defer func() {
		if !reinstalled {
			install()
		}
	}()
	stop(t)
	start(t) // without it, too, it is ready
	waitUntilComplete(t)
	waitForClusterReport(t, func(r *v1alpha1.ClusterSecurityReport) bool {
		for _, s := range r.Sources {
			if s.Resource == string(audit.ImageReports) {
				return s.State == v1alpha1.SourceNotServed && strings.Contains(s.Message, "image scanning is not installed")
			}
		}
		return false
	})

	const (
		image  = "example.com/image-reports/web:1"
		digest = "sha256:b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"
		index  = "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1"
	)
	ns := newNamespace(t)
	create(t, deployment(ns, "web", 0, restrictedContainer("web", image)))
	create(t, pod(ns, "other", restrictedContainer("other", "example.com/image-reports/other:1")))
	runs := pod(ns, "runs", restrictedContainer("web", "example.com/image-reports/web:0"))
	create(t, runs)
	runs.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "web", ImageID: "example.com/image-reports/web@" + index}}
	if err := admin.Status().Update(t.Context(), runs); err != nil {
		t.Fatal(err)
	}
	subjects := []string{"deployment-web", "pod-runs", "pod-other"}
	for _, name := range subjects {
		waitFor(t, ns, name, skips(v1alpha1.SkipSourceNotServed, "image scanning is not installed"))
	}

	process := replica.Process()
	install()
	reinstalled = true
	waitForClusterReport(t, sourceIs(audit.ImageReports, v1alpha1.SourceSynced))
	for _, name := range subjects {
		waitFor(t, ns, name, skips(v1alpha1.SkipDataMissing, "not all images have been scanned yet"))
	}

	fixable := v1alpha1.VulnerabilityCounts{Total: 1, High: 1}
	report := &v1alpha1.ImageReport{
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.ImageReportName(image, digest)}, State: v1alpha1.ImageScanned,
		Image:   v1alpha1.Image{Name: image, Digest: digest, IndexDigests: []string{index}},
		Summary: &v1alpha1.ImageSummary{All: fixable, Fixable: fixable},
		Vulnerabilities: []v1alpha1.Vulnerability{{
			ID: "CVE-2024-0001", Severity: v1alpha1.VulnerabilityHigh, Package: "openssl", Ecosystem: "Debian:12", InstalledVersion: "1", FixedVersion: "2",
		}},
	}
	create(t, report)
	t.Cleanup(func() { removeAfterwards(t, report) })
	found := func(severity v1alpha1.Severity, text string) func(*v1alpha1.SecurityReport) bool {
		return func(r *v1alpha1.SecurityReport) bool {
			f := finding(r)
			return f != nil && f.Severity == severity && strings.Contains(f.Message, text)
		}
	}
	for _, name := range []string{"deployment-web", "pod-runs"} {
		waitFor(t, ns, name, found(v1alpha1.SeverityHigh, "CVE-2024-0001 in openssl (fixed in 2)"))
	}
	waitForSeries(t, ns, `kubersafe_image_vulnerabilities{fixable="true",namespace="`+ns+`",severity="High"} 1`, 1)
	waitFor(t, ns, "pod-other", skips(v1alpha1.SkipDataMissing, "not all images have been scanned yet"))

	change(t, report, func(r *v1alpha1.ImageReport) {
		r.Summary.All, r.Summary.Fixable = v1alpha1.VulnerabilityCounts{Total: 1, Critical: 1}, v1alpha1.VulnerabilityCounts{}
		r.Vulnerabilities[0].Severity, r.Vulnerabilities[0].FixedVersion = v1alpha1.VulnerabilityCritical, ""
		r.Vulnerabilities[0].ID = "CVE-2024-0002"
	})
	for _, name := range []string{"deployment-web", "pod-runs"} {
		waitFor(t, ns, name, found(v1alpha1.SeverityHigh, "1 Critical: CVE-2024-0002 in openssl (not fixed yet)"))
	}

	ignored := configure(t, &v1alpha1.AuditConfigurationSpec{Images: v1alpha1.ImageSettings{IgnoredVulnerabilities: []v1alpha1.IgnoredVulnerability{
		{ID: "CVE-2024-0002", Status: v1alpha1.VulnerabilityNotAffected, Reason: "not linked"},
	}}})
	waitFor(t, ns, "pod-runs", func(r *v1alpha1.SecurityReport) bool {
		return finding(r) == nil && !skips(v1alpha1.SkipDataMissing, "")(r)
	})
	remove(t, ignored)
	waitFor(t, ns, "pod-runs", found(v1alpha1.SeverityHigh, "CVE-2024-0002"))

	remove(t, report)
	for _, name := range subjects {
		waitFor(t, ns, name, skips(v1alpha1.SkipDataMissing, "not all images have been scanned yet"))
	}
	if replica.Process() != process {
		t.Error("the operator was restarted")
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/test/controlplane"
	"github.com/kubersafe/kubersafe/test/operator"
)

// TestDocsOfMetrics compares docs/metrics.md with a scrape: names, types, labels and meanings.
func TestDocsOfMetrics(t *testing.T) {
	ns := newNamespace(t)
	create(t, pod(ns, "app", container("app", "example.com/app:1", true)))
	waitForReport(t, ns, "pod-app")
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `(kubersafe_\\w+)` \\| (\\w+) \\| ([^|]*) \\| ([^|]*) \\|").FindAllStringSubmatch(string(page), -1) {
		documented[m[1]] = fmt.Sprintf("%s {%s} %s", m[2], strings.NewReplacer("`", "", " ", "").Replace(m[3]), m[4])
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(strings.Join(scrape(t), "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	scraped := make(map[string]string)
	for name, f := range families {
		if strings.HasPrefix(name, "kubersafe_") {
			scraped[name] = fmt.Sprintf("%s {%s} %s", strings.ToLower(f.GetType().String()), strings.Join(labelsOf(f), ","), f.GetHelp())
		}
	}
	// Those of which there may be nothing.
	for _, name := range []string{
		"kubersafe_cluster_violations", "kubersafe_exempted_violations", "kubersafe_image_vulnerabilities", "kubersafe_next_exception_expiry_timestamp_seconds",
		"kubersafe_skipped_checks", "kubersafe_truncated_reports", "kubersafe_vulnerability_database_timestamp_seconds",
	} {
		if scraped[name] == "" {
			scraped[name] = documented[name]
		}
	}
	if diff := cmp.Diff(documented, scraped); diff != "" {
		t.Errorf("metrics (-docs/metrics.md +scraped):\n%s", diff)
	}
	for _, name := range []string{"kubersafe_change_queue_duration_seconds", "kubersafe_change_to_report_duration_seconds"} {
		if h := families[name].GetMetric()[0].GetHistogram(); h.GetSampleCount() == 0 || h.GetSampleSum() <= 0 {
			t.Errorf("%s has seen no change: %v", name, h)
		}
	}
}

// labelsOf returns the names of the labels of the series of a family, sorted.
func labelsOf(f *dto.MetricFamily) []string {
	var names []string
	for _, m := range f.GetMetric() {
		for _, l := range m.GetLabel() {
			names = append(names, l.GetName())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// TestPrometheusComponent: what config/components/prometheus makes of the operator is taken by the API server, also beside
// the component sharded, in either order.
func TestPrometheusComponent(t *testing.T) {
	for _, order := range [][]string{
		{"prometheus"}, {"cert-manager", "prometheus", "sharded"}, {"sharded", "cert-manager", "prometheus"},
	} {
		kinds := make(map[string]int)
		var ours []string
		for _, document := range strings.Split(rendered(t, order...), "\n---\n") {
			var object struct{ APIVersion, Kind string }
			if err := yaml.Unmarshal([]byte(document), &object); err != nil {
				t.Fatal(err)
			}
			kinds[object.Kind]++
			if !strings.Contains(object.APIVersion, "monitoring.coreos.com/") && !strings.Contains(object.APIVersion, "cert-manager.io/") {
				ours = append(ours, document)
			}
			if object.Kind != "Deployment" && object.Kind != "StatefulSet" {
				continue
			}
			var workload struct{ Spec appsv1.DeploymentSpec }
			if err := yaml.Unmarshal([]byte(document), &workload); err != nil {
				t.Fatal(err)
			}
			servesCertificate(t, order, &workload.Spec.Template.Spec)
		}
		if kinds["ServiceMonitor"] != 1 || kinds["PrometheusRule"] != 1 || kinds["Deployment"]+kinds["StatefulSet"] != 1 {
			t.Errorf("%v: kinds %v", order, kinds)
		}
		in := strings.NewReader(strings.Join(ours, "\n---\n"))
		if _, err := cluster.Kubectl(t.Context(), in, "apply", "--dry-run=server", "-f", "-"); err != nil {
			t.Errorf("%v: %v", order, err)
		}
	}
}

// servesCertificate fails unless the flag that names a certificate, the mount and the volume agree.
func servesCertificate(t *testing.T, order []string, pod *corev1.PodSpec) {
	t.Helper()
	c := &pod.Containers[0]
	for _, m := range c.VolumeMounts {
		if !slices.Contains(c.Args, "--metrics-cert-path="+m.MountPath) {
			continue
		}
		for _, v := range pod.Volumes {
			if v.Name == m.Name && v.Secret != nil && v.Secret.SecretName == "kubersafe-metrics-tls" {
				return
			}
		}
	}
	t.Errorf("%v: no certificate is served in %s: %v, %v, %v", order, operator.Namespace, c.Args, c.VolumeMounts, pod.Volumes)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/source"
	"github.com/kubersafe/kubersafe/test/prometheus"
)

const component = "components/prometheus"

// prometheusRules returns what promtool takes, and the same decoded.
func prometheusRules(t *testing.T) (file []byte, rules []prometheus.Rule) {
	t.Helper()
	file, rules, err := prometheus.Rules()
	if err != nil {
		t.Fatal(err)
	}
	return file, rules
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestRules has promtool check the rules and run their cases.
func TestRules(t *testing.T) {
	promtool, err := prometheus.Find("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	rules, _ := prometheusRules(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(path, rules, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, promtool, "check", "rules", "--lint-fatal", path)
	cases, err := filepath.Glob(filepath.Join(component, "tests", "*.yaml"))
	if err != nil || len(cases) == 0 {
		t.Fatalf("%d files of cases, %v", len(cases), err)
	}
	for _, file := range cases {
		t.Run(filepath.Base(file), func(t *testing.T) {
			copied := filepath.Join(dir, filepath.Base(file)+".test")
			if err := os.WriteFile(copied, read(t, file), 0o600); err != nil {
				t.Fatal(err)
			}
			run(t, promtool, "test", "rules", copied)
		})
	}
}

func run(t *testing.T, program string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// TestAlertsAreComplete: each has what a person needs who is called, a section in the runbooks, a case that fires and one
// that does not.
func TestAlertsAreComplete(t *testing.T) {
	_, rules := prometheusRules(t)
	var alerts []string
	for _, r := range rules {
		if r.Alert == "" {
			continue
		}
		alerts = append(alerts, r.Alert)
		if !slices.Contains([]string{"critical", "warning", "info"}, r.Labels["severity"]) {
			t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
		}
		for _, annotation := range []string{"summary", "description"} {
			if text := r.Annotations[annotation]; !strings.HasSuffix(text, ".") {
				t.Errorf("%s: the %s %q must end with a period", r.Alert, annotation, text)
			}
		}
		want := "https://github.com/kubersafe/kubersafe/blob/main/docs/runbooks.md#" + strings.ToLower(r.Alert)
		if got := r.Annotations["runbook_url"]; got != want {
			t.Errorf("%s: runbook %s, want %s", r.Alert, got, want)
		}
		if strings.Contains(r.Expr, "by (severity") || strings.Contains(r.Annotations["description"], "$labels.severity") {
			t.Errorf("%s: the finding's severity must be called violation_severity", r.Alert)
		}
	}
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^## (Kubersafe\w+)$`).FindAllSubmatch(read(t, "../docs/runbooks.md"), -1) {
		sections = append(sections, string(m[1]))
	}
	if diff := cmp.Diff(alerts, sections); diff != "" {
		t.Errorf("sections in docs/runbooks.md (-alerts +sections):\n%s", diff)
	}

	fires, silent := make(map[string]bool), make(map[string]bool)
	files, err := filepath.Glob(filepath.Join(component, "tests", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		var cases struct {
			Tests []struct {
				AlertRuleTest []struct {
					Alertname string
					ExpAlerts []any `json:"exp_alerts"`
				} `json:"alert_rule_test"`
			}
		}
		decode(t, read(t, file), &cases)
		for _, c := range cases.Tests {
			for _, a := range c.AlertRuleTest {
				fires[a.Alertname] = fires[a.Alertname] || len(a.ExpAlerts) > 0
				silent[a.Alertname] = silent[a.Alertname] || len(a.ExpAlerts) == 0
			}
		}
	}
	for _, alert := range alerts {
		if !fires[alert] || !silent[alert] {
			t.Errorf("%s: a case that fires is there: %t, one that does not: %t", alert, fires[alert], silent[alert])
		}
	}
}

// TestRulesAreAboutMetrics: whatever rules read is a metric that there is, or another rule.
func TestRulesAreAboutMetrics(t *testing.T) {
	_, rules := prometheusRules(t)
	known := make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^\\| `(kubersafe_\\w+)` \\| (\\w+) ").FindAllSubmatch(read(t, "../docs/metrics.md"), -1) {
		known[string(m[1])] = true
	}
	for _, r := range rules {
		if r.Record != "" {
			known[r.Record] = true
		}
	}
	name := regexp.MustCompile(`\b(\w+:)?kubersafe[_:][\w:]+`)
	for _, r := range rules {
		for _, metric := range name.FindAllString(r.Expr, -1) {
			if !known[metric] {
				t.Errorf("%s%s reads %s, which nobody exports", r.Record, r.Alert, metric)
			}
		}
	}
}

// TestSourcesThatNeedNotBeServed are in one alert, and in no other place that says so but the code.
func TestSourcesThatNeedNotBeServed(t *testing.T) {
	cfg := &rest.Config{Host: "http://unused.invalid"}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	sources := source.New(client)
	if err := source.AddOptional(sources, cfg, http.DefaultClient); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, s := range sources.Status() {
		if audit.Resource(s.Resource).Optional() {
			want = append(want, s.Resource)
		}
	}
	slices.Sort(want)
	_, rules := prometheusRules(t)
	for _, r := range rules {
		if r.Alert != "KubersafeSourceDegraded" {
			continue
		}
		m := regexp.MustCompile(`resource!~"([^"]*)"`).FindStringSubmatch(r.Expr)
		if m == nil {
			t.Fatalf("it leaves none out: %s", r.Expr)
		}
		got := strings.Split(strings.ReplaceAll(m[1], "[.]", "."), "|")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("left out (-optional +in the alert):\n%s", diff)
		}
	}
}

// TestScrapesAreVerified: Prometheus knows the operator and the scanner by their certificates, whose names are those that it asks for.
func TestScrapesAreVerified(t *testing.T) {
	for _, tc := range []struct {
		component   string
		honorLabels bool // the namespace of the scanner's metrics is its own
	}{{component, true}, {"components/image-scan-prometheus", false}} {
		t.Run(tc.component, func(t *testing.T) { scrapesAreVerified(t, tc.component, tc.honorLabels) })
	}
}

func scrapesAreVerified(t *testing.T, component string, honorLabels bool) {
	t.Helper()
	var monitor struct {
		Spec struct {
			Endpoints []struct {
				Port, Scheme string
				HonorLabels  bool
				TLSConfig    struct {
					ServerName         string
					InsecureSkipVerify bool
					CA                 struct{ Secret struct{ Name, Key string } }
				}
			}
		}
	}
	decode(t, read(t, filepath.Join(component, "service_monitor.yaml")), &monitor)
	if len(monitor.Spec.Endpoints) != 1 {
		t.Fatalf("%d endpoints", len(monitor.Spec.Endpoints))
	}
	e := monitor.Spec.Endpoints[0]
	if e.Port != "https" || e.Scheme != "https" || e.HonorLabels != honorLabels || e.TLSConfig.InsecureSkipVerify || e.TLSConfig.CA.Secret.Key != "ca.crt" {
		t.Errorf("the endpoint is %+v", e)
	}
	type certificate struct {
		Kind string
		Spec struct {
			SecretName string
			DNSNames   []string
		}
	}
	var names []string
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(read(t, "components/cert-manager/certificates.yaml"))))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c := decode(t, document, &certificate{}); c.Kind == "Certificate" && c.Spec.SecretName == e.TLSConfig.CA.Secret.Name {
			names = append(names, c.Spec.DNSNames...)
		}
	}
	if !slices.Contains(names, e.TLSConfig.ServerName) {
		t.Errorf("Prometheus asks for %s, the certificate is for %v", e.TLSConfig.ServerName, names)
	}
	if patch := read(t, filepath.Join(component, "metrics_tls.yaml")); !bytes.Contains(patch, []byte("secretName: "+e.TLSConfig.CA.Secret.Name+"\n")) {
		t.Errorf("the certificate in %s is not served", e.TLSConfig.CA.Secret.Name)
	}
}

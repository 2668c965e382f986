// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dashboards runs everything that is shipped for Prometheus and Grafana on a real Prometheus, which scrapes the
// operator on a real API server: every query of every dashboard, every recording rule and every alert.
package dashboards

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	prometheusv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/internal/dashboard"
	"github.com/kubersafe/kubersafe/test/controlplane"
	"github.com/kubersafe/kubersafe/test/prometheus"
)

// hour is what has become of the hour for which a violation is new to KubersafeNewCriticalViolation.
const hour = time.Hour / faster

var results = flag.String("results", "", "file to write the results of the dashboards' queries to, for their pictures")

// mayBeEmpty are recording rules that may have nothing to record, and why.
var mayBeEmpty = map[string]string{
	"namespace:kubersafe_truncated_reports:max": "a report is truncated from 256 findings on",
}

func TestDashboards(t *testing.T) {
	w := start(t)
	t.Run("what is installed", w.testInstalled)
	w.testAlert(t, func(t *testing.T) {
		now := time.Now()
		var answered dashboard.Answers
		t.Run("a team", func(t *testing.T) { answered = w.testQueries(t, now, team) })
		t.Run("two teams", func(t *testing.T) { w.testQueries(t, now, "(shop|"+team+")") })
		t.Run("all", func(t *testing.T) { w.testQueries(t, now, ".*") })
		t.Run("variables", w.testVariables)
		if *results != "" && !t.Failed() {
			encoded, err := json.Marshal(answered)
			must(t, err)
			must(t, os.WriteFile(*results, encoded, 0o600))
		}
	})
	t.Run("rules", w.testRules)
}

// testInstalled: the API server takes the component, and a sidecar that looks for the label finds all dashboards.
func (w *world) testInstalled(t *testing.T) {
	root, err := controlplane.ModuleRoot()
	must(t, err)
	dir := t.TempDir()
	config, err := filepath.Rel(dir, filepath.Join(root, "config"))
	must(t, err)
	kustomization := fmt.Sprintf("components: [%s/components/grafana]\n", config)
	must(t, os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(kustomization), 0o600))
	w.kubectl(t, "", "apply", "-k", dir)
	var found corev1.ConfigMapList
	must(t, json.Unmarshal([]byte(w.kubectl(t, "", "get", "configmaps", "-A", "-l", "grafana_dashboard=1", "-o", "json")), &found))
	installed := make(map[string]string)
	for i := range found.Items {
		for file, content := range found.Items[i].Data {
			installed[file] = content
		}
	}
	for _, d := range dashboard.All() {
		want, err := d.JSON()
		must(t, err)
		if installed[d.UID+".json"] != string(want) {
			t.Errorf("%s is not installed, or not as it is", d.Title)
		}
	}
	if len(installed) != len(dashboard.All()) {
		t.Errorf("%d dashboards are installed, want %d", len(installed), len(dashboard.All()))
	}
}

// testAlert breaks a workload, does something while the alert about it fires, and mends the workload.
func (w *world) testAlert(t *testing.T, whileFiring func(*testing.T)) {
	t.Helper()
	const (
		alert      = "KubersafeNewCriticalViolation"
		privileged = `[{"op": "add", "path": "/spec/template/spec/containers/0/securityContext", "value": {"privileged": %t}}]`
		critical   = `namespace_check:kubersafe_violations:critical{namespace="` + team + `", check="privileged-container"}`
	)
	fires := func(ctx context.Context) (bool, error) {
		found, err := w.prometheus.Alerts(ctx)
		for _, a := range found.Alerts {
			if a.State == prometheusv1.AlertStateFiring && a.Labels["alertname"] == alert && a.Labels["namespace"] == team {
				if a.Labels["check"] != "privileged-container" || a.Labels["severity"] != "critical" || a.Labels["violation_severity"] != "Critical" {
					t.Errorf("the alert's labels are %v", a.Labels)
				}
				return true, nil
			}
		}
		return false, err
	}
	// From then on an alert knows what is new.
	w.eventually(t, "an hour of records", `count(namespace:kubersafe_score:min offset `+model.Duration(hour).String()+`)`)
	if firing, err := fires(t.Context()); firing || err != nil {
		t.Fatalf("it fires before anything is broken: %t, %v", firing, err)
	}
	before := w.value(t, critical)
	broken := time.Now()
	w.kubectl(t, "", "patch", "statefulset", "ledger", "-n", team, "--type=json", "-p", fmt.Sprintf(privileged, true))
	w.poll(t, "the alert", fires)
	w.eventually(t, "more violations", fmt.Sprintf("%s > %v", critical, before))
	whileFiring(t)
	w.kubectl(t, "", "patch", "statefulset", "ledger", "-n", team, "--type=json", "-p", fmt.Sprintf(privileged, false))
	w.poll(t, "the alert's end", func(ctx context.Context) (bool, error) {
		firing, err := fires(ctx)
		return !firing, err
	})
	if after := w.value(t, critical); after != before {
		t.Errorf("%v critical violations when the alert ends, and %v before it", after, before)
	}
	// After an hour it ends in any case.
	if took := time.Since(broken); took >= hour {
		t.Errorf("it was %s from breaking the workload until the alert ended: too long to tell why it did", took)
	}
}

// value is that of the only result of an expression.
func (w *world) value(t *testing.T, expr string) float64 {
	t.Helper()
	found, err := w.now(t.Context(), expr, time.Now())
	must(t, err)
	if len(found) != 1 {
		t.Fatalf("%s has %d results, want one", expr, len(found))
	}
	return found[0].Points[0].Value
}

// testRules: Prometheus evaluates all of them without errors, and as they are shipped, too, recording rules have results.
func (w *world) testRules(t *testing.T) {
	evaluated, err := w.prometheus.Rules(t.Context(), nil)
	must(t, err)
	n := 0
	for _, g := range evaluated.Groups {
		for _, r := range g.Rules {
			n++
			switch r := r.(type) {
			case prometheusv1.RecordingRule:
				if r.Health != prometheusv1.RuleHealthGood {
					t.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
				}
			case prometheusv1.AlertingRule:
				if r.Health != prometheusv1.RuleHealthGood {
					t.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
				}
			}
		}
	}
	if n != len(w.rules) {
		t.Errorf("Prometheus has %d rules, want %d", n, len(w.rules))
	}
	for _, r := range w.rules {
		found, err := w.now(t.Context(), r.Expr, time.Now())
		if err != nil {
			t.Errorf("%s%s: %v", r.Record, r.Alert, err)
		}
		if r.Record != "" && len(found) == 0 && mayBeEmpty[r.Record] == "" {
			t.Errorf("%s records nothing", r.Record)
		}
	}
}

// testVariables: those that must have values have.
func (w *world) testVariables(t *testing.T) {
	for _, d := range dashboard.All() {
		for _, v := range d.Variables {
			selector := interpolate(v.Series, ".*", ".*", time.Minute)
			values, _, err := w.prometheus.LabelValues(t.Context(), v.Label, []string{selector}, w.since, time.Now())
			if err != nil || len(values) == 0 && v.MayBeEmpty == "" {
				t.Errorf("%s: %s has %d values, %v", d.Title, v.Query(), len(values), err)
			}
		}
	}
}

// interpolate replaces variables as Grafana does.
func interpolate(expr, cluster, namespace string, shown time.Duration) string {
	return strings.NewReplacer(
		"$cluster", cluster, "$namespace", namespace,
		// Whole seconds, and nothing from before the start.
		"$__range", model.Duration(shown.Truncate(time.Second)).String(),
		// Four scrapes at least.
		"$__rate_interval", model.Duration(10*prometheus.Interval).String(),
	).Replace(expr)
}

// testQueries runs the queries of all panels about one choice of namespaces, as Grafana would at a time.
func (w *world) testQueries(t *testing.T, at time.Time, namespace string) dashboard.Answers {
	all := dashboard.Answers{From: w.since, To: at, Results: make(map[string][][][]dashboard.Sample)}
	for _, d := range dashboard.All() {
		// An overview is about all of them, unless somebody says otherwise.
		chosen := namespace
		if d.Variables[len(d.Variables)-1].All && namespace == team {
			chosen = ".*"
		}
		for _, placed := range d.Panels() {
			if placed.Panel == nil {
				continue
			}
			found := w.testPanel(t, d.Title, placed.Panel, at, chosen)
			all.Results[d.UID] = append(all.Results[d.UID], found)
		}
	}
	return all
}

// testPanel runs the queries of a panel: none fails, none has no result that must have one, and Grafana can show them all.
func (w *world) testPanel(t *testing.T, title string, p *dashboard.Panel, at time.Time, namespace string) [][]dashboard.Sample {
	t.Helper()
	shown := at.Sub(w.since)
	found := make([][]dashboard.Sample, len(p.Queries))
	for i, q := range p.Queries {
		expr := interpolate(q.Expr, ".*", namespace, shown)
		var err error
		if p.Kind == dashboard.Series {
			found[i], err = w.over(t.Context(), expr, w.since, at)
		} else {
			found[i], err = w.now(t.Context(), expr, at)
		}
		if err != nil {
			t.Errorf("%s: %s: %s: %v\n%s", title, p.Title, q.Name, err, expr)
		}
		if len(found[i]) == 0 && q.MayBeEmpty == "" {
			t.Errorf("%s: %s: %s has no result\n%s", title, p.Title, q.Name, expr)
		}
	}
	var err error
	if p.Kind == dashboard.Series || p.Kind == dashboard.Stat {
		_, err = p.Lines(found)
	} else {
		_, err = p.Grid(found)
	}
	if err != nil {
		t.Errorf("%s: %v", title, err)
	}
	return found
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboards

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	prometheusv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubersafe/kubersafe/internal/dashboard"
	"github.com/kubersafe/kubersafe/test/controlplane"
	"github.com/kubersafe/kubersafe/test/operator"
	"github.com/kubersafe/kubersafe/test/prometheus"
)

const (
	// timeout of one condition. Measured: seconds, and a minute for an hour of records; the rest is for machines that do
	// something else meanwhile.
	timeout = 3 * time.Minute
	// faster is how much shorter the durations in rules are made: an hour becomes a minute.
	faster = 60
	// team is the namespace that is looked at as a team would.
	team = "legacy"
)

// exemption gives the panels about exceptions something to show.
const exemption = `{
	"apiVersion": "audit.kubersafe.io/v1alpha1", "kind": "SecurityException",
	"metadata": {"name": "debug", "namespace": "legacy"},
	"spec": {
		"checks": ["*"], "subjects": [{"kind": "Pod", "name": "debug"}],
		"reason": "Somebody is looking into an incident.", "expirationTime": %q
	}
}`

// scanned is what a scanner would have found in an image of the samples. Nothing critical: that would be another alert.
const scanned = `{
	"apiVersion": "audit.kubersafe.io/v1alpha1", "kind": "ImageReport",
	"metadata": {"name": "sha256-4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"},
	"state": "Scanned",
	"image": {
		"name": "ghcr.io/kubersafe/legacy-archive:1.2.0",
		"digest": "sha256:4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
	},
	"references": [{"name": "ghcr.io/kubersafe/legacy-archive:1.2.0"}],
	"omittedVulnerabilities": 12,
	"summary": {
		"all": {"total": 12, "critical": 0, "high": 2, "medium": 6, "low": 4, "unknown": 0},
		"fixable": {"total": 5, "critical": 0, "high": 1, "medium": 4, "low": 0, "unknown": 0}
	}
}`

// world is what there is: a control plane with the samples, the operator twice, one of them elected, and Prometheus.
type world struct {
	plane      *controlplane.ControlPlane
	prometheus prometheusv1.API
	rules      []prometheus.Rule
	// since is when the first complete audit had been recorded.
	since time.Time
}

// start returns when there is everything, and Prometheus has recorded it.
func start(t *testing.T) *world {
	t.Helper()
	if _, err := prometheus.Find("prometheus"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	log.SetLogger(logr.Discard()) // envtest's
	root, err := controlplane.ModuleRoot()
	must(t, err)
	w := &world{}
	w.plane, err = controlplane.Start(t.Context(), controlplane.Options{CRDs: []string{filepath.Join(root, "config/crd/bases")}})
	must(t, err)
	t.Cleanup(func() { must(t, w.plane.Stop()) })

	w.kubectl(t, "", "apply", "-f", filepath.Join(root, "dist/install.yaml"))
	w.kubectl(t, "", "apply", "-k", filepath.Join(root, "config/samples"))
	w.kubectl(t, fmt.Sprintf(exemption, time.Now().AddDate(0, 0, 14).UTC().Format(time.RFC3339)), "apply", "-f", "-")
	w.kubectl(t, scanned, "apply", "-f", "-")
	binary := filepath.Join(w.plane.Dir, "kubersafe")
	must(t, operator.Build(t.Context(), binary))
	leader, err := operator.New(t.Context(), w.plane, binary)
	must(t, err)
	follower := leader.Replica()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	for _, o := range []*operator.Operator{leader, follower} {
		if err := o.Start(ctx); err != nil {
			t.Fatalf("%v\n%s", err, o.LogTail())
		}
	}
	rules, decoded, err := prometheus.Rules()
	must(t, err)
	w.rules = decoded
	w.prometheus, err = prometheus.Start(t.Context(), w.plane, hasten(rules), leader, follower)
	must(t, err)
	w.eventually(t, "both replicas, scraped", `count(kubersafe_build_info) == 2`)
	w.eventually(t, "a recorded score", `namespace:kubersafe_score:min{namespace="`+team+`"} and on () kubersafe_source_state`)
	w.eventually(t, "an exemption", `kubersafe_exempted_violations{namespace="`+team+`"}`)
	w.eventually(t, "an image's vulnerabilities", `kubersafe_image_vulnerabilities{namespace="`+team+`",fixable="true"} > 0`)
	w.since = time.Now()
	w.work(t)
	return w
}

var duration = regexp.MustCompile(`\b(\d+)([mhd])\b`)

// hasten shortens all durations in rules, those in their expressions as well as how long an alert waits.
func hasten(rules []byte) []byte {
	units := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	return duration.ReplaceAllFunc(rules, func(match []byte) []byte {
		parts := duration.FindSubmatch(match)
		n, _ := strconv.Atoi(string(parts[1])) // digits
		return []byte(model.Duration(time.Duration(n) * units[string(parts[2])] / faster).String())
	})
}

// trial is a workload that is not hardened, and not critical either: that would be another alert.
const trial = `{
	"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "trial"},
	"spec": {"replicas": 1, "selector": {"matchLabels": {"app": "trial"}}, "template": {
		"metadata": {"labels": {"app": "trial"}},
		"spec": {"hostNetwork": true, "hostPID": true, "containers": [{"name": "trial", "image": "ghcr.io/kubersafe/trial"}]}
	}}
}`

// work lets a workload come and go in two namespaces until the test ends, so that there is something to count and to measure.
func (w *world) work(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; ctx.Err() == nil && err == nil; i++ {
			namespace := []string{team, "shop"}[i%2]
			if i/2%2 == 0 {
				_, err = w.plane.Kubectl(ctx, strings.NewReader(trial), "apply", "-n", namespace, "-f", "-")
			} else {
				_, err = w.plane.Kubectl(ctx, nil, "delete", "deployment", "trial", "-n", namespace)
			}
			select {
			case <-ctx.Done():
			case <-time.After(5 * time.Second):
			}
		}
		done <- err
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func (w *world) kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := w.plane.Kubectl(t.Context(), strings.NewReader(stdin), args...)
	must(t, err)
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until an expression has a result.
func (w *world) eventually(t *testing.T, what, expr string) {
	t.Helper()
	w.poll(t, what, func(ctx context.Context) (bool, error) {
		found, err := w.now(ctx, expr, time.Now())
		return len(found) > 0, err
	})
}

func (w *world) poll(t *testing.T, what string, condition wait.ConditionWithContextFunc) {
	t.Helper()
	if err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, timeout, true, condition); err != nil {
		targets, _ := w.prometheus.Targets(t.Context())
		for _, target := range targets.Active {
			t.Logf("%s is %s %s", target.ScrapeURL, target.Health, target.LastError)
		}
		t.Fatalf("waiting for %s: %v", what, err)
	}
}

// now asks for the value of an expression at a time.
func (w *world) now(ctx context.Context, expr string, at time.Time) ([]dashboard.Sample, error) {
	return samples(w.prometheus.Query(ctx, expr, at))
}

// over asks for the values of an expression over time.
func (w *world) over(ctx context.Context, expr string, from, to time.Time) ([]dashboard.Sample, error) {
	return samples(w.prometheus.QueryRange(ctx, expr, prometheusv1.Range{Start: from, End: to, Step: prometheus.Interval}))
}

// samples returns what Prometheus has answered. A warning is an error, and what is not a number is no value.
func samples(value model.Value, warnings prometheusv1.Warnings, err error) ([]dashboard.Sample, error) {
	if err != nil {
		return nil, err
	}
	if len(warnings) > 0 {
		return nil, fmt.Errorf("warnings: %s", strings.Join(warnings, "; "))
	}
	var all []dashboard.Sample
	add := func(metric model.Metric, values ...model.SamplePair) {
		s := dashboard.Sample{Labels: make(map[string]string)}
		for name, value := range metric {
			if name != model.MetricNameLabel {
				s.Labels[string(name)] = string(value)
			}
		}
		for _, v := range values {
			if number := float64(v.Value); !math.IsNaN(number) && !math.IsInf(number, 0) {
				s.Points = append(s.Points, dashboard.Point{Time: float64(v.Timestamp) / 1000, Value: number})
			}
		}
		if s.Points != nil {
			all = append(all, s)
		}
	}
	switch value := value.(type) {
	case model.Vector:
		for _, s := range value {
			add(s.Metric, model.SamplePair{Timestamp: s.Timestamp, Value: s.Value})
		}
	case model.Matrix:
		for _, s := range value {
			add(s.Metric, s.Values...)
		}
	default:
		return nil, fmt.Errorf("the result is a %s", value.Type())
	}
	return all, nil
}

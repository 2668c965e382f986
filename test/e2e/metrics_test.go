// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// scrapeTimeout is Prometheus's own default.
const scrapeTimeout = 10 * time.Second

// prometheus is the ServiceAccount that scrapes, and stranger one that may not.
const scrapers = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: prometheus, namespace: ` + testNamespace + `}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: stranger, namespace: ` + testNamespace + `}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: ` + testNamespace + `-prometheus}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: kubersafe-metrics-reader}
subjects: [{kind: ServiceAccount, name: prometheus, namespace: ` + testNamespace + `}]
`

func token(t *testing.T, account string) string {
	t.Helper()
	return strings.TrimSpace(kubectl(t, "create", "token", account, "-n", testNamespace, "--duration=1h"))
}

// scrape asks a Pod of the operator for its metrics and returns the status and the body. kubectl forwards the port, so that this works
// wherever kubectl does, and past network policies.
func scrape(ctx context.Context, pod, token string) (code int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel() // ends kubectl
	forward := exec.CommandContext(ctx, "kubectl", "port-forward", "-n", operatorNamespace, "pod/"+pod, ":8443")
	stdout, err := forward.StdoutPipe()
	if err != nil {
		return 0, "", err
	}
	if err := forward.Start(); err != nil {
		return 0, "", err
	}
	defer func() {
		cancel()
		_ = forward.Wait() // it has been killed
	}()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return 0, "", fmt.Errorf("forwarding a port of %s: %w", pod, err)
	}
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/metrics", nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	// dist/install.yaml brings no certificate, so the operator signs one itself. Who answers is known by the way there.
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	content, err := io.ReadAll(response.Body)
	return response.StatusCode, string(content), errors.Join(err, response.Body.Close())
}

// families are the metrics of all replicas, as sum() over them has it.
func families(ctx context.Context, token string) (map[string][]*dto.Metric, error) {
	pods, err := operatorPods(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[string][]*dto.Metric)
	for _, pod := range pods {
		code, body, err := scrape(ctx, pod.Name, token)
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("a scrape of %s is answered %d: %s", pod.Name, code, body)
		}
		if err != nil {
			return nil, err
		}
		parser := expfmt.NewTextParser(model.LegacyValidation)
		parsed, err := parser.TextToMetricFamilies(strings.NewReader(body))
		if err != nil {
			return nil, err
		}
		for name, family := range parsed {
			found[name] = append(found[name], family.GetMetric()...)
		}
	}
	return found, nil
}

// sums adds up the series of a family by some of its labels, which it joins by a space.
func sums(series []*dto.Metric, labels ...string) map[string]int {
	found := make(map[string]int)
	for _, s := range series {
		values := make(map[string]string)
		for _, l := range s.GetLabel() {
			values[l.GetName()] = l.GetValue()
		}
		key := make([]string, 0, len(labels))
		for _, l := range labels {
			key = append(key, values[l])
		}
		found[strings.Join(key, " ")] += int(s.GetGauge().GetValue())
	}
	return found
}

// checkMetrics waits until the metrics of all replicas together say what the reports do.
func checkMetrics(t *testing.T) {
	t.Helper()
	token := token(t, "prometheus")
	eventually(t, "the metrics to say what the reports do", func(ctx context.Context) error {
		stored, err := getReports(ctx)
		if err != nil {
			return err
		}
		scraped, err := families(ctx, token)
		if err != nil {
			return err
		}
		got := map[string]map[string]int{
			"subjects":            sums(scraped["kubersafe_subjects"], "namespace", "kind"),
			"violations":          sums(scraped["kubersafe_violations"], "namespace", "kind", "check", "severity"),
			"workload violations": sums(scraped["kubersafe_workload_violations"], "namespace", "kind", "name", "severity"),
			"cluster violations":  sums(scraped["kubersafe_cluster_violations"], "check", "severity"),
			"skipped checks":      sums(scraped["kubersafe_skipped_checks"], "namespace", "check", "reason"),
		}
		if diff := cmp.Diff(stored.counts(), got); diff != "" {
			return fmt.Errorf("(-reports +metrics):\n%s", diff)
		}
		return nil
	})
}

// counts are what metrics must say: by the name of the metric and its labels.
func (r reports) counts() map[string]map[string]int {
	subjects, violations, workloads := make(map[string]int), make(map[string]int), make(map[string]int)
	cluster, skips := make(map[string]int), make(map[string]int)
	for i := range r.namespaced {
		o := &r.namespaced[i]
		kind := o.Labels[v1alpha1.LabelSubjectKind]
		subjects[o.Namespace+" "+kind]++
		for _, f := range o.Findings {
			violations[fmt.Sprintf("%s %s %s %s", o.Namespace, kind, f.Check, f.Severity)]++
		}
		for severity, n := range map[v1alpha1.Severity]int32{
			v1alpha1.SeverityCritical: o.Summary.Critical, v1alpha1.SeverityHigh: o.Summary.High,
			v1alpha1.SeverityMedium: o.Summary.Medium, v1alpha1.SeverityLow: o.Summary.Low,
		} {
			if n > 0 {
				workloads[fmt.Sprintf("%s %s %s %s", o.Namespace, kind, o.Subject.Name, severity)] += int(n)
			}
		}
		for _, s := range o.Skips {
			skips[fmt.Sprintf("%s %s %s", o.Namespace, s.Check, s.Reason)]++
		}
	}
	for i := range r.cluster {
		for _, f := range r.cluster[i].Findings {
			cluster[fmt.Sprintf("%s %s", f.Check, f.Severity)]++
		}
	}
	return map[string]map[string]int{
		"subjects": subjects, "violations": violations, "workload violations": workloads, "cluster violations": cluster, "skipped checks": skips,
	}
}

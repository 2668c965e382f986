// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package prometheus runs a real Prometheus beside a control plane, with the rules that are shipped, and scrapes operators as
// the shipped ServiceMonitor says.
package prometheus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheusv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/test/controlplane"
	"github.com/kubersafe/kubersafe/test/operator"
)

const (
	// Interval of scrapes and of evaluating rules.
	Interval = time.Second
	// startTimeout bounds the start. Measured: a third of a second.
	startTimeout = 30 * time.Second
	pollInterval = 20 * time.Millisecond

	component = "config/components/prometheus"
)

// Rule is a recording rule or an alert.
type Rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

// Find returns the path of prometheus or promtool: on the PATH, or where .ci/run unpacks them.
func Find(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return "", err
	}
	path, err := exec.LookPath(filepath.Join(root, "bin/prometheus/usr/bin", program))
	if err != nil {
		return "", fmt.Errorf("%s is neither on the PATH nor in bin/prometheus: the Debian package prometheus has it", program)
	}
	return path, nil
}

// Rules returns the rules that are shipped: as a file for Prometheus, and decoded.
func Rules() (file []byte, rules []Rule, err error) {
	var object struct {
		Spec struct{ Groups []struct{ Rules []Rule } }
	}
	content, err := read("prometheus_rule.yaml", &object)
	if err != nil {
		return nil, nil, err
	}
	for _, g := range object.Spec.Groups {
		rules = append(rules, g.Rules...)
	}
	_, spec, found := bytes.Cut(content, []byte("\nspec:\n"))
	if !found || len(rules) == 0 {
		return nil, nil, errors.New("prometheus_rule.yaml: there are no rules")
	}
	return bytes.ReplaceAll(append([]byte("\n"), spec...), []byte("\n  "), []byte("\n")), rules, nil
}

// read decodes a file of the component.
func read(name string, into any) ([]byte, error) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		return nil, err
	}
	content, err := os.ReadFile(filepath.Join(root, component, name)) //nolint:gosec // a file of the repository
	if err != nil {
		return nil, err
	}
	if err := yaml.Unmarshal(content, into); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return content, nil
}

// Start starts Prometheus with a file of rules. It scrapes each of the operators, which must have been started, each Interval,
// until the control plane stops.
func Start(ctx context.Context, plane *controlplane.ControlPlane, rules []byte, operators ...*operator.Operator) (prometheusv1.API, error) {
	path, err := Find("prometheus")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(plane.Dir, "prometheus-")
	if err != nil {
		return nil, err
	}
	config, err := configuration(dir, operators)
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{"prometheus.yaml": config, "rules.yaml": rules, "token": []byte(operators[0].Token())} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	process, err := plane.Run("prometheus", path, "--config.file="+filepath.Join(dir, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address, err := listening(ctx, process)
	if err != nil {
		return nil, fmt.Errorf("waiting for Prometheus to be ready: %w\n%s", err, process.LogTail())
	}
	client, err := api.NewClient(api.Config{Address: "http://" + address})
	if err != nil {
		return nil, err
	}
	return prometheusv1.NewAPI(client), nil
}

// configuration is what the Prometheus operator makes of the ServiceMonitor, with what is in the cluster's Secrets in files,
// and the Pods behind the Service given.
func configuration(dir string, operators []*operator.Operator) ([]byte, error) {
	var monitor struct {
		Spec struct {
			Endpoints []struct {
				Port, Scheme, Path string
				HonorLabels        bool
				TLSConfig          struct{ ServerName string }
			}
		}
	}
	if _, err := read("service_monitor.yaml", &monitor); err != nil {
		return nil, err
	}
	if len(monitor.Spec.Endpoints) != 1 {
		return nil, fmt.Errorf("service_monitor.yaml: %d endpoints, want one", len(monitor.Spec.Endpoints))
	}
	endpoint := &monitor.Spec.Endpoints[0]
	type object = map[string]any
	var targets []object
	for i, o := range operators {
		targets = append(targets, object{
			"targets": []string{strings.TrimSuffix(strings.TrimPrefix(o.MetricsURL(), "https://"), "/metrics")},
			"labels": object{
				"namespace": operator.Namespace, "service": "kubersafe-metrics", "endpoint": endpoint.Port, "container": "manager",
				"pod": fmt.Sprintf("kubersafe-%d", i),
			},
		})
	}
	return yaml.Marshal(object{
		"global":     object{"scrape_interval": Interval.String(), "evaluation_interval": Interval.String()},
		"rule_files": []string{filepath.Join(dir, "rules.yaml")},
		"scrape_configs": []object{{
			"job_name": "kubersafe-metrics", "scheme": endpoint.Scheme, "metrics_path": endpoint.Path, "honor_labels": endpoint.HonorLabels,
			"authorization":  object{"credentials_file": filepath.Join(dir, "token")},
			"tls_config":     object{"ca_file": operators[0].Authority(), "server_name": endpoint.TLSConfig.ServerName},
			"static_configs": targets,
		}},
	})
}

var listens = regexp.MustCompile(`msg="Listening on" address=(\S+)`)

// listening returns the address that Prometheus listens on, once it is ready.
func listening(ctx context.Context, process *controlplane.Process) (address string, err error) {
	err = wait.PollUntilContextTimeout(ctx, pollInterval, startTimeout, true, func(context.Context) (bool, error) {
		select {
		case <-process.Done():
			return false, errors.New("it has ended")
		default:
		}
		log, err := os.ReadFile(process.Log)
		if match := listens.FindSubmatch(log); match != nil {
			address = string(match[1])
		}
		return address != "" && bytes.Contains(log, []byte("Server is ready to receive web requests")), err
	})
	return address, err
}

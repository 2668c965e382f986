// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/test/controlplane"
)

// powerChecks are those that take roles and bindings.
var powerChecks = []string{"exposed-privilege-path", "service-account-token-mounted", "workload-can-escalate", "workload-reads-secrets"}

// scannedChecks are those that take ImageReports.
var scannedChecks = []string{
	"image-outdated", "image-runs-as-root", "image-scan-stale", "image-too-many-packages", "image-update-available", "image-vulnerabilities",
}

var sampleNamespaces = []string{"legacy", "shop"}

// TestAuditCommandAgreesWithTheOperator judges the samples three times: by the operator, by the command on the same cluster,
// and by the command on the manifests alone.
func TestAuditCommandAgreesWithTheOperator(t *testing.T) {
	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	samples := filepath.Join(root, "config/samples")
	kubectl := func(args ...string) string {
		t.Helper()
		out, err := cluster.Kubectl(t.Context(), nil, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	rendered := kubectl("kustomize", samples)
	kubectl("apply", "-k", samples)
	t.Cleanup(func() {
		if _, err := cluster.Kubectl(context.Background(), nil, "delete", "--wait", "-k", samples); err != nil {
			t.Error(err)
		}
	})

	// The Deployments' Pods come and the quotas are counted while the test looks.
	var live []v1alpha1.SecurityReport
	eventually(t, "the command and the operator to agree", func(ctx context.Context) (bool, string) {
		stored := storedReports(ctx, t)
		live = ofNamespaces(auditCommand(ctx, t, nil, "--kubeconfig="+cluster.Kubeconfig), sampleNamespaces...)
		if diff := cmp.Diff(contents(stored), contents(live)); diff != "" {
			return false, "(-operator +command):\n" + diff
		}
		pods := slices.ContainsFunc(live, func(r v1alpha1.SecurityReport) bool {
			return slices.ContainsFunc(r.Findings, func(f v1alpha1.Finding) bool { return f.Check == "quota-nearly-exhausted" })
		})
		return pods, "the quota is not used up yet"
	})

	offline := ofNamespaces(auditCommand(t.Context(), t, strings.NewReader(rendered), "-f", "-"), sampleNamespaces...)
	if diff := cmp.Diff(verdicts(t, live, true), verdicts(t, offline, false)); diff != "" {
		t.Errorf("manifests are judged differently (-cluster +manifests):\n%s", diff)
	}
	// How much of a quota is used, and what network the cluster has, no manifest of the samples says; what is granted in it and how workloads run, none can.
	unseen := append([]string{
		"network-policy-not-enforced", "quota-nearly-exhausted",
		"bootstrap-sidecar", "ephemeral-container", "image-drift", "image-too-large", "rollout-stuck", "runs-on-control-plane",
	}, slices.Concat(powerChecks, scannedChecks)...)
	for _, r := range offline {
		for _, s := range r.Skips {
			if !slices.Contains(unseen, s.Check) || s.Reason != v1alpha1.SkipDataMissing {
				t.Errorf("%s/%s skips %+v", r.Namespace, r.Name, s)
			}
		}
	}
}

// TestAuditCommandWithoutPermissions: who may read nothing gets no clean bill of health.
func TestAuditCommandWithoutPermissions(t *testing.T) {
	_, kubeconfig, err := cluster.ServiceAccount(t.Context(), "default", "prometheus")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), replica.Binary, "audit", "--kubeconfig="+kubeconfig).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 ||
		!strings.Contains(string(out), "Warning: you may not list and watch pods") || !strings.Contains(string(out), "nothing was judged") {
		t.Errorf("%v\n%s", err, out)
	}
}

// auditCommand runs the command, and returns its reports. Something must be wrong.
func auditCommand(ctx context.Context, t *testing.T, stdin *strings.Reader, args ...string) []v1alpha1.SecurityReport {
	t.Helper()
	cmd := exec.CommandContext(ctx, replica.Binary, append([]string{"audit", "-o", "json"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if stdin != nil {
		cmd.Stdin = stdin
	}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("kubersafe audit: %v\n%s", err, stderr.String())
	}
	var list v1alpha1.SecurityReportList
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func ofNamespaces(reports []v1alpha1.SecurityReport, namespaces ...string) []v1alpha1.SecurityReport {
	return slices.DeleteFunc(reports, func(r v1alpha1.SecurityReport) bool { return !slices.Contains(namespaces, r.Namespace) })
}

func storedReports(ctx context.Context, t *testing.T) []v1alpha1.SecurityReport {
	t.Helper()
	var reports []v1alpha1.SecurityReport
	for _, namespace := range sampleNamespaces {
		list := &v1alpha1.SecurityReportList{}
		if err := admin.List(ctx, list, client.InNamespace(namespace)); err != nil {
			t.Fatal(err)
		}
		reports = append(reports, list.Items...)
	}
	return reports
}

// contents are everything that the reports say, but for since when.
func contents(reports []v1alpha1.SecurityReport) map[string]string {
	m := make(map[string]string, len(reports))
	for i := range reports {
		r := &reports[i]
		m[r.Namespace+"/"+r.Name] = fmt.Sprintf("%+v %x\n%s", r.Summary, report.HashOf(r), show(r))
	}
	return m
}

// verdicts are the findings of reports, a line for each, without what only a cluster can show.
func verdicts(t *testing.T, reports []v1alpha1.SecurityReport, live bool) []string {
	t.Helper()
	var lines []string
	for _, r := range reports {
		for _, f := range r.Findings {
			if live && (f.Check == "quota-nearly-exhausted" || slices.Contains(powerChecks, f.Check)) {
				continue // that is in no manifest
			}
			lines = append(lines, fmt.Sprintf("%s %s/%s %s %s %s", r.Namespace, r.Subject.Kind, r.Subject.Name, f.Severity, f.Check, f.Path))
		}
	}
	return lines
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// kubectl runs kubectl as the administrator, and fails the test if it fails.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := cluster.Kubectl(t.Context(), nil, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rows returns the first words of all lines but the header.
func rows(out string) []string {
	var names []string
	for line := range strings.Lines(out) {
		names = append(names, strings.Fields(line)[0])
	}
	return names[1:]
}

// TestKubectl: what people type gets what they look for.
func TestKubectl(t *testing.T) {
	ns := newNamespace(t)
	const image = "example.com/app@sha256:b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"
	checkout := deployment(ns, "checkout", 1, container("app", image, true))
	// Without Pods of the old template beside those of the new, what is mended is gone at once.
	checkout.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	create(t, checkout)
	create(t, deployment(ns, "basket", 1, restrictedContainer("app", image)))
	for _, report := range []string{"deployment-checkout", "deployment-basket"} {
		waitForReport(t, ns, report)
	}
	waitForClusterReport(t, func(r *v1alpha1.ClusterSecurityReport) bool { return r.Summary.Critical > 0 })

	t.Run("columns", func(t *testing.T) {
		for _, tc := range []struct{ args, want string }{
			{"get securityreports -n " + ns, "NAME KIND SCORE CRITICAL HIGH MEDIUM LOW SKIPPED AGE"},
			{"get secrep -n " + ns + " -o wide", "NAME KIND SCORE CRITICAL HIGH MEDIUM LOW SKIPPED EXEMPTED PASSED WORST AGE"},
			{"get secrep -A", "NAMESPACE NAME KIND SCORE CRITICAL HIGH MEDIUM LOW SKIPPED AGE"},
			{"get csecrep cluster", "NAME KIND SCORE CRITICAL HIGH MEDIUM LOW SKIPPED AGE"},
		} {
			header, _, _ := strings.Cut(kubectl(t, strings.Fields(tc.args)...), "\n")
			if got := strings.Join(strings.Fields(header), " "); got != tc.want {
				t.Errorf("kubectl %s: columns %q, want %q", tc.args, got, tc.want)
			}
		}
	})
	t.Run("a row", func(t *testing.T) {
		r := waitForReport(t, ns, "deployment-checkout")
		s := r.Summary
		want := fmt.Sprint(r.Name, " Deployment ", s.Score, " ", s.Critical, " ", s.High, " ", s.Medium, " ", s.Low, " ", s.Skipped)
		got := strings.Join(strings.Fields(kubectl(t, "get", "secrep", r.Name, "-n", ns, "--no-headers"))[:8], " ")
		if got != want {
			t.Errorf("the row is %q, want %q", got, want)
		}
	})
	t.Run("the worst", func(t *testing.T) {
		out := kubectl(t, "get", "securityreports", "-l", v1alpha1.LabelWorst+"=Critical", "-A")
		if !strings.Contains(out, "deployment-checkout") || strings.Contains(out, "deployment-basket") {
			t.Errorf("these are said to be Critical:\n%s", out)
		}
		if out := kubectl(t, "get", "kubersafe", "-A"); !strings.Contains(out, "securityreport.audit.kubersafe.io/deployment-checkout") {
			t.Errorf("in the category kubersafe are\n%s", out)
		}
	})
	t.Run("sorted", func(t *testing.T) {
		got := rows(kubectl(t, "get", "securityreports", "-n", ns, "-l", v1alpha1.LabelSubjectKind+"=Deployment", "--sort-by=.summary.score"))
		if diff := cmp.Diff([]string{"deployment-checkout", "deployment-basket"}, got); diff != "" {
			t.Errorf("by score (-want +got):\n%s", diff)
		}
	})
	t.Run("waiting for a fix", func(t *testing.T) {
		type answer struct {
			out string
			err error
		}
		done := make(chan answer, 1)
		go func() {
			out, err := cluster.Kubectl(t.Context(), nil, "wait", "securityreport/deployment-checkout", "-n", ns,
				"--for=jsonpath={.summary.critical}=0", "--timeout="+timeout.String())
			done <- answer{out, err}
		}()
		select {
		case a := <-done:
			t.Fatalf("it does not wait: %q, %v", a.out, a.err)
		case <-time.After(time.Second): // kubectl takes a tenth of that to ask once
		}
		change(t, checkout, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].SecurityContext = nil })
		if a := <-done; a.err != nil || !strings.Contains(a.out, "deployment-checkout condition met") {
			t.Errorf("it says %q, %v", a.out, a.err)
		}
	})
	t.Run("explain", func(t *testing.T) {
		for _, of := range []string{
			"securityreport", "securityreport.summary", "securityreport.findings", "securityreport.findings.object", "securityreport.network",
			"clustersecurityreport", "clustersecurityreport.compliance", "auditconfiguration.spec", "securityexception.spec",
			"clustersecurityexception.spec", "clustersecurityexception.status",
		} {
			out := kubectl(t, "explain", of)
			if strings.Contains(out, "<no description>") || strings.Contains(out, "<empty>") || !strings.Contains(out, "FIELD") {
				t.Errorf("kubectl explain %s:\n%s", of, out)
			}
		}
		var fields []string
		for line := range strings.Lines(kubectl(t, "explain", "securityreport", "--recursive")) {
			fields = append(fields, strings.Fields(line + " .")[0])
		}
		for _, field := range []string{"subject", "templateHash", "findings", "suggestedValue", "exemptions", "expirationTime", "workloads", "omittedFindings"} {
			if !slices.Contains(fields, field) {
				t.Errorf("kubectl explain does not know %s", field)
			}
		}
	})
}

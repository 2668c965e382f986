// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/output"
)

var update = flag.Bool("update", false, "write the golden files")

// hostile is what a name or value in a manifest may be, to get out of where it stands.
const hostile = `</code></script></style><script>alert(1)</script>"'><img src=x onerror=alert(1)> | **b** [l](https://evil.example) @everyone ` + "`x`" + ` &lt; {{.}} $(x) ]]> -->`

// sample is an audit of two namespaces with everything that a report can hold.
func sample() *output.Audit {
	value := func(text string) *v1alpha1.Value { return &v1alpha1.Value{Raw: json.RawMessage(text)} }
	web := &v1alpha1.SecurityReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "deployment-web"},
		Subject:    v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
		Summary:    v1alpha1.Summary{Score: 40, Worst: v1alpha1.SeverityCritical, WorstCheck: "privileged", Critical: 1, Medium: 3, Passed: 2, Exempted: 1, Skipped: 1},
		Findings: []v1alpha1.Finding{
			{Check: "privileged", Severity: v1alpha1.SeverityCritical, Container: "app", Message: `container "app" must not run privileged`, Path: "spec.containers[name=app].privileged", SuggestedValue: value("false")},
			{Check: "untagged", Severity: v1alpha1.SeverityMedium, Message: hostile, Path: "spec.containers[name=" + hostile + "].image"},
			{Check: "untagged", Severity: v1alpha1.SeverityMedium, Message: "again", Path: "spec.image", Object: &v1alpha1.ObjectReference{Kind: "Service", Name: "web"}},
		},
		OmittedFindings: 1,
		Exemptions: []v1alpha1.Exemption{{
			Check: "host-port", Severity: v1alpha1.SeverityHigh, Message: "must not", Path: "spec.hostPort", ExceptionKind: v1alpha1.KindSecurityException,
			Exception: "legacy", Reason: hostile, ExpirationTime: new(metav1.NewTime(time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC))),
		}},
		Skips: []v1alpha1.Skip{{Check: "quota", Reason: v1alpha1.SkipDataMissing, Message: "nobody says " + hostile}},
	}
	shop := &v1alpha1.SecurityReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "namespace-shop"},
		Subject:    v1alpha1.Subject{APIVersion: "v1", Kind: "Namespace", Name: "shop"},
		Summary:    v1alpha1.Summary{Score: 99, Worst: v1alpha1.SeverityLow, WorstCheck: "mine", Low: 1, Passed: 1},
		Findings:   []v1alpha1.Finding{{Check: "mine", Severity: v1alpha1.SeverityLow, Message: "of a custom check", Path: "metadata.labels"}},
	}
	out := &v1alpha1.SecurityReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: "system", Name: "namespace-system"},
		Subject:    v1alpha1.Subject{APIVersion: "v1", Kind: "Namespace", Name: "system"},
		Summary:    v1alpha1.Summary{Score: 100, Worst: v1alpha1.SeverityNone, Skipped: 2},
		Skips: []v1alpha1.Skip{
			{Check: "privileged", Reason: v1alpha1.SkipNamespaceExcluded, Message: "left out"}, {Check: "quota", Reason: v1alpha1.SkipNamespaceExcluded, Message: "left out"},
		},
	}
	checks := map[string]*audit.Check{
		"privileged": {
			ID: "privileged", Title: "Containers are not privileged", Severity: v1alpha1.SeverityCritical, Category: audit.CategoryPodSecurity,
			Rationale: "It is root on the node.", Remediation: "Set privileged to false.", Before: "privileged: true", After: "privileged: false",
			Controls: []audit.Control{{Framework: audit.FrameworkCIS, ID: "5.2.2"}, {Framework: audit.FrameworkNSA, ID: "Pods"}}, References: []string{"https://kubernetes.io/docs"},
		},
		"untagged": {
			ID: "untagged", Title: "Images have a tag", Severity: v1alpha1.SeverityMedium, Category: audit.CategoryImages,
			Rationale: "Nobody knows what runs.", Remediation: "Set image to one with a tag.", Before: "image: a", After: "image: a:1",
		},
		"host-port": {
			ID: "host-port", Title: "No ports of the node", Severity: v1alpha1.SeverityHigh, Category: audit.CategoryNetwork, Rationale: "R.", Remediation: "R.", Before: "b", After: "a",
		},
		"quota": {ID: "quota", Title: "Quotas last", Severity: v1alpha1.SeverityLow, Category: audit.CategoryResources, Rationale: "R.", Remediation: "R.", Before: "b", After: "a"},
	}
	return &output.Audit{
		Reports: []*v1alpha1.SecurityReport{web, shop, out},
		Check:   func(id string) *audit.Check { return checks[id] },
		Passed: func(r *v1alpha1.SecurityReport) ([]string, bool) {
			return []string{"one", "two"}, r == web
		},
		Place: func(r *v1alpha1.SecurityReport, object *v1alpha1.ObjectReference, path string) (output.Place, bool) {
			switch {
			case r == out:
				return output.Place{}, false
			case object != nil:
				return output.Place{Line: 3}, true
			}
			return output.Place{File: "deploy/we b.yaml", Line: 10 + len(path)}, true
		},
		Compliance: []v1alpha1.FrameworkCompliance{{
			Framework: "cis", Title: "CIS Kubernetes Benchmark 1.12", Passed: []string{"5.2.3", "5.2.4"}, Failed: []string{"5.2.2"}, Exempted: []string{"5.2.5"},
			NotAssessed: []v1alpha1.NotAssessed{{Reason: "no check judges it", Controls: []string{"1.1.1", "1.1.2"}}},
		}},
		Of: "manifests", Version: "v1",
	}
}

// printed returns an audit in a format.
func printed(t *testing.T, format string, a *output.Audit) string {
	t.Helper()
	var out bytes.Buffer
	if err := output.Write(&out, output.Terminal{}, format, a); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestGolden(t *testing.T) {
	for _, format := range []string{"table", "sarif", "junit", "markdown"} {
		t.Run(format, func(t *testing.T) {
			got, path := printed(t, format, sample()), "testdata/sample."+format
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("differs; look at it and run go test ./internal/output -update (-want +got):\n%s", diff)
			}
			if again := printed(t, format, sample()); again != got {
				t.Error("the same audit gives other bytes")
			}
		})
	}
}

// many is an audit of n Deployments with four findings each, in n/20 namespaces.
func many(n int) *output.Audit {
	a := &output.Audit{}
	for i := range n {
		r := &v1alpha1.SecurityReport{
			ObjectMeta: metav1.ObjectMeta{Namespace: fmt.Sprintf("team-%05d", i/20), Name: fmt.Sprintf("deployment-%05d", i)},
			Subject:    v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Name: fmt.Sprintf("d-%05d", i)},
			Summary:    v1alpha1.Summary{Score: 60, Worst: v1alpha1.SeverityCritical, Critical: 1, High: 1, Medium: 1, Low: 1},
		}
		for j, severity := range audit.Severities {
			r.Findings = append(r.Findings, v1alpha1.Finding{
				Check: fmt.Sprintf("check-%d", j), Severity: severity, Message: `container "application" must set securityContext.readOnlyRootFilesystem to true`,
				Path: "spec.template.spec.containers[name=application].securityContext.readOnlyRootFilesystem",
			})
		}
		a.Reports = append(a.Reports, r)
	}
	return a
}

func TestMarkdownFitsIntoAComment(t *testing.T) {
	text := printed(t, "markdown", many(2000))
	if len(text) > 60_000 || len(text) < 50_000 {
		t.Errorf("%d characters", len(text))
	}
	if !strings.Contains(text, "2000 workloads in 100 namespaces: 2000 critical, 2000 high, 2000 medium, 2000 low\n") {
		t.Error("the counts must be complete")
	}
	listed := strings.Count(text, "<details>")
	if want := fmt.Sprintf("\nAnd %d more subjects with %d findings that do not fit here.\n", 2000-listed, 4*(2000-listed)); !strings.Contains(text, want) {
		t.Errorf("%d are listed, and no %q in\n%s", listed, want, text[len(text)-500:])
	}

	long := many(1)
	for range 256 {
		long.Reports[0].Findings = append(long.Reports[0].Findings, v1alpha1.Finding{
			Check: "c", Severity: v1alpha1.SeverityLow, Message: strings.Repeat("`", v1alpha1.MaxMessage), Path: strings.Repeat("x", v1alpha1.MaxPath),
		})
		long.Reports[0].Summary.Low++
	}
	if text := printed(t, "markdown", long); len(text) > 60_000 {
		t.Errorf("one subject alone takes %d characters", len(text))
	}
}

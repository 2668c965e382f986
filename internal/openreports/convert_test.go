// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package openreports

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	openreportsv1alpha1 "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

func checkout() *v1alpha1.SecurityReport {
	since := metav1.NewTime(time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC))
	return &v1alpha1.SecurityReport{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "deployment-checkout", UID: "r", ResourceVersion: "7"},
		Subject:    v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Name: "checkout", UID: "d", TemplateHash: "5f6d"},
		Summary:    v1alpha1.Summary{Critical: 1, High: 2, Medium: 3, Low: 4, Passed: 61, Exempted: 1, Skipped: 1},
		Findings: []v1alpha1.Finding{
			{
				Check: "privileged-container", Severity: v1alpha1.SeverityCritical, Message: `container "api" must not run privileged`, Container: "api",
				Path:           "spec.template.spec.containers[name=api].securityContext.privileged",
				SuggestedValue: &v1alpha1.Value{Raw: json.RawMessage("false")}, SeenIn: v1alpha1.SeenInTemplate, Since: since,
			},
			{
				Check: "team-label", Severity: v1alpha1.SeverityLow, Message: "m", Path: "metadata.labels", Since: since,
				Object: &v1alpha1.ObjectReference{Kind: "Service", Name: "web"},
			},
		},
		Exemptions: []v1alpha1.Exemption{{Check: "exempted"}},
		Skips:      []v1alpha1.Skip{{Check: "skipped"}},
	}
}

func convert(t *testing.T, r *v1alpha1.SecurityReport) *openreportsv1alpha1.Report {
	t.Helper()
	original, err := OriginalOf(r)
	if err != nil {
		t.Fatal(err)
	}
	return NewConverter([]audit.Check{{ID: "privileged-container", Category: audit.CategoryPodSecurity}}).Report(original)
}

func TestReport(t *testing.T) {
	got, err := yaml.Marshal(convert(t, checkout()))
	if err != nil {
		t.Fatal(err)
	}
	const want = `configuration:
  limits:
    maxResults: 256
    statusFilter:
    - fail
metadata:
  labels:
    app.kubernetes.io/managed-by: kubersafe
  name: deployment-checkout
  namespace: shop
  ownerReferences:
  - apiVersion: audit.kubersafe.io/v1alpha1
    kind: SecurityReport
    name: deployment-checkout
    uid: r
results:
- category: pod-security
  message: container "api" must not run privileged
  policy: privileged-container
  properties:
    container: api
    path: spec.template.spec.containers[name=api].securityContext.privileged
    seenIn: Template
    suggestedValue: "false"
  result: fail
  scored: true
  severity: critical
  source: kubersafe
  timestamp:
    nanos: 0
    seconds: 1795248000
- category: custom
  message: m
  policy: team-label
  properties:
    path: metadata.labels
  resources:
  - kind: Service
    name: web
    namespace: shop
  result: fail
  scored: true
  severity: low
  source: kubersafe
  timestamp:
    nanos: 0
    seconds: 1795248000
scope:
  apiVersion: apps/v1
  kind: Deployment
  name: checkout
  namespace: shop
  uid: d
source: kubersafe
summary:
  error: 0
  fail: 10
  pass: 0
  skip: 0
  warn: 0
`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReportOfNothingFound(t *testing.T) {
	r := checkout()
	r.Findings = nil
	if got := convert(t, r); got != nil || HashOf(got) != (Hash{}) {
		t.Errorf("%+v", got)
	}
}

// TestScopeOfWhatIsInNoNamespace: a namespace is in none, although its report is.
func TestScopeOfWhatIsInNoNamespace(t *testing.T) {
	of := checkout()
	of.Subject = v1alpha1.Subject{APIVersion: "v1", Kind: "Namespace", Name: "shop", UID: "n"}
	want := corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: "shop", UID: "n"}
	if got := convert(t, of); *got.Scope != want || got.Namespace != "shop" {
		t.Errorf("in %q of %+v, want %+v", got.Namespace, *got.Scope, want)
	}
	original, err := OriginalOf(&v1alpha1.ClusterSecurityReport{
		ObjectMeta: metav1.ObjectMeta{Name: "node-a"}, Subject: v1alpha1.Subject{APIVersion: "v1", Kind: "Node", Name: "a"}, Findings: of.Findings,
	})
	if err != nil {
		t.Fatal(err)
	}
	want = corev1.ObjectReference{APIVersion: "v1", Kind: "Node", Name: "a"}
	if got := NewConverter(nil).Report(original); *got.Scope != want || got.Namespace != "" || got.OwnerReferences[0].Kind != "ClusterSecurityReport" {
		t.Errorf("%+v", got)
	}
}

// TestHashOf: what the operator decides changes it, and nothing else does.
func TestHashOf(t *testing.T) {
	want := HashOf(convert(t, checkout()))
	if want == (Hash{}) {
		t.Fatal("it is that of no report")
	}
	for sentence, tc := range map[string]struct {
		change   func(*openreportsv1alpha1.Report)
		wantSame bool
	}{
		"what the API server adds":   {func(r *openreportsv1alpha1.Report) { r.UID, r.ResourceVersion, r.Kind = "x", "9", "Report" }, true},
		"somebody else's label":      {func(r *openreportsv1alpha1.Report) { r.Labels["team"] = "a" }, true},
		"our label":                  {func(r *openreportsv1alpha1.Report) { r.Labels[labelManagedBy] = "a" }, false},
		"another owner":              {func(r *openreportsv1alpha1.Report) { r.OwnerReferences[0].UID = "a" }, false},
		"a finalizer":                {func(r *openreportsv1alpha1.Report) { r.Finalizers = []string{"a/b"} }, false},
		"a result":                   {func(r *openreportsv1alpha1.Report) { r.Results[1].Result = "pass" }, false},
		"a result less":              {func(r *openreportsv1alpha1.Report) { r.Results = r.Results[:1] }, false},
		"since when a finding is":    {func(r *openreportsv1alpha1.Report) { r.Results[0].Timestamp.Seconds++ }, false},
		"a property":                 {func(r *openreportsv1alpha1.Report) { r.Results[0].Properties["path"] = "a" }, false},
		"the number of failures":     {func(r *openreportsv1alpha1.Report) { r.Summary.Fail-- }, false},
		"the scope":                  {func(r *openreportsv1alpha1.Report) { r.Scope.Name = "a" }, false},
		"the name under which it is": {func(r *openreportsv1alpha1.Report) { r.Name = "a" }, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			r := convert(t, checkout())
			encoded, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var stored openreportsv1alpha1.ClusterReport // as it is read back
			if err := json.Unmarshal(encoded, &stored); err != nil {
				t.Fatal(err)
			}
			back, err := ReportOf(&stored)
			if err != nil {
				t.Fatal(err)
			}
			tc.change(back)
			if same := HashOf(back) == want; same != tc.wantSame {
				t.Errorf("the same hash: %v, want %v", same, tc.wantSame)
			}
		})
	}
}

func TestOtherObjects(t *testing.T) {
	if _, err := OriginalOf(&corev1.Pod{}); err == nil {
		t.Error("a Pod is taken for a report")
	}
	if _, err := ReportOf(&corev1.Pod{}); err == nil {
		t.Error("a Pod is taken for a copy")
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package openreports turns reports into those of OpenReports (openreports.io), which other tools read.
package openreports

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"

	openreportsv1alpha1 "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

const (
	// Source is the name of the tool that has found something.
	Source = "kubersafe"
	// Selector tells the operator's reports from those of other tools.
	Selector = labelManagedBy + "=" + Source

	labelManagedBy = "app.kubernetes.io/managed-by"

	resultFail   openreportsv1alpha1.Result       = "fail"
	onlyFailures openreportsv1alpha1.StatusFilter = "fail"
)

// Original is what is told of a report.
type Original struct {
	// Kind of the report itself, which is to own what is made of it.
	Kind     string
	Meta     *metav1.ObjectMeta
	Subject  *v1alpha1.Subject
	Summary  *v1alpha1.Summary
	Findings []v1alpha1.Finding
}

// OriginalOf returns what is told of a SecurityReport or ClusterSecurityReport.
func OriginalOf(o runtime.Object) (Original, error) {
	switch r := o.(type) {
	case *v1alpha1.SecurityReport:
		return Original{"SecurityReport", &r.ObjectMeta, &r.Subject, &r.Summary, r.Findings}, nil
	case *v1alpha1.ClusterSecurityReport:
		return Original{"ClusterSecurityReport", &r.ObjectMeta, &r.Subject, &r.Summary, r.Findings}, nil
	}
	return Original{}, fmt.Errorf("unexpected object %T", o)
}

// ReportOf returns a Report as it is, and what a ClusterReport says as a Report in no namespace.
func ReportOf(o runtime.Object) (*openreportsv1alpha1.Report, error) {
	switch r := o.(type) {
	case *openreportsv1alpha1.Report:
		return r, nil
	case *openreportsv1alpha1.ClusterReport:
		return (*openreportsv1alpha1.Report)(r), nil
	}
	return nil, fmt.Errorf("unexpected object %T", o)
}

// Converter turns reports into those of OpenReports.
type Converter struct {
	categories map[string]audit.Category
}

// NewConverter returns a converter that knows the categories of these checks. All others are custom.
func NewConverter(checks []audit.Check) *Converter {
	c := &Converter{categories: make(map[string]audit.Category, len(checks))}
	for i := range checks {
		c.categories[checks[i].ID] = checks[i].Category
	}
	return c
}

// Report returns what OpenReports has for a report that is stored, nil if nothing is found. It lists findings only, as many as
// the report itself does; the number of failures is complete.
func (c *Converter) Report(o Original) *openreportsv1alpha1.Report {
	if len(o.Findings) == 0 {
		return nil
	}
	r := &openreportsv1alpha1.Report{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: o.Meta.Namespace,
			Name:      o.Meta.Name,
			Labels:    map[string]string{labelManagedBy: Source},
			OwnerReferences: []metav1.OwnerReference{
				{APIVersion: v1alpha1.GroupVersion.String(), Kind: o.Kind, Name: o.Meta.Name, UID: o.Meta.UID},
			},
		},
		Source: Source,
		Scope:  scopeOf(o),
		Configuration: &openreportsv1alpha1.ReportConfiguration{Limits: openreportsv1alpha1.Limits{
			MaxResults: v1alpha1.MaxFindings, StatusFilter: []openreportsv1alpha1.StatusFilter{onlyFailures},
		}},
		Summary: openreportsv1alpha1.ReportSummary{
			Fail: int(o.Summary.Critical) + int(o.Summary.High) + int(o.Summary.Medium) + int(o.Summary.Low),
		},
	}
	for i := range o.Findings {
		r.Results = append(r.Results, c.result(o.Meta.Namespace, &o.Findings[i]))
	}
	return r
}

// scopeOf returns the subject. A namespace is in none, although its report is.
func scopeOf(o Original) *corev1.ObjectReference {
	scope := &corev1.ObjectReference{
		APIVersion: o.Subject.APIVersion, Kind: o.Subject.Kind, Namespace: o.Meta.Namespace, Name: o.Subject.Name, UID: types.UID(o.Subject.UID),
	}
	if scope.APIVersion == "v1" && scope.Kind == audit.KindNamespace {
		scope.Namespace = ""
	}
	return scope
}

func (c *Converter) result(namespace string, f *v1alpha1.Finding) openreportsv1alpha1.ReportResult {
	r := openreportsv1alpha1.ReportResult{
		Source:      Source,
		Policy:      f.Check,
		Category:    string(audit.CategoryCustom),
		Severity:    openreportsv1alpha1.ResultSeverity(strings.ToLower(string(f.Severity))),
		Timestamp:   metav1.Timestamp{Seconds: f.Since.Unix()},
		Result:      resultFail,
		Scored:      true,
		Description: f.Message,
		Properties:  map[string]string{"path": f.Path},
	}
	if category, ok := c.categories[f.Check]; ok {
		r.Category = string(category)
	}
	if f.Object != nil {
		r.Subjects = []corev1.ObjectReference{{Kind: f.Object.Kind, Namespace: namespace, Name: f.Object.Name}}
	}
	if f.Container != "" {
		r.Properties["container"] = f.Container
	}
	if f.SuggestedValue != nil {
		r.Properties["suggestedValue"] = string(f.SuggestedValue.Raw)
	}
	if f.SeenIn != "" {
		r.Properties["seenIn"] = string(f.SeenIn)
	}
	return r
}

// Hash tells whether two reports say the same. The zero value is that of no report.
type Hash [sha256.Size]byte

// HashOf returns the hash of everything in a report that the operator decides. Labels that others add do not change it.
func HashOf(r *openreportsv1alpha1.Report) Hash {
	if r == nil {
		return Hash{}
	}
	c := *r
	c.TypeMeta, c.ObjectMeta = metav1.TypeMeta{}, metav1.ObjectMeta{
		Labels:          map[string]string{labelManagedBy: r.Labels[labelManagedBy]},
		OwnerReferences: r.OwnerReferences,
		Finalizers:      r.Finalizers,
	}
	encoded, err := json.Marshal(&c)
	if err != nil {
		return Hash{1} // no field can make it fail; that of nothing it must not be
	}
	return sha256.Sum256(encoded)
}

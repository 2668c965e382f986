// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Labels of every report.
const (
	// LabelSubjectKind is the kind of the subject: one of the eight kinds that make Pods, Namespace, Node, ClusterRole,
	// ClusterRoleBinding, Cluster, ControlPlane, Admission, or Other.
	LabelSubjectKind = "audit.kubersafe.io/subject-kind"
	// LabelWorst is the severity of the worst finding, or None.
	LabelWorst = "audit.kubersafe.io/worst"
)

// Severity says how bad a finding is. None stands for "no finding".
//
// +kubebuilder:validation:Enum=Critical;High;Medium;Low;None
type Severity string

// The severities, worst first.
const (
	SeverityCritical Severity = "Critical"
	SeverityHigh     Severity = "High"
	SeverityMedium   Severity = "Medium"
	SeverityLow      Severity = "Low"
	SeverityNone     Severity = "None"
)

// SeenIn says which of a workload's two sides shows a finding.
//
// +kubebuilder:validation:Enum=Template;Pods
type SeenIn string

const (
	// SeenInTemplate only: no running Pod has it (yet).
	SeenInTemplate SeenIn = "Template"
	// SeenInPods only: injected at admission, attached later, or left from an older template.
	SeenInPods SeenIn = "Pods"
)

// SkipReason says why a check could not look.
//
// +kubebuilder:validation:Enum=SourceForbidden;SourceNotServed;SourceSyncing;DataMissing;CheckFailed;ExpressionFailed;NamespaceExcluded
type SkipReason string

// The reasons for which a check is skipped.
const (
	// SkipSourceForbidden: the operator may not list or watch a kind that the check reads.
	SkipSourceForbidden SkipReason = "SourceForbidden"
	// SkipSourceNotServed: the API server does not serve a kind that the check reads.
	SkipSourceNotServed SkipReason = "SourceNotServed"
	// SkipSourceSyncing: a kind that the check reads has not been read yet.
	SkipSourceSyncing SkipReason = "SourceSyncing"
	// SkipDataMissing: the object is there, but what the check reads of it is not, such as a status that nobody has filled in.
	SkipDataMissing SkipReason = "DataMissing"
	// SkipCheckFailed: the check itself broke down on this subject. This is a defect; please report it.
	SkipCheckFailed SkipReason = "CheckFailed"
	// SkipExpressionFailed: the expression of a custom check could not be evaluated on this subject.
	SkipExpressionFailed SkipReason = "ExpressionFailed"
	// SkipNamespaceExcluded: the AuditConfiguration leaves the namespace out. Nothing in it is judged.
	SkipNamespaceExcluded SkipReason = "NamespaceExcluded"
)

// Subject is the object that a report is about.
type Subject struct {
	// API version of the subject. Absent of Cluster, ControlPlane and Admission, for which the API has no object.
	// +optional
	// +kubebuilder:validation:MaxLength=317
	APIVersion string `json:"apiVersion,omitempty"`

	// Kind of the subject.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`

	// Name of the subject, in the report's namespace or, for cluster reports, in the cluster.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// UID of the subject. Absent where the operator does not watch its kind and only knows it from its Pods' owner references.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	UID string `json:"uid,omitempty"`

	// Hash of the Pod template that this report has judged. It changes when the template does, and so tells whether
	// the report has seen your fix.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	TemplateHash string `json:"templateHash,omitempty"`
}

// Summary counts what a report holds. The severities count findings; passed and skipped count checks.
type Summary struct {
	// Score from 100 (nothing found) down to 0. Every check that fails multiplies it, by its worst finding:
	// Critical by 0.60, High by 0.85, Medium by 0.95, Low by 0.99; rounded down. Skipped checks do not change it.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Score int32 `json:"score"`

	// Severity of the worst finding, or None.
	// +required
	Worst Severity `json:"worst"`

	// Number of Critical findings.
	// +required
	Critical int32 `json:"critical"`

	// Number of High findings.
	// +required
	High int32 `json:"high"`

	// Number of Medium findings.
	// +required
	Medium int32 `json:"medium"`

	// Number of Low findings.
	// +required
	Low int32 `json:"low"`

	// Number of checks that looked and found nothing.
	// +required
	Passed int32 `json:"passed"`

	// Number of findings that an exception exempts. They are in none of the severities' counts.
	// +required
	Exempted int32 `json:"exempted"`

	// Number of checks that could not look; see skips for the reasons. Not looked is not passed.
	// +required
	Skipped int32 `json:"skipped"`

	// Check with the worst finding.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	WorstCheck string `json:"worstCheck,omitempty"`
}

// ObjectReference names an object that a finding is about: one of the subject's own namespace or, in cluster reports, one that
// belongs to none, a Pod of the control plane in kube-system, or an EndpointSlice of the API server in default.
type ObjectReference struct {
	// Kind of the object.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`

	// Name of the object.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// Finding is one violation of one check at one place.
type Finding struct {
	// Check that found it. "kubersafe checks NAME" and docs/checks.md explain it and say how to fix it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Check string `json:"check"`

	// Severity of this finding.
	// +required
	Severity Severity `json:"severity"`

	// What is wrong, with the names and values it is about.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`

	// Container that the finding is about, if it is about one.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Container string `json:"container,omitempty"`

	// Object that the finding is about, where that is not the report's subject.
	// +optional
	Object *ObjectReference `json:"object,omitempty"`

	// Field to change, from the root of the object that the finding is about. Subjects known only from their Pods'
	// owner references: from the root of the Pod.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path"`

	// Value for that field which mends the finding, where there is just one.
	// +optional
	// +kubebuilder:validation:Schemaless
	// +kubebuilder:pruning:PreserveUnknownFields
	SuggestedValue *Value `json:"suggestedValue,omitempty"`

	// Template, if no running Pod shows the finding; Pods, if the template does not show it; absent if both do.
	// +optional
	SeenIn SeenIn `json:"seenIn,omitempty"`

	// Time at which the operator first saw the finding.
	// +required
	Since metav1.Time `json:"since"`
}

// ExceptionKind is a kind of exceptions.
//
// +kubebuilder:validation:Enum=SecurityException;ClusterSecurityException
type ExceptionKind string

// The kinds of exceptions.
const (
	// KindSecurityException: in the namespace of what it exempts.
	KindSecurityException ExceptionKind = "SecurityException"
	// KindClusterSecurityException: of the cluster's administrators.
	KindClusterSecurityException ExceptionKind = "ClusterSecurityException"
)

// Exemption is a finding that an exception exempts.
type Exemption struct {
	// Check that found it.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Check string `json:"check"`

	// Severity that it would have.
	// +required
	Severity Severity `json:"severity"`

	// What is wrong.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`

	// Container that the finding is about, if it is about one.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Container string `json:"container,omitempty"`

	// Object that the finding is about, where that is not the report's subject.
	// +optional
	Object *ObjectReference `json:"object,omitempty"`

	// Field that the finding is about, from the root of that object.
	// +required
	// +kubebuilder:validation:MaxLength=512
	Path string `json:"path"`

	// Kind of the exception.
	// +required
	ExceptionKind ExceptionKind `json:"exceptionKind"`

	// Name of the exception.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Exception string `json:"exception"`

	// Reason that the exception gives.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`

	// Time at which the exception ends; absent if it never does.
	// +optional
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`
}

// Skip is a check that could not look at this subject.
type Skip struct {
	// Check that could not look.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Check string `json:"check"`

	// Why it could not, in one word.
	// +required
	Reason SkipReason `json:"reason"`

	// Why it could not, in a sentence.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`
}

// Value is any JSON value.
type Value struct {
	// JSON text of the value.
	Raw json.RawMessage `json:"-"`
}

// MarshalJSON returns the value as it is.
func (v Value) MarshalJSON() ([]byte, error) {
	if len(v.Raw) == 0 {
		return []byte("null"), nil
	}
	return v.Raw, nil
}

// UnmarshalJSON keeps the value as it is.
func (v *Value) UnmarshalJSON(data []byte) error {
	v.Raw = append(v.Raw[:0], data...)
	return nil
}

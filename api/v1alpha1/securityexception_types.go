// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SecurityException exempts findings in its own namespace, with a reason and until a time, within what the
// AuditConfiguration allows. Exempted findings are counted apart and listed in the reports' exemptions.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,shortName=secex,categories=kubersafe
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Active",type=string,JSONPath=`.status.conditions[?(@.type=="Active")].status`,description="Whether it holds"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Active")].reason`,description="Matched, Unused, Expired, NotPermitted or Invalid"
// +kubebuilder:printcolumn:name="Matches",type=integer,JSONPath=`.status.matches`,description="Findings that it exempts"
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expirationTime`,description="When it ends"
// +kubebuilder:printcolumn:name="Checks",type=string,JSONPath=`.spec.checks`,priority=1,description="Checks whose findings it exempts"
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Active")].message`,priority=1,description="What that reason is about"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type SecurityException struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// What is exempted, why, and until when.
	// +required
	Spec SecurityExceptionSpec `json:"spec"`

	// Whether it holds, and what it matches.
	// +optional
	Status ExceptionStatus `json:"status,omitzero"`
}

// SecurityExceptionSpec says what is exempted, why, and until when.
type SecurityExceptionSpec struct {
	// Checks whose findings are exempted, by id, or "*" for all.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:Pattern=`^([a-z][a-z0-9]*(-[a-z0-9]+)*|\*)$`
	// +kubebuilder:validation:items:MaxLength=63
	Checks []string `json:"checks"`

	// Subjects whose findings are exempted: any of these.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	Subjects []ExceptionSubject `json:"subjects"`

	// Why that is right. It is shown with every finding that is exempted.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:Pattern=`\S`
	Reason string `json:"reason"`

	// When the exception ends, such as 2027-01-31T00:00:00Z. Required unless the AuditConfiguration sets allowUnlimited for the
	// kind of exception.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Format=date-time
	// +kubebuilder:validation:Pattern=`^[12]\d{3}-\d{2}-\d{2}T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`
	ExpirationTime *metav1.Time `json:"expirationTime,omitempty"`
}

// ExceptionSubject selects subjects, and objects of a namespace that its findings are about. All that is set must match.
//
// +kubebuilder:validation:XValidation:rule="has(self.kind) || has(self.name) || has(self.selector) || has(self.containers)",message="set kind, name, selector or containers; for everything, set name to \"*\""
// +kubebuilder:validation:XValidation:rule="!has(self.selector) || has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0 || has(self.selector.matchExpressions) && self.selector.matchExpressions.size() > 0",message="selector must not be empty: for everything, set name to \"*\""
// +kubebuilder:validation:XValidation:rule="!(has(self.selector) && has(self.kind) && self.kind in ['Service', 'Ingress', 'Gateway', 'HTTPRoute', 'NetworkPolicy', 'ResourceQuota', 'LimitRange'])",message="selector matches labels of Pods and namespaces: select this kind by name"
type ExceptionSubject struct {
	// Kind of the subject, such as Deployment or Namespace, or of an object that a namespace's finding is about, such as Service.
	// Kinds that the audit does not read itself have their group behind a dot: Rollout.argoproj.io.
	// +optional
	// +kubebuilder:validation:Pattern=`^[A-Z][A-Za-z0-9]*(\.[a-z0-9.-]+)?$`
	// +kubebuilder:validation:MaxLength=317
	Kind string `json:"kind,omitempty"`

	// Name of the subject or object. "*" stands for any number of characters.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-zA-Z0-9*:._-]+$`
	Name string `json:"name,omitempty"`

	// Labels of a workload's Pods (of its Pod template, where it has one), or of a namespace.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`

	// Containers that the findings are about. "*" stands for any number of characters. Findings that are about no container
	// do not match.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9*-]+$`
	// +kubebuilder:validation:items:MaxLength=63
	Containers []string `json:"containers,omitempty"`
}

// ExceptionStatus says whether an exception holds, and what it matches.
type ExceptionStatus struct {
	// Generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Number of findings that it exempts.
	// +required
	Matches int32 `json:"matches"`

	// Active: True with the reason Matched or Unused; False with Expired, NotPermitted or Invalid.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// The condition of an exception, and its reasons.
const (
	// ConditionActive says whether an exception holds.
	ConditionActive = "Active"
	// ReasonMatched: it exempts findings.
	ReasonMatched = "Matched"
	// ReasonUnused: it holds, and nothing that it may exempt is found.
	ReasonUnused = "Unused"
	// ReasonExpired: its time is over.
	ReasonExpired = "Expired"
	// ReasonNotPermitted: the AuditConfiguration does not allow it, or not for what it matches.
	ReasonNotPermitted = "NotPermitted"
	// ReasonInvalid: nothing in it can match, such as checks that there are not.
	ReasonInvalid = "Invalid"
)

// SecurityExceptionList is a list of SecurityExceptions.
//
// +kubebuilder:object:root=true
type SecurityExceptionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []SecurityException `json:"items"`
}

// ClusterSecurityException exempts findings anywhere in the cluster, of any severity, with a reason and until a time. It is
// for cluster administrators.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=csecex,categories=kubersafe
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Active",type=string,JSONPath=`.status.conditions[?(@.type=="Active")].status`,description="Whether it holds"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Active")].reason`,description="Matched, Unused, Expired, NotPermitted or Invalid"
// +kubebuilder:printcolumn:name="Matches",type=integer,JSONPath=`.status.matches`,description="Findings that it exempts"
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expirationTime`,description="When it ends"
// +kubebuilder:printcolumn:name="Checks",type=string,JSONPath=`.spec.checks`,priority=1,description="Checks whose findings it exempts"
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Active")].message`,priority=1,description="What that reason is about"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ClusterSecurityException struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// What is exempted, where, why, and until when.
	// +required
	Spec ClusterSecurityExceptionSpec `json:"spec"`

	// Whether it holds, and what it matches.
	// +optional
	Status ExceptionStatus `json:"status,omitzero"`
}

// ClusterSecurityExceptionSpec says what is exempted, where, why, and until when.
type ClusterSecurityExceptionSpec struct {
	SecurityExceptionSpec `json:",inline"`

	// Namespaces in which findings are exempted. Absent: everywhere, and of what belongs to no namespace.
	// +optional
	Namespaces *NamespaceSelector `json:"namespaces,omitempty"`
}

// ClusterSecurityExceptionList is a list of ClusterSecurityExceptions.
//
// +kubebuilder:object:root=true
type ClusterSecurityExceptionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []ClusterSecurityException `json:"items"`
}

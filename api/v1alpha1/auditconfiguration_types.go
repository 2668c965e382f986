// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AuditConfigurationName is the name of the only AuditConfiguration.
const AuditConfigurationName = "default"

// AuditConfiguration says what the audit is to leave out, judge otherwise, or judge besides. There is one, named "default";
// without it, and for all that it leaves unset, built-in defaults hold. What is not valid in it is ignored on its own and
// told in the condition Valid; the rest holds. A change takes effect at once.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,path=auditconfigurations,shortName=auditconf,categories=kubersafe
// +kubebuilder:subresource:status
// +kubebuilder:validation:XValidation:rule="self.metadata.name == 'default'",message="there is one AuditConfiguration for the whole cluster: its metadata.name must be \"default\""
// +kubebuilder:printcolumn:name="Valid",type=string,JSONPath=`.status.conditions[?(@.type=="Valid")].status`,description="Whether all of it holds"
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Valid")].reason`,description="Whether parts of it are ignored"
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Valid")].message`,priority=1,description="What is ignored, and why"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AuditConfiguration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// What is set.
	// +optional
	Spec AuditConfigurationSpec `json:"spec,omitzero"`

	// Whether it holds.
	// +optional
	Status AuditConfigurationStatus `json:"status,omitzero"`
}

// AuditConfigurationSpec is what can be set.
type AuditConfigurationSpec struct {
	// Checks that are to run otherwise than by default. Of several rules about a check that select a namespace, the later
	// holds in what it sets.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	Checks []CheckRule `json:"checks,omitempty"`

	// Checks of your own.
	// +optional
	// +listType=map
	// +listMapKey=id
	// +kubebuilder:validation:MaxItems=64
	CustomChecks []CustomCheck `json:"customChecks,omitempty"`

	// Which namespaces are judged, and how.
	// +optional
	Namespaces NamespaceSettings `json:"namespaces,omitzero"`

	// What images may be.
	// +optional
	Images ImageSettings `json:"images,omitzero"`

	// Which workloads are sensitive, and how they must be set apart.
	// +optional
	SensitiveWorkloads SensitiveWorkloadSettings `json:"sensitiveWorkloads,omitzero"`

	// What ResourceQuotas must bound.
	// +optional
	Quotas QuotaSettings `json:"quotas,omitzero"`

	// Whom roles may be bound to.
	// +optional
	RBAC RBACSettings `json:"rbac,omitzero"`

	// Which exceptions hold.
	// +optional
	Exceptions ExceptionSettings `json:"exceptions,omitzero"`
}

// CheckState says whether a check runs.
//
// +kubebuilder:validation:Enum=Enabled;Disabled
type CheckState string

// The states of a check.
const (
	// CheckEnabled: it runs, although it may be off by default.
	CheckEnabled CheckState = "Enabled"
	// CheckDisabled: it does not run, and counts neither as passed nor as skipped.
	CheckDisabled CheckState = "Disabled"
)

// CheckRule says how some checks are to run.
//
// +kubebuilder:validation:XValidation:rule="has(self.state) || has(self.severity)",message="set state (Enabled or Disabled), severity, or both: a rule that sets neither has no effect"
// +kubebuilder:validation:XValidation:rule="!has(self.state) || self.state != 'Disabled' || !has(self.severity)",message="a check that is Disabled has no findings: remove severity, or set state to Enabled"
type CheckRule struct {
	// Checks that the rule is about, by id. "kubersafe checks" lists them.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:Pattern=`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`
	// +kubebuilder:validation:items:MaxLength=63
	Names []string `json:"names"`

	// Namespaces that the rule is about. Absent: all of them, and what belongs to none.
	// +optional
	Namespaces *NamespaceSelector `json:"namespaces,omitempty"`

	// Whether the checks run.
	// +optional
	State CheckState `json:"state,omitempty"`

	// Severity of all their findings, instead of what the checks say.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self != 'None'",message="must be Critical, High, Medium or Low"
	Severity Severity `json:"severity,omitempty"`
}

// NamespaceSelector selects namespaces that have one of the names and all of the labels. What is absent selects all.
//
// +kubebuilder:validation:XValidation:rule="has(self.names) || has(self.selector)",message="set names, selector, or both"
// +kubebuilder:validation:XValidation:rule="!has(self.selector) || has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0 || has(self.selector.matchExpressions) && self.selector.matchExpressions.size() > 0",message="selector must not be empty: for all namespaces, set names to [\"*\"]"
type NamespaceSelector struct {
	// Names of namespaces. "*" stands for any number of characters.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9*]([-a-z0-9*]*[a-z0-9*])?$`
	// +kubebuilder:validation:items:MaxLength=63
	Names []string `json:"names,omitempty"`

	// Labels of namespaces.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// NamespaceSettings say which namespaces are judged, and how.
type NamespaceSettings struct {
	// Namespaces that are left out. Their report says so, and that is all: nothing in them is judged. A metric counts them.
	// +optional
	Excluded *NamespaceSelector `json:"excluded,omitempty"`

	// Namespaces that are part of the platform, besides kube-system, kube-public and kube-node-lease: their Pods may have
	// system priority and tolerate everything, their Pod Security level is not judged, and workloads that are not part of
	// the platform are found there.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:items:MaxLength=63
	System []string `json:"system,omitempty"`
}

// SensitiveWorkloadSettings say which workloads are sensitive, and how they must be set apart. Without any selector,
// none is.
type SensitiveWorkloadSettings struct {
	// Labels of the Pods of sensitive workloads.
	// +optional
	// +kubebuilder:validation:XValidation:rule="has(self.matchLabels) && self.matchLabels.size() > 0 || has(self.matchExpressions) && self.matchExpressions.size() > 0",message="selector must not be empty"
	Selector *metav1.LabelSelector `json:"selector,omitempty"`

	// Namespaces in which all workloads are sensitive.
	// +optional
	Namespaces *NamespaceSelector `json:"namespaces,omitempty"`

	// RuntimeClasses that sandbox. Default: gvisor, kata, kata-clh, kata-fc, kata-qemu.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`
	// +kubebuilder:validation:items:MaxLength=253
	SandboxRuntimeClasses []string `json:"sandboxRuntimeClasses,omitempty"`

	// Keys of the label and of the taint that the nodes of a dedicated pool have. A sensitive workload must both require
	// such a label and tolerate such a taint. Absent: any key will do but those that every node may have, such as
	// kubernetes.io/os.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=317
	DedicatedNodeKeys []string `json:"dedicatedNodeKeys,omitempty"`
}

// QuotaSettings say what ResourceQuotas must bound.
type QuotaSettings struct {
	// Resources that quotas together must bound for all Pods of a namespace. Default: pods, requests.cpu, requests.memory,
	// limits.cpu, limits.memory.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=317
	RequiredResources []string `json:"requiredResources,omitempty"`

	// Percentage of a bound from which it is nearly exhausted: a multiple of 5 from 50 to 95. Default: 90. The finding
	// ends five points below.
	// +optional
	// +kubebuilder:validation:Minimum=50
	// +kubebuilder:validation:Maximum=95
	// +kubebuilder:validation:MultipleOf=5
	NearlyExhaustedPercent *int32 `json:"nearlyExhaustedPercent,omitempty"`
}

// RBACSettings say whom roles may be bound to.
type RBACSettings struct {
	// Users, groups and ServiceAccounts that may be bound to cluster-admin, or to roles that allow as much, in the whole cluster.
	// Bindings that Kubernetes and kubeadm make do not count as long as nobody else is added to them: then all that they name do. Once it
	// is set, rbac-too-many-admins counts them.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	MaxAdmins *int32 `json:"maxAdmins,omitempty"`
}

// ExceptionSettings say which exceptions hold.
type ExceptionSettings struct {
	// What SecurityExceptions may exempt. Whoever may create them in a namespace is trusted that far.
	// +optional
	Namespaced NamespacedExceptionSettings `json:"namespaced,omitzero"`

	// What ClusterSecurityExceptions may be.
	// +optional
	Cluster ClusterExceptionSettings `json:"cluster,omitzero"`
}

// ClusterExceptionSettings say what ClusterSecurityExceptions may be.
type ClusterExceptionSettings struct {
	// Whether they may have no expirationTime. Default: false.
	// +optional
	AllowUnlimited bool `json:"allowUnlimited,omitempty"`
}

// NamespacedExceptionSettings say what SecurityExceptions may exempt.
//
// +kubebuilder:validation:XValidation:rule="!has(self.allowed) || self.allowed || !(has(self.maxDays) || has(self.severities) || has(self.namespaces))",message="allowed is false, so no SecurityException holds: remove maxDays, severities and namespaces, or set allowed to true"
// +kubebuilder:validation:XValidation:rule="!(has(self.allowUnlimited) && self.allowUnlimited && has(self.maxDays))",message="what may hold as long as it likes has no bound in days: remove maxDays or allowUnlimited"
type NamespacedExceptionSettings struct {
	// Whether any SecurityException holds. Default: true.
	// +optional
	Allowed *bool `json:"allowed,omitempty"`

	// Days from its creation to its expirationTime, at most. Default: 90.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3650
	MaxDays *int32 `json:"maxDays,omitempty"`

	// Whether they may hold as long as they like, and have no expirationTime. Default: false.
	// +optional
	AllowUnlimited bool `json:"allowUnlimited,omitempty"`

	// Severities of findings that they may exempt. Default: Medium and Low.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +kubebuilder:validation:XValidation:rule="!('None' in self)",message="must be of Critical, High, Medium and Low"
	Severities []Severity `json:"severities,omitempty"`

	// Namespaces in which they hold. Absent: all.
	// +optional
	Namespaces *NamespaceSelector `json:"namespaces,omitempty"`
}

// CustomCheck is a check of your own: an expression in the dialect of ValidatingAdmissionPolicy that is true of what is as
// it must be.
type CustomCheck struct {
	// Name of the check in reports, metrics and exceptions. It must not be that of a built-in one.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`
	// +kubebuilder:validation:MaxLength=63
	ID string `json:"id"`

	// Severity of its findings.
	// +required
	// +kubebuilder:validation:XValidation:rule="self != 'None'",message="must be Critical, High, Medium or Low"
	Severity Severity `json:"severity"`

	// What is wrong with an object of which the expression is false.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Message string `json:"message"`

	// Kinds of objects that are judged. Pod means Pods and what makes them.
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=6
	Kinds []CustomCheckKind `json:"kinds"`

	// CEL expression over "object", which is judged, and "namespaceObject", its namespace. It is true of what is as it must
	// be. Fields that the audit does not keep cannot be used.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Expression string `json:"expression"`
}

// CustomCheckKind is a kind of objects that custom checks can judge.
//
// +kubebuilder:validation:Enum=Pod;Namespace;Service;Ingress;NetworkPolicy;ResourceQuota
type CustomCheckKind string

// The kinds of objects that custom checks can judge.
const (
	CustomCheckPod           CustomCheckKind = "Pod"
	CustomCheckNamespace     CustomCheckKind = "Namespace"
	CustomCheckService       CustomCheckKind = "Service"
	CustomCheckIngress       CustomCheckKind = "Ingress"
	CustomCheckNetworkPolicy CustomCheckKind = "NetworkPolicy"
	CustomCheckResourceQuota CustomCheckKind = "ResourceQuota"
)

// AuditConfigurationStatus says whether a configuration holds.
type AuditConfigurationStatus struct {
	// Generation of the spec that the conditions are about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Valid: False with the reason PartlyIgnored while parts of the spec are ignored; its message lists them, a line each.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// The condition of an AuditConfiguration, and its reasons.
const (
	// ConditionValid says whether the whole spec holds.
	ConditionValid = "Valid"
	// ReasonAllHolds: nothing is ignored.
	ReasonAllHolds = "AllHolds"
	// ReasonPartlyIgnored: what the message lists is ignored, the rest holds.
	ReasonPartlyIgnored = "PartlyIgnored"
)

// AuditConfigurationList is a list of AuditConfigurations.
//
// +kubebuilder:object:root=true
type AuditConfigurationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []AuditConfiguration `json:"items"`
}

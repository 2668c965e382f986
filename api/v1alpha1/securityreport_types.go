// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SecurityReport is what the audit found about one workload of a namespace, or about the namespace itself. The operator
// writes it whenever the verdict changes, and puts it back when somebody else edits or deletes it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,shortName=secrep,categories=kubersafe
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.subject.kind`,description="Kind of the subject"
// +kubebuilder:printcolumn:name="Score",type=integer,JSONPath=`.summary.score`,description="100 is clean, 0 is worst"
// +kubebuilder:printcolumn:name="Critical",type=integer,JSONPath=`.summary.critical`,description="Critical findings"
// +kubebuilder:printcolumn:name="High",type=integer,JSONPath=`.summary.high`,description="High findings"
// +kubebuilder:printcolumn:name="Medium",type=integer,JSONPath=`.summary.medium`,description="Medium findings"
// +kubebuilder:printcolumn:name="Low",type=integer,JSONPath=`.summary.low`,description="Low findings"
// +kubebuilder:printcolumn:name="Skipped",type=integer,JSONPath=`.summary.skipped`,description="Checks that could not look"
// +kubebuilder:printcolumn:name="Exempted",type=integer,JSONPath=`.summary.exempted`,priority=1,description="Findings exempted by an exception"
// +kubebuilder:printcolumn:name="Passed",type=integer,JSONPath=`.summary.passed`,priority=1,description="Checks that found nothing"
// +kubebuilder:printcolumn:name="Worst",type=string,JSONPath=`.summary.worstCheck`,priority=1,description="Check with the worst finding"
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type SecurityReport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// Workload or namespace that this report is about.
	// +required
	Subject Subject `json:"subject"`

	// Counts of what this report holds. Never cut, even where the lists are.
	// +required
	Summary Summary `json:"summary"`

	// Violations, worst first. What is the same for all of a check (why it matters, how to fix it) is told by
	// "kubersafe checks NAME".
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Findings []Finding `json:"findings,omitempty"`

	// Violations that an exception exempts, for as long as it holds.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Exemptions []Exemption `json:"exemptions,omitempty"`

	// Checks that could not look at this subject, and why.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Skips []Skip `json:"skips,omitempty"`

	// Number of findings that the list leaves out because the report would be too large; the least severe ones.
	// +required
	OmittedFindings int32 `json:"omittedFindings"`

	// Roll-up of the namespace's workloads, in the namespace's own report only. They are not in its summary, so that
	// sums over reports count nothing twice.
	// +optional
	Workloads *RollUp `json:"workloads,omitempty"`

	// What network policies make of the namespace, in its own report only. Absent where policies or workloads cannot be read.
	// +optional
	Network *Network `json:"network,omitempty"`
}

// Network says how a namespace is segmented from the rest of the cluster, and from what is outside.
type Network struct {
	// What may connect to its Pods.
	// +required
	Ingress NetworkExposure `json:"ingress"`

	// What its Pods may connect to.
	// +required
	Egress NetworkExposure `json:"egress"`

	// Whether any of its Pods can connect to a metadata endpoint of clouds, such as 169.254.169.254 on TCP 80.
	// +required
	MetadataEndpoint MetadataEndpoint `json:"metadataEndpoint"`

	// Whether the cluster's network enforces NetworkPolicies, as far as can be seen. If it does not, everything above is
	// as good as Open.
	// +required
	Enforcement NetworkEnforcement `json:"enforcement"`
}

// NetworkExposure says how far network policies isolate a namespace in one direction.
//
// +kubebuilder:validation:Enum=DefaultDeny;Partial;Open
type NetworkExposure string

// How far a namespace is isolated.
const (
	// NetworkDefaultDeny: everything is denied that no policy allows.
	NetworkDefaultDeny NetworkExposure = "DefaultDeny"
	// NetworkPartial: some workloads are isolated, but a new one need not be.
	NetworkPartial NetworkExposure = "Partial"
	// NetworkOpen: no workload is isolated.
	NetworkOpen NetworkExposure = "Open"
)

// MetadataEndpoint says whether Pods can connect to the metadata endpoint.
//
// +kubebuilder:validation:Enum=Reachable;Blocked
type MetadataEndpoint string

// Whether Pods can connect to the metadata endpoint.
const (
	// MetadataReachable: by some Pod at least.
	MetadataReachable MetadataEndpoint = "Reachable"
	// MetadataBlocked: by none.
	MetadataBlocked MetadataEndpoint = "Blocked"
)

// NetworkEnforcement says whether NetworkPolicies have an effect.
//
// +kubebuilder:validation:Enum=Enforced;NotEnforced;Unknown
type NetworkEnforcement string

// What can be seen of enforcement.
const (
	// NetworkEnforced: a network that enforces them runs.
	NetworkEnforced NetworkEnforcement = "Enforced"
	// NetworkNotEnforced: a network that does not runs, and nothing else that would.
	NetworkNotEnforced NetworkEnforcement = "NotEnforced"
	// NetworkEnforcementUnknown: none is known, or whether it does is a setting that cannot be seen.
	NetworkEnforcementUnknown NetworkEnforcement = "Unknown"
)

// RollUp sums the findings of several reports.
type RollUp struct {
	// Score of all together: every check that fails anywhere counts once, by its worst finding.
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

	// Number of exempted findings.
	// +required
	Exempted int32 `json:"exempted"`
}

// SecurityReportList is a list of SecurityReports.
//
// +kubebuilder:object:root=true
type SecurityReportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []SecurityReport `json:"items"`
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ClusterReportName is the name of the ClusterSecurityReport that sums up the whole cluster.
const ClusterReportName = "cluster"

// ClusterSecurityReport is what the audit found about something that belongs to no namespace. The one named "cluster" is
// the roll-up of every report: its summary is the total, and it says which kinds of objects the operator can see.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=csecrep,categories=kubersafe
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
type ClusterSecurityReport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// What this report is about.
	// +required
	Subject Subject `json:"subject"`

	// Counts of what this report holds; in the report "cluster", of all reports together: severities and exempted are sums
	// over all subjects, passed counts checks that no subject fails, skipped those that could not look at some subject.
	// +required
	Summary Summary `json:"summary"`

	// Violations, worst first.
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

	// Kinds of objects that the audit reads, and whether it can; in the report "cluster" only.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	Sources []SourceStatus `json:"sources,omitempty"`

	// What has become of the controls of published standards, by the checks that map to them; in the report "cluster" only.
	// "kubersafe checks --framework cis" lists the controls of one, and which checks map to each.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	Compliance []FrameworkCompliance `json:"compliance,omitempty"`

	// Generation of the AuditConfiguration in force; absent while there is none. In the report "cluster" only.
	// +optional
	ConfigurationGeneration int64 `json:"configurationGeneration,omitempty"`

	// Whether the AuditConfiguration leaves namespaces out: nothing here is about them. In the report "cluster" only.
	// +optional
	NamespacesExcluded bool `json:"namespacesExcluded,omitempty"`

	// Version of the operator that wrote this report; in the report "cluster" only.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Version string `json:"version,omitempty"`
}

// SourceState says whether a kind of objects can be read.
//
// +kubebuilder:validation:Enum=Synced;Syncing;Forbidden;NotServed
type SourceState string

// The states of a source.
const (
	// SourceSynced: read and watched.
	SourceSynced SourceState = "Synced"
	// SourceSyncing: not read yet.
	SourceSyncing SourceState = "Syncing"
	// SourceForbidden: the operator may not list or watch it. Picked up once that is granted.
	SourceForbidden SourceState = "Forbidden"
	// SourceNotServed: the API server does not know it. Picked up once it does.
	SourceNotServed SourceState = "NotServed"
)

// SourceStatus is one kind of objects that the audit reads.
type SourceStatus struct {
	// Resource, such as pods or networkpolicies.networking.k8s.io.
	// +required
	// +kubebuilder:validation:MaxLength=317
	Resource string `json:"resource"`

	// Whether it can be read.
	// +required
	State SourceState `json:"state"`

	// Why not, if it cannot.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// FrameworkCompliance is what has become of the controls of one published standard. Each of them is in one of the lists.
type FrameworkCompliance struct {
	// Short name of the standard: cis, mitre, nsa, owasp or pss.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Framework string `json:"framework"`

	// Name and version of the standard.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Title string `json:"title"`

	// Controls all of whose checks have judged everything, and found nothing.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	Passed []string `json:"passed,omitempty"`

	// Controls of which some check has a finding somewhere.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	Failed []string `json:"failed,omitempty"`

	// Controls all of whose checks have judged everything, and found only what exceptions exempt.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	Exempted []string `json:"exempted,omitempty"`

	// Controls of which nothing is known to fail, and not everything is known.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	NotAssessed []NotAssessed `json:"notAssessed,omitempty"`
}

// NotAssessed are controls that are not assessed, for one reason.
type NotAssessed struct {
	// Why not.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason"`

	// The controls.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	Controls []string `json:"controls"`
}

// ClusterSecurityReportList is a list of ClusterSecurityReports.
//
// +kubebuilder:object:root=true
type ClusterSecurityReportList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`
	Items           []ClusterSecurityReport `json:"items"`
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics exports what the ledger holds, read at every scrape, and counts what the operator does.
package metrics

import (
	"slices"
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/report"
)

// State exports the current verdicts. Nothing is kept between scrapes, so that no series outlives what it is about.
type State struct {
	Ledger *ledger.Ledger
	// Checks returns what looks a check up by its id, or returns nil.
	Checks  func() func(id string) *audit.Check
	Sources func() []v1alpha1.SourceStatus
	// Complete is false until everything has been judged once, and always on followers: till then a scrape would look like
	// a fix, and beside a leader like twice as many violations.
	Complete func() bool
	// LastComplete is the last moment at which every report said what the cluster was like.
	LastComplete func() time.Time
	// Compliance is what the cluster's report says of it; nil where another shard writes that.
	Compliance func() []v1alpha1.FrameworkCompliance
	// Workloads exports a series for each workload with violations.
	Workloads bool
}

// snapshot is the state at one moment, which all families of a scrape are about. It shares the ledger's entries, which do
// not change.
type snapshot struct {
	*State
	check        func(id string) *audit.Check
	sources      []v1alpha1.SourceStatus
	complete     bool
	lastComplete time.Time
	// namespaces are there once everything is complete.
	namespaces map[string]ledger.Entries
	compliance []v1alpha1.FrameworkCompliance
}

func (s *State) snapshot() *snapshot {
	now := &snapshot{State: s, check: s.Checks(), sources: s.Sources(), complete: s.Complete()}
	if now.complete {
		now.lastComplete, now.namespaces = s.LastComplete(), s.Ledger.All()
		if s.Compliance != nil {
			now.compliance = s.Compliance()
		}
	}
	return now
}

// family is a gauge with its labels.
type family struct {
	name, help string
	// labels are sorted, as they are exposed; samples have their values in the same order.
	labels  []string
	collect func(*snapshot, *samples)
}

var families = []family{
	{
		"kubersafe_violations", "Current violations in a namespace, by kind of subject and check.",
		[]string{"category", "check", "kind", "namespace", "severity"}, inNamespaces(violations),
	},
	{
		"kubersafe_workload_violations", "Current violations of a workload or namespace. Subjects without any have no series.",
		[]string{"kind", "name", "namespace", "severity"}, inNamespaces(workloadViolations),
	},
	{
		"kubersafe_cluster_violations", "Current violations of subjects that belong to no namespace.",
		[]string{"category", "check", "severity"}, clusterViolations,
	},
	{
		"kubersafe_exempted_violations", "Current violations that an exception exempts. They are not among the other violations.",
		[]string{"category", "check", "kind", "namespace", "severity"}, inNamespaces(exemptedViolations),
	},
	{
		"kubersafe_oldest_violation_timestamp_seconds", "Time since when the oldest current violation of a severity stands.",
		[]string{"namespace", "severity"}, inNamespaces(oldestViolation),
	},
	{
		"kubersafe_subjects", "Subjects audited: workloads by kind, and the namespace itself.",
		[]string{"kind", "namespace"}, inNamespaces(subjects),
	},
	{
		"kubersafe_excluded_namespaces", "Namespaces that the AuditConfiguration leaves out.",
		nil, excludedNamespaces,
	},
	{
		"kubersafe_score", "Score of a namespace with all its workloads: 100 without violations, down to 0.",
		[]string{"namespace"}, inNamespaces(score),
	},
	{
		"kubersafe_audited_checks", "Pairs of a subject and a check that were judged.",
		[]string{"namespace"}, inNamespaces(auditedChecks),
	},
	{
		"kubersafe_skipped_checks", "Pairs of a subject and a check that could not be judged, by reason.",
		[]string{"check", "namespace", "reason"}, inNamespaces(skippedChecks),
	},
	{
		"kubersafe_source_state", "1 for the state that the operator's view of a resource is in, 0 for the other states.",
		[]string{"resource", "state"}, sourceState,
	},
	{
		"kubersafe_network_unisolated_workloads", "Workloads with Pods that no network policy isolates in a direction.",
		[]string{"direction", "namespace"}, inNamespaces(unisolatedWorkloads),
	},
	{
		"kubersafe_network_metadata_reachable_workloads",
		"Workloads with Pods that network policies let connect to the metadata endpoint of clouds.",
		[]string{"namespace"}, inNamespaces(metadataWorkloads),
	},
	{
		"kubersafe_compliance_controls", "Controls of a published standard by what has become of them in the whole cluster.",
		[]string{"framework", "state"}, complianceControls,
	},
	{
		"kubersafe_last_complete_audit_timestamp_seconds", "Last moment at which every report said what the cluster was like.",
		nil, lastComplete,
	},
}

// inNamespaces collects namespace by namespace. Of those that are left out there is nothing to tell: not judged is not clean.
func inNamespaces(collect func(s *snapshot, out *samples, namespace string, entries ledger.Entries)) func(*snapshot, *samples) {
	return func(s *snapshot, out *samples) {
		for namespace, entries := range s.namespaces {
			if namespace != "" && !entries.Excluded() {
				collect(s, out, namespace, entries)
				out.settle()
			}
		}
	}
}

func violations(s *snapshot, out *samples, namespace string, entries ledger.Entries) {
	for _, e := range entries {
		for _, c := range e.Findings {
			out.add(float64(c.N), s.category(c.Check), c.Check, e.Kind, namespace, string(c.Severity()))
		}
	}
}

func workloadViolations(s *snapshot, out *samples, namespace string, entries ledger.Entries) {
	if !s.Workloads {
		return
	}
	for _, e := range entries {
		for _, c := range e.Findings {
			out.add(float64(c.N), e.Kind, e.Name, namespace, string(c.Severity()))
		}
	}
}

func clusterViolations(s *snapshot, out *samples) {
	for _, e := range s.namespaces[""] {
		for _, c := range e.Findings {
			out.add(float64(c.N), s.category(c.Check), c.Check, string(c.Severity()))
		}
	}
}

func exemptedViolations(s *snapshot, out *samples, namespace string, entries ledger.Entries) {
	for _, e := range entries {
		for _, c := range e.ExemptedFindings() {
			out.add(float64(c.N), s.category(c.Check), c.Check, e.Kind, namespace, string(c.Severity()))
		}
	}
}

func oldestViolation(_ *snapshot, out *samples, namespace string, entries ledger.Entries) {
	for _, severity := range audit.Severities {
		var oldest time.Time
		for _, e := range entries {
			if since := e.Remembered.Oldest(severity); !since.IsZero() && (oldest.IsZero() || since.Before(oldest)) {
				oldest = since
			}
		}
		if !oldest.IsZero() {
			out.add(float64(oldest.Unix()), namespace, string(severity))
		}
	}
}

func subjects(_ *snapshot, out *samples, namespace string, entries ledger.Entries) {
	for _, e := range entries {
		out.add(1, e.Kind, namespace)
	}
}

func score(_ *snapshot, out *samples, namespace string, entries ledger.Entries) {
	var all report.Tally
	for _, e := range entries {
		all.Add(e.Findings)
	}
	out.add(float64(all.Score()), namespace)
}

func auditedChecks(_ *snapshot, out *samples, namespace string, entries ledger.Entries) {
	audited := 0
	failed := make(map[string]bool)
	for _, e := range entries {
		clear(failed)
		for _, c := range slices.Concat(e.Findings, e.ExemptedFindings()) {
			failed[c.Check] = true
		}
		audited += e.Passed + len(failed)
	}
	out.add(float64(audited), namespace)
}

func skippedChecks(_ *snapshot, out *samples, namespace string, entries ledger.Entries) {
	for _, e := range entries {
		for _, skip := range e.Skips {
			out.add(1, skip.Check, namespace, string(skip.Reason))
		}
	}
}

func sourceState(s *snapshot, out *samples) {
	for _, status := range s.sources {
		for _, state := range []v1alpha1.SourceState{
			v1alpha1.SourceSynced, v1alpha1.SourceSyncing, v1alpha1.SourceForbidden, v1alpha1.SourceNotServed,
		} {
			value := 0.0
			if status.State == state {
				value = 1
			}
			out.add(value, status.Resource, string(state))
		}
	}
}

func unisolatedWorkloads(_ *snapshot, out *samples, namespace string, entries ledger.Entries) {
	for _, e := range entries {
		if e.Network != nil {
			out.add(float64(e.Network.UnisolatedIngress), "ingress", namespace)
			out.add(float64(e.Network.UnisolatedEgress), "egress", namespace)
		}
	}
}

func metadataWorkloads(_ *snapshot, out *samples, namespace string, entries ledger.Entries) {
	for _, e := range entries {
		if e.Network != nil {
			out.add(float64(e.Network.ReachMetadata), namespace)
		}
	}
}

func excludedNamespaces(s *snapshot, out *samples) {
	if !s.complete {
		return
	}
	n := 0
	for _, entries := range s.namespaces {
		if entries.Excluded() {
			n++
		}
	}
	out.add(float64(n))
}

func complianceControls(s *snapshot, out *samples) {
	for _, f := range s.compliance {
		notAssessed := 0
		for _, n := range f.NotAssessed {
			notAssessed += len(n.Controls)
		}
		for state, n := range map[string]int{
			"Passed": len(f.Passed), "Failed": len(f.Failed), "Exempted": len(f.Exempted), "NotAssessed": notAssessed,
		} {
			out.add(float64(n), f.Framework, state)
		}
	}
}

func lastComplete(s *snapshot, out *samples) {
	if s.complete {
		out.add(float64(s.lastComplete.Unix()))
	}
}

func (s *snapshot) category(check string) string {
	if c := s.check(check); c != nil {
		return string(c.Category)
	}
	return ""
}

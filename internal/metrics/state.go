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
	// Checks returns the checks that there are.
	Checks  func() []audit.Check
	Sources func() []v1alpha1.SourceStatus
	// Complete is false until everything has been judged once, and always on followers: till then a scrape would look like
	// a fix, and beside a leader like twice as many violations.
	Complete func() bool
	// LastComplete is the last moment at which every report said what the cluster was like.
	LastComplete func() time.Time
	// Compliance is what the cluster's report says of it; nil where another shard writes that.
	Compliance func() []v1alpha1.FrameworkCompliance
	// Images returns what is known of all images, and whether anything is; nil where another shard tells that.
	Images func() (audit.ImageTotals, bool)
	// Workloads exports a series for each workload with violations, unless the label namespace is dropped: a name alone is
	// nobody's.
	Workloads bool
	// Drop are labels that no series has, out of Droppable.
	Drop []string
}

// Droppable are the labels with the most values.
var Droppable = []string{labelCheck, labelNamespace}

const (
	labelCheck     = "check"
	labelNamespace = "namespace"
)

// snapshot is the state at one moment, which all families of a scrape are about. It shares the ledger's entries, which do
// not change.
type snapshot struct {
	*State
	checks       []audit.Check
	categories   map[string]string // of checks
	sources      []v1alpha1.SourceStatus
	complete     bool
	lastComplete time.Time
	// namespaces are there once everything is complete.
	namespaces map[string]ledger.Entries
	compliance []v1alpha1.FrameworkCompliance
	// images is nil where nothing is known of them.
	images *audit.ImageTotals
}

func (s *State) snapshot() *snapshot {
	now := &snapshot{State: s, checks: s.Checks(), categories: make(map[string]string), sources: s.Sources(), complete: s.Complete()}
	for i := range now.checks {
		now.categories[now.checks[i].ID] = string(now.checks[i].Category)
	}
	if now.complete {
		now.lastComplete, now.namespaces = s.LastComplete(), s.Ledger.All()
		if s.Compliance != nil {
			now.compliance = s.Compliance()
		}
		if s.Images != nil {
			if totals, known := s.Images(); known {
				now.images = &totals
			}
		}
	}
	return now
}

// family is a gauge with its labels.
type family struct {
	name, help string
	// labels are sorted, as they are exposed.
	labels []string
	// most is how many series there are at most, as a product.
	most    []*dimension
	collect func(*snapshot, *samples)
	// least: where labels are dropped, the least of what they told apart counts, not the sum.
	least bool
	// kept are the places of the labels among the values of a sample.
	kept []int
}

// families are sorted by name. Samples have values for all of a family's labels, in the same order.
var families = []family{
	{
		name: "kubersafe_audited_checks", help: "Pairs of a subject and a check that were judged.",
		labels: []string{"namespace"}, most: []*dimension{perNamespace}, collect: inNamespaces(auditedChecks),
	},
	{
		name: "kubersafe_cluster_violations", help: "Current violations of subjects that belong to no namespace.",
		labels: []string{"category", "check", "severity"}, most: []*dimension{perCheck, perSeverity}, collect: clusterViolations,
	},
	{
		name: "kubersafe_compliance_controls", help: "Controls of a published standard by what has become of them in the whole cluster.",
		labels: []string{"framework", "state"}, most: []*dimension{perFramework, perControlState}, collect: complianceControls,
	},
	{
		name: "kubersafe_excluded_namespaces", help: "Namespaces that the AuditConfiguration leaves out.",
		collect: excludedNamespaces,
	},
	{
		name:   "kubersafe_exempted_violations",
		help:   "Current violations that an exception exempts. They are not among the other violations.",
		labels: []string{"category", "check", "kind", "namespace", "severity"}, most: []*dimension{perKind, perCheck, perSeverity},
		collect: inNamespaces(exemptedViolations),
	},
	{
		name:   "kubersafe_image_vulnerabilities",
		help:   "Known vulnerabilities in the images of a namespace's workloads, each image counted once, ignored ones included.",
		labels: []string{"fixable", "namespace", "severity"}, most: []*dimension{perNamespace, perFixable, perVulnerability},
		collect: inNamespaces(imageVulnerabilities),
	},
	{
		name: "kubersafe_images", help: "Images that the scanner knows, by the state of their ImageReport. No series without image scanning.",
		labels: []string{"state"}, most: []*dimension{perImageState}, collect: images,
	},
	{
		name: "kubersafe_last_complete_audit_timestamp_seconds", help: "Last moment at which every report said what the cluster was like.",
		collect: lastComplete,
	},
	{
		name:   "kubersafe_network_metadata_reachable_workloads",
		help:   "Workloads with Pods that network policies let connect to the metadata endpoint of clouds.",
		labels: []string{"namespace"}, most: []*dimension{perNamespace}, collect: inNamespaces(metadataWorkloads),
	},
	{
		name: "kubersafe_network_unisolated_workloads", help: "Workloads with Pods that no network policy isolates in a direction.",
		labels: []string{"direction", "namespace"}, most: []*dimension{perNamespace, perDirection}, collect: inNamespaces(unisolatedWorkloads),
	},
	{
		name:   "kubersafe_next_exception_expiry_timestamp_seconds",
		help:   "When the first of the exceptions ends that exempt violations now. No series where none does.",
		labels: []string{"namespace"}, most: []*dimension{perNamespace}, collect: inNamespaces(nextExpiry), least: true,
	},
	{
		name: "kubersafe_oldest_violation_timestamp_seconds", help: "Time since when the oldest current violation of a severity stands.",
		labels: []string{"namespace", "severity"}, most: []*dimension{perNamespace, perSeverity}, collect: inNamespaces(oldestViolation), least: true,
	},
	{
		name: "kubersafe_score", help: "Score of a namespace with all its workloads: 100 without violations, down to 0.",
		labels: []string{"namespace"}, most: []*dimension{perNamespace}, collect: inNamespaces(score), least: true,
	},
	{
		name: "kubersafe_skipped_checks", help: "Pairs of a subject and a check that could not be judged, by reason.",
		labels: []string{"check", "namespace", "reason"}, most: []*dimension{perNamespace, perCheck, perReason}, collect: inNamespaces(skippedChecks),
	},
	{
		name: "kubersafe_source_state", help: "1 for the state that the operator's view of a resource is in, 0 for the other states.",
		labels: []string{"resource", "state"}, most: []*dimension{perResource, perSourceState}, collect: sourceState,
	},
	{
		name: "kubersafe_subjects", help: "Subjects audited: workloads by kind, and the namespace itself.",
		labels: []string{"kind", "namespace"}, most: []*dimension{perKind}, collect: inNamespaces(subjects),
	},
	{
		name:   "kubersafe_truncated_reports",
		help:   "Reports that do not list all that they count, because it is too much. No series where there are none.",
		labels: []string{"namespace"}, most: []*dimension{perNamespace}, collect: inNamespaces(truncatedReports),
	},
	{
		name: "kubersafe_violations", help: "Current violations in a namespace, by kind of subject and check.",
		labels: []string{"category", "check", "kind", "namespace", "severity"}, most: []*dimension{perKind, perCheck, perSeverity},
		collect: inNamespaces(violations),
	},
	{
		name:    "kubersafe_vulnerability_database_timestamp_seconds",
		help:    "Time of the newest change in the newest vulnerability database that images were judged by. No series without image scanning.",
		collect: databaseTime,
	},
	{
		name: "kubersafe_workload_violations", help: "Current violations of a workload or namespace. Subjects without any have no series.",
		labels: []string{"kind", "name", "namespace", "severity"}, most: []*dimension{perSubject, perSeverity},
		collect: inNamespaces(workloadViolations),
	},
}

// counting are the families that count the series of the others, and so come last.
var counting = []family{
	{name: "kubersafe_exported_series", help: "Series of state in this scrape, without those two that count them.", collect: exportedSeries},
	{
		name: "kubersafe_exported_series_bound", help: "Series of state that there may be at most, by the formula in docs/metrics.md.",
		collect: seriesBound,
	},
}

// families returns the families with the labels that are left.
func (s *State) families() []family {
	left := slices.Clone(families)
	for i := range left {
		f := &left[i]
		all := f.labels
		f.labels = nil
		for at, label := range all {
			if !slices.Contains(s.Drop, label) {
				f.labels, f.kept = append(f.labels, label), append(f.kept, at)
			}
		}
	}
	return left
}

// drops says whether no series has a label.
func (s *State) drops(label string) bool { return slices.Contains(s.Drop, label) }

// inNamespaces collects namespace by namespace. Of those that are left out there is nothing to tell: not judged is not clean.
func inNamespaces(collect func(s *snapshot, out *samples, namespace string, entries ledger.Entries)) func(*snapshot, *samples) {
	return func(s *snapshot, out *samples) {
		for namespace, entries := range s.namespaces {
			if namespace != "" && !entries.Excluded() {
				collect(s, out, namespace, entries)
				if !s.drops(labelNamespace) {
					out.settle()
				}
			}
		}
	}
}

func violations(s *snapshot, out *samples, namespace string, entries ledger.Entries) {
	for _, e := range entries {
		for _, c := range e.Findings {
			out.add(float64(c.N), s.categories[c.Check], c.Check, e.Kind, namespace, string(c.Severity()))
		}
	}
}

func workloadViolations(s *snapshot, out *samples, namespace string, entries ledger.Entries) {
	if !s.Workloads || s.drops(labelNamespace) {
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
			out.add(float64(c.N), s.categories[c.Check], c.Check, string(c.Severity()))
		}
	}
}

func exemptedViolations(s *snapshot, out *samples, namespace string, entries ledger.Entries) {
	for _, e := range entries {
		for _, c := range e.ExemptedFindings() {
			out.add(float64(c.N), s.categories[c.Check], c.Check, e.Kind, namespace, string(c.Severity()))
		}
	}
}

func oldestViolation(_ *snapshot, out *samples, namespace string, entries ledger.Entries) {
	for _, severity := range audit.Severities {
		for _, e := range entries {
			if since := e.Remembered.Oldest(severity); !since.IsZero() {
				out.add(float64(since.Unix()), namespace, string(severity))
			}
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
		for _, state := range sourceStates {
			value := 0.0
			if string(status.State) == state {
				value = 1
			}
			out.add(value, status.Resource, state)
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
		for i, n := range []int{len(f.Exempted), len(f.Failed), notAssessed, len(f.Passed)} {
			out.add(float64(n), f.Framework, controlStates[i])
		}
	}
}

func lastComplete(s *snapshot, out *samples) {
	if s.complete {
		out.add(float64(s.lastComplete.Unix()))
	}
}

func nextExpiry(_ *snapshot, out *samples, namespace string, entries ledger.Entries) {
	for _, e := range entries {
		if e.Exempted != nil && e.Exempted.Until != 0 {
			out.add(float64(e.Exempted.Until), namespace)
		}
	}
}

func truncatedReports(_ *snapshot, out *samples, namespace string, entries ledger.Entries) {
	for _, e := range entries {
		if e.Truncated {
			out.add(1, namespace)
		}
	}
}

func seriesBound(s *snapshot, out *samples) {
	if s.complete {
		out.add(float64(s.bound()))
	}
}

func exportedSeries(s *snapshot, out *samples) {
	if s.complete {
		out.add(float64(out.total))
	}
}

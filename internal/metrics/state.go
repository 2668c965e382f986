// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package metrics exports what the ledger holds, read at every scrape, and counts what the operator does.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/report"
)

// State exports the current verdicts. Nothing is kept between scrapes, so that no series outlives what it is about.
type State struct {
	Ledger  *ledger.Ledger
	Checks  *audit.Set
	Sources func() []v1alpha1.SourceStatus
	// Complete is false until everything has been judged once, and always on followers: till then a scrape would look like
	// a fix, and beside a leader like twice as many violations.
	Complete func() bool
	// LastComplete is the last moment at which every report said what the cluster was like.
	LastComplete func() time.Time
	// Workloads exports a series for each workload with violations.
	Workloads bool
}

var (
	violations = newFamily("kubersafe_violations",
		"Current violations in a namespace, by kind of subject and check.",
		"namespace", "kind", "check", "severity", "category")
	workloadViolations = newFamily("kubersafe_workload_violations",
		"Current violations of a workload or namespace. Subjects without any have no series.",
		"namespace", "kind", "name", "severity")
	clusterViolations = newFamily("kubersafe_cluster_violations",
		"Current violations of subjects that belong to no namespace.",
		"check", "severity", "category")
	exemptedViolations = newFamily("kubersafe_exempted_violations",
		"Current violations that an exception exempts. They are not among the other violations.",
		"namespace", "kind", "check", "severity", "category")
	oldestViolation = newFamily("kubersafe_oldest_violation_timestamp_seconds",
		"Time since when the oldest current violation of a severity stands.",
		"namespace", "severity")
	subjects = newFamily("kubersafe_subjects",
		"Subjects audited: workloads by kind, and the namespace itself.",
		"namespace", "kind")
	score = newFamily("kubersafe_score",
		"Score of a namespace with all its workloads: 100 without violations, down to 0.",
		"namespace")
	auditedChecks = newFamily("kubersafe_audited_checks",
		"Pairs of a subject and a check that were judged.",
		"namespace")
	skippedChecks = newFamily("kubersafe_skipped_checks",
		"Pairs of a subject and a check that could not be judged, by reason.",
		"namespace", "check", "reason")
	sourceState = newFamily("kubersafe_source_state",
		"1 for the state that the operator's view of a resource is in, 0 for the other states.",
		"resource", "state")
	unisolatedWorkloads = newFamily("kubersafe_network_unisolated_workloads",
		"Workloads with Pods that no network policy isolates in a direction.",
		"namespace", "direction")
	metadataWorkloads = newFamily("kubersafe_network_metadata_reachable_workloads",
		"Workloads with Pods that network policies let connect to the metadata endpoint of clouds.",
		"namespace")
	lastComplete = newFamily("kubersafe_last_complete_audit_timestamp_seconds",
		"Last moment at which every report said what the cluster was like.")
)

// Describe implements prometheus.Collector.
func (s *State) Describe(out chan<- *prometheus.Desc) {
	for _, f := range []*family{
		violations, workloadViolations, clusterViolations, exemptedViolations, oldestViolation, subjects, score,
		auditedChecks, skippedChecks, sourceState, unisolatedWorkloads, metadataWorkloads, lastComplete,
	} {
		out <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (s *State) Collect(to chan<- prometheus.Metric) {
	out := newScrape(to)
	for _, status := range s.Sources() {
		for _, state := range []v1alpha1.SourceState{
			v1alpha1.SourceSynced, v1alpha1.SourceSyncing, v1alpha1.SourceForbidden, v1alpha1.SourceNotServed,
		} {
			value := 0.0
			if status.State == state {
				value = 1
			}
			out.gauge(sourceState, value, status.Resource, string(state))
		}
	}
	if !s.Complete() {
		return
	}
	out.gauge(lastComplete, float64(s.LastComplete().Unix()))
	for namespace, entries := range s.Ledger.All() {
		if namespace == "" {
			s.collectCluster(out, entries)
			continue
		}
		s.collectNamespace(out, namespace, entries)
	}
}

func (s *State) collectCluster(out *scrape, entries ledger.Entries) {
	var all report.Tally
	for _, e := range entries {
		all.Add(e.Findings)
	}
	for _, c := range all {
		out.gauge(clusterViolations, float64(c.N), c.Check, string(c.Severity()), s.category(c.Check))
	}
}

type kindCheck struct {
	kind string
	report.CheckSeverity
}

type workload struct {
	kind, name string
	severity   v1alpha1.Severity
}

type skip struct {
	check  string
	reason v1alpha1.SkipReason
}

// namespaceTotals sums up before anything is sent, so that no two series have the same labels, whatever subjects are called.
type namespaceTotals struct {
	all                  report.Tally
	violations, exempted map[kindCheck]int32
	workloads            map[workload]int32
	subjects             map[string]int
	skipped              map[skip]int
	audited              int
	network              *ledger.Network
	oldest               map[v1alpha1.Severity]time.Time
}

func totalsOf(entries ledger.Entries) *namespaceTotals {
	t := &namespaceTotals{
		violations: make(map[kindCheck]int32), exempted: make(map[kindCheck]int32),
		workloads: make(map[workload]int32), subjects: make(map[string]int), skipped: make(map[skip]int),
		oldest: make(map[v1alpha1.Severity]time.Time),
	}
	for _, e := range entries {
		t.all.Add(e.Findings)
		t.subjects[e.Kind]++
		if e.Network != nil {
			t.network = e.Network
		}
		failed := make(map[string]bool, len(e.Findings))
		for _, c := range e.Findings {
			failed[c.Check] = true
			t.violations[kindCheck{e.Kind, c.Of()}] += c.N
			t.workloads[workload{e.Kind, e.Name, c.Severity()}] += c.N
		}
		for _, c := range e.Exempted {
			t.exempted[kindCheck{e.Kind, c.Of()}] += c.N
		}
		t.audited += e.Passed + len(failed)
		for _, sk := range e.Skips {
			t.skipped[skip{sk.Check, sk.Reason}]++
		}
		for _, severity := range audit.Severities {
			if since := e.Remembered.Oldest(severity); !since.IsZero() && (t.oldest[severity].IsZero() || since.Before(t.oldest[severity])) {
				t.oldest[severity] = since
			}
		}
	}
	return t
}

func (s *State) collectNamespace(out *scrape, namespace string, entries ledger.Entries) {
	t := totalsOf(entries)
	for k, n := range t.violations {
		out.gauge(violations, float64(n), namespace, k.kind, k.Check, string(k.Severity), s.category(k.Check))
	}
	for k, n := range t.exempted {
		out.gauge(exemptedViolations, float64(n), namespace, k.kind, k.Check, string(k.Severity), s.category(k.Check))
	}
	if s.Workloads {
		for w, n := range t.workloads {
			out.gauge(workloadViolations, float64(n), namespace, w.kind, w.name, string(w.severity))
		}
	}
	for severity, since := range t.oldest {
		out.gauge(oldestViolation, float64(since.Unix()), namespace, string(severity))
	}
	for kind, n := range t.subjects {
		out.gauge(subjects, float64(n), namespace, kind)
	}
	out.gauge(score, float64(t.all.Score()), namespace)
	out.gauge(auditedChecks, float64(t.audited), namespace)
	if n := t.network; n != nil {
		out.gauge(unisolatedWorkloads, float64(n.UnisolatedIngress), namespace, "ingress")
		out.gauge(unisolatedWorkloads, float64(n.UnisolatedEgress), namespace, "egress")
		out.gauge(metadataWorkloads, float64(n.ReachMetadata), namespace)
	}
	for k, n := range t.skipped {
		out.gauge(skippedChecks, float64(n), namespace, k.check, string(k.reason))
	}
}

func (s *State) category(check string) string {
	if c := s.Checks.Check(check); c != nil {
		return string(c.Category)
	}
	return ""
}

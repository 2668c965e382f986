// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"slices"
	"unique"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/internal/shard"
	"github.com/kubersafe/kubersafe/internal/source"
)

// Resources of the reports themselves.
const (
	SecurityReports        audit.Resource = "securityreports.audit.kubersafe.io"
	ClusterSecurityReports audit.Resource = "clustersecurityreports.audit.kubersafe.io"
)

// StoredReport is what is kept of a report in the cluster: enough to tell whether it is right, and to go on from it.
type StoredReport struct {
	audit.Object
	// Hash of what it says, computed from what it says.
	Hash report.Hash
	// Kind of its subject, from a closed set.
	Kind       string
	Remembered report.Remembered
	// Counts are what the cluster's report needs of it; nil in the operator's own shard, where the ledger knows.
	Counts *Entry
}

// Equal says whether both say the same.
func (s *StoredReport) Equal(t *StoredReport) bool {
	return s.UID == t.UID && s.Hash == t.Hash && slices.Equal(s.Remembered, t.Remembered)
}

// Is says whether the report is what was decided.
func (s *StoredReport) Is(e *Entry) bool {
	return s.Hash == e.Hash && e.Remembered.Agrees(s.Remembered)
}

// Stored are the reports in the cluster, kept up to date by a watch and by our own writes.
type Stored struct {
	Reports        *source.Store[*StoredReport]
	ClusterReports *source.Store[*StoredReport]
}

// NewStored returns the reports in the cluster and adds them to the sources. client serves the reports' API group. They are
// those of the sources' shard; the first shard, which sums up the cluster, counts those of the others too.
func NewStored(sources *source.Sources, client rest.Interface) *Stored {
	own := sources.Shard()
	s := &Stored{
		Reports: source.NewStore(func(o runtime.Object) (*StoredReport, error) {
			if r, ok := o.(*v1alpha1.SecurityReport); ok && !own.Owns(r.Namespace) {
				return countedReport(r), nil
			}
			return storedReport(o)
		}),
		ClusterReports: source.NewStore(storedClusterReport),
	}
	part := own
	if own.First() {
		part = shard.Shard{}
	}
	source.Add(sources, part, SecurityReports, client, "securityreports", &v1alpha1.SecurityReport{}, s.Reports)
	source.Add(
		sources, shard.Shard{}, ClusterSecurityReports, client, "clustersecurityreports", &v1alpha1.ClusterSecurityReport{}, s.ClusterReports)
	return s
}

func storedReport(o runtime.Object) (*StoredReport, error) {
	r, ok := o.(*v1alpha1.SecurityReport)
	if !ok {
		return nil, fmt.Errorf("unexpected object %T", o)
	}
	return &StoredReport{
		Object:     audit.ObjectFrom(r),
		Hash:       report.HashOf(r),
		Kind:       r.Labels[v1alpha1.LabelSubjectKind],
		Remembered: report.Remember(r.Findings),
	}, nil
}

func storedClusterReport(o runtime.Object) (*StoredReport, error) {
	r, ok := o.(*v1alpha1.ClusterSecurityReport)
	if !ok {
		return nil, fmt.Errorf("unexpected object %T", o)
	}
	return &StoredReport{
		Object:     audit.ObjectFrom(r),
		Hash:       report.HashOfCluster(r),
		Kind:       r.Labels[v1alpha1.LabelSubjectKind],
		Remembered: report.Remember(r.Findings),
	}, nil
}

// countedReport is what is kept of another shard's report.
func countedReport(r *v1alpha1.SecurityReport) *StoredReport {
	e := &Entry{Kind: unique.Make(r.Labels[v1alpha1.LabelSubjectKind]).Value(), Findings: report.TallyOfReport(r)}
	if r.Summary.Exempted > 0 {
		e.Exempted = exemptedOf(r)
	}
	e.Excluded = len(r.Skips) > 0 && r.Skips[0].Reason == v1alpha1.SkipNamespaceExcluded
	for _, skip := range r.Skips {
		e.Skips = append(e.Skips, audit.Skip{Check: unique.Make(skip.Check).Value(), Reason: skip.Reason})
	}
	e.Unlisted = report.Truncated(r)
	return &StoredReport{Object: audit.ObjectFrom(r), Hash: report.HashOf(r), Kind: e.Kind, Counts: e}
}

// exemptedOf returns what exceptions do to the findings of a report, as far as it lists that. Those that it does not list
// count for no check. Of a namespace's own exceptions its shard keeps count.
func exemptedOf(r *v1alpha1.SecurityReport) *Exempted {
	e := &Exempted{}
	for i := range r.Exemptions {
		x := &r.Exemptions[i]
		e.Findings.Add(report.Tally{report.CountOf(report.CheckSeverity{Check: unique.Make(x.Check).Value(), Severity: x.Severity}, 1)})
		if x.ExceptionKind != v1alpha1.KindClusterSecurityException {
			continue
		}
		at := slices.IndexFunc(e.Uses, func(u Use) bool { return u.Name == x.Exception })
		if at < 0 {
			at = len(e.Uses)
			e.Uses = append(e.Uses, Use{Cluster: true, Name: unique.Make(x.Exception).Value()})
		}
		e.Uses[at].Matches++
	}
	if n := r.Summary.Exempted - int32(len(r.Exemptions)); n > 0 { //nolint:gosec // G115: at most MaxExemptions
		e.Findings.Add(report.Tally{{N: n}})
	}
	return e
}

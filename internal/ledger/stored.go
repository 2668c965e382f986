// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/report"
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

// NewStored returns the reports in the cluster and adds them to the sources. client serves the reports' API group.
func NewStored(sources *source.Sources, client rest.Interface) *Stored {
	s := &Stored{Reports: source.NewStore(storedReport), ClusterReports: source.NewStore(storedClusterReport)}
	source.Add(sources, SecurityReports, client, "securityreports", &v1alpha1.SecurityReport{}, s.Reports)
	source.Add(sources, ClusterSecurityReports, client, "clustersecurityreports", &v1alpha1.ClusterSecurityReport{}, s.ClusterReports)
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
	return &StoredReport{Object: audit.ObjectFrom(r), Hash: report.HashOfCluster(r), Kind: r.Labels[v1alpha1.LabelSubjectKind]}, nil
}

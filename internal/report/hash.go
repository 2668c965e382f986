// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"crypto/sha256"
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// Hash tells whether two reports say the same.
type Hash [sha256.Size]byte

// HashOf returns the hash of everything in a report that the operator decides, save since when findings stand. It is
// the same for a report just built and for the same one read back; labels that others add do not change it.
func HashOf(r *v1alpha1.SecurityReport) Hash {
	c := *r
	c.Findings = withoutSince(r.Findings)
	c.TypeMeta, c.ObjectMeta = metav1.TypeMeta{}, decided(&r.ObjectMeta)
	return hash(&c)
}

// HashOfCluster is HashOf for cluster reports.
func HashOfCluster(r *v1alpha1.ClusterSecurityReport) Hash {
	c := *r
	c.Findings = withoutSince(r.Findings)
	c.TypeMeta, c.ObjectMeta = metav1.TypeMeta{}, decided(&r.ObjectMeta)
	return hash(&c)
}

// decided returns what the operator decides of a report's metadata. Finalizers are none, or a deleted report would stay.
func decided(m *metav1.ObjectMeta) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Labels: map[string]string{
			v1alpha1.LabelSubjectKind: m.Labels[v1alpha1.LabelSubjectKind],
			v1alpha1.LabelWorst:       m.Labels[v1alpha1.LabelWorst],
		},
		OwnerReferences: m.OwnerReferences,
		Finalizers:      m.Finalizers,
	}
}

func withoutSince(findings []v1alpha1.Finding) []v1alpha1.Finding {
	findings = slices.Clone(findings)
	for i := range findings {
		findings[i].Since = metav1.Time{}
	}
	return findings
}

func hash(v any) Hash {
	encoded, err := json.Marshal(v)
	if err != nil {
		return Hash{} // only a suggested value that is no JSON; such a report is rewritten each time, never lost
	}
	return sha256.Sum256(encoded)
}

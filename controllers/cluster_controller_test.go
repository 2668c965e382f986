// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/metrics"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/internal/source"
)

// written notes what is written.
type written struct {
	client.Writer
	lines []string
}

func (w *written) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	w.lines = append(w.lines, "create "+o.GetName())
	return nil
}

func (w *written) Update(_ context.Context, o client.Object, _ ...client.UpdateOption) error {
	w.lines = append(w.lines, "update "+o.GetName())
	return nil
}

func (w *written) Delete(_ context.Context, o client.Object, _ ...client.DeleteOption) error {
	w.lines = append(w.lines, "delete "+o.GetName())
	return nil
}

func TestWriteCluster(t *testing.T) {
	offline, err := kubernetes.NewForConfig(&rest.Config{Host: "http://unused.invalid"})
	if err != nil {
		t.Fatal(err)
	}
	operations, err := metrics.NewOperations(prometheus.NewRegistry(), "v1", 1)
	if err != nil {
		t.Fatal(err)
	}
	sources := source.New(offline)
	stored := ledger.NewStored(sources, offline.CoreV1().RESTClient())
	to := &written{}
	w := NewWriter(to, stored, operations)
	reportOf := func(name, kind string) *v1alpha1.ClusterSecurityReport {
		return &v1alpha1.ClusterSecurityReport{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1alpha1.LabelSubjectKind: kind}},
			Subject:    v1alpha1.Subject{Kind: kind, Name: name},
		}
	}
	verdict := func(name, kind string) ledger.ClusterVerdict {
		r := reportOf(name, kind)
		return ledger.ClusterVerdict{
			Entry: &ledger.Entry{Kind: kind, Hash: report.HashOfCluster(r)}, Report: name,
			Build: func() *v1alpha1.ClusterSecurityReport { return r },
		}
	}
	for name, kind := range map[string]string{"cluster": audit.KindCluster, "node-a": audit.KindNode, "node-gone": audit.KindNode, "stray": "x"} {
		if err := stored.ClusterReports.Add(reportOf(name, kind)); err != nil {
			t.Fatal(err)
		}
	}
	clean := verdict("node-clean", audit.KindNode)
	clean.Build = nil
	verdicts := []ledger.ClusterVerdict{verdict("control-plane", audit.KindControlPlane), verdict("node-a", audit.KindNode), clean}

	if err := w.WriteCluster(t.Context(), verdicts, func(kind string) bool { return kind == audit.KindNode }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"create control-plane", "delete stray"}, to.lines); diff != "" {
		t.Errorf("while nodes cannot be seen (-want +got):\n%s", diff)
	}
	to.lines = nil
	if err := w.WriteCluster(t.Context(), verdicts, func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"delete node-gone"}, to.lines); diff != "" {
		t.Errorf("when they can be (-want +got):\n%s", diff)
	}
	to.lines = nil
	sum := reportOf("cluster", audit.KindCluster)
	if err := w.WriteSummary(t.Context(), sum); err != nil || len(to.lines) > 0 {
		t.Errorf("wrote %v, %v", to.lines, err)
	}
	sum.Summary.High = 1
	if err := w.WriteSummary(t.Context(), sum); err != nil || !slices.Equal(to.lines, []string{"update cluster"}) {
		t.Errorf("wrote %v, %v", to.lines, err)
	}
}

// TestProgressWaitsForTheCluster: state metrics are not complete without what belongs to no namespace.
func TestProgressWaitsForTheCluster(t *testing.T) {
	var told []string
	p := &Progress{Cluster: true, Begin: func() { told = append(told, "begin") }, FirstPass: func() { told = append(told, "complete") }}
	p.start([]string{"shop"})
	p.judged("shop")
	if p.Complete() || !slices.Equal(told, []string{"begin"}) {
		t.Errorf("complete %v, told %v", p.Complete(), told)
	}
	p.judged("")
	if !p.Complete() || !slices.Equal(told, []string{"begin", "complete"}) {
		t.Errorf("complete %v, told %v", p.Complete(), told)
	}
}

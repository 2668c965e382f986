// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/report"
)

// clusterSet has checks on nodes, and on the control plane, of which nothing is seen.
func clusterSet(t *testing.T) *audit.Set {
	t.Helper()
	check := func(id string) audit.Check {
		return audit.Check{
			ID: id, Title: "T", Severity: v1alpha1.SeverityHigh, Category: audit.CategoryInfrastructure, Rationale: "R.", Remediation: "R.",
			Before: "b", After: "a",
		}
	}
	public, plane, quiet := check("public"), check("plane"), check("quiet")
	public.Node = func(n *audit.Node, r *audit.Reporter) {
		if n.Public != "" {
			r.Find(audit.Finding{Message: "m", Path: "p"})
		}
	}
	plane.ControlPlane = func(_ *audit.Cluster, r *audit.Reporter) { r.Skip(v1alpha1.SkipDataMissing, "not seen") }
	quiet.Admission = func(*audit.Cluster, *audit.Reporter) {}
	set, err := audit.NewSet([]audit.Check{public, plane, quiet})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestJudgeCluster(t *testing.T) {
	set := clusterSet(t)
	first := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	node := func(name, public string) *audit.NodeRecord {
		return &audit.NodeRecord{Object: audit.Object{Name: name, UID: audit.UIDOf("u")}, NodeDetails: audit.NodeDetails{Public: public}}
	}
	judge := func(previous Entries, now time.Time, nodes ...*audit.NodeRecord) (Entries, []ClusterVerdict) {
		verdicts := JudgeCluster(set, audit.NewCluster(audit.ClusterInventory{Nodes: nodes}, now), Previous{Entries: previous}, nil, now)
		entries := make(Entries)
		for _, v := range verdicts {
			entries[v.Report] = v.Entry
		}
		return entries, verdicts
	}
	entries, verdicts := judge(nil, first, node("a", "203.0.113.7"), node("b", ""))
	var got []string
	for _, v := range verdicts {
		got = append(got, fmt.Sprintf("%s of %s/%s, report %v, %d found, %d skipped", v.Report, v.Kind, v.Name, v.Build != nil, v.Findings.Total(), len(v.Skips)))
	}
	want := []string{
		"control-plane of ControlPlane/control-plane, report true, 0 found, 1 skipped", "admission of Admission/admission, report true, 0 found, 0 skipped",
		"node-a of Node/a, report true, 1 found, 0 skipped", "node-b of Node/b, report false, 0 found, 0 skipped",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}

	book := New()
	book.Put("", set, entries)
	totals := book.Totals()
	if totals.Tally.Count(v1alpha1.SeverityHigh) != 1 || totals.Passed != 1 || totals.Skipped != 1 {
		t.Errorf("totals %+v", totals)
	}
	for id, want := range map[string]string{"public": "judged failed", "plane": "judged skipped", "quiet": "judged"} {
		e, text := totals.Evidence[id], ""
		if e.Judged {
			text = "judged"
		}
		if e.Failed {
			text += " failed"
		}
		if len(e.Skips) > 0 {
			text += " skipped"
		}
		if text != want {
			t.Errorf("evidence of %s: %q, want %q", id, text, want)
		}
	}

	// What stands keeps its time, and what has gone is forgotten.
	_, again := judge(entries, first.Add(time.Hour), node("a", "203.0.113.8"), node("b", ""))
	r := again[2].Build()
	if !r.Findings[0].Since.Equal(&again[2].Build().Findings[0].Since) || !r.Findings[0].Since.Time.Equal(first) {
		t.Errorf("it stands since %v, want %v", r.Findings[0].Since, first)
	}
	if len(r.OwnerReferences) != 1 || r.OwnerReferences[0].Kind != "Node" || r.Namespace != "" {
		t.Errorf("report %+v", r.ObjectMeta)
	}
	if again[2].Hash != report.HashOfCluster(r) || again[2].Hash != entries["node-a"].Hash {
		t.Error("the hash is not that of what it says")
	}
	if plane := again[0].Build(); plane.Subject != (v1alpha1.Subject{Kind: "ControlPlane", Name: "control-plane"}) || plane.OwnerReferences != nil {
		t.Errorf("subject %+v, owners %v", plane.Subject, plane.OwnerReferences)
	}
	book.Drop("")
	if totals := book.Totals(); len(totals.Tally) > 0 || len(totals.Evidence) > 0 {
		t.Errorf("totals of nothing: %+v", totals)
	}
}

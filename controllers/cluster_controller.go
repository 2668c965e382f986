// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/configuration"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/internal/source"
)

// ClusterReconciler judges what belongs to no namespace and keeps its ClusterSecurityReports right, and the one named "cluster",
// which sums up all others. That one trails the namespaces: it sums up what they have come to, at most every few seconds, and
// not before everything has been judged once. Of the namespaces of other shards it sums up what is stored. Only the first
// shard has one. Its keys are clusterKey, for the sum, and subjectsKey, for all the rest.
type ClusterReconciler struct {
	Sources       *source.Sources
	Stored        *ledger.Stored
	Ledger        *ledger.Ledger
	Configuration *configuration.Live
	Writer        *Writer
	Audited       *Progress
	// Elsewhere is called when what is known of other shards' namespaces has changed.
	Elsewhere func()
	// Version of the operator.
	Version string
	// Now is the clock; time.Now if nil.
	Now func() time.Time

	schedule *schedule
	// kept is of the last time that what belongs to no namespace was judged.
	kept ledger.Kept

	mu sync.Mutex
	// compliance is what the report says of it, or should; nil before the first.
	compliance []v1alpha1.FrameworkCompliance
	// stale are the namespaces of other shards that have changed since they were summed up.
	stale map[string]bool
}

const clusterWindow = 2 * time.Second

var (
	clusterKey  = requestFor(v1alpha1.ClusterReportName)
	subjectsKey = requestFor("subjects")
)

// SetupWithManager adds the reconciler to a manager.
func (r *ClusterReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Now == nil {
		r.Now = time.Now
	}
	r.schedule = newSchedule(clusterWindow, 10*clusterWindow)
	return r.schedule.watch(mgr, "cluster", r, 1, r.begin)
}

func (r *ClusterReconciler) begin(context.Context) {
	r.Ledger.OnPut(func(string) { r.SumUp() })
	r.Sources.OnEvent(r.handle)
	r.markElsewhere()
	r.Judge()
	r.SumUp()
}

func (r *ClusterReconciler) handle(e source.Event) {
	if reachesCluster(e) {
		r.Judge()
	}
	switch {
	case reachOf(e) == everywhere:
		r.markElsewhere()
	case e.Resource == ledger.SecurityReports && !r.Sources.Shard().Owns(e.Namespace):
		r.mark(e.Namespace)
	case reachOf(e) != cluster:
		return
	}
	r.SumUp()
}

// markElsewhere has all namespaces of other shards summed up anew.
func (r *ClusterReconciler) markElsewhere() {
	r.Stored.Reports.Namespaces(func(namespace string) {
		if !r.Sources.Shard().Owns(namespace) {
			r.mark(namespace)
		}
	})
}

func (r *ClusterReconciler) mark(namespace string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stale == nil {
		r.stale = make(map[string]bool)
	}
	r.stale[namespace] = true
}

// sumUpElsewhere enters in the ledger what is stored of other shards' namespaces. Reports of subjects that cannot be seen at
// the moment are kept, but tell nothing of what there is: the shard that they belong to leaves them out too.
func (r *ClusterReconciler) sumUpElsewhere() {
	r.mu.Lock()
	stale := r.stale
	r.stale = nil
	r.mu.Unlock()
	for namespace := range stale {
		inventory, _ := r.Sources.Inventory(namespace)
		unseen := keepWhereUnseen(&inventory)
		var entries []*ledger.Entry
		for _, stored := range r.Stored.Reports.List(namespace) {
			if !unseen(stored.Kind) {
				entries = append(entries, stored.Counts)
			}
		}
		r.Ledger.PutElsewhere(namespace, r.Configuration.Current().SetFor(namespace, inventory.Namespace.GetLabels()), entries)
	}
	if len(stale) > 0 {
		r.Elsewhere()
	}
}

// SumUp has the report made anew, soon.
func (r *ClusterReconciler) SumUp() {
	if r.Audited.Complete() {
		r.schedule.add(clusterKey, false)
	}
}

// Judge has what belongs to no namespace judged, soon.
func (r *ClusterReconciler) Judge() {
	if r.Audited.started() {
		r.schedule.add(subjectsKey, false)
	}
}

// Settled says whether what belongs to no namespace does not wait to be judged, is not being judged, and could be written.
func (r *ClusterReconciler) Settled() bool { return r.schedule.settledOf(subjectsKey) }

// Compliance returns what was summed up last of published standards; nil if nothing was. It must not be changed.
func (r *ClusterReconciler) Compliance() []v1alpha1.FrameworkCompliance {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.compliance
}

// Reconcile writes what has changed.
func (r *ClusterReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	r.schedule.begin(req)
	reconcile := r.sumUp
	if req == subjectsKey {
		reconcile = r.judge
	}
	wait, cost, err := reconcile(ctx)
	r.schedule.end(req, cost, err != nil, false)
	if stale := (*staleError)(nil); errors.As(err, &stale) {
		return ctrl.Result{RequeueAfter: r.schedule.backoff(req)}, nil
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}

// judge evaluates what belongs to no namespace and writes what has changed. It returns when to look again although nothing may
// have changed, and what it cost.
func (r *ClusterReconciler) judge(ctx context.Context) (wait, cost time.Duration, err error) {
	begun, now := time.Now(), r.Now()
	inventory, current := r.Sources.Cluster(), r.Configuration.Current()
	inventory.Namespaces = slices.DeleteFunc(inventory.Namespaces, func(n *audit.NamespaceRecord) bool {
		return n.Terminating || current.Excludes(n.Name, n.Labels)
	})
	set, c := current.SetForCluster(), audit.NewCluster(inventory, now)
	verdicts := ledger.JudgeCluster(set, c, ledger.Previous{Entries: r.Ledger.Get(""), Remembered: r.remembered}, &r.kept, now)
	entries := make(ledger.Entries, len(verdicts))
	for _, v := range verdicts {
		entries[v.Report] = v.Entry
	}
	r.Ledger.Put("", set, entries)
	r.Audited.judged("")
	cost = time.Since(begun)
	if c.Missing(ledger.ClusterSecurityReports) != nil {
		return 0, cost, nil // it is judged again when they can be read
	}
	err = r.Writer.WriteCluster(ctx, verdicts, func(kind string) bool {
		switch audit.SortOf(kind) { //nolint:exhaustive // the others are always there
		case audit.SortNode:
			return c.Missing(audit.Nodes) != nil
		case audit.SortClusterRole, audit.SortClusterRoleBinding:
			return c.Missing(audit.PowerResources...) != nil
		}
		return false
	})
	return until(c.Recheck, now), cost, err
}

// remembered returns what is stored of a report.
func (r *ClusterReconciler) remembered(name string) report.Remembered {
	if stored, ok := r.Stored.ClusterReports.Get("", name); ok {
		return stored.Remembered
	}
	return nil
}

// sumUp writes the report "cluster" if it has changed.
func (r *ClusterReconciler) sumUp(ctx context.Context) (wait, cost time.Duration, err error) {
	begun := time.Now()
	r.sumUpElsewhere()
	current := r.Configuration.Current()
	whole := report.Cluster{
		Totals: r.Ledger.Totals(), Checks: current.Checks(), Sources: r.Sources.Status(), Generation: current.Generation(), Version: r.Version,
	}
	summary := whole.Build()
	r.mu.Lock()
	r.compliance = summary.DeepCopy().Compliance // the client reads the API server's answer into what it has sent
	r.mu.Unlock()
	return 0, time.Since(begun), r.Writer.WriteSummary(ctx, summary)
}

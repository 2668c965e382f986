// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package controllers holds the reconcilers: what is judged when, and what is written.
package controllers

import (
	"context"
	"errors"
	"slices"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/configuration"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/metrics"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/internal/source"
)

// NamespaceReconciler judges one namespace at a time and keeps its SecurityReports right. Its key is the namespace's name.
type NamespaceReconciler struct {
	Sources *source.Sources
	Stored  *ledger.Stored
	Ledger  *ledger.Ledger
	// Configuration says by which checks a namespace is judged.
	Configuration *configuration.Live
	Writer        *Writer
	Operations    *metrics.Operations
	// Audited is told of every namespace that has been judged.
	Audited *Progress
	// Await returns once the audit may begin, or with an error when ctx ends before. At once if it is nil.
	Await func(ctx context.Context) error
	// Now is the clock; time.Now if nil.
	Now func() time.Time

	schedule *schedule
}

const (
	// Long enough for the events of one change (Deployment, ReplicaSet, Pod) to come in, too short to notice.
	namespaceMinWindow = 5 * time.Millisecond
	namespaceMaxWindow = time.Second

	// Workers mostly wait for the API server to have written. Where it took 17 ms for a write, four of them fell behind 100
	// changes a second by 1.2 s in the median, ten by 0.4 s.
	namespaceWorkers = 10

	// What fails is tried again soon: an API server that is back should not be waited for.
	minBackoff = 100 * time.Millisecond
	maxBackoff = 30 * time.Second
)

// SetupWithManager adds the reconciler to a manager.
func (r *NamespaceReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Now == nil {
		r.Now = time.Now
	}
	r.schedule = newSchedule(namespaceMinWindow, namespaceMaxWindow)
	return r.schedule.watch(mgr, "namespace", r, namespaceWorkers, r.begin)
}

// begin starts the audit: everything once when nothing is left to be read, and from then on what changes.
func (r *NamespaceReconciler) begin(ctx context.Context) {
	if r.Await != nil && r.Await(ctx) != nil {
		return // the operator is ending
	}
	settled := make(chan struct{}, 1)
	settled <- struct{}{}
	r.Sources.OnEvent(func(e source.Event) {
		if r.Audited.started() {
			r.handle(e)
		} else if e.StateChanged {
			select {
			case settled <- struct{}{}:
			default: // somebody is about to look anyway
			}
		}
	})
	for {
		select {
		case <-ctx.Done():
			return
		case <-settled:
			if r.Sources.Settled() {
				first := r.known()
				r.Audited.start(first)
				r.addBulk(first) // all that is waited for, although one may just have gone
				r.addAll()       // and what has just come
				return
			}
		}
	}
}

// Settled says whether no namespace waits to be judged, is being judged, or could not be written.
func (r *NamespaceReconciler) Settled() bool { return r.schedule.settled() }

func (r *NamespaceReconciler) handle(e source.Event) {
	switch reach := reachOf(e); reach {
	case own, several:
		// A node by itself is in none, and the first shard sees reports of all.
		if e.Namespace != "" && r.Sources.Shard().Owns(e.Namespace) {
			r.schedule.add(requestFor(e.Namespace), reach == several)
		}
	case everywhere:
		r.addAll()
	case cluster:
	}
}

func (r *NamespaceReconciler) addAll() { r.addBulk(r.known()) }

func (r *NamespaceReconciler) addBulk(namespaces []string) {
	for _, namespace := range namespaces {
		r.schedule.addAmongAll(requestFor(namespace))
	}
}

// known returns the namespaces of the shard that there are, those that were judged before, and those that have reports.
func (r *NamespaceReconciler) known() []string {
	names := append(r.Sources.Namespaces(), r.Ledger.Namespaces()...)
	r.Stored.Reports.Namespaces(func(name string) { names = append(names, name) })
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" || !r.Sources.Shard().Owns(name) })
}

// Reconcile judges a namespace and writes what has changed.
func (r *NamespaceReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	changed, amongAll := r.schedule.begin(req)
	begun := time.Now()
	if !changed.IsZero() {
		r.Operations.QueueSeconds.Observe(begun.Sub(changed).Seconds())
	}
	inventory, exists := r.Sources.Inventory(req.Name)
	// Where namespaces cannot be read, one that has reports may be there, with nothing in it.
	unseen := inventory.Missing(audit.Namespaces) != nil && len(r.Stored.Reports.List(req.Name)) > 0
	if !exists && !unseen {
		r.Ledger.Drop(req.Name)
		r.Writer.Forget(req.Name)
		r.schedule.end(req, 0, false, true)
		r.Audited.judged(req.Name)
		return ctrl.Result{}, nil
	}
	verdicts, before, recheck := r.judge(inventory)
	if amongAll {
		before = nil // what has changed is not in the namespace
	}
	r.Audited.judged(req.Name)
	cost := time.Since(begun)

	wait, err := r.write(ctx, &inventory, verdicts, occasion{changed, before})
	r.schedule.end(req, cost, err != nil || wait > 0, false)
	if stale := (*staleError)(nil); errors.As(err, &stale) {
		return ctrl.Result{RequeueAfter: r.schedule.backoff(req)}, nil // till the watch tells what it was about
	}
	if errors.Is(err, errStoredUnknown) {
		err = nil // all namespaces are judged again when it is known
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if wait == 0 && !recheck.IsZero() {
		wait = until(recheck, r.Now())
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}

// maxRecheck is the longest wait for a time. Timers do not notice that a clock is set, and stand still while a machine sleeps, so the
// clock is looked at now and then.
const maxRecheck = time.Hour

// until returns how long to wait before it is looked whether a time has come.
func until(then, now time.Time) time.Duration {
	return min(maxRecheck, max(time.Millisecond, then.Sub(now)))
}

// errStoredUnknown says that what is stored cannot be read, and so nothing can be written.
var errStoredUnknown = errors.New("the stored reports cannot be read")

// write makes the stored reports what the verdicts say, and returns when to try again what had to wait.
func (r *NamespaceReconciler) write(
	ctx context.Context, i *audit.Inventory, verdicts []ledger.Verdict, of occasion,
) (time.Duration, error) {
	switch {
	case i.Namespace != nil && i.Namespace.Terminating:
		return 0, nil // they go with it
	case i.Missing(ledger.SecurityReports) != nil:
		return 0, errStoredUnknown
	}
	return r.Writer.Write(ctx, i.Name, verdicts, keepWhereUnseen(i), of)
}

// judge evaluates a namespace, enters the verdicts in the ledger, and returns them, what was decided before by the same checks,
// nil if that was by others, and when to look again although nothing may have changed.
func (r *NamespaceReconciler) judge(inventory audit.Inventory) ([]ledger.Verdict, ledger.Entries, time.Time) {
	now := r.Now()
	set := r.Configuration.Current().SetFor(inventory.Name, inventory.Namespace.GetLabels())
	ns := audit.Fold(inventory, now)
	before, by := r.Ledger.Get(ns.Name), r.Ledger.JudgedBy(ns.Name)
	verdicts := ledger.Judge(set, ns, ledger.Previous{
		Entries: before,
		Remembered: func(name string) report.Remembered {
			if stored, ok := r.Stored.Reports.Get(ns.Name, name); ok {
				return stored.Remembered
			}
			return nil
		},
	}, now)
	entries := make(ledger.Entries, len(verdicts))
	for _, v := range verdicts {
		entries[v.Report] = v.Entry
	}
	r.Ledger.Put(ns.Name, set, entries)
	r.Operations.EvaluationSeconds.Observe(r.Now().Sub(now).Seconds())
	switch by {
	case set:
	case nil:
		before = ledger.Entries{} // there was no such namespace
	default:
		before = nil
	}
	return verdicts, before, ns.Recheck
}

// keepWhereUnseen keeps reports of subjects that cannot be seen at the moment: that a kind can no longer be read does not
// mean that what it showed is gone.
func keepWhereUnseen(inventory *audit.Inventory) func(kind string) bool {
	return func(kind string) bool {
		return inventory.Missing(audit.ResourceOfSubject(kind)) != nil
	}
}

func requestFor(namespace string) reconcile.Request {
	var r reconcile.Request
	r.Name = namespace
	return r
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/internal/source"
)

// ClusterReconciler keeps the ClusterSecurityReport "cluster" right. It trails the namespaces: it sums up what they have
// come to, at most every few seconds, and not before everything has been judged once.
type ClusterReconciler struct {
	Sources *source.Sources
	Ledger  *ledger.Ledger
	Writer  *Writer
	Audited *Progress
	// Version of the operator.
	Version string

	schedule *schedule
}

const clusterWindow = 2 * time.Second

var clusterKey = requestFor(v1alpha1.ClusterReportName)

// SetupWithManager adds the reconciler to a manager.
func (r *ClusterReconciler) SetupWithManager(mgr ctrl.Manager) error {
	r.schedule = newSchedule(clusterWindow, 10*clusterWindow)
	c, err := controller.New("cluster", mgr, controller.Options{
		Reconciler:       r,
		UsePriorityQueue: new(true),
		RateLimiter:      workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](minBackoff, maxBackoff),
	})
	if err != nil {
		return fmt.Errorf("cluster controller: %w", err)
	}
	return c.Watch(scheduleSource{r.schedule, r.begin})
}

func (r *ClusterReconciler) begin(context.Context) {
	r.Ledger.OnPut(r.SumUp)
	r.Sources.OnEvent(func(e source.Event) {
		if reachOf(e) != own {
			r.SumUp()
		}
	})
	r.SumUp()
}

// SumUp has the report made anew, soon.
func (r *ClusterReconciler) SumUp() {
	if r.Audited.Complete() {
		r.schedule.add(clusterKey, false)
	}
}

// Reconcile writes the report if it has changed.
func (r *ClusterReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	r.schedule.begin(req)
	begun := time.Now()
	summary := report.BuildCluster(r.Ledger.Totals(), r.Sources.Status(), r.Version)
	cost := time.Since(begun)
	err := r.Writer.WriteCluster(ctx, summary)
	r.schedule.end(req, cost, err != nil, false)
	if stale := (*staleError)(nil); errors.As(err, &stale) {
		return ctrl.Result{RequeueAfter: r.schedule.backoff(req)}, nil
	}
	return ctrl.Result{}, err
}

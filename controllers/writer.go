// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/metrics"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/internal/source"
)

// fieldOwner is the operator's name in managedFields.
const fieldOwner = client.FieldOwner("kubersafe")

// Writer makes the stored reports what they should be, with as many requests as there are differences. Reports are
// replaced whole: what others have put into one is gone.
type Writer struct {
	Client     client.Writer
	Stored     *ledger.Stored
	Operations *metrics.Operations
	// Announcer is told of reports that are stored; nil for none.
	Announcer *Announcer
	// Now is the clock.
	Now func() time.Time

	brief, rollUps limits
	late           lateness
}

// NewWriter returns a writer.
func NewWriter(c client.Writer, stored *ledger.Stored, operations *metrics.Operations) *Writer {
	return &Writer{
		Client: c, Stored: stored, Operations: operations, Now: time.Now,
		brief:   limits{perSecond: briefPerSecond, burst: briefBurst},
		rollUps: limits{perSecond: rollUpPerSecond, burst: rollUpBurst},
	}
}

// +kubebuilder:rbac:groups=audit.kubersafe.io,resources=securityreports;clustersecurityreports,verbs=get;list;watch;create;update;delete

// staleError says that somebody else changed a report while it was being written. The watch brings what it is now.
type staleError struct{ error }

func (e *staleError) Unwrap() error { return e.error }

// occasion is what has brought verdicts about.
type occasion struct {
	// changed is when the change came that they tell of, or zero if that is not known.
	changed time.Time
	// before is what was decided before; nil if nobody is to be told of what has changed since.
	before ledger.Entries
}

// entry returns what was decided before about the subject of a report: nothing at all if it was not there.
func (o *occasion) entry(name string) *ledger.Entry {
	if e := o.before[name]; e != nil || o.before == nil {
		return e
	}
	return &ledger.Entry{}
}

// Write creates and updates the reports of a namespace that differ from what is stored and deletes those that are not
// wanted, save those of subjects whose kind keep names. One report that cannot be written does not hold up the others. The
// error is a *staleError if nothing worse than that has happened. It returns how long to wait before writing those that
// had to wait, or 0.
func (w *Writer) Write(
	ctx context.Context, namespace string, verdicts []ledger.Verdict, keep func(kind string) bool, of occasion,
) (time.Duration, error) {
	var errs []error
	var wait time.Duration
	before, late := w.late.of(namespace), make(map[string]lateReport)
	defer func() { w.late.set(namespace, late) }()
	wanted := make(map[string]bool, len(verdicts))
	for _, v := range verdicts {
		wanted[v.Report] = true
		stored, ok := w.Stored.Reports.Get(namespace, v.Report)
		this, wasLate := before[v.Report]
		if ok && stored.Is(v.Entry) {
			if wasLate { // it was stored all the same, or is right again
				w.Announcer.changed(this.from, v)
			}
			continue
		}
		if !wasLate {
			this.from = of.entry(v.Report)
		}
		if this.since.IsZero() {
			this.since = of.changed
		}
		if !w.timely(namespace, v, ok) {
			wait, late[v.Report] = limitedWait, this
			continue
		}
		r := v.Build()
		written, err := w.put(ctx, r, stored, w.Stored.Reports)
		switch errs = append(errs, err); {
		case err != nil:
			late[v.Report] = this
		case written:
			if !this.since.IsZero() {
				w.Operations.Wrote(namespace, w.Now().Sub(this.since))
			}
			v.Build = func() *v1alpha1.SecurityReport { return r } // with what the API server has made of it
			w.Announcer.changed(this.from, v)
		}
	}
	for _, stored := range w.Stored.Reports.List(namespace) {
		if !wanted[stored.Name] && !keep(stored.Kind) {
			w.Announcer.gone(client.ObjectKey{Namespace: namespace, Name: stored.Name})
			errs = append(errs, w.delete(ctx, &v1alpha1.SecurityReport{}, stored, w.Stored.Reports))
		}
	}
	return wait, joinStale(errs)
}

// Forget forgets what is waited for in a namespace that is gone.
func (w *Writer) Forget(namespace string) { w.late.set(namespace, nil) }

// lateness remembers reports that are not yet what they should be.
type lateness struct {
	mu      sync.Mutex
	reports map[string]map[string]lateReport
}

// lateReport is a report that is not yet what it should be.
type lateReport struct {
	// since when; zero if that is not known.
	since time.Time
	// from is what was decided when it last was what it should be; nil if nobody is to be told of what has changed since.
	from *ledger.Entry
}

// of returns the reports of a namespace.
func (l *lateness) of(namespace string) map[string]lateReport {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reports[namespace]
}

func (l *lateness) set(namespace string, reports map[string]lateReport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(reports) == 0 {
		delete(l.reports, namespace)
		return
	}
	if l.reports == nil {
		l.reports = make(map[string]map[string]lateReport)
	}
	l.reports[namespace] = reports
}

// timely says whether a report may be written now.
func (w *Writer) timely(namespace string, v ledger.Verdict, stored bool) bool {
	now := w.Now()
	switch {
	case v.Kind == audit.KindNamespace:
		return !stored || w.rollUps.allow(namespace, now)
	case now.Sub(v.Created) > briefLasts: // and of what is not brief, Created is zero
		return true
	}
	return stored || w.brief.allow(namespace, now)
}

// WriteSummary does the same for the report that sums up the cluster.
func (w *Writer) WriteSummary(ctx context.Context, r *v1alpha1.ClusterSecurityReport) error {
	stored, ok := w.Stored.ClusterReports.Get("", r.Name)
	if ok && stored.Hash == report.HashOfCluster(r) {
		return nil
	}
	_, err := w.put(ctx, r, stored, w.Stored.ClusterReports)
	return err
}

// WriteCluster does the same for the reports on what belongs to no namespace.
func (w *Writer) WriteCluster(ctx context.Context, verdicts []ledger.ClusterVerdict, keep func(kind string) bool) error {
	var errs []error
	wanted := map[string]bool{v1alpha1.ClusterReportName: true}
	for _, v := range verdicts {
		if v.Build == nil {
			continue
		}
		wanted[v.Report] = true
		if stored, ok := w.Stored.ClusterReports.Get("", v.Report); !ok || !stored.Is(v.Entry) {
			_, err := w.put(ctx, v.Build(), stored, w.Stored.ClusterReports)
			errs = append(errs, err)
		}
	}
	for _, stored := range w.Stored.ClusterReports.List("") {
		if !wanted[stored.Name] && !keep(stored.Kind) {
			errs = append(errs, w.delete(ctx, &v1alpha1.ClusterSecurityReport{}, stored, w.Stored.ClusterReports))
		}
	}
	return joinStale(errs)
}

// put creates a report, or updates the one that is stored, if any. It says whether it is stored now.
func (w *Writer) put(
	ctx context.Context, o client.Object, stored *ledger.StoredReport, store *source.Store[*ledger.StoredReport],
) (written bool, err error) {
	operation, begun := metrics.OperationCreate, time.Now()
	if stored != nil {
		operation = metrics.OperationUpdate
		o.SetResourceVersion(stored.ResourceVersion)
		err = w.Client.Update(ctx, o, fieldOwner)
	} else {
		err = w.Client.Create(ctx, o, fieldOwner)
	}
	if err := w.done(operation, begun, o, err); err != nil {
		return false, err
	}
	if err != nil {
		return false, nil // nothing was stored, and nothing should be
	}
	return true, store.Observe(o)
}

func (w *Writer) delete(
	ctx context.Context, r client.Object, stored *ledger.StoredReport, store *source.Store[*ledger.StoredReport],
) error {
	r.SetNamespace(stored.Namespace)
	r.SetName(stored.Name)
	begun := time.Now()
	uid := stored.UID.Text()
	err := w.Client.Delete(ctx, r, client.Preconditions{UID: &uid})
	if apierrors.IsNotFound(err) {
		err = nil // the garbage collector was faster
	}
	if err := w.done(metrics.OperationDelete, begun, r, err); err != nil {
		return err
	}
	store.Forget(stored.Namespace, stored.Name)
	return nil
}

// done counts a write and tells its error apart: none if the namespace is on its way out and wants no reports, stale if
// what is known of the report is not up to date.
func (w *Writer) done(operation string, begun time.Time, o client.Object, err error) error {
	w.Operations.WriteSeconds.WithLabelValues(operation).Observe(time.Since(begun).Seconds())
	switch {
	case err == nil:
		w.Operations.Writes.WithLabelValues(operation, metrics.ResultSuccess).Inc()
		return nil
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || namespaceNotFound(err):
		return nil
	case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || operation == metrics.OperationUpdate && objectNotFound(err, o):
		w.Operations.Writes.WithLabelValues(operation, metrics.ResultConflict).Inc()
		return &staleError{err}
	}
	w.Operations.Writes.WithLabelValues(operation, metrics.ResultError).Inc()
	return fmt.Errorf("%s report %s: %w", operation, client.ObjectKeyFromObject(o), err)
}

func namespaceNotFound(err error) bool {
	status := apierrors.APIStatus(nil)
	return apierrors.IsNotFound(err) && errors.As(err, &status) &&
		status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
}

// objectNotFound tells a report that is gone from a kind that is not served.
func objectNotFound(err error, o client.Object) bool {
	status := apierrors.APIStatus(nil)
	return apierrors.IsNotFound(err) && errors.As(err, &status) &&
		status.Status().Details != nil && status.Status().Details.Name == o.GetName()
}

// joinStale joins errors, and is a *staleError only if all are.
func joinStale(errs []error) error {
	var stale *staleError
	worse := make([]error, 0, len(errs))
	for _, err := range errs {
		if s := (*staleError)(nil); errors.As(err, &s) {
			stale = s
		} else if err != nil {
			worse = append(worse, err)
		}
	}
	if len(worse) == 0 && stale != nil {
		return stale
	}
	return errors.Join(worse...)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	openreportsv1alpha1 "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/openreports"
	"github.com/kubersafe/kubersafe/internal/shard"
	"github.com/kubersafe/kubersafe/internal/source"
)

// OpenReportsReconciler copies every report with findings into a report of OpenReports, while those are served. Its key is a
// namespace, or "" for reports that are in none. It follows the reports that are stored, whoever has written them, and so needs
// nothing of what else the operator knows.
type OpenReportsReconciler struct {
	// Reader reads from the API server itself.
	Reader    client.Reader
	Writer    client.Writer
	Converter *openreports.Converter

	schedule *schedule
	// namespaced are those in namespaces; cluster are the others, nil where another shard copies them.
	namespaced, cluster *copies
}

// copies are reports of one kind and their copies.
type copies struct {
	// originals have the hash that their copy should have, copied the one that it has.
	originals, copied *source.Store[*copiedReport]
	followers         []*source.Follower
	// original makes an empty report, and copy the kind of copy that belongs to it.
	original func() client.Object
	copy     func(*openreportsv1alpha1.Report) client.Object
}

// synced says whether it is known what there is.
func (c *copies) synced() bool {
	return c != nil && !slices.ContainsFunc(c.followers, func(f *source.Follower) bool { return !f.Synced() })
}

// copiedReport is what is kept of an original or of a copy.
type copiedReport struct {
	audit.Object
	hash openreports.Hash
}

// Equal says whether there is nothing to be done if one becomes the other.
func (r *copiedReport) Equal(other *copiedReport) bool {
	return r.UID == other.UID && r.hash == other.hash
}

// What is copied is not urgent, and must not take the requests from what is.
const openReportsWorkers = 2

// SetupWithManager adds the reconciler to a manager. own serves the reports' API group.
func (r *OpenReportsReconciler) SetupWithManager(mgr ctrl.Manager, own rest.Interface, part shard.Shard) error {
	theirs, err := source.OpenReportsClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return err
	}
	r.schedule = newSchedule(namespaceMinWindow, namespaceMaxWindow)
	r.setup(own, theirs, part)
	return r.schedule.watch(mgr, "openreports", r, openReportsWorkers, r.begin)
}

// setup says what is followed: in namespaces what is in those of a shard, and what is in none in the first shard.
func (r *OpenReportsReconciler) setup(own, theirs rest.Interface, part shard.Shard) {
	r.namespaced = &copies{
		original: func() client.Object { return &v1alpha1.SecurityReport{} },
		copy:     func(o *openreportsv1alpha1.Report) client.Object { return o },
	}
	r.follow(r.namespaced, part, own, ledger.SecurityReports, theirs, openReports)
	if part.First() {
		r.cluster = &copies{
			original: func() client.Object { return &v1alpha1.ClusterSecurityReport{} },
			copy:     func(o *openreportsv1alpha1.Report) client.Object { return (*openreportsv1alpha1.ClusterReport)(o) },
		}
		r.follow(r.cluster, shard.Shard{}, own, ledger.ClusterSecurityReports, theirs, openClusterReports)
	}
}

// Resources of OpenReports.
const (
	openReports        audit.Resource = "reports.openreports.io"
	openClusterReports audit.Resource = "clusterreports.openreports.io"
)

func (r *OpenReportsReconciler) follow(
	c *copies, part shard.Shard, own rest.Interface, originals audit.Resource, theirs rest.Interface, copied audit.Resource,
) {
	c.originals = source.NewStore(func(o runtime.Object) (*copiedReport, error) {
		original, err := openreports.OriginalOf(o)
		if err != nil {
			return nil, err
		}
		return &copiedReport{audit.ObjectFrom(original.Meta), openreports.HashOf(r.Converter.Report(original))}, nil
	})
	c.copied = source.NewStore(func(o runtime.Object) (*copiedReport, error) {
		report, err := openreports.ReportOf(o)
		if err != nil {
			return nil, err
		}
		return &copiedReport{audit.ObjectFrom(report), openreports.HashOf(report)}, nil
	})
	add := func(namespace string) { r.schedule.add(requestFor(namespace), false) }
	settled := func() { r.addAll(c) }
	c.followers = []*source.Follower{
		source.NewFollower(part, originals, "", own, c.original(), c.originals, add, settled),
		source.NewFollower(part, copied, openreports.Selector, theirs, c.copy(&openreportsv1alpha1.Report{}), c.copied, add, settled),
	}
}

// addAll has everything looked at, once it is known what there is.
func (r *OpenReportsReconciler) addAll(c *copies) {
	if !c.synced() {
		return
	}
	add := func(namespace string) { r.schedule.add(requestFor(namespace), true) }
	c.originals.Namespaces(add)
	c.copied.Namespaces(add)
}

func (r *OpenReportsReconciler) begin(ctx context.Context) {
	for _, c := range []*copies{r.namespaced, r.cluster} {
		if c == nil {
			continue
		}
		for _, f := range c.followers {
			go f.Follow(ctx)
		}
	}
}

// Reconcile makes the copies in a namespace what they should be.
func (r *OpenReportsReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	r.schedule.begin(req)
	begun := time.Now()
	c := r.namespaced
	if req.Name == "" {
		c = r.cluster
	}
	var err error
	if c.synced() {
		err = r.copyAll(ctx, c, req.Name)
	}
	r.schedule.end(req, time.Since(begun), err != nil, len(c.originals.List(req.Name)) == 0)
	if stale := (*staleError)(nil); errors.As(err, &stale) {
		return ctrl.Result{RequeueAfter: r.schedule.backoff(req)}, nil
	}
	return ctrl.Result{}, err
}

// copyAll writes the copies that differ and deletes those of which there is no original with findings.
func (r *OpenReportsReconciler) copyAll(ctx context.Context, c *copies, namespace string) error {
	var errs []error
	wanted := make(map[string]bool)
	for _, original := range c.originals.List(namespace) {
		if original.hash == (openreports.Hash{}) {
			continue
		}
		wanted[original.Name] = true
		if copied, ok := c.copied.Get(namespace, original.Name); !ok || copied.hash != original.hash {
			errs = append(errs, r.write(ctx, c, original, copied))
		}
	}
	for _, copied := range c.copied.List(namespace) {
		if !wanted[copied.Name] {
			errs = append(errs, r.delete(ctx, c, copied))
		}
	}
	return joinStale(errs)
}

// write copies a report. What has become of it meanwhile the watch tells, and then it is copied again.
func (r *OpenReportsReconciler) write(ctx context.Context, c *copies, original, copied *copiedReport) error {
	o := c.original()
	err := r.Reader.Get(ctx, client.ObjectKey{Namespace: original.Namespace, Name: original.Name}, o)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read report %s/%s to copy it: %w", original.Namespace, original.Name, err)
	}
	current, err := openreports.OriginalOf(o)
	if err != nil {
		return err
	}
	report := r.Converter.Report(current)
	if report == nil {
		return nil
	}
	to := c.copy(report)
	if copied == nil {
		err = r.Writer.Create(ctx, to, fieldOwner)
		if apierrors.IsAlreadyExists(err) {
			copied, err = r.unlabelled(ctx, c, to)
		}
	}
	if copied != nil && err == nil {
		to.SetResourceVersion(copied.ResourceVersion)
		err = r.Writer.Update(ctx, to, fieldOwner)
	}
	if err != nil {
		return copyError("write", to, err)
	}
	return c.copied.Observe(to)
}

// unlabelled returns a copy that has lost the label by which copies are followed. A report of the same name that is not ours is
// left alone.
func (r *OpenReportsReconciler) unlabelled(ctx context.Context, c *copies, to client.Object) (*copiedReport, error) {
	there := c.copy(&openreportsv1alpha1.Report{})
	if err := r.Reader.Get(ctx, client.ObjectKeyFromObject(to), there); err != nil {
		return nil, err
	}
	if !slices.Equal(there.GetOwnerReferences(), to.GetOwnerReferences()) {
		return nil, errors.New("there is one of this name that the operator has not written")
	}
	return &copiedReport{Object: audit.ObjectFrom(there)}, nil
}

func (r *OpenReportsReconciler) delete(ctx context.Context, c *copies, copied *copiedReport) error {
	o := c.copy(&openreportsv1alpha1.Report{ObjectMeta: metav1.ObjectMeta{Namespace: copied.Namespace, Name: copied.Name}})
	uid := copied.UID.Text()
	err := r.Writer.Delete(ctx, o, client.Preconditions{UID: &uid})
	if err != nil && !objectNotFound(err, o) { // the garbage collector may be faster
		return copyError("delete", o, err)
	}
	c.copied.Forget(copied.Namespace, copied.Name)
	return nil
}

// copyError tells errors apart: none if the namespace is on its way out, stale if what is known is not up to date, also of
// whether the kind is served.
func copyError(doing string, o client.Object, err error) error {
	err = fmt.Errorf("%s copy of report %s: %w", doing, client.ObjectKeyFromObject(o), err)
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || namespaceNotFound(err):
		return nil
	case apierrors.IsConflict(err) || apierrors.IsNotFound(err):
		return &staleError{err}
	}
	return err
}

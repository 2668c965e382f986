// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/configuration"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/source"
)

// SettingsReconciler tells, in their status, what became of the AuditConfiguration and of exceptions: what of the former is
// ignored, and which of the latter hold and match. It trails the namespaces: what an exception matches is known once its
// namespace has been judged with it. Its keys are namespaces, for their SecurityExceptions, and settingsOfCluster.
type SettingsReconciler struct {
	Sources       *source.Sources
	Ledger        *ledger.Ledger
	Configuration *configuration.Live
	Client        client.Client
	Audited       *Progress
	// Now is the clock; time.Now if nil.
	Now func() time.Time

	schedule *schedule
}

// settingsOfCluster is the key of the AuditConfiguration and the ClusterSecurityExceptions.
var settingsOfCluster = requestFor("cluster")

// settingsOf is the key of a namespace's SecurityExceptions.
func settingsOf(namespace string) reconcile.Request {
	var r reconcile.Request
	r.Namespace = namespace
	return r
}

// SetupWithManager adds the reconciler to a manager.
func (r *SettingsReconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Now == nil {
		r.Now = time.Now
	}
	r.schedule = newSchedule(time.Second, clusterWindow)
	return r.schedule.watch(mgr, "settings", r, 1, r.begin)
}

func (r *SettingsReconciler) begin(context.Context) {
	r.Ledger.OnPut(r.look)
	for _, namespace := range r.Ledger.Namespaces() { // that were judged before anybody listened
		r.look(namespace)
	}
	r.Sources.OnEvent(func(e source.Event) {
		if e.Resource == audit.AuditConfigurations || e.Resource == audit.ClusterSecurityExceptions {
			r.LookAtCluster()
		}
	})
	r.LookAtCluster()
}

// look has the exceptions looked at that may be about what was decided of a namespace.
func (r *SettingsReconciler) look(namespace string) {
	if namespace != "" && len(r.Sources.Exceptions(namespace)) > 0 {
		r.schedule.add(settingsOf(namespace), false)
	}
	if len(r.Sources.Exceptions("")) > 0 {
		r.LookAtCluster()
	}
}

// LookAtCluster has what belongs to no namespace looked at, soon, by the first shard.
func (r *SettingsReconciler) LookAtCluster() {
	if r.Sources.Shard().First() && r.Audited.Complete() {
		r.schedule.add(settingsOfCluster, false)
	}
}

// Reconcile writes each status that has changed.
func (r *SettingsReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	r.schedule.begin(req)
	begun := time.Now()
	current := r.Configuration.Current()
	limits := current.Settings().Exceptions
	var errs []error
	if req == settingsOfCluster {
		errs = append(errs, r.writeConfiguration(ctx, current))
	} else {
		limits = current.SetFor(req.Namespace, r.Sources.Namespace(req.Namespace).GetLabels()).Settings().Exceptions
	}
	uses := r.Ledger.Uses(req.Namespace)
	exceptions := r.Sources.Exceptions(req.Namespace)
	for i, s := range ledger.StatesOf(exceptions, &limits, uses, current.Check, r.Now()) {
		errs = append(errs, r.writeException(ctx, exceptions[i], s))
	}
	err := errors.Join(errs...)
	r.schedule.end(req, time.Since(begun), err != nil, len(exceptions) == 0)
	return ctrl.Result{RequeueAfter: r.untilNextEnd(exceptions)}, err
}

// untilNextEnd returns how long to wait for the next exception to end, which need not be an event; 0 if none will.
func (r *SettingsReconciler) untilNextEnd(exceptions []*audit.ExceptionRecord) time.Duration {
	var wait time.Duration
	now := r.Now()
	for _, e := range exceptions {
		if e.Expires == nil || !e.Expires.Time().After(now) {
			continue
		}
		if left := until(e.Expires.Time(), now); wait == 0 || left < wait {
			wait = left
		}
	}
	return wait
}

// +kubebuilder:rbac:groups=audit.kubersafe.io,resources=auditconfigurations/status;securityexceptions/status;clustersecurityexceptions/status,verbs=patch

func (r *SettingsReconciler) writeConfiguration(ctx context.Context, current *configuration.Configuration) error {
	record, ok := r.Sources.Configuration()
	if !ok || current.Of == nil || !record.Equal(current.Of) {
		return nil // there is none, or a newer one that an event tells of
	}
	condition := metav1.Condition{Type: v1alpha1.ConditionValid, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonAllHolds}
	if len(current.Problems) > 0 {
		condition.Status, condition.Reason = metav1.ConditionFalse, v1alpha1.ReasonPartlyIgnored
		condition.Message = listed(current.Problems)
	}
	status := v1alpha1.AuditConfigurationStatus{
		ObservedGeneration: record.Generation, Conditions: r.conditions(record.Status.Conditions, condition, record.Generation),
	}
	if equality.Semantic.DeepEqual(status, record.Status) {
		return nil
	}
	return r.patch(ctx, &v1alpha1.AuditConfiguration{ObjectMeta: metav1.ObjectMeta{Name: record.Name}}, status)
}

// maxCondition is the longest message of a condition.
const maxCondition = 32768

// listed lists problems, a line each.
func listed(problems []configuration.Problem) string {
	var lines strings.Builder
	for i, p := range problems {
		line := p.String() + "\n"
		rest := fmt.Sprintf("and %d more", len(problems)-i)
		if lines.Len()+len(line)+len(rest) > maxCondition {
			return lines.String() + rest
		}
		lines.WriteString(line)
	}
	return strings.TrimSuffix(lines.String(), "\n")
}

func (r *SettingsReconciler) writeException(ctx context.Context, e *audit.ExceptionRecord, s ledger.ExceptionState) error {
	condition := metav1.Condition{Type: v1alpha1.ConditionActive, Status: metav1.ConditionFalse, Reason: s.Reason, Message: s.Message}
	if s.Holds {
		condition.Status = metav1.ConditionTrue
	}
	status := v1alpha1.ExceptionStatus{
		ObservedGeneration: e.Generation, Matches: s.Matches, Conditions: r.conditions(e.Status.Conditions, condition, e.Generation),
	}
	if equality.Semantic.DeepEqual(status, e.Status) {
		return nil
	}
	name := metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name}
	if e.Cluster() {
		return r.patch(ctx, &v1alpha1.ClusterSecurityException{ObjectMeta: name}, status)
	}
	return r.patch(ctx, &v1alpha1.SecurityException{ObjectMeta: name}, status)
}

// conditions returns conditions with one of them set.
func (r *SettingsReconciler) conditions(stored []metav1.Condition, c metav1.Condition, generation int64) []metav1.Condition {
	conditions := slices.Clone(stored)
	c.ObservedGeneration, c.LastTransitionTime = generation, metav1.NewTime(r.Now().UTC().Truncate(time.Second))
	meta.SetStatusCondition(&conditions, c)
	return conditions
}

// patch writes a status whole.
func (r *SettingsReconciler) patch(ctx context.Context, o client.Object, status any) error {
	encoded, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	err = r.Client.Status().Patch(ctx, o, client.RawPatch(types.MergePatchType, encoded), fieldOwner)
	if apierrors.IsNotFound(err) {
		return nil // it has just gone
	}
	return err
}

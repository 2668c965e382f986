// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record/util"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/metrics"
)

// What Events say beside their notes.
const (
	reasonFound    = "SecurityFindings"
	reasonResolved = "SecurityFindingsResolved"
	auditing       = "Audit"
)

// Events are a courtesy, and their writes must not count beside those of reports. An object whose findings come and go gets
// the first Events at once, and then one for all that has changed in a minute; all objects together get them at a rate. What a
// rollout of dozens of workloads brings is told within seconds; what is far more than that is nothing that people read one by one.
const (
	objectEventBurst     = 4
	objectEventPerSecond = 1.0 / 60
	eventBurst           = 50
	eventPerSecond       = 5
	// maxAnnouncements wait; at that rate for 200 seconds.
	maxAnnouncements = 1000
	// announcementTries is how often an Event is tried; after that what it says is old.
	announcementTries = 4
)

// maxNote is the longest note that the API server takes, in bytes.
const maxNote = 1024

// Announcer tells of findings that have come or gone in Events on the objects that reports are about. Nobody waits for it.
//
// It tells what a report that has been stored says and the one before did not. What was pending when the operator ended is told
// by nobody: an Event may be missing, but is never told twice.
type Announcer struct {
	Client     client.Writer
	Operations *metrics.Operations
	// Least is the least severity of findings that are told of.
	Least v1alpha1.Severity
	// Hidden says of a check that whoever reads Events is not to be told what it finds.
	Hidden func(check string) bool
	// Now is the clock.
	Now func() time.Time

	instance string
	objects  limits
	total    *rate.Limiter
	queue    workqueue.TypedRateLimitingInterface[client.ObjectKey]
	// failing is of the one that announces.
	failing bool

	mu      sync.Mutex
	pending map[client.ObjectKey]*announcement
}

// announcement is what is to be told about one object.
type announcement struct {
	// from is what was decided when it was told of last.
	from   *ledger.Entry
	events []*eventsv1.Event
}

// NewAnnouncer returns an announcer that tells of findings of a severity or worse.
func NewAnnouncer(c client.Writer, operations *metrics.Operations, least v1alpha1.Severity, hidden func(check string) bool) *Announcer {
	host, _ := os.Hostname() // without a name it is one of those without
	return &Announcer{
		Client: c, Operations: operations, Least: least, Hidden: hidden, Now: time.Now,
		instance: "kubersafe-" + host,
		objects:  limits{perSecond: objectEventPerSecond, burst: objectEventBurst},
		total:    rate.NewLimiter(eventPerSecond, eventBurst),
		queue:    workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[client.ObjectKey](time.Second, maxBackoff)),
		pending:  make(map[client.ObjectKey]*announcement),
	}
}

// changed announces what a verdict says and what was decided before does not; nothing if from is nil. It does not block. Of what
// may end by itself it is told once that has lasted for a while: what is gone by then, nobody looks at.
func (a *Announcer) changed(from *ledger.Entry, v ledger.Verdict) {
	if a == nil || from == nil || from.Hash == v.Hash {
		return
	}
	r := v.Build()
	key := client.ObjectKeyFromObject(r)
	a.mu.Lock()
	defer a.mu.Unlock()
	before, waits := a.pending[key]
	if waits {
		from = before.from
	}
	events := a.events(from, v.Entry, r)
	switch {
	case len(events) == 0:
		delete(a.pending, key)
	case waits:
		before.events = events
	case len(a.pending) == maxAnnouncements:
		a.Operations.Events.WithLabelValues(metrics.ResultDropped).Add(float64(len(events)))
	default:
		a.pending[key] = &announcement{from, events}
		now := a.Now()
		a.queue.AddAfter(key, max(a.objects.reserve(key.String(), now), v.Created.Add(briefLasts).Sub(now)))
	}
}

// gone forgets what was to be told about an object that is gone.
func (a *Announcer) gone(key client.ObjectKey) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.pending, key)
}

// events returns what is to be told: what is new, and what is resolved.
func (a *Announcer) events(from, to *ledger.Entry, r *v1alpha1.SecurityReport) []*eventsv1.Event {
	c := ledger.ChangeOf(from, to, r, a.Least)
	c.New = slices.DeleteFunc(c.New, func(f v1alpha1.Finding) bool { return a.Hidden(f.Check) })
	maps.DeleteFunc(c.Gone, func(check string, _ int32) bool { return a.Hidden(check) })
	var events []*eventsv1.Event
	if len(c.New) > 0 {
		events = append(events, a.event(r, corev1.EventTypeWarning, reasonFound, noteOfNew(c.New, r.Name)))
	}
	if len(c.Gone) > 0 {
		events = append(events, a.event(r, corev1.EventTypeNormal, reasonResolved, noteOfGone(c.Gone)))
	}
	return events
}

// event returns an Event on the subject of a report. It is in the report's namespace even if the subject is that namespace:
// who may read Events there is who is to know, and nobody else.
func (a *Announcer) event(r *v1alpha1.SecurityReport, kind, reason, note string) *eventsv1.Event {
	now := a.Now()
	s := &r.Subject
	return &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: r.Namespace, Name: util.GenerateEventName(r.Name+"."+strings.ToLower(reason), now.UnixNano())},
		EventTime:           metav1.NewMicroTime(now),
		ReportingController: string(fieldOwner),
		ReportingInstance:   cut(a.instance, 128),
		Action:              auditing,
		Reason:              reason,
		Type:                kind,
		Note:                note,
		Regarding: corev1.ObjectReference{
			APIVersion: s.APIVersion, Kind: s.Kind, Namespace: r.Namespace, Name: s.Name, UID: types.UID(s.UID),
		},
		Related: &corev1.ObjectReference{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "SecurityReport", Namespace: r.Namespace, Name: r.Name, UID: r.UID,
		},
	}
}

// Of new findings the worst are told: people read it in one line of kubectl, and it must not be longer than maxNote.
const (
	toldFindings = 3
	maxTold      = 200
)

func noteOfNew(findings []v1alpha1.Finding, name string) string {
	var note strings.Builder
	note.WriteString("New finding: ")
	if len(findings) > 1 {
		note.Reset()
		fmt.Fprintf(&note, "%d new findings: ", len(findings))
	}
	for i := range findings[:min(toldFindings, len(findings))] {
		f := &findings[i]
		fmt.Fprintf(&note, "%s %s: %s; ", f.Severity, f.Check, cut(f.Message, maxTold))
	}
	if more := len(findings) - toldFindings; more > 0 {
		fmt.Fprintf(&note, "and %d more; ", more)
	}
	note.WriteString("see securityreport/" + name)
	return cut(note.String(), maxNote)
}

func noteOfGone(gone map[string]int32) string {
	checks := slices.Sorted(maps.Keys(gone))
	for i, check := range checks {
		if n := gone[check]; n > 1 {
			checks[i] = fmt.Sprintf("%s (%d)", check, n)
		}
	}
	return cut("Resolved: "+strings.Join(checks, ", "), maxNote)
}

// cut returns at most limit bytes of a text. What is cut ends in "…".
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit - len("…")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

// Start tells what there is to be told until the context ends.
func (a *Announcer) Start(ctx context.Context) error {
	defer context.AfterFunc(ctx, a.queue.ShutDown)()
	for {
		key, ending := a.queue.Get()
		if ending {
			return nil
		}
		a.announce(ctx, key)
		a.queue.Done(key)
	}
}

// NeedLeaderElection is true: followers write no reports, and so have nothing to tell.
func (a *Announcer) NeedLeaderElection() bool { return true }

// announce tells what is to be told about one object.
func (a *Announcer) announce(ctx context.Context, key client.ObjectKey) {
	a.mu.Lock()
	pending := a.pending[key]
	delete(a.pending, key)
	a.mu.Unlock()
	for pending != nil && len(pending.events) > 0 {
		if a.total.Wait(ctx) != nil {
			return // the operator is ending
		}
		err := a.Client.Create(ctx, pending.events[0])
		switch {
		case err == nil || apierrors.IsAlreadyExists(err): // an earlier try was answered too late
			a.Operations.Events.WithLabelValues(metrics.ResultSuccess).Inc()
			a.failing = false
		case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) || namespaceNotFound(err):
		case ctx.Err() == nil && mayPass(err) && a.queue.NumRequeues(key) < announcementTries-1 && a.putBack(key, pending):
			a.queue.AddRateLimited(key)
			return
		default:
			a.Operations.Events.WithLabelValues(metrics.ResultError).Inc()
			if !a.failing { // once, or it would be in the log as often as in the metric
				log.FromContext(ctx).Info("Events cannot be written", "report", key.String(), "reason", err.Error())
			}
			a.failing = true
		}
		pending.events = pending.events[1:]
	}
	a.queue.Forget(key)
}

// mayPass says whether an error may be gone at another try.
func mayPass(err error) bool {
	return !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) && !apierrors.IsNotFound(err)
}

// putBack has something tried again, unless there is more to be told by now: it would be told out of order.
func (a *Announcer) putBack(key client.ObjectKey, p *announcement) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pending[key] != nil {
		return false
	}
	a.pending[key] = p
	return true
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// schedule decides when a key is reconciled: at once if it was quiet, and else not before a window has passed since the
// last time, so that a burst of events is one reconciliation. The window is a multiple of what the key cost last, so one
// busy key takes a tenth of one processor, or what one reconciliation in maxWindow costs if that is more, but never more than
// half of one: whoever fills a namespace with what is dear to judge must leave time for the others.
type schedule struct {
	// minWindow is the least time between two reconciliations of one key, maxWindow the most that a key is made to wait unless it
	// takes longer itself.
	minWindow, maxWindow time.Duration
	now                  func() time.Time

	mu    sync.Mutex
	queue priorityqueue.PriorityQueue[reconcile.Request]
	keys  map[reconcile.Request]*keyState
	// unsettled is the number of keys that wait, run or have failed.
	unsettled int
}

// dutyFactor makes the window ten times what a reconciliation costs.
const dutyFactor = 10

type keyState struct {
	// waiting: added and not begun, or failed. running: begun. again: added while running.
	waiting, running, again bool
	// free is when the window ends.
	free time.Time
	// changed is when it was first added since it last began, not in bulk; zero if it was not.
	changed time.Time
	// amongAll: added among all since it last began.
	amongAll bool
	// failures in a row.
	failures int
}

func newSchedule(minWindow, maxWindow time.Duration) *schedule {
	return &schedule{minWindow: minWindow, maxWindow: maxWindow, now: time.Now, keys: make(map[reconcile.Request]*keyState)}
}

// start takes the queue. What is added before is dropped: every controller begins by adding all there is.
func (s *schedule) start(q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	queue, ok := q.(priorityqueue.PriorityQueue[reconcile.Request])
	if !ok {
		return fmt.Errorf("the controller's queue is a %T, not a priority queue", q)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = queue
	return nil
}

// add has a key reconciled. Keys added in bulk wait behind those that have changed.
func (s *schedule) add(key reconcile.Request, bulk bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue != nil {
		s.addLocked(key, bulk)
	}
}

// addAmongAll is add in bulk for a key that is reconciled because all are.
func (s *schedule) addAmongAll(key reconcile.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue != nil {
		s.state(key).amongAll = true
		s.addLocked(key, true)
	}
}

func (s *schedule) addLocked(key reconcile.Request, bulk bool) {
	k := s.state(key)
	if !bulk && k.changed.IsZero() {
		k.changed = s.now()
	}
	if k.running {
		k.again = true
		return
	}
	if !k.waiting {
		k.waiting = true
		s.unsettled++
	}
	s.enqueue(key, k, bulk)
}

func (s *schedule) state(key reconcile.Request) *keyState {
	k := s.keys[key]
	if k == nil {
		k = &keyState{}
		s.keys[key] = k
	}
	return k
}

func (s *schedule) enqueue(key reconcile.Request, k *keyState, bulk bool) {
	opts := priorityqueue.AddOpts{After: max(0, k.free.Sub(s.now()))}
	if bulk {
		opts.Priority = ptr.To(handler.LowPriority)
	}
	s.queue.AddWithOpts(opts, key)
}

// begin notes that a key is being reconciled. It returns when the first change came that it has not been reconciled for, or
// zero if that was added in bulk or by the controller; and whether all were added since it last began.
func (s *schedule) begin(key reconcile.Request) (changed time.Time, amongAll bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.state(key)
	if !k.waiting {
		s.unsettled++ // requeued by the controller
	}
	k.waiting, k.running = false, true
	changed, amongAll = k.changed, k.amongAll
	k.changed, k.amongAll = time.Time{}, false
	return changed, amongAll
}

// end notes how that ended, and what it cost in computation; waiting for the API server is not counted. A key that failed
// is added again by the controller, and one that is gone is forgotten.
func (s *schedule) end(key reconcile.Request, cost time.Duration, failed, gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	k.running = false
	k.free = s.now().Add(max(cost, min(s.maxWindow, max(s.minWindow, dutyFactor*cost))))
	if k.failures++; !failed {
		k.failures = 0
	}
	switch {
	case k.again:
		k.again, k.waiting = false, true
		s.enqueue(key, k, false)
	case failed:
		k.waiting = true
	default:
		s.unsettled--
		if gone {
			delete(s.keys, key)
		}
	}
}

// backoff returns how long a key that has failed is to be left alone.
func (s *schedule) backoff(key reconcile.Request) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	const doublings = 8 // to maxBackoff and no further
	return min(maxBackoff, minBackoff<<min(doublings, max(0, s.state(key).failures-1)))
}

// settled says whether nothing waits, runs or has failed.
func (s *schedule) settled() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unsettled == 0
}

// settledOf says whether a key does not wait or run and has not failed.
func (s *schedule) settledOf(key reconcile.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	return k == nil || !k.waiting && !k.running
}

// watch adds a controller to a manager, whose work comes from a schedule. begin is called once it runs.
func (s *schedule) watch(mgr ctrl.Manager, name string, r reconcile.Reconciler, workers int, begin func(context.Context)) error {
	c, err := controller.New(name, mgr, controller.Options{
		Reconciler:              r,
		MaxConcurrentReconciles: workers,
		UsePriorityQueue:        new(true),
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](minBackoff, maxBackoff),
	})
	if err != nil {
		return fmt.Errorf("%s controller: %w", name, err)
	}
	return c.Watch(scheduleSource{s, begin})
}

// scheduleSource makes the schedule a source of a controller: begin is called once the controller runs.
type scheduleSource struct {
	schedule *schedule
	begin    func(context.Context)
}

// Start implements source.Source.
func (s scheduleSource) Start(ctx context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	if err := s.schedule.start(q); err != nil {
		return err
	}
	go s.begin(ctx)
	return nil
}

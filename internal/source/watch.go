// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// retry paces a source that cannot be read: soon enough for somebody who has just granted it, or for an API server that is back,
// and no load on one that refuses.
var retry = wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 10 * time.Second}

// retryReset is how long a source must have been followed to be retried as soon as at first.
const retryReset = 2 * time.Minute

// revocationGrace is how long a source that could be read, or was not served, must be refused in another way before that counts. An
// API server that starts refuses what it will allow as soon as it has read its roles, and does not know of all that it serves: a blip
// must not rewrite every report twice.
const revocationGrace = 15 * time.Second

// watcher keeps one resource listed and watched, and knows whether that works.
type watcher struct {
	resource audit.Resource
	run      func(context.Context)
	now      func() time.Time
	// changed is called after every change of state.
	changed func()

	mu    sync.Mutex
	state v1alpha1.SourceState
	// watching: the last watch could be opened.
	watching bool
	// listed: the store holds what the API server has or had, and no later list was refused. A list is tried before each
	// new watch.
	listed bool
	// refusal is what the API server's refusals mean; "" if it does not refuse.
	refusal v1alpha1.SourceState
	// refusedSince is when it began to refuse otherwise than the state says.
	refusedSince time.Time
}

// newWatcher returns a watcher that fills a store. Its list and watch are observed on their way: the Reflector itself does
// not tell when it works again.
func newWatcher[R Record[R]](resource audit.Resource, from listWatcher, example runtime.Object, store *Store[R]) *watcher {
	w := &watcher{resource: resource, now: time.Now, state: v1alpha1.SourceSyncing, changed: func() {}}
	observed := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list, err := from.ListWithContext(ctx, options)
			w.observe(err, false)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			events, err := from.WatchWithContext(ctx, options)
			w.observe(err, true)
			return events, err
		},
	}
	// A watch that an API server which is away or overloaded refuses is tried again within the Reflector, from where it was. By
	// default that comes to wait for a minute.
	reflector := cache.NewReflectorWithOptions(
		observed, example, syncTelling[R]{store, w}, cache.ReflectorOptions{Name: string(resource), Backoff: &retry})
	w.run = func(ctx context.Context) { w.follow(ctx, reflector) }
	return w
}

// follow keeps a reflector listing and watching. Its own loop would log each refusal as an error, and there may be one every
// ten seconds for as long as the cluster is there: here it is logged once.
func (w *watcher) follow(ctx context.Context, reflector *cache.Reflector) {
	var told v1alpha1.SourceState
	_ = retry.DelayWithReset(clock.RealClock{}, retryReset).Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		err := reflector.ListAndWatchWithContext(ctx)
		refusal := refusalOf(err)
		switch {
		case refusal == "" && err != nil:
			cache.DefaultWatchErrorHandler(ctx, reflector, err)
		case refusal != "" && refusal != told:
			klog.FromContext(ctx).Info("Not read, and tried again from time to time", "resource", w.resource, "state", refusal, "reason", err.Error())
		}
		told = refusal
		return false, nil // until ctx ends
	})
}

// syncTelling tells the watcher when the store is complete.
type syncTelling[R Record[R]] struct {
	*Store[R]
	w *watcher
}

// Replace implements cache.ReflectorStore.
func (s syncTelling[R]) Replace(list []any, resourceVersion string) error {
	if err := s.Store.Replace(list, resourceVersion); err != nil {
		return err
	}
	s.w.update(func() { s.w.listed = true })
	return nil
}

// observe notes the outcome of a request. Any error but a refusal is passing, and what was read last stays the best that
// is known. Only a watch that opens ends a refusal: to list is not enough.
func (w *watcher) observe(err error, isWatch bool) {
	w.update(func() {
		refusal := refusalOf(err)
		switch {
		case err == nil && isWatch:
			w.watching, w.refusal = true, ""
		case err == nil:
		case refusal == "":
			w.watching = false
		default:
			if w.refusal == "" || w.refusal == w.state {
				w.refusedSince = w.now()
			}
			w.watching, w.refusal = false, refusal
			if !isWatch {
				w.listed = false
			}
		}
	})
}

func refusalOf(err error) v1alpha1.SourceState {
	switch {
	case apierrors.IsForbidden(err):
		return v1alpha1.SourceForbidden
	case apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err):
		return v1alpha1.SourceNotServed
	}
	return ""
}

func (w *watcher) update(change func()) {
	w.mu.Lock()
	change()
	before := w.state
	settled := before == v1alpha1.SourceSynced || before == v1alpha1.SourceNotServed
	switch {
	case w.refusal != "" && (!settled || w.now().Sub(w.refusedSince) >= revocationGrace):
		w.state = w.refusal
	case w.refusal == "" && w.listed:
		w.state = v1alpha1.SourceSynced
	case w.refusal == "" && before != v1alpha1.SourceSynced && before != v1alpha1.SourceNotServed:
		// What has just come to be served has nothing yet that is waited for.
		w.state = v1alpha1.SourceSyncing
	}
	changed := w.state != before
	w.mu.Unlock()
	if changed {
		w.changed()
	}
}

// Status returns the state, and why it is so if the source cannot be read. The message depends on nothing but the state,
// so that it can stand in a report.
func (w *watcher) Status() v1alpha1.SourceStatus {
	w.mu.Lock()
	defer w.mu.Unlock()
	return v1alpha1.SourceStatus{Resource: string(w.resource), State: w.state, Message: stateMessage(w.resource, w.state)}
}

func stateMessage(r audit.Resource, state v1alpha1.SourceState) string {
	switch state {
	case v1alpha1.SourceForbidden:
		return fmt.Sprintf("the operator may not list and watch %s", r)
	case v1alpha1.SourceNotServed:
		if r == audit.ImageReports {
			return "image scanning is not installed" // it stands in every report
		}
		return fmt.Sprintf("the API server does not serve %s", r)
	case v1alpha1.SourceSyncing:
		return fmt.Sprintf("%s have not been read yet", r)
	case v1alpha1.SourceSynced:
	}
	return ""
}

// current says whether the source follows the API server at this moment.
func (w *watcher) current() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.watching && w.state == v1alpha1.SourceSynced || w.state == w.refusal
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	toolswatch "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// follower notes when which version of the objects of a kind became known to a client that watches them.
type follower struct {
	stop func()

	mu   sync.Mutex
	seen map[client.ObjectKey][]sighting
	// ended says why there will be no news; nil while there may be.
	ended error
	// news is closed when anything is added to seen, or it has ended.
	news chan struct{}
}

type sighting struct {
	version uint64
	at      time.Time
}

// follow watches the metadata of all objects of a kind in a namespace, or in all if it is "", from now on.
func (b *bench) follow(ctx context.Context, gvk schema.GroupVersionKind, namespace string) (*follower, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(gvk)
	now := &metav1.ListOptions{Limit: 1}
	if err := b.client.List(ctx, list, &client.ListOptions{Namespace: namespace, Raw: now}); err != nil {
		return nil, err
	}
	// An API server that has much to do ends watches of those that do not read fast enough.
	events, err := toolswatch.NewRetryWatcherWithContext(ctx, list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, from metav1.ListOptions) (watch.Interface, error) {
			list := &metav1.PartialObjectMetadataList{}
			list.SetGroupVersionKind(gvk)
			return b.client.Watch(ctx, list, &client.ListOptions{Namespace: namespace, Raw: &from})
		},
	})
	if err != nil {
		return nil, err
	}
	f := &follower{stop: events.Stop, seen: make(map[client.ObjectKey][]sighting), news: make(chan struct{})}
	go func() {
		for e := range events.ResultChan() {
			f.note(e)
		}
	}()
	return f, nil
}

func (f *follower) note(e watch.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o, ok := e.Object.(*metav1.PartialObjectMetadata); ok {
		key := client.ObjectKeyFromObject(o)
		f.seen[key] = append(f.seen[key], sighting{versionOf(o), time.Now()})
	} else {
		f.ended = apierrors.FromObject(e.Object)
	}
	close(f.news)
	f.news = make(chan struct{})
}

// awaitTimeout bounds the wait for one report. Measured: milliseconds.
const awaitTimeout = time.Minute

// await returns when the first version of an object after a given one was seen.
func (f *follower) await(ctx context.Context, key client.ObjectKey, after uint64) (time.Time, error) {
	timeout := time.NewTimer(awaitTimeout)
	defer timeout.Stop()
	for {
		f.mu.Lock()
		news, ended := f.news, f.ended
		for _, s := range f.seen[key] {
			if s.version > after {
				f.mu.Unlock()
				return s.at, nil
			}
		}
		f.mu.Unlock()
		if ended != nil {
			return time.Time{}, fmt.Errorf("watch for %s: %w", key, ended)
		}
		select {
		case <-ctx.Done():
			return time.Time{}, ctx.Err()
		case <-timeout.C:
			return time.Time{}, fmt.Errorf("nobody wrote %s within %s", key, awaitTimeout)
		case <-news:
		}
	}
}

// versionOf returns the resource version, which counts what etcd stores. 0 if it is none.
func versionOf(o client.Object) uint64 {
	v, err := strconv.ParseUint(o.GetResourceVersion(), 10, 64)
	if err != nil {
		return 0
	}
	return v
}

// change is one change to the cluster that a report must show.
type change struct {
	report   client.ObjectKey
	version  uint64
	answered time.Time
}

// latency waits for the report of a change, and returns how long after the API server's answer a client knew of it.
func (f *follower) latency(ctx context.Context, c change) (time.Duration, error) {
	at, err := f.await(ctx, c.report, c.version)
	return max(0, at.Sub(c.answered)), err
}

var (
	reportKind    = v1alpha1.GroupVersion.WithKind("SecurityReport")
	configMapKind = corev1.SchemeGroupVersion.WithKind("ConfigMap")
)

// floor is the least that a change can take to show: a bare client that gets a watch event and writes one object, of the size
// of a report. It is a ConfigMap, which costs the API server less than a custom resource.
type floor struct {
	b        *bench
	follower *follower
	in       *corev1.ConfigMap
	stop     func()
}

const (
	floorNamespace          = "bench-floor"
	floorInput, floorOutput = "in", "out"
	// reportSize is about that of a stored report.
	reportSize = 2 << 10
)

// newFloor starts the bare client.
func (b *bench) newFloor(ctx context.Context) (*floor, error) {
	f := &floor{b: b, in: &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: floorNamespace, Name: floorInput}}}
	out := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: floorNamespace, Name: floorOutput}, Data: map[string]string{"report": strings.Repeat("x", reportSize)},
	}
	for _, o := range []*corev1.ConfigMap{f.in, out} {
		if err := client.IgnoreAlreadyExists(b.client.Create(ctx, o)); err != nil {
			return nil, err
		}
		if err := b.client.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return nil, err
		}
	}
	events, err := b.client.Watch(ctx, &corev1.ConfigMapList{}, &client.ListOptions{
		Namespace: floorNamespace, Raw: &metav1.ListOptions{ResourceVersion: out.ResourceVersion},
	})
	if err != nil {
		return nil, err
	}
	go func() {
		for e := range events.ResultChan() {
			if o, ok := e.Object.(*corev1.ConfigMap); !ok || o.Name != floorInput {
				continue
			}
			metav1.SetMetaDataAnnotation(&out.ObjectMeta, "bench/round", time.Now().String())
			if err := b.client.Update(ctx, out); err != nil {
				b.log("the bare client: %v", err) // whoever waits for it will fail
				return
			}
		}
	}()
	if f.follower, err = b.follow(ctx, configMapKind, floorNamespace); err != nil {
		events.Stop()
		return nil, err
	}
	f.stop = func() { events.Stop(); f.follower.stop() }
	return f, nil
}

// sample measures once.
func (f *floor) sample(ctx context.Context) (time.Duration, error) {
	metav1.SetMetaDataAnnotation(&f.in.ObjectMeta, "bench/round", time.Now().String())
	if err := f.b.client.Update(ctx, f.in); err != nil {
		return 0, err
	}
	return f.follower.latency(ctx, change{client.ObjectKey{Namespace: floorNamespace, Name: floorOutput}, versionOf(f.in), time.Now()})
}

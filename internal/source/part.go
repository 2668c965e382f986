// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/kubersafe/kubersafe/internal/shard"
)

// listWatcher is what a Reflector reads from.
type listWatcher interface {
	ListWithContext(context.Context, metav1.ListOptions) (runtime.Object, error)
	WatchWithContext(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// partOf lists and watches what of a resource is in the namespaces of a shard.
func partOf(client rest.Interface, plural string, part shard.Shard) listWatcher {
	all := cache.NewListWatchFromClient(client, plural, metav1.NamespaceAll, fields.Everything())
	if part.Whole() {
		return all
	}
	sharded := &shardedListWatcher{listWatcher: all, selector: part.Selector()}
	sharded.keeps = func(m metav1.Object) bool { return part.Owns(m.GetNamespace()) }
	return sharded
}

// shardedListWatcher drops what is not to be kept before anything is made of it. It asks the API server to leave it out in
// the first place. One that cannot (before v1.36, or without the feature ShardedListAndWatch) takes no notice and sends all.
type shardedListWatcher struct {
	listWatcher
	selector string
	keeps    func(metav1.Object) bool
}

func (s *shardedListWatcher) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	list, err := selecting(s.selector, options, func(o metav1.ListOptions) (runtime.Object, error) {
		return s.listWatcher.ListWithContext(ctx, o)
	})
	if err != nil {
		return nil, err
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		return nil, err
	}
	kept := slices.DeleteFunc(items, func(o runtime.Object) bool { return !s.keepsObject(o) })
	if len(kept) == meta.LenList(list) {
		return list, nil
	}
	return list, meta.SetList(list, kept)
}

func (s *shardedListWatcher) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	events, err := selecting(s.selector, options, func(o metav1.ListOptions) (watch.Interface, error) {
		return s.listWatcher.WatchWithContext(ctx, o)
	})
	if err != nil {
		return nil, err
	}
	return watch.Filter(events, func(e watch.Event) (watch.Event, bool) {
		switch e.Type {
		case watch.Added, watch.Modified, watch.Deleted:
			return e, s.keepsObject(e.Object)
		default: // bookmarks and errors are about the watch itself
			return e, true
		}
	}), nil
}

// keepsObject leaves what is no API object to the Reflector, which says so.
func (s *shardedListWatcher) keepsObject(o runtime.Object) bool {
	m, err := meta.Accessor(o)
	return err != nil || s.keeps(m)
}

// selecting makes a request with a shard selector and, if the API server knows selectors but does not take this one, again
// without: the feature is alpha, and its language may change. Version 1.36 answers 500 to what it cannot parse.
func selecting[T any](selector string, options metav1.ListOptions, request func(metav1.ListOptions) (T, error)) (T, error) {
	if selector == "" {
		return request(options)
	}
	selected := options
	selected.ShardSelector = selector
	answer, err := request(selected)
	if apierrors.IsBadRequest(err) || apierrors.IsInvalid(err) || apierrors.IsInternalError(err) {
		return request(options)
	}
	return answer, err
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"net/http"
	"strings"

	openreportsv1alpha1 "github.com/openreports/reports-api/apis/openreports.io/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/shard"
)

var openReportsVersion = schema.GroupVersion{Group: openreportsv1alpha1.GroupVersion.Group, Version: openreportsv1alpha1.GroupVersion.Version}

// OpenReportsClient returns a client for the reports of OpenReports.
func OpenReportsClient(cfg *rest.Config, client *http.Client) (rest.Interface, error) {
	return customClient(cfg, client, openReportsVersion, openreportsv1alpha1.Install)
}

// Follower keeps a resource that is not audited listed and watched, for as long as it is served and may be read.
type Follower struct {
	*watcher
}

// NewFollower returns a follower that fills a store with what is in the namespaces of part and has the labels, all if they are "". It
// calls changed, which must not block, with the namespace of every change, and settled after every change of whether it is Synced.
func NewFollower[R Record[R]](
	part shard.Shard, resource audit.Resource, labels string, client rest.Interface, example runtime.Object, store *Store[R],
	changed func(namespace string), settled func(),
) *Follower {
	plural, _, _ := strings.Cut(string(resource), ".")
	labelled := &labelledListWatcher{partOf(client, plural, part), labels}
	w := newWatcher(resource, &optionalListWatcher{labelled, client, plural}, example, store)
	w.changed, store.notify = settled, changed
	return &Follower{w}
}

// Follow lists and watches until the context ends.
func (f *Follower) Follow(ctx context.Context) { f.run(ctx) }

// Synced says whether the store holds what there is.
func (f *Follower) Synced() bool { return f.Status().State == v1alpha1.SourceSynced }

// labelledListWatcher asks for what has labels.
type labelledListWatcher struct {
	listWatcher
	labels string
}

func (l *labelledListWatcher) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	options.LabelSelector = l.labels
	return l.listWatcher.ListWithContext(ctx, options)
}

func (l *labelledListWatcher) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	options.LabelSelector = l.labels
	return l.listWatcher.WatchWithContext(ctx, options)
}

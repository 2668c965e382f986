// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/internal/shard"
)

// Of two shards, the first has the namespace shop and the second legacy.
const ofFirst, ofSecond = "shop", "legacy"

var first, second = shard.Shard{Index: 0, Count: 2}, shard.Shard{Index: 1, Count: 2}

// apiServer answers every list and watch with a Pod in each namespace, or with both Namespaces, as an API server does that
// knows no shard selectors or, if it says refuses, not this one. It notes the requests.
type apiServer struct {
	refuses int

	mu       sync.Mutex
	requests []string
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	s.mu.Lock()
	s.requests = append(s.requests, strings.TrimSpace(fmt.Sprintf("%s %s", map[string]string{"": "list", "true": "watch"}[query.Get("watch")], query.Get("shardSelector"))))
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if query.Has("shardSelector") && s.refuses != 0 {
		w.WriteHeader(s.refuses)
		write(w, apierrors.NewGenericServerResponse(s.refuses, "list", pods, "", "no", 0, true).Status())
		return
	}
	podIn := func(namespace string) *corev1.Pod {
		return &corev1.Pod{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "in-" + namespace},
		}
	}
	switch {
	case !query.Has("watch"):
		list := &corev1.PodList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"}, ListMeta: metav1.ListMeta{ResourceVersion: "7", Continue: "more"}}
		list.Items = []corev1.Pod{*podIn(ofSecond), *podIn(ofFirst)}
		write(w, list)
	default:
		for _, kind := range []watch.EventType{watch.Added, watch.Modified, watch.Deleted, watch.Bookmark} {
			for _, namespace := range []string{ofFirst, ofSecond} {
				write(w, metav1.WatchEvent{Type: string(kind), Object: runtime.RawExtension{Object: podIn(namespace)}})
			}
		}
		status := metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Code: http.StatusGone}
		write(w, metav1.WatchEvent{Type: string(watch.Error), Object: runtime.RawExtension{Object: &status}})
	}
}

func write(w http.ResponseWriter, o any) {
	if err := json.NewEncoder(w).Encode(o); err != nil {
		panic(err) // the test's own server
	}
}

// connect returns the server's resources as a shard reads them.
func (s *apiServer) connect(t *testing.T, plural string, part shard.Shard) listWatcher {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return partOf(client.CoreV1().RESTClient(), plural, part)
}

func listed(t *testing.T, from listWatcher) (names []string, list runtime.Object) {
	t.Helper()
	list, err := from.ListWithContext(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = meta.EachListItem(list, func(o runtime.Object) error {
		m, err := meta.Accessor(o)
		names = append(names, m.GetName())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names, list
}

func watched(t *testing.T, from listWatcher) []string {
	t.Helper()
	events, err := from.WatchWithContext(t.Context(), metav1.ListOptions{Watch: true})
	if err != nil {
		t.Fatal(err)
	}
	defer events.Stop()
	var seen []string
	for e := range events.ResultChan() {
		what := string(e.Type)
		if p, ok := e.Object.(*corev1.Pod); ok {
			what += " " + p.Name
		}
		if seen = append(seen, what); e.Type == watch.Error {
			break
		}
	}
	return seen
}

func TestShardsReadTheirPart(t *testing.T) {
	s := &apiServer{}
	got, list := listed(t, s.connect(t, "pods", first))
	if diff := cmp.Diff([]string{"in-shop"}, got); diff != "" {
		t.Errorf("listed (-want +got):\n%s", diff)
	}
	if l, err := meta.ListAccessor(list); err != nil || l.GetResourceVersion() != "7" || l.GetContinue() != "more" {
		t.Errorf("the list is %+v, %v, want version and continuation as they were", l, err)
	}
	if got, _ := listed(t, s.connect(t, "pods", second)); !slices.Equal(got, []string{"in-legacy"}) {
		t.Errorf("the second shard lists %v", got)
	}
	if diff := cmp.Diff([]string{
		"ADDED in-legacy", "MODIFIED in-legacy", "DELETED in-legacy", "BOOKMARK in-shop", "BOOKMARK in-legacy", "ERROR",
	}, watched(t, s.connect(t, "pods", second))); diff != "" {
		t.Errorf("watched (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"list " + first.Selector(), "list " + second.Selector(), "watch " + second.Selector(),
	}, s.requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestShardsShareWhatConcernsAll: of what is not in the namespaces that it concerns, a shard reads all.
func TestShardsShareWhatConcernsAll(t *testing.T) {
	requests := make(chan *http.Request)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case requests <- r:
		case <-r.Context().Done():
		case <-ctx.Done(): // nobody waits for requests any more
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	defer server.Close()
	cfg := &rest.Config{Host: server.URL, QPS: -1}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := NewShard(client, second)
	if err := AddOptional(s, cfg, server.Client()); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Start(ctx) }()
	shared := make(map[string]bool)
	for len(shared) < len(s.watchers) {
		r := <-requests
		query := r.URL.Query()
		if plural := path.Base(r.URL.Path); query.Has("watch") || query.Has("limit") { // and not a question about the API
			shared[plural] = !query.Has("shardSelector")
		}
	}
	stop()
	<-done
	for plural, whole := range shared {
		want := slices.Contains([]string{
			"daemonsets", "namespaces", "nodes", clusterPolicies, "auditconfigurations", "clustersecurityexceptions", "imagereports", "serviceaccounts",
			"roles", "clusterroles", "rolebindings", "clusterrolebindings",
		}, plural)
		if whole != want {
			t.Errorf("%s: all of them are asked for: %v, want %v", plural, whole, want)
		}
	}
}

func TestWithoutShardsNothingIsSelected(t *testing.T) {
	s := &apiServer{}
	from := s.connect(t, "pods", shard.Shard{})
	if got, _ := listed(t, from); len(got) != 2 {
		t.Errorf("listed %v", got)
	}
	if got := watched(t, from); len(got) != 9 {
		t.Errorf("watched %v", got)
	}
	if diff := cmp.Diff([]string{"list", "watch"}, s.requests); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestRefusedSelectorIsLeftOut(t *testing.T) {
	for _, code := range []int{http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusInternalServerError} {
		s := &apiServer{refuses: code}
		from := s.connect(t, "pods", first)
		if got, _ := listed(t, from); !slices.Equal(got, []string{"in-shop"}) {
			t.Errorf("after %d, listed %v", code, got)
		}
		if got := watched(t, from); !slices.Contains(got, "ADDED in-shop") || slices.Contains(got, "ADDED in-legacy") {
			t.Errorf("after %d, watched %v", code, got)
		}
		if diff := cmp.Diff([]string{"list " + first.Selector(), "list", "watch " + first.Selector(), "watch"}, s.requests); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	}
	s := &apiServer{refuses: http.StatusForbidden}
	if _, err := s.connect(t, "pods", first).ListWithContext(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		t.Errorf("a forbidden list returns %v", err)
	}
	if len(s.requests) != 1 {
		t.Errorf("a forbidden list is tried again: %v", s.requests)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/klog/v2"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

var pods = schema.GroupResource{Resource: "pods"}

// outcomes are what the API server may answer.
var outcomes = map[string]error{
	"ok":      nil,
	"403":     apierrors.NewForbidden(pods, "", errors.New("no")),
	"404":     apierrors.NewNotFound(pods, ""),
	"405":     apierrors.NewMethodNotSupported(pods, "list"),
	"401":     apierrors.NewUnauthorized("no"),
	"410":     apierrors.NewResourceExpired("too old"),
	"422":     apierrors.NewInvalid(schema.GroupKind{Kind: "ListOptions"}, "", nil),
	"429":     apierrors.NewTooManyRequests("wait", 1),
	"500":     apierrors.NewInternalError(errors.New("broken")),
	"503":     apierrors.NewGenericServerResponse(http.StatusServiceUnavailable, "list", pods, "", "", 1, true),
	"refused": errors.New("connection refused"),
	"wrapped": fmt.Errorf("listing: %w", apierrors.NewForbidden(pods, "", errors.New("no"))),
}

// drive gives a watcher what happens: "list X" and "watch X" are requests with that outcome, "replace" is a list that has
// come in whole, "+20s" is time.
func drive(t *testing.T, w *watcher, clock *time.Time, step string) {
	t.Helper()
	if d, err := time.ParseDuration(strings.TrimPrefix(step, "+")); err == nil {
		*clock = clock.Add(d)
		return
	}
	if step == "replace" {
		if err := (syncTelling[*audit.ServiceRecord]{NewStore(serviceRecord), w}).Replace(nil, "1"); err != nil {
			t.Fatal(err)
		}
		return
	}
	verb, outcome, _ := strings.Cut(step, " ")
	err, known := outcomes[outcome]
	if !known || verb != "list" && verb != "watch" {
		t.Fatalf("what is %q?", step)
	}
	w.observe(err, verb == "watch")
}

func newTestWatcher(clock *time.Time, changed func(v1alpha1.SourceState)) *watcher {
	w := &watcher{resource: audit.Pods, state: v1alpha1.SourceSyncing, now: func() time.Time { return *clock }}
	w.changed = func() { changed(w.Status().State) }
	return w
}

func TestWatcher(t *testing.T) {
	const (
		synced    = v1alpha1.SourceSynced
		syncing   = v1alpha1.SourceSyncing
		forbidden = v1alpha1.SourceForbidden
		notServed = v1alpha1.SourceNotServed
	)
	for name, tc := range map[string]struct {
		steps string
		// want are the states after the first, each told once.
		want []v1alpha1.SourceState
		// wantCurrent: in the end the source follows the API server, as far as it may.
		wantCurrent bool
	}{
		"nothing has happened":                      {"", nil, false},
		"a list and a watch":                        {"list ok, replace, watch ok", []v1alpha1.SourceState{synced}, true},
		"a streamed list":                           {"watch ok, replace", []v1alpha1.SourceState{synced}, true},
		"a streamed list that has not ended":        {"watch ok", nil, false},
		"a list whose watch has not begun":          {"list ok, replace", []v1alpha1.SourceState{synced}, false},
		"a list that has not been taken in":         {"list ok", nil, false},
		"an API server that is away at the start":   {"watch refused, list refused, watch 503, list 500, list 401", nil, false},
		"an API server that comes":                  {"watch refused, list refused, watch ok, replace", []v1alpha1.SourceState{synced}, true},
		"forbidden at the start":                    {"watch 403, list 403", []v1alpha1.SourceState{forbidden}, true},
		"forbidden at the start, in other words":    {"list wrapped", []v1alpha1.SourceState{forbidden}, true},
		"not served":                                {"watch 404, list 404", []v1alpha1.SourceState{notServed}, true},
		"served, but not to be listed":              {"list 405", []v1alpha1.SourceState{notServed}, true},
		"forbidden for good":                        {"list 403, +1h, list 403, +1h, list 403", []v1alpha1.SourceState{forbidden}, true},
		"granted later, by a streamed list":         {"watch 403, list 403, watch ok, replace", []v1alpha1.SourceState{forbidden, syncing, synced}, true},
		"granted later, by list and watch":          {"list 403, list ok, replace, watch ok", []v1alpha1.SourceState{forbidden, synced}, true},
		"granted between the requests of one round": {"watch 403, list ok, replace, watch ok", []v1alpha1.SourceState{forbidden, synced}, true},
		"granted later, where lists do not stream":  {"watch 422, list 403, watch 422, list ok, replace, watch ok", []v1alpha1.SourceState{forbidden, synced}, true},
		"served later":                              {"list 404, watch 404, watch ok, replace", []v1alpha1.SourceState{notServed, synced}, true},
		"served later, but forbidden":               {"list 404, list 403, +15s, list 403", []v1alpha1.SourceState{notServed, forbidden}, true},
		"a blip of what is not served":              {"list 404, +1h, list 404, watch 403, list 403, +14s, list 403, list 404", []v1alpha1.SourceState{notServed}, true},
		"two blips of what is not served":           {"list 404, list 403, +10s, list 404, +10s, list 403", []v1alpha1.SourceState{notServed}, false},
		"forbidden, and then not there":             {"list 403, list 404", []v1alpha1.SourceState{forbidden, notServed}, true},
		"a refusal and then nothing but errors":     {"list 403, +1h, list 500, watch refused", []v1alpha1.SourceState{forbidden}, true},
		"revoked":                                   {"list ok, replace, watch ok, watch 403, list 403, +14s, watch 403, list 403", []v1alpha1.SourceState{synced}, false},
		"revoked for longer than a blip":            {"list ok, replace, watch ok, watch 403, list 403, +15s, watch 403, list 403", []v1alpha1.SourceState{synced, forbidden}, true},
		"revoked, and then the kind goes":           {"list ok, replace, watch ok, watch 403, +15s, watch 404", []v1alpha1.SourceState{synced, notServed}, true},
		"a kind that goes":                          {"watch ok, replace, watch 404, list 404, +16s, watch 404, list 404", []v1alpha1.SourceState{synced, notServed}, true},
		"a blip":                                    {"watch ok, replace, watch 403, +10s, watch ok, replace", []v1alpha1.SourceState{synced}, true},
		"two blips are no revocation":               {"watch ok, replace, watch 403, +10s, watch ok, +10s, watch 403, +10s, watch 403", []v1alpha1.SourceState{synced}, false},
		"revoked and granted again": {
			"list ok, replace, watch ok, watch 403, list 403, +20s, watch 403, list 403, watch ok, replace",
			[]v1alpha1.SourceState{synced, forbidden, syncing, synced}, true,
		},
		"revoked and granted again, by list and watch": {
			"list ok, replace, watch ok, watch 403, list 403, +20s, list 403, list ok, replace, watch ok", []v1alpha1.SourceState{synced, forbidden, synced}, true,
		},
		"revoked, and granted in the moment that it counts": {
			"list ok, replace, watch ok, watch 403, +20s, list ok, replace, watch ok", []v1alpha1.SourceState{synced, forbidden, synced}, true,
		},
		"an API server that goes away": {"watch ok, replace, watch refused, list refused, watch 503, +1h, list 500", []v1alpha1.SourceState{synced}, false},
		"an API server that overloads": {"watch ok, replace, watch 429, watch 410, list 429", []v1alpha1.SourceState{synced}, false},
		"an API server that comes back, with nothing new": {
			"watch ok, replace, watch refused, +1h, watch ok", []v1alpha1.SourceState{synced}, true,
		},
		"to be listed, but not watched": {
			"list ok, replace, watch 403, +5s, list ok, replace, watch 403, +10s, list ok, replace, watch 403, +10s, list ok, replace, watch 403",
			[]v1alpha1.SourceState{synced, forbidden}, true,
		},
		"to be listed, but not watched, from a start that streams": {
			"watch 403, list ok, replace, watch 403, +10s, watch 403, list ok, replace, watch 403", []v1alpha1.SourceState{forbidden}, true,
		},
		"what was listed long before it was refused is not taken for what is there": {
			"watch 403, list ok, replace, watch 403, list 403, +1h, watch ok", []v1alpha1.SourceState{forbidden, syncing}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			clock := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
			var told []v1alpha1.SourceState
			w := newTestWatcher(&clock, func(s v1alpha1.SourceState) { told = append(told, s) })
			if tc.steps != "" {
				for step := range strings.SplitSeq(tc.steps, ", ") {
					drive(t, w, &clock, step)
				}
			}
			if diff := cmp.Diff(tc.want, told); diff != "" {
				t.Errorf("states told (-want +got):\n%s", diff)
			}
			want := v1alpha1.SourceSyncing
			if len(tc.want) > 0 {
				want = tc.want[len(tc.want)-1]
			}
			if got := w.Status().State; got != want {
				t.Errorf("state %s, want %s", got, want)
			}
			if got := w.current(); got != tc.wantCurrent {
				t.Errorf("current: %v, want %v", got, tc.wantCurrent)
			}
		})
	}
}

func TestWatcherStatus(t *testing.T) {
	for state, message := range map[v1alpha1.SourceState]string{
		v1alpha1.SourceSynced:    "",
		v1alpha1.SourceSyncing:   "pods have not been read yet",
		v1alpha1.SourceForbidden: "the operator may not list and watch pods",
		v1alpha1.SourceNotServed: "the API server does not serve pods",
	} {
		w := &watcher{resource: audit.Pods, state: state}
		if diff := cmp.Diff(v1alpha1.SourceStatus{Resource: "pods", State: state, Message: message}, w.Status()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", state, diff)
		}
		if (skipReasons[state] == "") != (state == v1alpha1.SourceSynced) {
			t.Errorf("%s has the skip reason %q", state, skipReasons[state])
		}
	}
}

func TestAListThatCannotBeTakenInIsNone(t *testing.T) {
	clock := time.Time{}
	w := newTestWatcher(&clock, func(s v1alpha1.SourceState) { t.Errorf("state %s", s) })
	broken := NewStore(func(runtime.Object) (*audit.ServiceRecord, error) { return nil, errors.New("broken") })
	list := []any{&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}}}
	if err := (syncTelling[*audit.ServiceRecord]{broken, w}).Replace(list, "1"); err == nil {
		t.Error("no error")
	}
}

// TestRefusalsAreLoggedOnce: a kind that a cluster does not serve is asked for as long as the cluster is there.
func TestRefusalsAreLoggedOnce(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var logged []string
	ctx = klog.NewContext(ctx, funcr.New(func(_, line string) { logged = append(logged, line) }, funcr.Options{}))
	attempts := 0
	w := newWatcher(audit.Services, refusing(func() error {
		if attempts++; attempts == 4 {
			cancel()
		}
		return outcomes["404"]
	}), &corev1.Service{}, NewStore(serviceRecord))
	w.run(ctx)
	if len(logged) != 1 || !strings.Contains(logged[0], "NotServed") {
		t.Errorf("%d attempts are logged as %q", attempts, logged)
	}
	if state := w.Status().State; state != v1alpha1.SourceNotServed {
		t.Errorf("the state is %s", state)
	}
}

// TestHowOftenIsTriedAgain: an API server that is back, or allows what it did not, is noticed soon, and asked seldom until then.
func TestHowOftenIsTriedAgain(t *testing.T) {
	for name, err := range map[string]error{
		"an API server that is away":   &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)},
		"an API server that overloads": outcomes["429"],
		"forbidden":                    outcomes["403"],
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const outage, longest = 10 * time.Minute, 12 * time.Second // with its jitter
				ctx, cancel := context.WithTimeout(t.Context(), outage)
				defer cancel()
				var longestGap time.Duration
				tries, last := 0, time.Now()
				w := newWatcher(audit.Services, refusing(func() error {
					tries, longestGap, last = tries+1, max(longestGap, time.Since(last)), time.Now()
					return err
				}), &corev1.Service{}, NewStore(serviceRecord))
				w.run(klog.NewContext(ctx, logr.Discard()))
				if longestGap > longest {
					t.Errorf("it was left alone for %s, want %s at most", longestGap, longest)
				}
				if most := 4 * int(outage/retry.Cap); tries > most { // a watch and a list are a try, and from time to time it begins anew
					t.Errorf("it was asked %d times in %s, want %d at most", tries, outage, most)
				}
			})
		})
	}
}

// refusing is an API server that answers each request with what it returns.
type refusing func() error

func (r refusing) ListWithContext(context.Context, metav1.ListOptions) (runtime.Object, error) {
	return nil, r()
}

func (r refusing) WatchWithContext(context.Context, metav1.ListOptions) (watch.Interface, error) {
	return nil, r()
}

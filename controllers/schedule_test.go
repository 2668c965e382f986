// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// recorder stands in for a controller's queue and notes what is added.
type recorder struct {
	priorityqueue.PriorityQueue[reconcile.Request]
	added []string
}

func (r *recorder) AddWithOpts(o priorityqueue.AddOpts, items ...reconcile.Request) {
	for _, item := range items {
		note := fmt.Sprintf("%s after %s", item.Name, o.After)
		if o.Priority != nil && *o.Priority == handler.LowPriority {
			note += " in bulk"
		} else if o.Priority != nil || o.RateLimited {
			note += fmt.Sprintf(" with %+v", o)
		}
		r.added = append(r.added, note)
	}
}

// clock is moved by hand.
type clock struct{ now time.Time }

func (c *clock) tell() time.Time { return c.now }

func newTestSchedule(t *testing.T) (*schedule, *recorder, *clock) {
	t.Helper()
	s, r, c := newSchedule(5*time.Millisecond, time.Second), &recorder{}, &clock{time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}
	s.now = c.tell
	if err := s.start(r); err != nil {
		t.Fatal(err)
	}
	return s, r, c
}

// TestSchedule goes by steps: "add a", "bulk a", "all a", "begin a", "end a 2ms" (what it cost), "fail a 2ms", "gone a", "+3ms".
func TestSchedule(t *testing.T) {
	for name, tc := range map[string]struct {
		steps       string
		want        []string
		wantKeys    int
		wantSettled bool
	}{
		"nothing": {steps: "", wantSettled: true},
		"a quiet key goes at once": {
			steps: "add a", want: []string{"a after 0s"}, wantKeys: 1,
		},
		"a quiet key goes at once in bulk too, behind the others": {
			steps: "bulk a, add b", want: []string{"a after 0s in bulk", "b after 0s"}, wantKeys: 2,
		},
		"a key that waits in bulk and then changes is added with priority": {
			steps: "bulk a, add a", want: []string{"a after 0s in bulk", "a after 0s"}, wantKeys: 1,
		},
		"what is added while it waits counts as one": {
			steps: "add a, add a, add a, begin a, end a 0s", want: []string{"a after 0s", "a after 0s", "a after 0s"}, wantKeys: 1, wantSettled: true,
		},
		"after it has run it is settled": {
			steps: "add a, begin a, end a 1ms", want: []string{"a after 0s"}, wantKeys: 1, wantSettled: true,
		},
		"while it runs it is not settled": {
			steps: "add a, begin a", want: []string{"a after 0s"}, wantKeys: 1,
		},
		"what comes while it runs is one more run, after the window": {
			steps: "add a, begin a, add a, bulk a, add a, end a 2ms", want: []string{"a after 0s", "a after 20ms"}, wantKeys: 1,
		},
		"that one more run settles it": {
			steps: "add a, begin a, add a, end a 2ms, +20ms, begin a, end a 2ms", want: []string{"a after 0s", "a after 20ms"}, wantKeys: 1, wantSettled: true,
		},
		"what comes within the window waits for its end": {
			steps: "add a, begin a, end a 2ms, +5ms, add a, +10ms, add a", want: []string{"a after 0s", "a after 15ms", "a after 5ms"}, wantKeys: 1,
		},
		"what comes after the window goes at once": {
			steps: "add a, begin a, end a 2ms, +20ms, add a, +1h, add a", want: []string{"a after 0s", "a after 0s", "a after 0s"}, wantKeys: 1,
		},
		"a cheap key has the least window": {
			steps: "add a, begin a, end a 100µs, add a", want: []string{"a after 0s", "a after 5ms"}, wantKeys: 1,
		},
		"the window is ten times the cost": {
			steps: "add a, begin a, end a 99ms, add a", want: []string{"a after 0s", "a after 990ms"}, wantKeys: 1,
		},
		"a dear key has the longest window": {
			steps: "add a, begin a, end a 900ms, add a", want: []string{"a after 0s", "a after 1s"}, wantKeys: 1,
		},
		"no key takes more than half of the time": {
			steps: "add a, begin a, end a 1m, add a", want: []string{"a after 0s", "a after 1m0s"}, wantKeys: 1,
		},
		"the window begins at the end, however long it ran": {
			steps: "add a, begin a, +10s, end a 1ms, +4ms, add a", want: []string{"a after 0s", "a after 6ms"}, wantKeys: 1,
		},
		"keys do not wait for one another": {
			steps: "add a, begin a, end a 50ms, add b, add a", want: []string{"a after 0s", "b after 0s", "a after 500ms"}, wantKeys: 2,
		},
		"a key that failed stays unsettled, and the controller adds it": {
			steps: "add a, begin a, fail a 1ms", want: []string{"a after 0s"}, wantKeys: 1,
		},
		"until it succeeds": {
			steps: "add a, begin a, fail a 1ms, begin a, fail a 1ms, begin a, end a 1ms", want: []string{"a after 0s"}, wantKeys: 1, wantSettled: true,
		},
		"what comes after it failed is added": {
			steps: "add a, begin a, fail a 1ms, add a, begin a, end a 1ms", want: []string{"a after 0s", "a after 10ms"}, wantKeys: 1, wantSettled: true,
		},
		"what came while it failed is added, once": {
			steps: "add a, begin a, add a, fail a 1ms, begin a, end a 1ms", want: []string{"a after 0s", "a after 10ms"}, wantKeys: 1, wantSettled: true,
		},
		"a key that the controller asked to run later is unsettled while it runs": {
			steps: "add a, begin a, end a 1ms, +1m, begin a", want: []string{"a after 0s"}, wantKeys: 1,
		},
		"and settled after that": {
			steps: "add a, begin a, end a 1ms, +1m, begin a, end a 1ms", want: []string{"a after 0s"}, wantKeys: 1, wantSettled: true,
		},
		"a key that is gone is forgotten": {
			steps: "add a, begin a, end a 50ms, add a, begin a, gone a, add b", want: []string{"a after 0s", "a after 500ms", "b after 0s"}, wantKeys: 1,
		},
		"a key that comes again after it was gone goes at once": {
			steps: "add a, begin a, gone a, add a", want: []string{"a after 0s", "a after 0s"}, wantKeys: 1,
		},
		"a key that is gone, but comes again while that is found out, is not forgotten": {
			steps: "add a, begin a, add a, gone a", want: []string{"a after 0s", "a after 5ms"}, wantKeys: 1,
		},
		"a key that runs although nobody added it": {
			steps: "begin a, gone a", wantSettled: true,
		},
		"one settled key does not settle another": {
			steps: "add a, add b, begin a, end a 1ms", want: []string{"a after 0s", "b after 0s"}, wantKeys: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, queue, c := newTestSchedule(t)
			for step := range strings.SplitSeq(tc.steps, ", ") {
				run(t, s, c, step)
			}
			if diff := cmp.Diff(tc.want, queue.added); diff != "" {
				t.Errorf("added (-want +got):\n%s", diff)
			}
			if s.settled() != tc.wantSettled {
				t.Errorf("settled: %v, want %v", s.settled(), tc.wantSettled)
			}
			of := true
			for key := range s.keys {
				of = of && s.settledOf(key)
			}
			if of != tc.wantSettled {
				t.Errorf("settled of each: %v, want %v", of, tc.wantSettled)
			}
			if len(s.keys) != tc.wantKeys {
				t.Errorf("%d keys are kept, want %d", len(s.keys), tc.wantKeys)
			}
		})
	}
}

func run(t *testing.T, s *schedule, c *clock, step string) {
	t.Helper()
	words := append(strings.Fields(step), "", "", "0s")
	key, cost := requestFor(words[1]), words[2]
	d, err := time.ParseDuration(cost)
	if cost != "" && err != nil {
		t.Fatalf("%q: %v", step, err)
	}
	switch words[0] {
	case "":
	case "add":
		s.add(key, false)
	case "bulk":
		s.add(key, true)
	case "all":
		s.addAmongAll(key)
	case "begin":
		s.begin(key)
	case "end":
		s.end(key, d, false, false)
	case "fail":
		s.end(key, d, true, false)
	case "gone":
		s.end(key, d, false, true)
	default:
		d, err := time.ParseDuration(strings.TrimPrefix(words[0], "+"))
		if err != nil {
			t.Fatalf("what is %q?", step)
		}
		c.now = c.now.Add(d)
	}
}

// TestScheduleTellsSinceWhen: a key that begins tells when the first change came since it last began, and whether all were
// added.
func TestScheduleTellsSinceWhen(t *testing.T) {
	s, _, c := newTestSchedule(t)
	start := c.now
	for step, tc := range []struct {
		steps string
		// want is how long after the start; negative for no change.
		want time.Duration
	}{
		{"", -1}, // by the controller itself
		{"end a 1ms, bulk a", -1},
		{"end a 1ms, +1s, add a, +1s, add a, bulk a", time.Second},
		{"end a 1ms, all a", -1},
		{"end a 1ms, bulk a", -1},
		{"+1s, add a, +1s, add a, end a 1ms", 3 * time.Second}, // while it ran
		{"fail a 1ms, +1s", -1},                                // its writer remembers
		{"end a 1ms, all a, +1s, add a, +1s", 6 * time.Second},
		{"gone a", -1},
	} {
		for step := range strings.SplitSeq(tc.steps, ", ") {
			run(t, s, c, step)
		}
		got, amongAll := s.begin(requestFor("a"))
		if want := strings.Contains(tc.steps, "all a"); amongAll != want {
			t.Errorf("step %d: among all: %v, want %v", step, amongAll, want)
		}
		if tc.want < 0 && !got.IsZero() || tc.want >= 0 && !got.Equal(start.Add(tc.want)) {
			t.Errorf("step %d: changed at %v, which is %v after the start, want %v", step, got, got.Sub(start), tc.want)
		}
	}
}

func TestScheduleBeforeItsControllerRuns(t *testing.T) {
	s := newSchedule(0, time.Second)
	s.add(requestFor("a"), false)
	s.addAmongAll(requestFor("a"))
	if !s.settled() || len(s.keys) != 0 {
		t.Error("what is added before the queue is there is not dropped")
	}
}

func TestScheduleSource(t *testing.T) {
	s := newSchedule(0, time.Second)
	begun := make(chan context.Context, 1)
	src := scheduleSource{s, func(ctx context.Context) { begun <- ctx }}
	plain := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer plain.ShutDown()
	if err := src.Start(t.Context(), plain); err == nil {
		t.Error("no error for a queue without priorities")
	}
	queue := &recorder{}
	if err := src.Start(t.Context(), queue); err != nil {
		t.Fatal(err)
	}
	if ctx := <-begun; ctx != t.Context() {
		t.Error("begun with another context")
	}
	s.add(requestFor("a"), false)
	if diff := cmp.Diff([]string{"a after 0s"}, queue.added); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
}

func TestScheduleBacksOff(t *testing.T) {
	s, _, _ := newTestSchedule(t)
	key := requestFor("shop")
	var got []time.Duration
	for range 12 {
		s.begin(key)
		s.end(key, 0, true, false)
		got = append(got, s.backoff(key))
	}
	if got[0] != minBackoff || got[1] != 2*minBackoff || got[2] != 4*minBackoff || got[11] > maxBackoff || got[11] < 20*time.Second {
		t.Errorf("waits after failures: %v", got)
	}
	s.begin(key)
	s.end(key, 0, false, false)
	s.begin(key)
	if s.end(key, 0, true, false); s.backoff(key) != minBackoff {
		t.Errorf("after a success, the first failure waits %v", s.backoff(key))
	}
}

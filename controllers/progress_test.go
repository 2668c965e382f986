// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	for name, tc := range map[string]struct {
		do           func(*Progress)
		wantStarted  bool
		wantComplete bool
		wantPasses   int
	}{
		"before it starts":                      {func(*Progress) {}, false, false, 0},
		"judged before it starts":               {func(p *Progress) { p.judged("a") }, false, false, 0},
		"a cluster without namespaces":          {func(p *Progress) { p.start(nil) }, true, true, 1},
		"some namespaces":                       {func(p *Progress) { p.start([]string{"a", "b"}) }, true, false, 0},
		"some namespaces, one judged":           {func(p *Progress) { p.start([]string{"a", "b"}); p.judged("a") }, true, false, 0},
		"some namespaces, one judged twice":     {func(p *Progress) { p.start([]string{"a", "b"}); p.judged("a"); p.judged("a") }, true, false, 0},
		"some namespaces, a new one judged":     {func(p *Progress) { p.start([]string{"a", "b"}); p.judged("a"); p.judged("c") }, true, false, 0},
		"all namespaces judged":                 {func(p *Progress) { p.start([]string{"a", "b"}); p.judged("b"); p.judged("a") }, true, true, 1},
		"a namespace that is named twice":       {func(p *Progress) { p.start([]string{"a", "a"}); p.judged("a") }, true, true, 1},
		"all namespaces judged, again and more": {func(p *Progress) { p.start([]string{"a"}); p.judged("a"); p.judged("a"); p.judged("b") }, true, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			passes := 0
			p := &Progress{}
			p.FirstPass = func() {
				if passes++; !p.Complete() {
					t.Error("told of the first pass before it is complete")
				}
			}
			tc.do(p)
			if p.started() != tc.wantStarted || p.Complete() != tc.wantComplete || passes != tc.wantPasses {
				t.Errorf("started %v, complete %v, told %d times; want %v, %v, %d",
					p.started(), p.Complete(), passes, tc.wantStarted, tc.wantComplete, tc.wantPasses)
			}
		})
	}
}

func TestLastComplete(t *testing.T) {
	c, idle := &clock{time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)}, false
	p := &Progress{Idle: func() bool { return idle }, Now: c.tell, FirstPass: func() {}}
	at := func(hour int) time.Time { return time.Date(2026, 11, 21, hour, 0, 0, 0, time.UTC) }
	p.start([]string{"a"})
	for _, tc := range []struct {
		name string
		hour int
		do   func()
		want time.Time
	}{
		{"before anything has been judged there is no such moment", 12, func() {}, time.Time{}},
		{"the first pass is one", 13, func() { p.judged("a") }, at(13)},
		{"while something is left to be done it stays", 14, func() {}, at(13)},
		{"when nothing is left it is now", 15, func() { idle = true }, at(15)},
		{"and goes with the time", 16, func() {}, at(16)},
		{"until something is to be done again", 17, func() { idle = false }, at(16)},
	} {
		c.now = at(tc.hour)
		tc.do()
		if got := p.LastComplete(); !got.Equal(tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
	empty := &Progress{Idle: func() bool { return false }, Now: c.tell, FirstPass: func() {}}
	if empty.start(nil); !empty.LastComplete().Equal(at(17)) {
		t.Errorf("without namespaces: %v, want the start", empty.LastComplete())
	}
}

// TestLastCompleteIsKnownOnceComplete: whoever sees that the first pass is complete must not be told of year 1.
func TestLastCompleteIsKnownOnceComplete(t *testing.T) {
	p := &Progress{Idle: func() bool { return false }, FirstPass: func() {}}
	p.Now = func() time.Time {
		if p.mu.TryLock() {
			p.mu.Unlock()
			t.Error("the moment is set apart from what makes it complete")
		}
		return time.Unix(1, 0)
	}
	p.start([]string{"a"})
	p.judged("a")
	p.start(nil)
}

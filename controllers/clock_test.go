// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// TestClockJumps is about a clock that is set while something waits for a time. A process cannot be given a clock of its own: the
// namespaces of Linux leave the time of day alone, and nothing can come between it and a program that is linked statically.
func TestClockJumps(t *testing.T) {
	then := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		now              time.Time
		want, wantOfEnds time.Duration
	}{
		"the time is near":                  {then.Add(-10 * time.Second), 10 * time.Second, 10 * time.Second},
		"the clock is set back by a year":   {then.AddDate(-1, 0, 0), maxRecheck, maxRecheck},
		"the clock is set forward by a day": {then.AddDate(0, 0, 1), time.Millisecond, 0},
		"it is the time":                    {then, time.Millisecond, 0},
		"the time is nearly there":          {then.Add(-time.Nanosecond), time.Millisecond, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			if got := until(then, tc.now); got != tc.want {
				t.Errorf("it is waited for %s, want %s", got, tc.want)
			}
			moment := audit.MomentOf(then)
			later := audit.MomentOf(then.AddDate(1, 0, 0))
			r := &SettingsReconciler{Now: func() time.Time { return tc.now }}
			want := tc.wantOfEnds
			if want == 0 {
				want = maxRecheck // for the later one
			}
			if got := r.untilNextEnd([]*audit.ExceptionRecord{{}, {Expires: &later}, {Expires: &moment}}); got != want {
				t.Errorf("the end of an exception is waited for for %s, want %s", got, want)
			}
			if got := r.untilNextEnd([]*audit.ExceptionRecord{{}, {Expires: &moment}}); got != tc.wantOfEnds {
				t.Errorf("the end of the only one is waited for for %s, want %s", got, tc.wantOfEnds)
			}
		})
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"testing"
	"time"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/ledger"
)

func TestLimits(t *testing.T) {
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	l := limits{perSecond: briefPerSecond, burst: briefBurst}
	allowed := func(namespace string, now time.Time, n int) int {
		count := 0
		for range n {
			if l.allow(namespace, now) {
				count++
			}
		}
		return count
	}
	if n := allowed("shop", start, 1000); n != briefBurst {
		t.Errorf("%d of 1,000 are allowed, want %d", n, briefBurst)
	}
	if n := allowed("other", start, 1000); n != briefBurst {
		t.Errorf("%d are allowed in another namespace, want %d", n, briefBurst)
	}
	total := 0
	for second := range 10 {
		now := start.Add(time.Duration(second+1) * time.Second)
		total += allowed("shop", now, 50)
	}
	if want := 10 * briefPerSecond; total != want {
		t.Errorf("%d are allowed in ten more seconds, want %d", total, want)
	}
	for n := range 100 {
		l.allow(fmt.Sprint("ns-", n), start.Add(time.Duration(n)*time.Minute))
	}
	if n := len(l.limiters); n > 2 {
		t.Errorf("%d namespaces are remembered, all but the last long idle", n)
	}
}

func TestTimely(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	verdict := func(kind string, created time.Time) ledger.Verdict {
		return ledger.Verdict{Entry: &ledger.Entry{Kind: kind}, Created: created}
	}
	for name, tc := range map[string]struct {
		verdict ledger.Verdict
		stored  bool
		want    int
	}{
		"what lasts, new":              {verdict("Deployment", time.Time{}), false, 100},
		"what lasts, changed":          {verdict("Deployment", time.Time{}), true, 100},
		"a Pod that has lasted, new":   {verdict("Pod", now.Add(-2*time.Minute)), false, 100},
		"a young Pod, new":             {verdict("Pod", now), false, briefBurst},
		"a young Pod, changed":         {verdict("Pod", now), true, 100},
		"a namespace that is new":      {verdict(audit.KindNamespace, time.Time{}), false, 100},
		"a namespace, again and again": {verdict(audit.KindNamespace, time.Time{}), true, rollUpBurst},
	} {
		t.Run(name, func(t *testing.T) {
			w := NewWriter(nil, nil, nil)
			w.Now = func() time.Time { return now }
			got := 0
			for range 100 {
				if w.timely("shop", tc.verdict, tc.stored) {
					got++
				}
			}
			if got != tc.want {
				t.Errorf("%d of 100 are timely, want %d", got, tc.want)
			}
		})
	}
}

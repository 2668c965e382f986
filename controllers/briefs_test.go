// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"testing"
	"time"
)

func TestBriefs(t *testing.T) {
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var b briefs
	allowed := func(namespace string, created, now time.Time, n int) int {
		count := 0
		for range n {
			if b.allow(namespace, created, now) {
				count++
			}
		}
		return count
	}
	if n := allowed("shop", time.Time{}, start, 1000); n != 1000 {
		t.Errorf("%d of 1,000 reports of what lasts are allowed", n)
	}
	if n := allowed("shop", start.Add(-2*time.Minute), start, 1000); n != 1000 {
		t.Errorf("%d of 1,000 reports of what has lasted are allowed", n)
	}
	if n := allowed("shop", start, start, 1000); n != briefBurst {
		t.Errorf("%d of 1,000 reports of new Pods are allowed, want %d", n, briefBurst)
	}
	if n := allowed("other", start, start, 1000); n != briefBurst {
		t.Errorf("%d are allowed in another namespace, want %d", n, briefBurst)
	}
	total := 0
	for second := range 10 {
		now := start.Add(time.Duration(second+1) * time.Second)
		total += allowed("shop", now, now, 50)
	}
	if want := 10 * briefPerSecond; total != want {
		t.Errorf("%d are allowed in ten more seconds, want %d", total, want)
	}
	for n := range 100 {
		b.allow(fmt.Sprint("ns-", n), start, start.Add(time.Duration(n)*time.Minute))
	}
	if n := len(b.limiters); n > 2 {
		t.Errorf("%d namespaces are remembered, all but the last long idle", n)
	}
}

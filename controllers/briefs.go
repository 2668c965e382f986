// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Bare Pods and Jobs may come and go by the dozen each second, and a report for each would be a create and a delete to the API
// server that nobody ever reads. So a namespace gets the first of them at once, further ones at a rate, and what has lasted
// for a while whatever the rate. Metrics tell of all of them at any time.
const (
	briefBurst     = 20
	briefPerSecond = 5
	briefLasts     = time.Minute
	// briefWait is how long those that had to wait do before they are looked at again.
	briefWait = time.Second
)

// briefs limits how fast reports of brief subjects are created, in each namespace apart.
type briefs struct {
	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

// allow says whether the report of a subject that was created then may be; the zero time is for subjects that last.
func (b *briefs) allow(namespace string, created, now time.Time) bool {
	if now.Sub(created) > briefLasts {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	limiter := b.limiters[namespace]
	if limiter == nil {
		if b.limiters == nil {
			b.limiters = make(map[string]*rate.Limiter)
		}
		for namespace, idle := range b.limiters {
			if idle.TokensAt(now) >= briefBurst {
				delete(b.limiters, namespace)
			}
		}
		limiter = rate.NewLimiter(briefPerSecond, briefBurst)
		b.limiters[namespace] = limiter
	}
	return limiter.AllowN(now, 1)
}

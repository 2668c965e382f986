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
)

// The report of a namespace sums up those of its workloads, and so may change with each of theirs. Where they change without
// a pause it follows at a rate, or it would be half of all writes.
const (
	rollUpBurst     = 5
	rollUpPerSecond = 0.5
)

// limitedWait is how long what had to wait does before it is looked at again.
const limitedWait = time.Second

// limits limits a rate in each namespace, or of each object, apart.
type limits struct {
	perSecond rate.Limit
	burst     int

	mu       sync.Mutex
	limiters map[string]*rate.Limiter
}

// allow says whether one more may be.
func (l *limits) allow(namespace string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of(namespace, now).AllowN(now, 1)
}

// reserve returns how long one more has to wait. It is counted.
func (l *limits) reserve(of string, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.of(of, now).ReserveN(now, 1).DelayFrom(now)
}

func (l *limits) of(name string, now time.Time) *rate.Limiter {
	limiter := l.limiters[name]
	if limiter == nil {
		if l.limiters == nil {
			l.limiters = make(map[string]*rate.Limiter)
		}
		for name, idle := range l.limiters {
			if idle.TokensAt(now) >= float64(l.burst) {
				delete(l.limiters, name)
			}
		}
		limiter = rate.NewLimiter(l.perSecond, l.burst)
		l.limiters[name] = limiter
	}
	return limiter
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// Question is what a registry is asked again and again.
type Question[V comparable] struct {
	// Registry that is asked.
	Registry string
	// Reports that tell the answer, by name.
	Reports []string
	// Ask asks it. Errors are problem.Errors.
	Ask func(context.Context) (V, error)
}

// Agenda has questions by their keys, and the last answers. It may be used by several goroutines, of which one asks.
type Agenda[V comparable] struct {
	// Every is how often a question is asked that has been answered. Final says of which answers that need not be; nil is none.
	Every time.Duration
	Final func(V) bool
	// Retry is how long a question waits after it has failed: twice as long each time.
	Retry Backoff
	// Outage returns how long a registry is not asked. Heard is told what has become of asking it.
	Outage func(registry string) time.Duration
	Heard  func(registry string, err error)
	// Now is the clock.
	Now func() time.Time

	mu      sync.Mutex
	entries map[string]*entry[V]
	order   []string
}

// entry is a question with its answer.
type entry[V comparable] struct {
	question Question[V]
	answer   V
	known    bool
	// err is why it has failed the last time.
	err      error
	failures int
	// next is when it is to be asked, unless never is set.
	next  time.Time
	never bool
}

// Update takes in the questions that there are now. Answers to others are forgotten.
func (a *Agenda[V]) Update(questions map[string]Question[V]) {
	a.mu.Lock()
	defer a.mu.Unlock()
	old := a.entries
	a.entries, a.order = make(map[string]*entry[V], len(questions)), slices.Sorted(maps.Keys(questions))
	for key, q := range questions {
		e := old[key]
		if e == nil {
			e = &entry[V]{}
		}
		e.question = q
		a.entries[key] = e
	}
}

// Answer returns the last answer to a question, whether there is one, and why asking it has failed since; nil where it has not.
func (a *Agenda[V]) Answer(key string) (answer V, known bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.entries[key]; e != nil {
		return e.answer, e.known, e.err
	}
	return answer, false, nil
}

// Asked is what has become of asking a question.
type Asked struct {
	Key string
	// Changed are the reports that tell something else now.
	Changed []string
	Err     error
}

// AskNext asks the question whose turn it is. Where there is none, it returns how long to wait for one; 0 is until there are others.
func (a *Agenda[V]) AskNext(ctx context.Context) (asked Asked, ok bool, wait time.Duration) {
	key, q, wait := a.next()
	if q == nil {
		return Asked{}, false, wait
	}
	asked = Asked{Key: key}
	var answer V
	if answer, asked.Err = q.Ask(ctx); a.done(key, answer, asked.Err) {
		asked.Changed = q.Reports
	}
	a.Heard(q.Registry, asked.Err)
	return asked, true, 0
}

// next returns the question whose turn it is, or nil.
func (a *Agenda[V]) next() (key string, q *Question[V], wait time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.Now()
	for _, key := range a.order {
		e := a.entries[key]
		if e.never {
			continue
		}
		left := max(e.next.Sub(now), a.Outage(e.question.Registry))
		if left <= 0 {
			question := e.question
			return key, &question, 0
		}
		if wait == 0 || left < wait {
			wait = left
		}
	}
	return "", nil, wait
}

// done takes in an answer, and says whether it is another one. What has failed leaves the one of before.
func (a *Agenda[V]) done(key string, answer V, err error) (changed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e := a.entries[key]
	if e == nil {
		return false // nobody wants to know any more
	}
	changed = err == nil && (!e.known || e.answer != answer) || (err == nil) != (e.err == nil)
	e.err = err
	if err != nil {
		e.failures++
		e.next = a.Now().Add(a.Retry.after(e.failures))
		return changed
	}
	e.answer, e.known, e.failures = answer, true, 0
	e.next, e.never = a.Now().Add(a.Every), a.Final != nil && a.Final(answer)
	return changed
}

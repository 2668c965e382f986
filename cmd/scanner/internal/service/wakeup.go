// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package service

import "sync"

// wakeup wakes all that wait.
type wakeup struct {
	mu sync.Mutex
	c  chan struct{}
}

func newWakeup() *wakeup { return &wakeup{c: make(chan struct{})} }

// next returns a channel that is closed at the next wake.
func (w *wakeup) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.c
}

func (w *wakeup) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.c)
	w.c = make(chan struct{})
}

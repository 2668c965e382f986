// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// patience is how long a step may take before it is told: people wonder after some two seconds.
const patience = 2 * time.Second

// progress tells of steps that take long.
type progress struct {
	out io.Writer

	mu    sync.Mutex
	timer *time.Timer
}

// step begins a step, and ends the one before.
func (p *progress) step(format string, args ...any) {
	p.done()
	text := fmt.Sprintf(format, args...)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(patience, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		fmt.Fprintln(p.out, text+" …")
	})
}

// done ends the last step.
func (p *progress) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
}

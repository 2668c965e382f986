// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progressInterval is how long a step may take without saying anything.
const progressInterval = 2 * time.Second

// console prints numbered steps, and progress while they take long.
type console struct {
	started time.Time

	mu      sync.Mutex
	out     io.Writer
	number  int
	current string // what is being done now
}

func newConsole(out io.Writer) *console { return &console{out: out, started: time.Now()} }

// step prints a heading, runs do, and prints how long it took.
func (c *console) step(ctx context.Context, title string, do func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	c.number++
	c.printf("\n%d. %s  [%.1f s]\n", c.number, title, time.Since(c.started).Seconds())
	c.status("working")
	start := time.Now()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		c.reportProgress(start, stop)
	}()
	err := do(ctx)
	close(stop)
	<-stopped
	if err != nil {
		c.printf("   failed after %.1f s\n", time.Since(start).Seconds())
		return err
	}
	c.printf("   done in %.1f s\n", time.Since(start).Seconds())
	return nil
}

func (c *console) reportProgress(start time.Time, stop <-chan struct{}) {
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			c.mu.Lock()
			current := c.current
			c.mu.Unlock()
			c.printf("   … %s (%.0f s)\n", current, time.Since(start).Seconds())
		}
	}
}

// status tells what is being done; it is printed only if that takes long.
func (c *console) status(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = fmt.Sprintf(format, args...)
}

func (c *console) printf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = fmt.Fprintf(c.out, format, args...) // a demo that cannot print still has to clean up
}

// command prints a command, fit to be typed, and its output.
func (c *console) command(output string, args ...string) {
	words := make([]string, len(args))
	for i, word := range args {
		words[i] = word
		if strings.ContainsAny(word, " {}[]") {
			words[i] = "'" + word + "'"
		}
	}
	c.printf("\n$ kubectl %s\n%s\n", strings.Join(words, " "), strings.TrimRight(output, "\n"))
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ledger is the operator's memory: what it decided last about every subject, and what of that is stored in the
// cluster. It decides what is written, and metrics are read from it.
package ledger

import (
	"maps"
	"sync"
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/report"
)

// Entry is what was decided about one subject.
type Entry struct {
	// Kind of the subject, from a closed set, and its name.
	Kind, Name string
	// Findings and exempted ones.
	Findings, Exempted report.Tally
	Skips              []audit.Skip
	Passed             []string
	Remembered         report.Remembered
}

// EntryOf makes the entry of a verdict.
func EntryOf(result *audit.Result, remembered report.Remembered) *Entry {
	exempted := make(report.Tally)
	for _, e := range result.Exemptions {
		exempted[report.CheckSeverity{Check: e.Check, Severity: e.Severity}]++
	}
	return &Entry{
		Kind:       result.KindLabel(),
		Name:       report.CleanName(result.Name),
		Findings:   report.TallyOf(result.Findings),
		Exempted:   exempted,
		Skips:      result.Skips,
		Passed:     result.Passed,
		Remembered: remembered,
	}
}

// Entries are the entries of one namespace by the name of their report. They are not changed once they are put.
type Entries map[string]*Entry

// Ledger holds the entries of all namespaces. It is safe for concurrent use.
type Ledger struct {
	mu         sync.RWMutex
	namespaces map[string]Entries
	onPut      func()
}

// New returns an empty ledger.
func New() *Ledger {
	return &Ledger{namespaces: make(map[string]Entries)}
}

// OnPut registers the function that is called after every change. It must not block.
func (l *Ledger) OnPut(changed func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onPut = changed
}

// Put replaces what was decided about a namespace.
func (l *Ledger) Put(namespace string, entries Entries) {
	l.change(func() { l.namespaces[namespace] = entries })
}

// Drop forgets a namespace that is gone.
func (l *Ledger) Drop(namespace string) {
	l.change(func() { delete(l.namespaces, namespace) })
}

func (l *Ledger) change(change func()) {
	l.mu.Lock()
	change()
	changed := l.onPut
	l.mu.Unlock()
	if changed != nil {
		changed()
	}
}

// Get returns what was decided last about a namespace; nil if nothing was.
func (l *Ledger) Get(namespace string) Entries {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.namespaces[namespace]
}

// All returns what was decided about every namespace, by namespace.
func (l *Ledger) All() map[string]Entries {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return maps.Clone(l.namespaces)
}

// Totals sums everything up for the cluster's report.
func (l *Ledger) Totals() report.Totals {
	t := report.Totals{Tally: make(report.Tally)}
	passed, skipped, failed := make(map[string]bool), make(map[string]bool), make(map[string]bool)
	for _, entries := range l.All() {
		for _, e := range entries {
			t.Tally.Add(e.Findings)
			t.Exempted += e.Exempted.Total()
			for _, id := range e.Passed {
				passed[id] = true
			}
			for _, skip := range e.Skips {
				skipped[skip.Check] = true
			}
			for k := range e.Findings {
				failed[k.Check] = true
			}
		}
	}
	t.Skipped = len(skipped)
	for id := range passed {
		if !failed[id] && !skipped[id] {
			t.Passed++
		}
	}
	return t
}

// Oldest returns since when the oldest finding of that severity stands; zero if there is none.
func (e *Entry) Oldest(severity v1alpha1.Severity) time.Time {
	var oldest time.Time
	for _, s := range e.Remembered {
		if s.Severity == severity && (oldest.IsZero() || s.Since.Time.Before(oldest)) {
			oldest = s.Since.Time
		}
	}
	return oldest
}

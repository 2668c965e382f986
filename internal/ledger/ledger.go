// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ledger is the operator's memory: what it decided last about every subject, and what of that is stored in the
// cluster. It decides what is written, and metrics are read from it.
package ledger

import (
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/compliance"
	"github.com/kubersafe/kubersafe/internal/report"
)

// Ledger holds the entries of all namespaces. It is safe for concurrent use.
type Ledger struct {
	mu         sync.RWMutex
	namespaces map[string]judged
	// elsewhere are the namespaces that other shards judge. Of them only the sums are kept.
	elsewhere map[string]judged
	total     sum
	// sets are the checks in use, and for how many subjects of either sort.
	sets  map[*audit.Set]subjects
	onPut []func(namespace string)
}

// judged is what was decided about one namespace.
type judged struct {
	entries Entries
	set     *audit.Set
	sum     sum
}

// sum is what is counted of many entries. It is kept up to date with every change, so that nobody ever goes through all.
type sum struct {
	findings, exempted report.Tally
	// skips is how many subjects skip a check for a reason.
	skips map[skip]int
	// subjects are all that are judged, and those of them that are Unlisted.
	subjects, unlisted subjects
	// excluded is how many namespaces are left out.
	excluded int
	// uses of ClusterSecurityExceptions by name; nil if there are none.
	uses map[string]Use
}

// skip is what is counted of a skip.
type skip struct {
	check  string
	reason v1alpha1.SkipReason
}

// subjects is how many there are of each sort.
type subjects [audit.Sorts]int

func (s *subjects) add(other *subjects, sign int) {
	for sort, n := range other {
		s[sort] += sign * n
	}
}

// judgedBy says how many of them are subjects of a check.
func (s *subjects) judgedBy(c *audit.Check) int {
	total := 0
	for sort, n := range s {
		if c.Judges(audit.Sort(sort)) {
			total += n
		}
	}
	return total
}

func sumOf(entries iter.Seq[*Entry]) sum {
	s := sum{skips: make(map[skip]int)}
	for e := range entries {
		if e.Excluded {
			s.excluded++
			continue
		}
		s.findings.Add(e.Findings)
		s.exempted.Add(e.ExemptedFindings())
		for _, of := range e.Skips {
			s.skips[skip{of.Check, of.Reason}]++
		}
		if e.Exempted != nil {
			for _, u := range e.Exempted.Uses {
				if u.Cluster {
					s.use(u, 1)
				}
			}
		}
		s.subjects[audit.SortOf(e.Kind)]++
		if e.Unlisted {
			s.unlisted[audit.SortOf(e.Kind)]++
		}
	}
	return s
}

// use counts what an exception does.
func (s *sum) use(u Use, sign int32) {
	if s.uses == nil {
		s.uses = make(map[string]Use)
	}
	all := s.uses[u.Name]
	all.Cluster, all.Name = u.Cluster, u.Name
	all.Matches += sign * u.Matches
	all.Denied += sign * u.Denied
	if s.uses[u.Name] = all; all.Matches == 0 && all.Denied == 0 {
		delete(s.uses, u.Name)
	}
}

// New returns an empty ledger.
func New() *Ledger {
	return &Ledger{
		namespaces: make(map[string]judged), elsewhere: make(map[string]judged),
		total: sum{skips: make(map[skip]int)}, sets: make(map[*audit.Set]subjects),
	}
}

// OnPut registers a function that is called after every change, with the namespace that it is about. It must not block.
func (l *Ledger) OnPut(changed func(namespace string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onPut = append(l.onPut, changed)
}

// Put replaces what was decided about a namespace, by which checks.
func (l *Ledger) Put(namespace string, set *audit.Set, entries Entries) {
	fresh := judged{entries, set, sumOf(maps.Values(entries))}
	l.change(namespace, func() { l.replace(l.namespaces, namespace, fresh) })
}

// Drop forgets a namespace that is gone.
func (l *Ledger) Drop(namespace string) {
	l.change(namespace, func() { l.remove(l.namespaces, namespace) })
}

// PutElsewhere replaces what another shard has decided about a namespace, as far as it is stored; nothing is to forget it.
// It counts in the totals and nowhere else, and nobody is told.
func (l *Ledger) PutElsewhere(namespace string, set *audit.Set, entries []*Entry) {
	fresh := judged{set: set, sum: sumOf(slices.Values(entries))}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(entries) == 0 {
		l.remove(l.elsewhere, namespace)
		return
	}
	l.replace(l.elsewhere, namespace, fresh)
}

func (l *Ledger) replace(in map[string]judged, namespace string, fresh judged) {
	l.remove(in, namespace)
	in[namespace] = fresh
	l.total.findings.Add(fresh.sum.findings)
	l.total.exempted.Add(fresh.sum.exempted)
	for of, n := range fresh.sum.skips {
		l.total.skips[of] += n
	}
	l.total.unlisted.add(&fresh.sum.unlisted, 1)
	l.total.excluded += fresh.sum.excluded
	for _, u := range fresh.sum.uses {
		l.total.use(u, 1)
	}
	l.use(fresh.set, &fresh.sum.subjects, 1)
}

func (l *Ledger) remove(from map[string]judged, namespace string) {
	old, ok := from[namespace]
	if !ok {
		return
	}
	delete(from, namespace)
	l.total.findings.Remove(old.sum.findings)
	l.total.exempted.Remove(old.sum.exempted)
	for of, n := range old.sum.skips {
		if l.total.skips[of] -= n; l.total.skips[of] == 0 {
			delete(l.total.skips, of)
		}
	}
	l.total.unlisted.add(&old.sum.unlisted, -1)
	l.total.excluded -= old.sum.excluded
	for _, u := range old.sum.uses {
		l.total.use(u, -1)
	}
	l.use(old.set, &old.sum.subjects, -1)
}

// Uses returns what is known of the uses of a namespace's SecurityExceptions or, for "", of the ClusterSecurityExceptions of
// all namespaces, by name.
func (l *Ledger) Uses(namespace string) map[string]Use {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if namespace == "" {
		return maps.Clone(l.total.uses)
	}
	var own sum
	for _, e := range l.namespaces[namespace].entries {
		if e.Exempted == nil {
			continue
		}
		for _, u := range e.Exempted.Uses {
			if !u.Cluster {
				own.use(u, 1)
			}
		}
	}
	return own.uses
}

// use counts for how many subjects a set is in use.
func (l *Ledger) use(set *audit.Set, n *subjects, sign int) {
	using := l.sets[set]
	using.add(n, sign)
	if l.sets[set] = using; using == (subjects{}) {
		delete(l.sets, set)
	}
}

func (l *Ledger) change(namespace string, change func()) {
	l.mu.Lock()
	change()
	onPut := l.onPut
	l.mu.Unlock()
	for _, changed := range onPut {
		changed(namespace)
	}
}

// Get returns what was decided last about a namespace; nil if nothing was.
func (l *Ledger) Get(namespace string) Entries {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.namespaces[namespace].entries
}

// JudgedBy returns the checks by which a namespace was judged last; nil if it was not.
func (l *Ledger) JudgedBy(namespace string) *audit.Set {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.namespaces[namespace].set
}

// All returns what was decided about every namespace, by namespace.
func (l *Ledger) All() map[string]Entries {
	l.mu.RLock()
	defer l.mu.RUnlock()
	all := make(map[string]Entries, len(l.namespaces))
	for namespace, j := range l.namespaces {
		all[namespace] = j.entries
	}
	return all
}

// Namespaces returns the namespaces about which anything was decided, in no order.
func (l *Ledger) Namespaces() []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.AppendSeq(make([]string, 0, len(l.namespaces)), maps.Keys(l.namespaces))
}

// Totals returns the sums for the cluster's report.
func (l *Ledger) Totals() report.Totals {
	l.mu.RLock()
	defer l.mu.RUnlock()
	t := report.Totals{
		Tally: slices.Clone(l.total.findings), Exempted: l.total.exempted.Total(), Evidence: l.evidence(), Excludes: l.total.excluded > 0,
	}
	for _, e := range t.Evidence {
		if len(e.Skips) > 0 {
			t.Skipped++
		} else if e.Judged && !e.Failed && !e.Exempted {
			t.Passed++
		}
	}
	return t
}

// evidence returns what is known of every check that is in use or has said anything.
func (l *Ledger) evidence() map[string]compliance.Evidence {
	checks := make(map[string]*audit.Check)
	for set := range l.sets {
		for i := range set.Checks() {
			checks[set.Checks()[i].ID] = &set.Checks()[i]
		}
	}
	known := make(map[string]compliance.Evidence, len(checks))
	for id, c := range checks {
		var e compliance.Evidence
		for set, using := range l.sets {
			if using.judgedBy(c) == 0 {
				continue
			}
			switch in := set.Check(id); {
			case in == nil || in.Off:
				e.Off = true
			case set.Runs(in):
				e.Judged = true
			default:
				e.Unset = true
			}
		}
		e.Unlisted = l.total.unlisted.judgedBy(c) > 0
		known[id] = e
	}
	for _, count := range l.total.findings {
		e := known[count.Check]
		e.Failed = true
		known[count.Check] = e
	}
	for _, count := range l.total.exempted {
		e := known[count.Check]
		e.Exempted = true
		known[count.Check] = e
	}
	for of := range l.total.skips {
		e := known[of.check]
		e.Skips = append(e.Skips, of.reason)
		known[of.check] = e
	}
	for _, e := range known {
		slices.Sort(e.Skips)
	}
	return known
}

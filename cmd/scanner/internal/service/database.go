// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"slices"
	"time"

	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
)

// databaseTimeout is how long an update may take. The whole database has some 2 GB.
const databaseTimeout = time.Hour

// followDatabase keeps the database up to date, and has matched anew what another state of it is about.
func (s *Service) followDatabase(ctx context.Context) {
	known, generation := &osvdb.State{}, s.generation.Load()
	// What is kept is good enough to begin with.
	if state, err := s.database.State(); err == nil && state != nil {
		generation = s.takeOver(known, state)
		known = state
	}
	retry, stale := s.options.Retry.Min, s.isStale(known)
	for {
		state, err := s.updateDatabase(ctx)
		if ctx.Err() != nil {
			return
		}
		if generation != s.generation.Load() { // it was given up meanwhile
			known = &osvdb.State{}
		}
		wait := s.options.DatabasePoll
		switch {
		case err != nil:
			s.log.Info("The vulnerability database could not be updated; what was fetched before is used", "reason", err.Error(), "retry", retry)
			wait, retry = min(retry, wait), min(2*retry, s.options.Retry.Max)
		case !same(state, known):
			generation = s.takeOver(known, state)
			known, retry = state, s.options.Retry.Min
		default:
			retry = s.options.Retry.Min
		}
		if now := s.isStale(known); now != stale || known.Version == "" {
			stale = now
			s.dirtyAll(nil)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		case <-s.poll:
		}
	}
}

// same says whether two states are the same, in the same folder.
func same(a, b *osvdb.State) bool {
	return a.Version == b.Version && a.Published.Equal(b.Published) && slices.EqualFunc(a.Ecosystems, b.Ecosystems, func(a, b osvdb.Ecosystem) bool {
		return a.SourceVersion == b.SourceVersion
	})
}

func (s *Service) updateDatabase(ctx context.Context) (*osvdb.State, error) {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	source, err := osvdb.NewSource(s.options.Database, s.options.Ecosystems, s.open(s.secrets.Fallback))
	if err != nil {
		return nil, err
	}
	state, _, err := s.database.Update(ctx, s.options.Database, source, s.options.Ecosystems, func(ecosystem string) {
		s.log.Info("Fetching the vulnerability database", "ecosystem", ecosystem)
	})
	s.metrics.updated(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.databaseErr = err
	return state, err
}

// takeOver has matched anew the images with packages of the ecosystems in which two states differ. Nothing is pulled for that. It returns
// the generation of the new state.
func (s *Service) takeOver(old, state *osvdb.State) int64 {
	changed := make(map[string]bool)
	digests := make(map[string]string)
	for _, e := range old.Ecosystems {
		changed[e.Name], digests[e.Name] = true, e.Digest // unless it is still there
	}
	for _, e := range state.Ecosystems {
		changed[e.Name] = digests[e.Name] != e.Digest
	}
	generation := s.generation.Add(1)
	s.log.Info("The vulnerability database is there", "version", state.Version, "published", state.Published, "ecosystems", len(state.Ecosystems))
	if old.Version == "" {
		changed = nil
	}
	s.dirtyAll(changed)
	return generation
}

// dirtyAll has all reports looked at, or those that have to do with some ecosystems.
func (s *Service) dirtyAll(ecosystems map[string]bool) {
	for _, name := range s.versions.names() {
		s.dirty.Add(name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, subject := range s.subjects {
		if !subject.Kept || ecosystems == nil || s.reports.HasAny(name, ecosystems) {
			s.dirty.Add(name)
		}
	}
}

// isStale says whether a state of the database was published longer ago than it may have been.
func (s *Service) isStale(state *osvdb.State) bool {
	return state.Version != "" && s.options.DatabaseMaxAge > 0 && time.Since(state.Published) > s.options.DatabaseMaxAge
}

// discardDatabase gives up a database that cannot be read. To fetch it again mends that.
func (s *Service) discardDatabase(reason error) {
	s.log.Info("The vulnerability database cannot be read and is fetched again", "reason", reason.Error())
	if err := s.database.Discard(); err != nil {
		s.log.Error(err, "The vulnerability database cannot be given up")
	}
	s.generation.Add(1)
	tell(s.poll)
}

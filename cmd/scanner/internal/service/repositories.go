// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"slices"
	"time"

	"github.com/kubersafe/kubersafe/cmd/scanner/internal/repository"
)

// listTimeout is how long listing the tags of one repository may take.
const listTimeout = 2 * time.Minute

// followRepositories keeps the images of the repositories up to date that the AuditConfiguration wants scanned.
func (s *Service) followRepositories(ctx context.Context) {
	known := make(map[string][]string) // images by repository
	retry := s.options.Retry.Min
	for {
		woken := s.wanted.next() // before it is asked what is wanted
		complete := s.listRepositories(ctx, known)
		if ctx.Err() != nil {
			return
		}
		wait := s.options.Recheck
		if complete {
			retry = s.options.Retry.Min
		} else {
			wait, retry = min(retry, wait), min(2*retry, s.options.Retry.Max)
		}
		s.listed.Store(true)
		tell(s.changed)
		select {
		case <-ctx.Done():
			return
		case <-woken:
		case <-time.After(wait):
		}
	}
}

// listRepositories asks for the tags of the repositories that are wanted now. What cannot be asked stays as it is known.
func (s *Service) listRepositories(ctx context.Context, known map[string][]string) (complete bool) {
	complete = true
	var images []string
	for _, r := range s.repositories.Repositories() {
		limited, cancel := context.WithTimeout(ctx, listTimeout)
		found, err := repository.List(limited, &r, s.open(s.secrets.Fallback))
		cancel()
		if ctx.Err() != nil {
			return false
		}
		s.asked(questionRepository, r.Name, err)
		if err == nil {
			known[r.Name] = found
		} else {
			complete = false
		}
		images = append(images, known[r.Name]...)
	}
	slices.Sort(images)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.besides = slices.Compact(images)
	return complete
}

// names returns the images to scan besides those that the cluster uses.
func (s *Service) names() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.besides
}

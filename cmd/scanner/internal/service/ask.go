// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/repository"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/work"
)

// askTimeout is how long one question to a registry may take.
const askTimeout = 2 * time.Minute

// questions are what registries are asked of images besides what is in them.
type questions struct {
	// tags: the digest of the platform's manifest that a tag leads to, by tagKey.
	tags *work.Agenda[string]
	// newest tag of a repository that is a version, by the repository.
	newest *work.Agenda[string]
}

func newQuestions(board *work.Board, options *Options) questions {
	return questions{tags: newAgenda[string](board, options), newest: newAgenda[string](board, options)}
}

func newAgenda[V comparable](board *work.Board, options *Options) *work.Agenda[V] {
	return &work.Agenda[V]{Every: options.Recheck, Retry: options.Retry, Outage: board.Outage, Heard: board.Heard, Now: time.Now}
}

func tagKey(tag, platform string) string { return platform + " " + tag }

// askRegistries asks what there is to be asked, one question after the other.
func (s *Service) askRegistries(ctx context.Context) {
	for ctx.Err() == nil {
		woken := s.asking.next() // before it is looked what there is to be asked
		s.plan()
		wait := askAll(ctx, s, s.questions.tags, "Where the tag leads")
		wait = sooner(wait, askAll(ctx, s, s.questions.newest, "Which tags the repository has"))
		var due <-chan time.Time
		if wait > 0 {
			due = time.After(max(wait, settle))
		}
		select {
		case <-ctx.Done():
			return
		case <-woken:
			// What comes with it is gathered.
			select {
			case <-ctx.Done():
			case <-time.After(settle):
			}
		case <-due:
		}
	}
}

// sooner returns the shorter of two times to wait, of which 0 is for ever.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// askAll asks the questions of an agenda that are due, and returns how long to wait for the next.
func askAll[V comparable](ctx context.Context, s *Service, agenda *work.Agenda[V], what string) time.Duration {
	for ctx.Err() == nil {
		limited, cancel := context.WithTimeout(ctx, askTimeout)
		asked, ok, wait := agenda.AskNext(limited)
		cancel()
		switch {
		case !ok:
			return wait
		case asked.Err != nil && ctx.Err() == nil: // it is nobody's failure that the scanner ends
			s.log.Info(what+" could not be asked, and is asked again", "of", asked.Key,
				"reason", problem.Reason(asked.Err, v1alpha1.ReasonRegistryUnavailable), "message", asked.Err.Error())
		}
		for _, name := range asked.Changed {
			s.dirty.Add(name)
		}
	}
	return 0
}

// named are reports that name a tag, or tags of a repository.
type named struct {
	tag, platform string
	reports       []string
	sources       []cluster.Source
	// known are digests that are known to lead to a platform's manifest, and its digest.
	known map[string]string
}

// add takes in a report under a key.
func add(all map[string]*named, key, tag, report string, subject *work.Subject) {
	n := all[key]
	if n == nil {
		n = &named{tag: tag, platform: subject.Platform, known: make(map[string]string)}
		all[key] = n
	}
	n.reports = append(n.reports, report)
	n.sources = append(n.sources, subject.From(cluster.RepositoryOf(tag), tag)...)
	for _, digest := range append([]string{subject.About.Digest}, subject.About.IndexDigests...) {
		n.known[digest] = subject.About.Digest
	}
}

// plan takes in what is to be asked of the images that there are to be reports on.
func (s *Service) plan() {
	s.mu.Lock()
	subjects := s.subjects
	s.mu.Unlock()
	tags, repositories := make(map[string]*named), make(map[string]*named)
	for _, report := range slices.Sorted(maps.Keys(subjects)) {
		subject := subjects[report]
		if subject.About.Digest == "" {
			continue // its registry is asked for that first
		}
		for _, reference := range subject.References[:min(len(subject.References), v1alpha1.MaxImageReferences)] {
			if tag := cluster.TagOf(reference); tag != "" {
				add(tags, tagKey(tag, subject.Platform), tag, report, subject)
				add(repositories, cluster.RepositoryOf(tag), tag, report, subject)
			}
		}
	}
	s.questions.tags.Update(questionsOf(s, tags, func(ctx context.Context, n *named, o image.Options) (string, error) {
		return image.LeadsTo(ctx, n.tag, n.known, o)
	}))
	s.questions.newest.Update(questionsOf(s, repositories, func(ctx context.Context, n *named, o image.Options) (string, error) {
		return repository.Newest(ctx, cluster.RepositoryOf(n.tag), o)
	}))
}

// questionsOf returns the questions on names, asked with the credentials of those who use them.
func questionsOf(s *Service, all map[string]*named, ask func(context.Context, *named, image.Options) (string, error)) map[string]work.Question[string] {
	questions := make(map[string]work.Question[string], len(all))
	for key, n := range all {
		questions[key] = work.Question[string]{
			Registry: work.RegistryOf(n.tag), Reports: n.reports,
			Ask: func(ctx context.Context) (answer string, err error) {
				err = s.try(ctx, n.sources, n.platform, func(_ string, o image.Options) error {
					answer, err = ask(ctx, n, o)
					return err
				})
				return answer, err
			},
		}
	}
	return questions
}

// reference returns what a report tells of a name.
func (s *Service) reference(name, platform string) v1alpha1.ImageReference {
	reference := v1alpha1.ImageReference{Name: name}
	if tag := cluster.TagOf(name); tag != "" {
		reference.CurrentDigest, _, _ = s.questions.tags.Answer(tagKey(tag, platform))
		reference.NewestTag, _, _ = s.questions.newest.Answer(cluster.RepositoryOf(tag))
	}
	return reference
}

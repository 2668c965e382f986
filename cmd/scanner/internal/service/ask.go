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
	// signatures of an image in a repository, by signatureKey.
	signatures *work.Agenda[v1alpha1.ImageSignature]
}

func newQuestions(board *work.Board, options *Options) questions {
	q := questions{
		tags: newAgenda[string](board, options), newest: newAgenda[string](board, options), signatures: newAgenda[v1alpha1.ImageSignature](board, options),
	}
	// What has been signed once stays so.
	q.signatures.Final = func(answer v1alpha1.ImageSignature) bool { return answer.State == v1alpha1.SignatureVerified }
	return q
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
		wait = sooner(wait, askAll(ctx, s, s.questions.signatures, "Whether the image is signed"))
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

// plan takes in what is to be asked of the images that there are to be reports on.
func (s *Service) plan() {
	subjects := s.demand()
	tags, repositories := make(plans[string]), make(plans[string])
	signatures := make(plans[v1alpha1.ImageSignature])
	for _, report := range slices.Sorted(maps.Keys(subjects)) {
		subject := subjects[report]
		if subject.About.Digest == "" {
			continue // its registry is asked for that first
		}
		for _, name := range subject.Names() {
			repo := cluster.RepositoryOf(name)
			if tag := cluster.TagOf(name); tag != "" {
				tags.add(tagKey(tag, subject.Platform), tag, report, subject).ask = image.LeadsTo
				repositories.add(repo, tag, report, subject).ask = newest
			}
			if signers := s.signers(name); signers != nil {
				at := repo + "@" + subject.About.Digest
				signatures.add(signatureKey(repo, subject.About.Digest, signers), at, report, subject).ask = verify(signers)
			}
		}
	}
	s.questions.tags.Update(tags.questions(s))
	s.questions.newest.Update(repositories.questions(s))
	s.questions.signatures.Update(signatures.questions(s))
}

// newest asks for the newest tag in the repository of a reference.
func newest(ctx context.Context, reference string, _ map[string]string, o image.Options) (string, error) {
	return repository.Newest(ctx, cluster.RepositoryOf(reference), o)
}

// plans are questions by their keys, as they are put together of the reports that tell the answers.
type plans[V comparable] map[string]*planned[V]

type planned[V comparable] struct {
	reference, platform string
	reports             []string
	sources             []cluster.Source
	// known are digests that are known to lead to a platform's manifest, and its digest.
	known map[string]string
	// ask asks the registry of the reference.
	ask func(ctx context.Context, reference string, known map[string]string, o image.Options) (V, error)
}

// add takes in a report.
func (p plans[V]) add(key, reference, report string, subject *work.Subject) *planned[V] {
	q := p[key]
	if q == nil {
		q = &planned[V]{reference: reference, platform: subject.Platform, known: make(map[string]string)}
		p[key] = q
	}
	if !slices.Contains(q.reports, report) {
		q.reports = append(q.reports, report)
	}
	q.sources = append(q.sources, subject.From(cluster.RepositoryOf(reference), q.reference)...)
	for _, digest := range append([]string{subject.About.Digest}, subject.About.IndexDigests...) {
		q.known[digest] = subject.About.Digest
	}
	return q
}

// questions returns what has been put together. It is asked with the credentials of those who use the image.
func (p plans[V]) questions(s *Service) map[string]work.Question[V] {
	questions := make(map[string]work.Question[V], len(p))
	for key, q := range p {
		questions[key] = work.Question[V]{
			Registry: work.RegistryOf(q.reference), Reports: q.reports,
			Ask: func(ctx context.Context) (answer V, err error) {
				err = s.try(ctx, q.sources, q.platform, func(reference string, o image.Options) error {
					answer, err = q.ask(ctx, reference, q.known, o)
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

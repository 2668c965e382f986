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
	heard := func(registry string, err error) {
		// One that does not list tags, say, has images all the same.
		if problem.Reason(err, "") != v1alpha1.ReasonRegistryUnavailable || !image.Answers(err) {
			board.Heard(registry, err)
		}
	}
	return &work.Agenda[V]{Every: options.Recheck, Retry: options.Retry, Outage: board.Outage, Heard: heard, Now: time.Now}
}

func tagKey(tag, platform string) string { return platform + " " + tag }

// askRegistries asks what there is to be asked, one question after the other.
func (s *Service) askRegistries(ctx context.Context) {
	for ctx.Err() == nil {
		woken := s.asking.next() // before it is looked what there is to be asked
		s.plan()
		wait := askAll(ctx, woken, s, s.questions.signatures, questionSignature)
		wait = sooner(wait, askAll(ctx, woken, s, s.questions.tags, questionTag))
		wait = sooner(wait, askAll(ctx, woken, s, s.questions.newest, questionNewest))
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

// askAll asks the questions of an agenda that are due, and returns how long to wait for the next. It asks one at least, and no more once
// there may be others.
func askAll[V comparable](ctx context.Context, woken <-chan struct{}, s *Service, agenda *work.Agenda[V], question string) time.Duration {
	for ctx.Err() == nil {
		limited, cancel := context.WithTimeout(ctx, askTimeout)
		asked, ok, wait := agenda.AskNext(limited)
		cancel()
		if !ok {
			return wait
		}
		if ctx.Err() == nil { // it is nobody's failure that the scanner ends
			s.asked(question, asked.Key, asked.Err)
		}
		for _, name := range asked.Changed {
			s.dirty.Add(name)
		}
		select {
		case <-woken:
			return 0
		default:
		}
	}
	return 0
}

// asked tells what has become of asking a registry.
func (s *Service) asked(question, key string, err error) {
	s.metrics.asked(question, err)
	if err != nil {
		s.log.Info("A registry could not be asked, and is asked again", "question", question, "of", key,
			"reason", problem.Reason(err, v1alpha1.ReasonRegistryUnavailable), "message", err.Error())
	}
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
			if tag := cluster.TagOf(name); tag != "" {
				tags.add(tagKey(tag, subject.Platform), tag, report, subject).ask = image.LeadsTo
				repositories.add(cluster.RepositoryOf(tag), tag, report, subject).ask = newest
			}
		}
		for _, name := range subject.References {
			if signers := s.signers(name); signers != nil {
				repo := cluster.RepositoryOf(name)
				signatures.add(signatureKey(repo, &subject.About, signers), repo+"@"+subject.About.Digest, report, subject).ask = verify(repo, subject, signers)
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
	subjects            []*work.Subject
	// known are digests that are known to lead to a platform's manifest, and its digest.
	known map[string]string
	// ask asks the registry of the reference.
	ask func(ctx context.Context, reference string, known map[string]string, o image.Options) (V, error)
}

// add takes in a report. All names of one come one after the other.
func (p plans[V]) add(key, reference, report string, subject *work.Subject) *planned[V] {
	q := p[key]
	if q == nil {
		q = &planned[V]{reference: reference, platform: subject.Platform, known: make(map[string]string)}
		p[key] = q
	}
	if n := len(q.reports); n > 0 && q.reports[n-1] == report {
		return q
	}
	q.reports, q.subjects = append(q.reports, report), append(q.subjects, subject)
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
				err = s.try(ctx, work.Sources(q.subjects, q.reference), q.platform, func(reference string, o image.Options) error {
					answer, err = q.ask(ctx, reference, q.known, o)
					return err
				})
				return answer, err
			},
		}
	}
	return questions
}

// reference returns what a report tells of a name. What is not known stays as it is.
func (s *Service) reference(report, name, platform string) v1alpha1.ImageReference {
	tag := cluster.TagOf(name)
	if tag == "" {
		return v1alpha1.ImageReference{Name: name}
	}
	reference := s.reports.Reference(report, name)
	if digest, known, _ := s.questions.tags.Answer(tagKey(tag, platform)); known {
		reference.CurrentDigest = digest
	}
	if newest, known, _ := s.questions.newest.Answer(cluster.RepositoryOf(tag)); known {
		reference.NewestTag = newest
	}
	return reference
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/imagereport"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/inventory"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/match"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/work"
)

// errQueued says that an image's turn has not come.
var errQueued = problem.Errorf(v1alpha1.ReasonQueued, "it waits for its turn")

// judgeAll keeps reports as they are to be, one after the other.
func (s *Service) judgeAll(ctx context.Context) {
	defer func() {
		if s.judge.view != nil {
			_ = s.judge.view.Close() // only read
		}
	}()
	for {
		name, ended := s.dirty.Get()
		if ended || ctx.Err() != nil {
			return
		}
		err := s.judgeOne(ctx, name)
		switch {
		case err == nil:
			s.dirty.Forget(name)
		case ctx.Err() != nil:
		default:
			if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) {
				s.log.Error(err, "The report could not be brought up to date, and is tried again", "report", name)
			}
			s.dirty.AddRateLimited(name)
		}
		s.dirty.Done(name)
	}
}

// judgeOne brings one report up to date.
func (s *Service) judgeOne(ctx context.Context, name string) error {
	if v1alpha1.KubernetesVersionOf(name) != "" {
		return s.judgeKubernetes(ctx, name)
	}
	subject := s.subject(name)
	if subject == nil {
		return s.retire(ctx, name)
	}
	report, err := s.report(ctx, subject)
	if err != nil {
		return err
	}
	return s.reports.Put(ctx, report)
}

// later is when it is looked again whether all is known that is used.
const later = 2 * time.Second

// retire forgets what nothing refers to any more, once that has been so for long enough.
func (s *Service) retire(ctx context.Context, name string) error {
	if !s.known() || !s.listed.Load() {
		s.dirty.AddAfter(name, later)
		return nil
	}
	wait, gone, err := s.reports.Retire(ctx, name, s.options.Keep, time.Now())
	if err != nil {
		return err
	}
	if !gone {
		s.dirty.AddAfter(name, wait)
		return nil
	}
	if digest := strings.Replace(name, "-", ":", 1); inventory.IsDigest(digest) {
		return s.store.Delete(digest)
	}
	return nil
}

// report makes the report on an image. An error is one of the scanner's own disk.
func (s *Service) report(ctx context.Context, subject *work.Subject) (*v1alpha1.ImageReport, error) {
	about := subject.About
	if !subject.Kept {
		err := subject.Err
		if err == nil {
			err = errQueued
		}
		return s.named(imagereport.Failed(&about, err), subject), nil
	}
	inv, err := s.store.Get(about.Digest)
	if err != nil {
		return nil, err
	}
	if inv == nil { // damaged, or gone
		if err := s.store.Delete(about.Digest); err != nil {
			return nil, err
		}
		s.board.Lost(about.Digest)
		s.sync()
		s.idle.wake()
		return s.named(imagereport.Failed(&about, errQueued), subject), nil
	}
	inv.About.Name, inv.About.IndexDigests = about.Name, about.IndexDigests
	r, err := s.match(ctx, &inv.About, func(m *match.Matcher) (*match.Result, error) { return m.Match(ctx, inv) })
	if err != nil {
		return nil, err
	}
	return s.named(r, subject), nil
}

// match makes the report on an image out of what is found to be vulnerable in it. It fails only if the context has ended.
func (s *Service) match(ctx context.Context, about *v1alpha1.Image, find func(*match.Matcher) (*match.Result, error)) (*v1alpha1.ImageReport, error) {
	result, err := s.matched(find)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return imagereport.Failed(about, err), nil
	}
	r := imagereport.Build(about, result, s.judge.view.State, v1alpha1.MaxVulnerabilities)
	if s.options.DatabaseMaxAge > 0 {
		imagereport.Stale(r, s.judge.view.Published, time.Now(), s.options.DatabaseMaxAge)
	}
	return r, nil
}

// matched returns what is found to be vulnerable by the newest state of the database.
func (s *Service) matched(find func(*match.Matcher) (*match.Result, error)) (*match.Result, error) {
	if err := s.openDatabase(); err != nil {
		return nil, problem.Errorf(v1alpha1.ReasonDatabaseInvalid, "%w", err)
	}
	if s.judge.view == nil {
		return nil, problem.Errorf(v1alpha1.ReasonDatabaseMissing, "%w", s.databaseMissing())
	}
	result, err := find(s.judge.matcher)
	if problem.Reason(err, "") == v1alpha1.ReasonDatabaseInvalid {
		s.discardDatabase(err)
	}
	return result, err
}

// named gives a report the names under which its image is used, and what registries tell of these. It stays named by what it was found by
// while its digest is not known.
func (s *Service) named(r *v1alpha1.ImageReport, subject *work.Subject) *v1alpha1.ImageReport {
	r.References = nil
	for _, name := range subject.Names() {
		if len(name) <= v1alpha1.MaxImageName {
			r.References = append(r.References, s.reference(r.Name, name, subject.Platform))
		}
	}
	if r.Image.Digest != "" && len(r.References) > 0 {
		r.Image.Name = r.References[0].Name
	}
	s.sign(r, subject)
	return r
}

// openDatabase opens the newest state of the database, if another one is open.
func (s *Service) openDatabase() error {
	generation := s.generation.Load()
	if s.judge.generation == generation {
		return nil
	}
	if s.judge.view != nil {
		_ = s.judge.view.Close() // only read
	}
	s.judge.view, s.judge.matcher = nil, nil
	view, err := s.database.View()
	if err != nil {
		return err
	}
	s.judge.generation, s.judge.view = generation, view
	if view != nil {
		s.judge.matcher = match.New(view)
	}
	return nil
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/scan"
)

// scanAll scans one image after the other.
func (s *Service) scanAll(ctx context.Context, scanner *scan.Scanner) {
	for ctx.Err() == nil {
		woken := s.idle.next() // before the board is asked: what changes meanwhile is not missed
		use, ok, wait := s.board.Next()
		s.sync() // some may have turned out to be known already
		if ok {
			s.scanOne(ctx, scanner, use)
			continue
		}
		var due <-chan time.Time
		if wait > 0 {
			due = time.After(wait)
		}
		select {
		case <-ctx.Done():
		case <-woken:
		case <-due:
		}
	}
}

// scanOne scans one image.
func (s *Service) scanOne(ctx context.Context, scanner *scan.Scanner, use cluster.Use) {
	source := use.Sources[0].Reference
	log := s.log.WithValues("image", source, "platform", use.Platform, "pods", use.Pods)
	start := time.Now()
	s.started.Store(source, start)
	defer s.started.Delete(source)
	limited, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	about, err := s.pull(limited, scanner, use)
	if ctx.Err() != nil {
		return // it is nobody's failure that the scanner ends
	}
	s.board.Done(use.Image, err)
	s.metrics.scanned(err, time.Since(start))
	if err != nil {
		log.Info("The image could not be scanned", "reason", problem.Reason(err, v1alpha1.ReasonExtractionFailed), "message", err.Error())
	} else {
		log.Info("The image is scanned", "digest", about.Digest, "packages", about.PackageCount, "took", time.Since(start).Round(time.Millisecond), "waiting", s.board.Waiting())
	}
	s.sync()
	s.idle.wake() // a registry that answers again may have more to do
}

// pull finds out what is in an image, and keeps that.
func (s *Service) pull(ctx context.Context, scanner *scan.Scanner, use cluster.Use) (*v1alpha1.Image, error) {
	found, err := s.find(ctx, use)
	if err != nil {
		return nil, err
	}
	if use.Config != "" && found.About.ConfigDigest != use.Config {
		return nil, problem.Errorf(v1alpha1.ReasonNotFound, "the registry has another image under this name than the one that runs, %s", use.Config)
	}
	s.board.Found(use.Image, found.About)
	s.sync()
	inv, err := scanner.Inventory(ctx, found)
	if err != nil {
		return nil, err
	}
	return &inv.About, nil
}

// find opens an image in one of the ways that there are.
func (s *Service) find(ctx context.Context, use cluster.Use) (found *image.Image, err error) {
	err = s.try(ctx, use.Sources, use.Platform, func(reference string, o image.Options) error {
		found, err = image.Open(ctx, reference, o)
		return err
	})
	return found, err
}

// try asks registries for something of a platform, with the credentials of those who use it, until that succeeds.
func (s *Service) try(ctx context.Context, sources []cluster.Source, platform string, ask func(reference string, o image.Options) error) error {
	wanted, err := image.ParsePlatform(platform)
	if err != nil {
		return problem.Errorf(v1alpha1.ReasonPlatformUnsupported, "%w", err)
	}
	attempts, unread := s.secrets.Attempts(ctx, sources)
	forbidden := 0
	for _, err := range unread {
		s.log.Info("Credentials could not be read", "image", sources[0].Reference, "reason", err.Error())
		if apierrors.IsForbidden(err) {
			forbidden++
		}
	}
	var errs []error
	down := make(map[string]bool)
	for _, a := range attempts {
		if down[a.Registry()] {
			continue
		}
		options := s.open(a.Keychain)
		options.Platform = wanted
		err := ask(a.Reference, options)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
		switch problem.Reason(err, "") {
		case v1alpha1.ReasonUnauthorized, v1alpha1.ReasonNotFound: // which some registries say instead
		case v1alpha1.ReasonRegistryUnavailable:
			down[a.Registry()] = true
		default:
			return err // it is the image that is wrong
		}
	}
	return worst(errs, forbidden)
}

// worst returns what is told of several attempts: that credentials are missing, if any of them says so, or that a registry is not there.
// Reports are read by people who need not know the names of others' Secrets; the log has them.
func worst(errs []error, forbidden int) error {
	rank := func(err error) int {
		return slices.Index([]v1alpha1.ImageReason{v1alpha1.ReasonNotFound, v1alpha1.ReasonRegistryUnavailable, v1alpha1.ReasonUnauthorized}, problem.Reason(err, ""))
	}
	err := slices.MaxFunc(errs, func(a, b error) int { return cmp.Compare(rank(a), rank(b)) })
	if forbidden == 0 || problem.Reason(err, "") == v1alpha1.ReasonRegistryUnavailable {
		return err
	}
	return problem.Errorf(problem.Reason(err, ""),
		"of the pull secrets and ServiceAccounts of its Pods, the scanner may not read %d, which takes a Role in their namespace: %w", forbidden, errors.Unwrap(err))
}

// reportName returns the name of the report on a digest.
func reportName(digest string) string { return v1alpha1.ImageReportName("", digest) }

// databaseMissing is why nothing can be matched.
func (s *Service) databaseMissing() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.databaseErr != nil {
		return fmt.Errorf("there is no vulnerability database yet: %w", s.databaseErr)
	}
	return errors.New("there is no vulnerability database yet")
}

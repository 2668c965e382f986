// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/publish"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/signature"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/work"
	"github.com/kubersafe/kubersafe/internal/plain"
)

// signatureKey tells apart what the same signers have signed in several repositories, and what several have in one. It is another one once
// another index is known that leads to the image: that may be what is signed.
func signatureKey(repository string, about *v1alpha1.Image, signers *signature.Signers) string {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{signers.ID}, about.IndexDigests...), " ")))
	return fmt.Sprintf("%s@%s %x", repository, about.Digest, sum)
}

// demand takes in which signatures are wanted now, and returns the reports that there are to be.
func (s *Service) demand() map[string]*work.Subject {
	required := s.repositories.Signatures()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.policy == nil || !reflect.DeepEqual(required, s.required) {
		s.required, s.policy = required, signature.NewPolicy(required, s.root)
		for name := range s.subjects {
			s.dirty.Add(name)
		}
	}
	return s.subjects
}

// signers returns whose signatures count for an image by one of its names, or nil if it needs none.
func (s *Service) signers(name string) *signature.Signers {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.policy.Of(name)
}

// verify returns how to ask for signatures of an image in a repository. Indexes come first, as tools sign no manifest in them unless told to;
// and of those the ones that the image is used by from there, as others may be anybody's.
func verify(repository string, subject *work.Subject, signers *signature.Signers) func(context.Context, string, map[string]string, image.Options) (v1alpha1.ImageSignature, error) {
	return func(ctx context.Context, _ string, _ map[string]string, o image.Options) (v1alpha1.ImageSignature, error) {
		var used, others []string
		for _, digest := range subject.About.IndexDigests {
			if slices.ContainsFunc(subject.Sources, func(s cluster.Source) bool { return s.Reference == repository+"@"+digest }) {
				used = append(used, digest)
			} else {
				others = append(others, digest)
			}
		}
		return signature.Verify(ctx, repository, append(slices.Concat(used, others), subject.About.Digest), signers, o)
	}
}

// What is told of one image that has several answers, of which "" is none yet: the last of these. Of several repositories one is enough in
// which it is signed; of several demands all must be met.
var (
	ofRepositories = []v1alpha1.SignatureState{
		v1alpha1.SignatureUnsigned, v1alpha1.SignatureRejected, v1alpha1.SignatureFailed, "", v1alpha1.SignatureVerified,
	}
	ofDemands = []v1alpha1.SignatureState{
		v1alpha1.SignatureVerified, v1alpha1.SignatureFailed, "", v1alpha1.SignatureUnsigned, v1alpha1.SignatureRejected,
	}
)

func last(order []v1alpha1.SignatureState, answers []v1alpha1.ImageSignature) v1alpha1.ImageSignature {
	return slices.MaxFunc(answers, func(a, b v1alpha1.ImageSignature) int {
		return slices.Index(order, a.State) - slices.Index(order, b.State)
	})
}

// sign tells in a report whether the image is signed as demanded. Where that is not known, it stays as it was by the same demand.
func (s *Service) sign(r *v1alpha1.ImageReport, subject *work.Subject) {
	var failed error
	// By those whose signatures count.
	answers := make(map[string][]v1alpha1.ImageSignature)
	for _, name := range subject.References { // not only those that there is room for: each may have a demand of its own
		signers := s.signers(name)
		if signers == nil || subject.About.Digest == "" {
			continue
		}
		answer, known, err := s.questions.signatures.Answer(signatureKey(cluster.RepositoryOf(name), &subject.About, signers))
		if !known && failed == nil {
			failed = err
		}
		answers[signers.ID] = append(answers[signers.ID], answer)
	}
	if len(answers) == 0 {
		return
	}
	demands := slices.Sorted(maps.Keys(answers))
	demand := fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(demands, " "))))
	var each []v1alpha1.ImageSignature
	for _, id := range demands {
		each = append(each, last(ofRepositories, answers[id]))
	}
	signature := last(ofDemands, each)
	if signature.State == "" {
		if old := s.reports.Signature(r.Name, demand); old != nil {
			signature = *old
		} else if failed != nil {
			signature = v1alpha1.ImageSignature{State: v1alpha1.SignatureFailed, Message: plain.Clean(failed.Error(), v1alpha1.MaxMessage)}
		} else {
			return
		}
	}
	r.Signature = &signature
	r.Annotations = map[string]string{publish.SignatureDemand: demand}
}

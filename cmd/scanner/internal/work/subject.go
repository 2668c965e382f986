// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package work

import (
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

// Subject is an image that there is to be a report on.
type Subject struct {
	// About is what is known of it. Its name is the one that it was pulled by, or is to be.
	About v1alpha1.Image
	// References are the names under which it is used, sorted.
	References []string
	// Platform that is wanted, such as linux/arm64; what the image says of itself may have more to it.
	Platform string
	// Sources that it can be pulled from.
	Sources []cluster.Source
	// Kept: what is in it is known.
	Kept bool
	// Err is why that is not known; nil while its turn has not come.
	Err error
}

// add takes in another name, or another index, of the same image.
func (s *Subject) add(i *item, indexes []string) {
	s.References = append(s.References, i.use.Names...)
	s.Sources = append(s.Sources, i.use.Sources...)
	s.About.IndexDigests = append(slices.Clone(s.About.IndexDigests), indexes...)
	if i.done {
		s.Kept, s.Err = true, nil
	}
}

// Names returns the names that there is room for in a report.
func (s *Subject) Names() []string {
	return s.References[:min(len(s.References), v1alpha1.MaxImageReferences)]
}

// Sources returns the ways to ask for something else than images in a repository that some of them are in, by its reference, with the
// credentials of those who use them. There is at least one.
func Sources(subjects []*Subject, reference string) []cluster.Source {
	repository := cluster.RepositoryOf(reference)
	var sources []cluster.Source
	known := make(map[cluster.Source]bool)
	for _, subject := range subjects {
		for _, source := range subject.Sources {
			if cluster.RepositoryOf(source.Reference) != repository {
				continue
			}
			if source.Reference = reference; !known[source] {
				known[source] = true
				sources = append(sources, source)
			}
		}
	}
	if len(sources) == 0 {
		return []cluster.Source{{Reference: reference}}
	}
	return sources
}

// Fingerprint is the same for as long as the report is to say the same.
func (s *Subject) Fingerprint() string {
	text := fmt.Sprint(s.Kept, s.About.Digest, s.About.IndexDigests, s.References)
	if s.Err != nil {
		text += fmt.Sprint(problem.Reason(s.Err, ""), s.Err)
	}
	return text
}

// describe returns what is known of an image. While its registry has not told what it is, the digest that containers run it by stands among
// the indexes: readers of reports find it there, whichever it will turn out to be.
func (i *item) describe() v1alpha1.Image {
	about := i.about
	if about.Digest != "" {
		if d := i.use.Digest; d != "" && d != about.Digest && !slices.Contains(about.IndexDigests, d) {
			about.IndexDigests = append(slices.Clone(about.IndexDigests), d)
		}
		return about
	}
	about.Name = i.use.Sources[0].Reference
	about.Platform, about.ConfigDigest = i.use.Platform, i.use.Config
	if i.use.Digest != "" {
		about.IndexDigests = []string{i.use.Digest}
	}
	return about
}

// registryOf returns the registry that an image is pulled from first.
func registryOf(i *item) string {
	return RegistryOf(i.use.Sources[0].Reference)
}

// RegistryOf returns the registry of a reference, by the name under which outages are noted.
func RegistryOf(reference string) string {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return ""
	}
	return ref.Context().RegistryStr()
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/distribution/reference"
	"k8s.io/utils/lru"
)

// parseImage parses an image reference as container runtimes do. Images are shared by many Pods and asked about by many
// checks, and the library parses them with regular expressions, at more than all other checks of a Pod cost together.
func parseImage(image string) (reference.Named, error) {
	if p, ok := parsedImages.Get(image); ok {
		p := p.(parsedImage) //nolint:forcetypeassert // nothing else is put there
		return p.named, p.err
	}
	named, err := reference.ParseNormalizedNamed(image)
	parsedImages.Add(image, parsedImage{named, err})
	return named, err
}

type parsedImage struct {
	named reference.Named
	err   error
}

var parsedImages = lru.New(4096)

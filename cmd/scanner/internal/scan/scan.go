// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scan finds out what is in images, once for each.
package scan

import (
	"context"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/inventory"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

// Scanner finds out what is in images, once for each.
type Scanner struct {
	Extractor *inventory.Extractor
	// Store keeps what was found; nil keeps nothing.
	Store *inventory.Store
}

// Inventory returns what is in an image: from the store, or else by pulling its layers. The image is told under the name and the indexes by
// which it was found now. Errors are problem.Errors.
func (s *Scanner) Inventory(ctx context.Context, img *image.Image) (*inventory.Inventory, error) {
	inv, err := s.inventory(ctx, img)
	if err != nil {
		return nil, err
	}
	inv.About.Name, inv.About.IndexDigests = img.About.Name, img.About.IndexDigests
	return inv, nil
}

func (s *Scanner) inventory(ctx context.Context, img *image.Image) (*inventory.Inventory, error) {
	if s.Store == nil || img.About.Digest == "" {
		return s.Extractor.Extract(ctx, img)
	}
	inv, err := s.Store.Get(img.About.Digest)
	if err != nil || inv != nil {
		return inv, err
	}
	if inv, err = s.Extractor.Extract(ctx, img); err != nil {
		return nil, err
	}
	if err := s.Store.Put(inv); err != nil {
		return nil, problem.Errorf(v1alpha1.ReasonDiskFull, "%w", err)
	}
	return inv, nil
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scan puts the parts of a scan together: image, inventory, database, report.
package scan

import (
	"context"
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/imagereport"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/inventory"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/match"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
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

// Rematch matches all that is in the store against a state of the database, and pulls nothing. It calls f with the report of each image, by
// digest; the reports know neither names nor indexes. It ends at the first error of the store, of the database, or of f.
func Rematch(ctx context.Context, store *inventory.Store, db *osvdb.View, f func(*v1alpha1.ImageReport) error) error {
	digests, err := store.Digests()
	if err != nil {
		return err
	}
	matcher := match.New(db)
	for _, digest := range digests {
		inv, err := store.Get(digest)
		if err != nil {
			return err
		}
		if inv == nil {
			continue // damaged: it is pulled again when its turn comes
		}
		result, err := matcher.Match(ctx, inv)
		if err != nil {
			return fmt.Errorf("matching %s: %w", digest, err)
		}
		if err := f(imagereport.Build(&inv.About, result, db.State, v1alpha1.MaxVulnerabilities)); err != nil {
			return err
		}
	}
	return nil
}

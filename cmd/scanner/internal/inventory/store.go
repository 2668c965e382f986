// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// storeFormat is the version of what files of the store hold. Another version is as good as no file: the image is pulled again.
// Raise it when plugins are added, or find more.
const storeFormat = 1

// maxStored bounds what is read of one file. The inventory of the largest image known, with 30,000 packages, has 9 MB.
const maxStored = 256 << 20

// Store keeps inventories in a folder, one compressed file for each digest of a platform manifest. What an image holds never changes, so
// nothing in it goes out of date. It may be used by several goroutines, and by several processes.
type Store struct {
	dir string
}

// NewStore returns the store in a folder, which is made if need be.
func NewStore(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of inventories: %w", err)
	}
	return &Store{dir}, nil
}

type stored struct {
	Format    int        `json:"format"`
	Inventory *Inventory `json:"inventory"`
}

const storeSuffix = ".json.gz"

var digestPattern = regexp.MustCompile(`^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$`)

// IsDigest says whether a text is the digest of a manifest.
func IsDigest(text string) bool { return digestPattern.MatchString(text) }

func (s *Store) path(digest string) (string, error) {
	if !IsDigest(digest) {
		return "", fmt.Errorf("%q is not a digest", digest)
	}
	return filepath.Join(s.dir, v1alpha1.ImageReportName("", digest)+storeSuffix), nil
}

// Has says whether there is an inventory of an image; it need not be one that can be read.
func (s *Store) Has(digest string) bool {
	name, err := s.path(digest)
	if err != nil {
		return false
	}
	_, err = os.Stat(name)
	return err == nil
}

// Get returns the inventory of an image, or nil if there is none that can be read.
func (s *Store) Get(digest string) (*Inventory, error) {
	name, err := s.path(digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(name) //nolint:gosec // G304: of a digest
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the inventory of %s: %w", digest, err)
	}
	defer func() { _ = f.Close() }() // only read
	content, err := gzip.NewReader(f)
	if err != nil {
		return nil, nil // cut short, or damaged: to pull the image again mends it
	}
	var kept stored
	if err := json.NewDecoder(io.LimitReader(content, maxStored)).Decode(&kept); err != nil || kept.Format != storeFormat ||
		kept.Inventory == nil || kept.Inventory.About.Digest != digest {
		return nil, nil
	}
	return kept.Inventory, nil
}

// Put keeps the inventory of an image. Readers see it whole or not at all.
func (s *Store) Put(inv *Inventory) error {
	name, err := s.path(inv.About.Digest)
	if err != nil {
		return err
	}
	if err := s.write(name, inv); err != nil {
		return fmt.Errorf("keeping the inventory of %s: %w", inv.About.Digest, err)
	}
	return nil
}

func (s *Store) write(name string, inv *Inventory) error {
	f, err := os.CreateTemp(s.dir, ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails once it is renamed
	defer func() { _ = f.Close() }()           // the second time for nothing
	content := gzip.NewWriter(f)
	if err := json.NewEncoder(content).Encode(stored{storeFormat, inv}); err != nil {
		return err
	}
	if err := errors.Join(content.Close(), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// Delete forgets an image.
func (s *Store) Delete(digest string) error {
	name, err := s.path(digest)
	if err != nil {
		return err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forgetting the inventory of %s: %w", digest, err)
	}
	return nil
}

// Digests lists the images whose inventories are kept, sorted.
func (s *Store) Digests() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("listing inventories: %w", err)
	}
	var digests []string
	for _, e := range entries {
		if digest := strings.Replace(strings.TrimSuffix(e.Name(), storeSuffix), "-", ":", 1); IsDigest(digest) {
			digests = append(digests, digest)
		}
	}
	slices.Sort(digests)
	return digests, nil
}

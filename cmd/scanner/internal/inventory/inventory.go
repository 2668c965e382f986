// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inventory finds out what is in an image, and keeps that.
package inventory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/osv-scalibr/binary/proto/metadata"
	"github.com/google/osv-scalibr/extractor"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// Inventory is what is in an image.
type Inventory struct {
	// About is the image, with its distribution, shells and counts. Names and digests of indexes are not kept: they are not of the image.
	About v1alpha1.Image `json:"about"`
	// Packages, sorted by type, name, version and path.
	Packages []Package `json:"packages"`
	// Unreadable are files that show packages and could not be read, by path.
	Unreadable []Unreadable `json:"unreadable,omitempty"`
}

// Unreadable is a file that could not be read.
type Unreadable struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Package is a package in an image: what of osv-scalibr's it takes to match it, and to write it into a bill of materials.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// PURLType is the type of its package URL, such as deb or golang.
	PURLType string `json:"purlType"`
	// Path of the file that shows it, without a leading slash.
	Path string `json:"path,omitempty"`
	// Plugin that has found it.
	Plugin string `json:"plugin,omitempty"`
	// Empty packages only lead to others; no vulnerability affects them.
	Empty bool `json:"empty,omitempty"`
	// MetadataType and Metadata are osv-scalibr's metadata as a message of protocol buffers.
	MetadataType string `json:"metadataType,omitempty"`
	Metadata     []byte `json:"metadata,omitempty"`
	// Repo and Commit are the source code.
	Repo   string `json:"repo,omitempty"`
	Commit string `json:"commit,omitempty"`
}

// New returns the inventory of packages of osv-scalibr. Of the image it only has their numbers.
func New(packages []*extractor.Package) (*Inventory, error) {
	inv := &Inventory{}
	counts := make(map[string]int32)
	for _, p := range packages {
		kept, err := newPackage(p)
		if err != nil {
			return nil, err
		}
		inv.Packages = append(inv.Packages, kept)
		counts[cmp.Or(p.Ecosystem().String(), "unknown")]++
	}
	slices.SortFunc(inv.Packages, func(a, b Package) int {
		return cmp.Or(cmp.Compare(a.PURLType, b.PURLType), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version), cmp.Compare(a.Path, b.Path))
	})
	inv.About.PackageCount = int32(len(packages)) //nolint:gosec // an image has not two billion of them
	for _, ecosystem := range slices.Sorted(maps.Keys(counts)) {
		inv.About.Packages = append(inv.About.Packages, v1alpha1.EcosystemCount{Ecosystem: ecosystem, Count: counts[ecosystem]})
	}
	return inv, nil
}

// newPackage keeps a package of osv-scalibr.
func newPackage(p *extractor.Package) (Package, error) {
	kept := Package{Name: p.Name, Version: p.Version, PURLType: p.PURLType, Path: p.Location.PathOrEmpty()}
	if len(p.Plugins) > 0 {
		kept.Plugin = p.Plugins[0]
	}
	for _, signal := range p.ExploitabilitySignals {
		kept.Empty = kept.Empty || signal.MatchesAllVulns
	}
	if p.SourceCode != nil {
		kept.Repo, kept.Commit = p.SourceCode.Repo, p.SourceCode.Commit
	}
	message, err := metadata.StructToProto(p.Metadata)
	if err != nil {
		return kept, fmt.Errorf("keeping the metadata of the package %q: %w", p.Name, err)
	}
	if message != nil {
		kept.MetadataType, kept.Metadata = message.TypeUrl, message.Value
	}
	return kept, nil
}

// Scalibr returns the package as osv-scalibr knows it.
func (p *Package) Scalibr() (*extractor.Package, error) {
	s := &extractor.Package{Name: p.Name, Version: p.Version, PURLType: p.PURLType}
	if p.Path != "" {
		s.Location = extractor.LocationFromPath(p.Path)
	}
	if p.Plugin != "" {
		s.Plugins = []string{p.Plugin}
	}
	if p.Repo != "" || p.Commit != "" {
		s.SourceCode = &extractor.SourceCodeIdentifier{Repo: p.Repo, Commit: p.Commit}
	}
	if p.MetadataType != "" {
		m, err := metadata.ProtoToStruct(&anypb.Any{TypeUrl: p.MetadataType, Value: p.Metadata})
		if err != nil {
			return nil, fmt.Errorf("reading the metadata of the package %q: %w", p.Name, err)
		}
		s.Metadata = m
	}
	return s, nil
}

// distributionPlugins begin the names of plugins that find the packages of distributions.
const distributionPlugins = "os/"

// Distribution says whether the package is one of the distribution, and not of a programming language.
func (p *Package) Distribution() bool { return strings.HasPrefix(p.Plugin, distributionPlugins) }

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package match

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/osv-scalibr/extractor"
	archivemetadata "github.com/google/osv-scalibr/extractor/filesystem/language/java/archive/metadata"
	apkmetadata "github.com/google/osv-scalibr/extractor/filesystem/os/apk/metadata"
	dpkgmetadata "github.com/google/osv-scalibr/extractor/filesystem/os/dpkg/metadata"
	rpmmetadata "github.com/google/osv-scalibr/extractor/filesystem/os/rpm/metadata"
	"github.com/google/osv-scalibr/inventory/osvecosystem"
	"github.com/google/osv-scalibr/purl"
	"github.com/google/osv-scalibr/semantic"
	"github.com/ossf/osv-schema/bindings/go/osvschema"
)

// unproven are ecosystems whose packages osv-scalibr does not tell apart by release as the database does, so that its verdict is not the
// right one: it takes no notice of the release of Rocky Linux, whose advisories are on packages of sources, without epochs and streams of
// modules, while it asks by the names of binaries; and of Red Hat's repositories only of the one that the image names.
var unproven = map[string]bool{"Red Hat": true, "Rocky Linux": true, "SUSE": true, "openSUSE": true, "openEuler": true, "Mageia": true}

const (
	ubuntu   = "Ubuntu"
	longTerm = ":LTS" // is a part of releases of Ubuntu in the database, and not in images
	golang   = "Go"
)

// query is a package as osv-scalibr is asked about it.
type query struct {
	pkg       *extractor.Package
	ecosystem osvecosystem.Parsed
	// names by which advisories may know it. More than one where it depends: osv-scalibr has the last word.
	names []string
	// version as it is compared.
	version string
	// original is the path of a Go module with capital letters, which osv-scalibr confuses.
	original string
}

var (
	pythonSeparators = regexp.MustCompile(`[-_.]+`)
	majorVersion     = regexp.MustCompile(`^v?([2-9]|[1-9][0-9]+)\.`)
)

func newQuery(p *extractor.Package) *query {
	q := &query{pkg: p, ecosystem: p.Ecosystem(), names: []string{p.Name}}
	switch m := p.Metadata.(type) {
	case *dpkgmetadata.Metadata:
		if m.SourceName != "" {
			q.names = []string{m.SourceName}
		}
		// Advisories are about versions of sources. Those of binaries may have another epoch: Debian's bsdutils 1:2.38 is util-linux 2.38.
		if m.SourceVersion != "" {
			p.Version = m.SourceVersion
		}
	case *apkmetadata.Metadata:
		if m.OriginName != "" {
			q.names = []string{m.OriginName}
		}
	case *archivemetadata.Metadata:
		if m.GroupID != "" && m.ArtifactID != "" {
			q.names = []string{m.GroupID + ":" + m.ArtifactID}
		}
	}
	q.version = p.Version
	switch p.PURLType {
	case purl.TypePyPi:
		q.names = []string{strings.ToLower(pythonSeparators.ReplaceAllLiteralString(p.Name, "-"))}
	case purl.TypeGolang:
		if lower := strings.ToLower(p.Name); lower != p.Name {
			q.original, p.Name = p.Name, lower
		}
		if p.Name == "go" {
			q.names = append(q.names, "stdlib")
		}
		if major := majorVersion.FindStringSubmatch(p.Version); major != nil {
			q.names = append(q.names, q.names[0]+"/v"+major[1])
		}
	}
	if m, ok := p.Metadata.(*rpmmetadata.Metadata); ok && m.Epoch > 0 && string(q.ecosystem.Ecosystem) == "AlmaLinux" {
		q.version = strconv.Itoa(m.Epoch) + ":" + p.Version
	}
	return q
}

// key tells packages apart about which the verdict may differ.
func (q *query) key() string {
	return strings.Join(append([]string{q.ecosystem.String(), q.version}, q.names...), "\x00")
}

// align writes an advisory so that osv-scalibr understands it: releases of Ubuntu as images name them, and Go modules in small letters.
func (q *query) align(v *osvschema.Vulnerability) {
	for _, a := range v.GetAffected() {
		p := a.GetPackage()
		switch {
		case p == nil:
		case string(q.ecosystem.Ecosystem) == ubuntu && p.Ecosystem == q.ecosystem.String()+longTerm:
			p.Ecosystem = q.ecosystem.String()
		case q.original != "" && p.Ecosystem == golang && slices.Contains(q.names, p.Name):
			p.Name = strings.ToLower(p.Name)
		}
	}
}

// about returns what of an advisory is about the package.
func (q *query) about(v *osvschema.Vulnerability) []*osvschema.Affected {
	var list []*osvschema.Affected
	for _, a := range v.GetAffected() {
		e, err := osvecosystem.Parse(a.GetPackage().GetEcosystem())
		if err == nil && e.Equal(q.ecosystem) && slices.ContainsFunc(q.names, func(name string) bool {
			return name == a.GetPackage().GetName() || q.original != "" && strings.ToLower(name) == a.GetPackage().GetName()
		}) {
			list = append(list, a)
		}
	}
	return list
}

// fixedVersion returns the smallest version above the package's that mends what the advisory is about; empty if there is none.
func (q *query) fixedVersion(affected []*osvschema.Affected) string {
	ecosystem := string(q.ecosystem.Ecosystem)
	installed, err := semantic.Parse(q.version, ecosystem)
	if err != nil {
		return ""
	}
	var smallest string
	for _, a := range affected {
		for _, r := range a.GetRanges() {
			if r.GetType() != osvschema.Range_ECOSYSTEM && r.GetType() != osvschema.Range_SEMVER {
				continue
			}
			for _, e := range r.GetEvents() {
				fixed := e.GetFixed()
				if fixed == "" {
					continue
				}
				if order, err := installed.CompareStr(fixed); err == nil && order < 0 && (smallest == "" || less(fixed, smallest, ecosystem)) {
					smallest = fixed
				}
			}
		}
	}
	return smallest
}

// less compares versions; those that cannot be compared are not less.
func less(a, b, ecosystem string) bool {
	v, err := semantic.Parse(a, ecosystem)
	if err != nil {
		return false
	}
	order, err := v.CompareStr(b)
	return err == nil && order < 0
}

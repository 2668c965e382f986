// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package match finds the known vulnerabilities of packages. Whether a version is affected is osv-scalibr's verdict; this package asks it about
// the advisories that can matter, corrects what it gets wrong, and makes of its verdicts what people want to know.
package match

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/osv-scalibr/enricher/vulnmatch/osvlocal"
	"github.com/google/osv-scalibr/extractor"
	"github.com/google/osv-scalibr/semantic"
	"github.com/ossf/osv-schema/bindings/go/osvschema"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/inventory"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

// Vulnerability is a vulnerability of one package, with what people are told of it apart from reports.
type Vulnerability struct {
	v1alpha1.Vulnerability
	// Summary is a line about it; empty where the advisories have none.
	Summary string
}

// Result is what is known to be vulnerable in an image.
type Result struct {
	// Vulnerabilities, worst first; of equal ones those that can be fixed first.
	Vulnerabilities []Vulnerability
	// Unmatched are the ecosystems, some of them with a release, whose packages could not be judged, sorted.
	Unmatched []string
	// Reason and Message say why not everything could be judged. They are empty where it could.
	Reason  v1alpha1.ImageReason
	Message string
}

// Matcher matches packages against one state of the database. It remembers verdicts, for many images have the same packages. It is for
// one goroutine: osv-scalibr sorts advisories while it compares.
type Matcher struct {
	db    *osvdb.View
	known map[string][]Vulnerability
}

// maxKnown bounds the verdicts that are remembered: those of some 100 images, which take some 20 MB.
const maxKnown = 20_000

// New returns a Matcher.
func New(db *osvdb.View) *Matcher {
	return &Matcher{db, make(map[string][]Vulnerability)}
}

// Match finds the vulnerabilities of an image. An error is about the database, and for all images.
func (m *Matcher) Match(ctx context.Context, inv *inventory.Inventory) (*Result, error) {
	var (
		found                  = make(map[finding]Vulnerability)
		distribution, language = make(map[string]bool), make(map[string]bool)
		invalid                []string
		ofDistribution         bool
	)
	for i := range inv.Packages {
		if err := ctx.Err(); err != nil {
			return nil, problem.Errorf(v1alpha1.ReasonTimedOut, "matching packages: %w", err)
		}
		p := &inv.Packages[i]
		ofDistribution = ofDistribution || p.Distribution()
		if p.Empty {
			continue
		}
		s, err := p.Scalibr()
		if err != nil {
			return nil, problem.Errorf(v1alpha1.ReasonExtractionFailed, "%w", err)
		}
		q := newQuery(s)
		if missing := m.missing(q); missing != "" {
			if p.Distribution() {
				distribution[missing] = true
			} else {
				language[missing] = true
			}
			continue
		}
		list, err := m.vulnerabilities(q)
		if err != nil {
			return nil, problem.Errorf(v1alpha1.ReasonDatabaseInvalid, "the vulnerability database cannot be used: %w", err)
		}
		if list == nil {
			invalid = append(invalid, fmt.Sprintf("%q of %q", p.Version, p.Name))
			continue
		}
		for _, v := range list {
			v.Package, v.InstalledVersion, v.Path = p.Name, p.Version, p.Path
			key := finding{v.ID, v.Ecosystem, v.Package, v.InstalledVersion}
			if _, ok := found[key]; !ok { // packages come sorted: of several paths the first
				found[key] = v
			}
		}
	}
	r := &Result{Vulnerabilities: slices.SortedFunc(maps.Values(found), Compare)}
	r.judge(inv, ofDistribution, slices.Sorted(maps.Keys(distribution)), slices.Sorted(maps.Keys(language)), invalid)
	return r, nil
}

// finding is what counts once.
type finding struct{ id, ecosystem, name, version string }

// Compare sorts vulnerabilities as reports have them.
func Compare(a, b Vulnerability) int {
	unfixable := func(v *Vulnerability) int {
		if v.FixedVersion == "" {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(rank(b.Severity), rank(a.Severity)), cmp.Compare(unfixable(&a), unfixable(&b)), cmp.Compare(a.Package, b.Package),
		cmp.Compare(a.ID, b.ID), cmp.Compare(a.InstalledVersion, b.InstalledVersion), cmp.Compare(a.Ecosystem, b.Ecosystem),
	)
}

// judge says what could not be judged.
func (r *Result) judge(inv *inventory.Inventory, ofDistribution bool, distribution, language, invalid []string) {
	r.Unmatched = slices.Sorted(slices.Values(slices.Concat(distribution, language)))
	switch {
	case len(distribution) > 0:
		r.Reason = v1alpha1.ReasonDistributionUnsupported
		r.Message = "packages of the distribution cannot be matched: the database does not cover " + strings.Join(distribution, ", ")
	case inv.About.Distribution != nil && !ofDistribution:
		r.Reason = v1alpha1.ReasonDistributionUnsupported
		r.Message = fmt.Sprintf("the image is built on %q, but no list of its packages was found", inv.About.Distribution.Name)
	case len(language) > 0:
		r.Reason = v1alpha1.ReasonEcosystemUnsupported
		r.Message = "packages cannot be matched: the database does not cover " + strings.Join(language, ", ")
	case len(invalid) > 0:
		r.Reason = v1alpha1.ReasonVersionInvalid
		r.Message = "versions cannot be compared: " + atMost(invalid, 5)
	case len(inv.Unreadable) > 0:
		r.Reason = v1alpha1.ReasonFilesUnreadable
		var files []string
		for _, u := range inv.Unreadable {
			files = append(files, fmt.Sprintf("%q: %s", u.Path, u.Message))
		}
		r.Message = "files that show packages cannot be read: " + atMost(files, 3)
	}
}

// atMost joins the first of a list.
func atMost(list []string, n int) string {
	if len(list) > n {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:n], ", "), len(list)-n)
	}
	return strings.Join(list, ", ")
}

// missing returns the ecosystem of a package, if there is no telling what is vulnerable in it.
func (m *Matcher) missing(q *query) string {
	base, release := string(q.ecosystem.Ecosystem), q.ecosystem.Suffix
	if base == "" {
		return "unknown"
	}
	if _, err := semantic.Parse("1", base); err != nil || unproven[base] {
		return base
	}
	e := m.db.Ecosystem(base)
	if e == nil {
		return base
	}
	if e.Covers(release) || base == ubuntu && e.Covers(release+longTerm) {
		return ""
	}
	return q.ecosystem.String()
}

// vulnerabilities returns those of a package, or nil if its version cannot be compared.
func (m *Matcher) vulnerabilities(q *query) ([]Vulnerability, error) {
	key := q.key()
	if list, ok := m.known[key]; ok {
		return list, nil
	}
	var matched []advisory
	valid := true
	for _, name := range q.names {
		err := m.db.Advisories(string(q.ecosystem.Ecosystem), name, func(v *osvschema.Vulnerability) error {
			q.align(v)
			affected, ok := affects(v, q.pkg)
			valid = valid && ok
			if affected && !slices.ContainsFunc(matched, func(a advisory) bool { return a.id == v.GetId() }) {
				matched = append(matched, q.advisory(v))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(m.known) >= maxKnown {
		clear(m.known)
	}
	var list []Vulnerability
	if valid {
		list = append(make([]Vulnerability, 0), q.group(matched)...)
	}
	m.known[key] = list
	return list, nil
}

// affects is osv-scalibr's verdict. It panics on versions that cannot be compared.
func affects(v *osvschema.Vulnerability, p *extractor.Package) (affected, ok bool) {
	defer func() {
		if recover() != nil {
			affected, ok = false, false
		}
	}()
	return len(osvlocal.VulnerabilitiesAffectingPackage([]*osvschema.Vulnerability{v}, p)) > 0, true
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package match

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/ossf/osv-schema/bindings/go/osvschema"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// advisory is what counts of an advisory on a package.
type advisory struct {
	id    string
	names []string // id, aliases and upstream, sorted
	// rating of the distribution, and of whoever has published the advisory, where they have one.
	distribution, published v1alpha1.VulnerabilitySeverity
	cvss                    *score
	fixed                   string
	summary                 string
}

func (q *query) advisory(v *osvschema.Vulnerability) advisory {
	affected := q.about(v)
	a := advisory{id: v.GetId(), fixed: q.fixedVersion(affected), summary: v.GetSummary()}
	a.names = slices.Concat([]string{a.id}, v.GetAliases(), v.GetUpstream())
	slices.Sort(a.names)
	a.names = slices.Compact(a.names)
	a.rate(v, affected)
	return a
}

const cvePrefix = "CVE-"

// cves are the CVEs among the names of an advisory.
func (a *advisory) cves() []string {
	return slices.DeleteFunc(slices.Clone(a.names), func(name string) bool { return !strings.HasPrefix(name, cvePrefix) })
}

// group makes vulnerabilities of advisories: those that are about the same one are one. What advisories call aliases and upstream
// says which. An advisory on several CVEs, as distributions publish them with each update, is a part of all of these, and does not make them one.
func (q *query) group(advisories []advisory) []Vulnerability {
	// Names that are the same vulnerability lead to one of them.
	same := make(map[string]string)
	var first func(string) string
	first = func(name string) string {
		if next, ok := same[name]; ok && next != name {
			return first(next)
		}
		return name
	}
	for i := range advisories {
		a := &advisories[i]
		if len(a.cves()) > 1 {
			continue
		}
		for _, name := range a.names[1:] {
			if x, y := first(a.names[0]), first(name); x != y {
				same[max(x, y)] = min(x, y)
			}
		}
	}
	groups := make(map[string][]*advisory)
	for i := range advisories {
		a := &advisories[i]
		heads := a.cves()
		if len(heads) < 2 {
			heads = a.names[:1]
		}
		// Two CVEs of one advisory may be the same by the word of another.
		for j := range heads {
			heads[j] = first(heads[j])
		}
		slices.Sort(heads)
		for _, head := range slices.Compact(heads) {
			groups[head] = append(groups[head], a)
		}
	}
	var list []Vulnerability
	for _, head := range slices.Sorted(maps.Keys(groups)) {
		list = append(list, q.vulnerability(head, groups[head]))
	}
	return list
}

// vulnerability sums up the advisories on one vulnerability, which head is a name of.
func (q *query) vulnerability(head string, advisories []*advisory) Vulnerability {
	names := map[string]bool{}
	v := Vulnerability{Vulnerability: v1alpha1.Vulnerability{Ecosystem: q.ecosystem.String(), Severity: v1alpha1.VulnerabilityUnknown}}
	var (
		distribution, published v1alpha1.VulnerabilitySeverity
		best                    *score
	)
	slices.SortFunc(advisories, func(a, b *advisory) int { return cmp.Compare(a.id, b.id) })
	for _, a := range advisories {
		if len(a.cves()) > 1 {
			names[a.id], names[head] = true, true
		} else {
			for _, name := range a.names {
				names[name] = true
			}
		}
		distribution = worse(distribution, a.distribution)
		published = worse(published, a.published)
		if a.cvss != nil && (best == nil || best.compare(a.cvss) < 0) {
			best = a.cvss
		}
		// Each advisory names the version that mends it; what mends all is the largest of these.
		if v.FixedVersion == "" || less(v.FixedVersion, a.fixed, string(q.ecosystem.Ecosystem)) {
			v.FixedVersion = cmp.Or(a.fixed, v.FixedVersion)
		}
		v.Summary = cmp.Or(v.Summary, a.summary)
	}
	sorted := slices.SortedFunc(maps.Keys(names), func(a, b string) int { return cmp.Or(cmp.Compare(namePriority(a), namePriority(b)), cmp.Compare(a, b)) })
	v.ID = sorted[0]
	v.Aliases = slices.Sorted(slices.Values(sorted[1:]))
	if best != nil {
		v.CVSS = &v1alpha1.CVSS{Score: best.String(), Vector: best.vector}
		v.Severity = best.severity()
	}
	switch {
	case distribution != "":
		v.Severity = distribution
	case best == nil && published != "":
		v.Severity = published
	}
	return v
}

// namePriority sorts names by how well they are known.
func namePriority(name string) int {
	for i, prefix := range []string{cvePrefix, "GHSA-", "MAL-"} {
		if strings.HasPrefix(name, prefix) {
			return i
		}
	}
	return 3
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package match

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/ossf/osv-schema/bindings/go/osvschema"
	cvss20 "github.com/pandatix/go-cvss/20"
	cvss30 "github.com/pandatix/go-cvss/30"
	cvss31 "github.com/pandatix/go-cvss/31"
	cvss40 "github.com/pandatix/go-cvss/40"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// ratings are the words for severities that are in use: by Debian, Ubuntu, GitHub and in titles of advisories of the Red Hat family.
var ratings = map[string]v1alpha1.VulnerabilitySeverity{
	"critical":    v1alpha1.VulnerabilityCritical,
	"high":        v1alpha1.VulnerabilityHigh,
	"important":   v1alpha1.VulnerabilityHigh,
	"medium":      v1alpha1.VulnerabilityMedium,
	"moderate":    v1alpha1.VulnerabilityMedium,
	"low":         v1alpha1.VulnerabilityLow,
	"negligible":  v1alpha1.VulnerabilityLow,
	"unimportant": v1alpha1.VulnerabilityLow,
}

// rate takes over how bad an advisory says it is.
func (a *advisory) rate(v *osvschema.Vulnerability, affected []*osvschema.Affected) {
	severities := v.GetSeverity()
	for _, about := range affected {
		severities = append(severities, about.GetSeverity()...)
		// Debian, in each release apart: "not yet assigned" and "end-of-life" are no ratings.
		a.distribution = worse(a.distribution, ratings[word(about.GetEcosystemSpecific(), "urgency")])
	}
	for _, s := range severities {
		if s.GetType() == osvschema.Severity_Ubuntu {
			a.distribution = worse(a.distribution, ratings[strings.ToLower(s.GetScore())])
			continue
		}
		if score := parseScore(s.GetScore()); score != nil && (a.cvss == nil || a.cvss.compare(score) < 0) {
			a.cvss = score
		}
	}
	if strings.HasPrefix(a.id, "ALSA-") {
		rating, _, _ := strings.Cut(v.GetSummary(), ":")
		a.distribution = worse(a.distribution, ratings[strings.ToLower(rating)])
	}
	a.published = ratings[word(v.GetDatabaseSpecific(), "severity")]
	if strings.HasPrefix(a.id, "MAL-") { // the package itself is the attack
		a.published = v1alpha1.VulnerabilityCritical
	}
}

// word returns a field in small letters.
func word(s *structpb.Struct, field string) string {
	return strings.ToLower(s.GetFields()[field].GetStringValue())
}

// rank is larger the worse.
func rank(s v1alpha1.VulnerabilitySeverity) int {
	switch s {
	case v1alpha1.VulnerabilityCritical:
		return 4
	case v1alpha1.VulnerabilityHigh:
		return 3
	case v1alpha1.VulnerabilityMedium:
		return 2
	case v1alpha1.VulnerabilityLow:
		return 1
	default:
		return 0
	}
}

// AtLeast says whether a severity is as bad as a bar, or worse. An unknown one never is.
func AtLeast(s, bar v1alpha1.VulnerabilitySeverity) bool { return rank(s) >= rank(bar) && rank(s) > 0 }

func worse(a, b v1alpha1.VulnerabilitySeverity) v1alpha1.VulnerabilitySeverity {
	if rank(b) > rank(a) {
		return b
	}
	return a
}

// score is a CVSS score.
type score struct {
	version int // 20, 30, 31 or 40
	value   float64
	vector  string
}

func (s *score) String() string { return strconv.FormatFloat(s.value, 'f', 1, 64) }

// compare prefers newer versions of CVSS, and of one version the higher score.
func (s *score) compare(o *score) int {
	return cmp.Or(cmp.Compare(s.version, o.version), cmp.Compare(s.value, o.value), cmp.Compare(o.vector, s.vector))
}

// severity is the rating that the specification gives a score. "None" counts as Low: somebody has published it as a vulnerability.
func (s *score) severity() v1alpha1.VulnerabilitySeverity {
	switch {
	case s.value >= 9 && s.version > 20: // version 2 has no Critical
		return v1alpha1.VulnerabilityCritical
	case s.value >= 7:
		return v1alpha1.VulnerabilityHigh
	case s.value >= 4:
		return v1alpha1.VulnerabilityMedium
	default:
		return v1alpha1.VulnerabilityLow
	}
}

// parseScore returns the base score of a vector, or nil if it is none.
func parseScore(vector string) *score {
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		if c, err := cvss40.ParseVector(vector); err == nil {
			return &score{40, c.Score(), vector}
		}
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		if c, err := cvss31.ParseVector(vector); err == nil {
			return &score{31, c.BaseScore(), vector}
		}
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		if c, err := cvss30.ParseVector(vector); err == nil {
			return &score{30, c.BaseScore(), vector}
		}
	default:
		if c, err := cvss20.ParseVector(vector); err == nil {
			return &score{20, c.BaseScore(), vector}
		}
	}
	return nil
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package imagereport makes ImageReports of what scans have found.
package imagereport

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/match"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
	"github.com/kubersafe/kubersafe/internal/plain"
)

// Build returns the report of an image that has been matched against a state of the database, with at most limit vulnerabilities. Reports
// in a cluster have v1alpha1.MaxVulnerabilities.
func Build(about *v1alpha1.Image, result *match.Result, state *osvdb.State, limit int) *v1alpha1.ImageReport {
	r := newReport(about)
	r.State, r.Reason, r.Message = problem.State(result.Reason), result.Reason, plain.Clean(result.Message, v1alpha1.MaxMessage)
	r.Summary = Summarize(result.Vulnerabilities)
	listed := result.Vulnerabilities[:min(len(result.Vulnerabilities), limit)]
	for i := range listed {
		r.Vulnerabilities = append(r.Vulnerabilities, cleanVulnerability(listed[i].Vulnerability))
	}
	r.OmittedVulnerabilities = int32(len(result.Vulnerabilities) - len(listed)) //nolint:gosec // an image has not two billion of them
	for _, e := range result.Unmatched[:min(len(result.Unmatched), v1alpha1.MaxEcosystems)] {
		r.UnmatchedEcosystems = append(r.UnmatchedEcosystems, plain.Clean(e, v1alpha1.MaxName))
	}
	if state.Version != "" { // without packages none is needed
		r.Database = &v1alpha1.VulnerabilityDatabase{Version: state.Version, Modified: metav1.NewTime(state.Modified.UTC().Truncate(time.Second))}
	}
	return r
}

// Failed returns the report of an image of which nothing could be found out.
func Failed(about *v1alpha1.Image, err error) *v1alpha1.ImageReport {
	r := newReport(about)
	r.Reason = problem.Reason(err, v1alpha1.ReasonExtractionFailed)
	r.State, r.Message = problem.State(r.Reason), plain.Clean(err.Error(), v1alpha1.MaxMessage)
	return r
}

// Stale marks a report from a database that was published longer ago than allowed. What says more than that stays.
func Stale(r *v1alpha1.ImageReport, published, now time.Time, allowed time.Duration) {
	if r.State != v1alpha1.ImageScanned || r.Database == nil || now.Sub(published) <= allowed {
		return
	}
	r.State, r.Reason = v1alpha1.ImageStale, v1alpha1.ReasonDatabaseOutdated
	r.Message = "the vulnerability database is of " + published.UTC().Format(time.RFC3339)
}

func newReport(about *v1alpha1.Image) *v1alpha1.ImageReport {
	r := &v1alpha1.ImageReport{}
	r.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("ImageReport"))
	about.DeepCopyInto(&r.Image)
	clean(&r.Image)
	r.Name = v1alpha1.ImageReportName(r.Image.Name, r.Image.Digest)
	return r
}

// clean makes what an image says of itself fit for the schema and for terminals.
func clean(i *v1alpha1.Image) {
	i.Name = plain.Clean(i.Name, v1alpha1.MaxImageName)
	i.Platform = plain.Clean(i.Platform, v1alpha1.MaxName)
	i.User = plain.Clean(i.User, v1alpha1.MaxName)
	i.IndexDigests = i.IndexDigests[:min(len(i.IndexDigests), v1alpha1.MaxImageReferences)]
	i.Shells = i.Shells[:min(len(i.Shells), v1alpha1.MaxShells)]
	i.Packages = i.Packages[:min(len(i.Packages), v1alpha1.MaxEcosystems)]
	for j := range i.Packages {
		i.Packages[j].Ecosystem = plain.Clean(i.Packages[j].Ecosystem, v1alpha1.MaxName)
	}
	if d := i.Distribution; d != nil {
		d.ID, d.Version, d.Name = plain.Clean(d.ID, v1alpha1.MaxKind), plain.Clean(d.Version, v1alpha1.MaxKind), plain.Clean(d.Name, v1alpha1.MaxName)
	}
}

func cleanVulnerability(v v1alpha1.Vulnerability) v1alpha1.Vulnerability {
	v.ID = plain.Clean(v.ID, v1alpha1.MaxKind)
	v.Aliases = slices.Clone(v.Aliases[:min(len(v.Aliases), v1alpha1.MaxAliases)])
	for i := range v.Aliases {
		v.Aliases[i] = plain.Clean(v.Aliases[i], v1alpha1.MaxKind)
	}
	v.Package = plain.Clean(v.Package, v1alpha1.MaxName)
	v.Ecosystem = plain.Clean(v.Ecosystem, v1alpha1.MaxName)
	v.InstalledVersion = plain.Clean(v.InstalledVersion, v1alpha1.MaxName)
	v.FixedVersion = plain.Clean(v.FixedVersion, v1alpha1.MaxName)
	v.Path = plain.Clean(v.Path, v1alpha1.MaxPath)
	return v
}

// Summarize counts vulnerabilities.
func Summarize(list []match.Vulnerability) *v1alpha1.ImageSummary {
	s := &v1alpha1.ImageSummary{}
	for i := range list {
		count(&s.All, list[i].Severity)
		if list[i].FixedVersion != "" {
			count(&s.Fixable, list[i].Severity)
		}
	}
	return s
}

func count(c *v1alpha1.VulnerabilityCounts, s v1alpha1.VulnerabilitySeverity) {
	c.Total++
	switch s {
	case v1alpha1.VulnerabilityCritical:
		c.Critical++
	case v1alpha1.VulnerabilityHigh:
		c.High++
	case v1alpha1.VulnerabilityMedium:
		c.Medium++
	case v1alpha1.VulnerabilityLow:
		c.Low++
	default:
		c.Unknown++
	}
}

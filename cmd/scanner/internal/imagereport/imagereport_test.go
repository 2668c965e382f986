// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package imagereport_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/imagereport"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/match"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

var state = &osvdb.State{Version: "sha256:1", Modified: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)}

func vulnerability(id string, severity v1alpha1.VulnerabilitySeverity, fixed string) match.Vulnerability {
	return match.Vulnerability{Vulnerability: v1alpha1.Vulnerability{
		ID: id, Severity: severity, Package: "p", Ecosystem: "npm", InstalledVersion: "1", FixedVersion: fixed,
	}}
}

func TestAReportCountsAllAndListsTheFirst(t *testing.T) {
	result := &match.Result{Vulnerabilities: []match.Vulnerability{
		vulnerability("CVE-1", v1alpha1.VulnerabilityCritical, "2"), vulnerability("CVE-2", v1alpha1.VulnerabilityHigh, ""),
		vulnerability("CVE-3", v1alpha1.VulnerabilityMedium, "2"), vulnerability("CVE-4", v1alpha1.VulnerabilityLow, ""),
		vulnerability("CVE-5", v1alpha1.VulnerabilityUnknown, "2"),
	}}
	about := &v1alpha1.Image{Name: "app:1", Digest: "sha256:2"}
	want := &v1alpha1.ImageReport{
		TypeMeta:   metav1.TypeMeta{APIVersion: "audit.kubersafe.io/v1alpha1", Kind: "ImageReport"},
		ObjectMeta: metav1.ObjectMeta{Name: "sha256-2"},
		Image:      *about,
		State:      v1alpha1.ImageScanned,
		Summary: &v1alpha1.ImageSummary{
			All:     v1alpha1.VulnerabilityCounts{Total: 5, Critical: 1, High: 1, Medium: 1, Low: 1, Unknown: 1},
			Fixable: v1alpha1.VulnerabilityCounts{Total: 3, Critical: 1, Medium: 1, Unknown: 1},
		},
		Vulnerabilities:        []v1alpha1.Vulnerability{result.Vulnerabilities[0].Vulnerability, result.Vulnerabilities[1].Vulnerability},
		OmittedVulnerabilities: 3,
		Database:               &v1alpha1.VulnerabilityDatabase{Version: "sha256:1", Modified: metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))},
	}
	if diff := cmp.Diff(want, imagereport.Build(about, result, state, 2)); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// TestReportsFitTheSchema builds one of what only an attacker would write.
func TestReportsFitTheSchema(t *testing.T) {
	evil := "\x1b[31m" + strings.Repeat("ä", 5000)
	about := &v1alpha1.Image{
		Name: evil, Digest: "sha256:2", Platform: evil, User: evil, Distribution: &v1alpha1.Distribution{ID: evil, Version: evil, Name: evil},
	}
	v := vulnerability(evil, v1alpha1.VulnerabilityHigh, evil)
	v.Package, v.Ecosystem, v.InstalledVersion, v.Path = evil, evil, evil, evil
	for i := range 50 {
		about.IndexDigests = append(about.IndexDigests, fmt.Sprint("sha256:", i))
		about.Shells = append(about.Shells, fmt.Sprint("/bin/", i))
		about.Packages = append(about.Packages, v1alpha1.EcosystemCount{Ecosystem: evil})
		v.Aliases = append(v.Aliases, evil)
	}
	result := &match.Result{Vulnerabilities: []match.Vulnerability{v}, Unmatched: v.Aliases, Reason: v1alpha1.ReasonEcosystemUnsupported, Message: evil}
	r := imagereport.Build(about, result, state, v1alpha1.MaxVulnerabilities)
	got := &r.Vulnerabilities[0]
	for what, tc := range map[string]struct {
		text  string
		limit int
	}{
		"name": {r.Image.Name, v1alpha1.MaxImageName}, "platform": {r.Image.Platform, v1alpha1.MaxName}, "user": {r.Image.User, v1alpha1.MaxName},
		"id": {r.Image.Distribution.ID, v1alpha1.MaxKind}, "version": {r.Image.Distribution.Version, v1alpha1.MaxKind},
		"distribution": {r.Image.Distribution.Name, v1alpha1.MaxName}, "message": {r.Message, v1alpha1.MaxMessage},
		"vulnerability": {got.ID, v1alpha1.MaxKind}, "alias": {got.Aliases[0], v1alpha1.MaxKind}, "package": {got.Package, v1alpha1.MaxName},
		"ecosystem": {got.Ecosystem, v1alpha1.MaxName}, "installed": {got.InstalledVersion, v1alpha1.MaxName},
		"fixed": {got.FixedVersion, v1alpha1.MaxName}, "path": {got.Path, v1alpha1.MaxPath},
		"count": {r.Image.Packages[0].Ecosystem, v1alpha1.MaxName}, "unmatched": {r.UnmatchedEcosystems[0], v1alpha1.MaxName},
	} {
		if n := utf8.RuneCountInString(tc.text); n > tc.limit || strings.ContainsRune(tc.text, '\x1b') {
			t.Errorf("%s has %d characters, want %d: %.20q", what, n, tc.limit, tc.text)
		}
	}
	for what, n := range map[string][2]int{
		"indexes": {len(r.Image.IndexDigests), v1alpha1.MaxImageReferences}, "shells": {len(r.Image.Shells), v1alpha1.MaxShells},
		"packages": {len(r.Image.Packages), v1alpha1.MaxEcosystems}, "aliases": {len(got.Aliases), v1alpha1.MaxAliases},
		"unmatched": {len(r.UnmatchedEcosystems), v1alpha1.MaxEcosystems},
	} {
		if n[0] != n[1] {
			t.Errorf("%s: %d, want %d", what, n[0], n[1])
		}
	}
	if len(about.Shells) != 50 || about.Packages[0].Ecosystem != evil || v.Aliases[0] != evil {
		t.Error("what the report is made of has changed")
	}
}

func TestFailures(t *testing.T) {
	for reason, want := range map[v1alpha1.ImageReason]v1alpha1.ImageState{
		v1alpha1.ReasonQueued: v1alpha1.ImagePending, v1alpha1.ReasonDatabaseMissing: v1alpha1.ImagePending,
		v1alpha1.ReasonUnauthorized: v1alpha1.ImageFailed, v1alpha1.ReasonDatabaseInvalid: v1alpha1.ImageFailed,
		v1alpha1.ReasonPlatformUnsupported: v1alpha1.ImageUnsupported, v1alpha1.ReasonFilesUnreadable: v1alpha1.ImageUnsupported,
		v1alpha1.ReasonDatabaseOutdated: v1alpha1.ImageStale,
	} {
		r := imagereport.Failed(&v1alpha1.Image{Name: "app:1"}, fmt.Errorf("scanning: %w", problem.Errorf(reason, "why")))
		if r.State != want || r.Reason != reason || r.Message != "scanning: why" || r.Summary != nil {
			t.Errorf("%s: %+v", reason, r)
		}
		if !strings.HasPrefix(r.Name, "name-") || len(r.Name) != 69 {
			t.Errorf("name %q", r.Name)
		}
	}
}

func TestStale(t *testing.T) {
	now := time.Date(2026, 1, 10, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		result    match.Result
		published time.Time
		want      v1alpha1.ImageState
	}{
		"young":                {match.Result{}, now.Add(-time.Hour), v1alpha1.ImageScanned},
		"old":                  {match.Result{}, now.Add(-3 * time.Hour), v1alpha1.ImageStale},
		"old, and unsupported": {match.Result{Reason: v1alpha1.ReasonEcosystemUnsupported}, now.Add(-3 * time.Hour), v1alpha1.ImageUnsupported},
	} {
		r := imagereport.Build(&v1alpha1.Image{}, &tc.result, state, 1)
		if imagereport.Stale(r, tc.published, now, 2*time.Hour); r.State != tc.want {
			t.Errorf("%s: %s, want %s", name, r.State, tc.want)
		}
	}
}

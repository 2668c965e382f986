// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package match_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	cpb "github.com/google/osv-scalibr/binary/proto/config_go_proto"
	"github.com/google/osv-scalibr/enricher/vulnmatch/osvlocal"
	"github.com/google/osv-scalibr/extractor"
	archivemetadata "github.com/google/osv-scalibr/extractor/filesystem/language/java/archive/metadata"
	apkmetadata "github.com/google/osv-scalibr/extractor/filesystem/os/apk/metadata"
	dpkgmetadata "github.com/google/osv-scalibr/extractor/filesystem/os/dpkg/metadata"
	rpmmetadata "github.com/google/osv-scalibr/extractor/filesystem/os/rpm/metadata"
	scalibr "github.com/google/osv-scalibr/inventory"
	"github.com/google/osv-scalibr/plugin/config"
	"github.com/google/osv-scalibr/purl"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/inventory"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/match"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
)

// matcher returns a matcher with the database in a folder.
func matcher(t testing.TB, location string) *match.Matcher {
	t.Helper()
	db, err := osvdb.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	source, err := osvdb.NewSource(location, nil, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.Update(t.Context(), location, source, nil, func(string) {}); err != nil {
		t.Fatal(err)
	}
	view, err := db.View()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = view.Close() })
	return match.New(view)
}

func deb(os, release, name, version, source, sourceVersion string) *extractor.Package {
	return &extractor.Package{Name: name, Version: version, PURLType: purl.TypeDebian, Plugins: []string{"os/dpkg"}, Metadata: &dpkgmetadata.Metadata{
		PackageName: name, PackageVersion: version, SourceName: source, SourceVersion: sourceVersion, OSID: os, OSVersionID: release,
	}}
}

func alpine(release, name, version, origin string) *extractor.Package {
	return &extractor.Package{Name: name, Version: version, PURLType: purl.TypeApk, Plugins: []string{"os/apk"}, Metadata: &apkmetadata.Metadata{
		PackageName: name, OriginName: origin, OSID: "alpine", OSVersionID: release,
	}}
}

func of(purlType, name, version string) *extractor.Package {
	return &extractor.Package{Name: name, Version: version, PURLType: purlType, Plugins: []string{"some/plugin"}}
}

func jar(group, artifact, version string) *extractor.Package {
	p := of(purl.TypeMaven, group+":"+artifact, version)
	p.Metadata = &archivemetadata.Metadata{GroupID: group, ArtifactID: artifact}
	return p
}

func inventoryOf(t testing.TB, packages ...*extractor.Package) *inventory.Inventory {
	t.Helper()
	inv, err := inventory.New(packages)
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// lines are what counts of vulnerabilities.
func lines(r *match.Result) []string {
	var list []string
	for _, v := range r.Vulnerabilities {
		score := "-"
		if v.CVSS != nil {
			score = v.CVSS.Score
		}
		list = append(list, fmt.Sprintf("%s %s %s %s->%s %s %s", v.Severity, v.ID, v.Package, v.InstalledVersion, v.FixedVersion, score, strings.Join(v.Aliases, ",")))
	}
	return list
}

func TestVulnerabilities(t *testing.T) {
	m := matcher(t, fixture.Database(t))
	for name, tc := range map[string]struct {
		packages []*extractor.Package
		want     []string
	}{
		"a CVE of the tracker and of an advisory is one": {
			[]*extractor.Package{deb("debian", "12", "libssl3", "3.0.11-1~deb12u1", "openssl", "")},
			[]string{"High CVE-2023-5363 libssl3 3.0.11-1~deb12u1->3.0.11-1~deb12u2 7.5 DEBIAN-CVE-2023-5363,DSA-5532-1"},
		},
		"the release counts": {
			[]*extractor.Package{deb("debian", "13", "libssl3", "3.0.11-1~deb12u1", "openssl", "")},
			[]string{"High CVE-2023-5363 libssl3 3.0.11-1~deb12u1->3.0.12-1 7.5 DEBIAN-CVE-2023-5363"},
		},
		"what is fixed is not affected":                {[]*extractor.Package{deb("debian", "12", "libssl3", "3.0.11-1~deb12u2", "openssl", "")}, nil},
		"the name of the source counts, not of others": {[]*extractor.Package{deb("debian", "12", "openssl", "1", "other", "")}, nil},
		"the version of the source counts": {
			[]*extractor.Package{deb("debian", "12", "bsdutils", "1:2.38.1-5", "util-linux", "2.38.1-5")},
			[]string{"Unknown CVE-2024-28085 bsdutils 1:2.38.1-5->2.38.1-5+deb12u1 - DEBIAN-CVE-2024-28085"},
		},
		"the distribution's word comes before the score": {
			[]*extractor.Package{deb("debian", "12", "tar", "1.34+dfsg-1.2", "", "")},
			[]string{"Low CVE-2005-2541 tar 1.34+dfsg-1.2-> 10.0 DEBIAN-CVE-2005-2541"},
		},
		"Ubuntu's releases, its word, and a notice on four CVEs": {
			[]*extractor.Package{deb("ubuntu", "22.04", "libssl3", "3.0.2-0ubuntu1", "openssl", "")},
			[]string{
				"Medium CVE-2022-1292 libssl3 3.0.2-0ubuntu1->3.0.2-0ubuntu1.1 9.8 UBUNTU-CVE-2022-1292,USN-5402-1",
				"Unknown CVE-2022-1343 libssl3 3.0.2-0ubuntu1->3.0.2-0ubuntu1.1 - USN-5402-1",
				"Unknown CVE-2022-1434 libssl3 3.0.2-0ubuntu1->3.0.2-0ubuntu1.1 - USN-5402-1",
				"Unknown CVE-2022-1473 libssl3 3.0.2-0ubuntu1->3.0.2-0ubuntu1.1 - USN-5402-1",
			},
		},
		"Alpine, by origin and branch": {
			[]*extractor.Package{alpine("3.18.4", "libcrypto3", "3.1.3-r0", "openssl"), alpine("3.18.4", "libssl3", "3.1.4-r0", "openssl")},
			[]string{"High CVE-2023-5363 libcrypto3 3.1.3-r0->3.1.4-r0 7.5 ALPINE-CVE-2023-5363"},
		},
		"twins of Go and GitHub are one": {
			[]*extractor.Package{of(purl.TypeGolang, "golang.org/x/text", "0.3.5")},
			[]string{"High CVE-2021-38561 golang.org/x/text 0.3.5->0.3.7 7.5 GHSA-ppp9-7jff-5vj2,GO-2021-0113"},
		},
		"a Go module with capital letters": {
			[]*extractor.Package{of(purl.TypeGolang, "github.com/Masterminds/goutils", "1.1.0")},
			[]string{"Critical CVE-2021-4238 github.com/Masterminds/goutils 1.1.0->1.1.1 9.1 GHSA-3839-6r69-m497,GO-2022-0411"},
		},
		"the same package in two places counts once, the worst vulnerability is first": {
			[]*extractor.Package{of(purl.TypeNPM, "lodash", "4.17.20"), of(purl.TypeNPM, "lodash", "4.17.20")},
			[]string{
				"High CVE-2021-23337 lodash 4.17.20->4.17.21 7.2 GHSA-35jh-r3h4-6jhm",
				"Medium CVE-2020-28500 lodash 4.17.20->4.17.21 5.3 GHSA-29mw-wpgm-hmr9",
			},
		},
		"names of Python packages in any spelling, and the newer CVSS": {
			[]*extractor.Package{of(purl.TypePyPi, "Jinja2", "2.11.2")},
			[]string{"Medium CVE-2020-28493 Jinja2 2.11.2->2.11.3 6.9 GHSA-g3rq-g295-4j3m,PYSEC-2021-66,SNYK-PYTHON-JINJA2-1012994"},
		},
		"the smallest version above that mends it": {
			[]*extractor.Package{
				jar("org.apache.logging.log4j", "log4j-core", "2.14.1"), jar("org.apache.logging.log4j", "log4j-core", "2.8.2"),
				jar("org.apache.logging.log4j", "log4j-core", "2.1"), jar("org.apache.logging.log4j", "log4j-core", "2.15.0"),
			},
			[]string{
				"Critical CVE-2021-44228 org.apache.logging.log4j:log4j-core 2.1->2.3.1 10.0 GHSA-jfh8-c2jp-5v3q",
				"Critical CVE-2021-44228 org.apache.logging.log4j:log4j-core 2.14.1->2.15.0 10.0 GHSA-jfh8-c2jp-5v3q",
				"Critical CVE-2021-44228 org.apache.logging.log4j:log4j-core 2.8.2->2.12.2 10.0 GHSA-jfh8-c2jp-5v3q",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := m.Match(t.Context(), inventoryOf(t, tc.packages...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, lines(r)); diff != "" {
				t.Errorf("vulnerabilities (-want +got):\n%s", diff)
			}
			if r.Reason != "" || r.Unmatched != nil {
				t.Errorf("not all was judged: %s: %s", r.Reason, r.Message)
			}
			again, err := m.Match(t.Context(), inventoryOf(t, tc.packages...)) // from memory
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r, again); diff != "" {
				t.Errorf("the second time (-first +second):\n%s", diff)
			}
		})
	}
}

func TestWhatCannotBeJudgedIsTold(t *testing.T) {
	location := fixture.Database(t)
	fixture.WriteArchive(t, location, "Red Hat", map[string]string{"a.json": `{"id": "RHSA-1", "affected": [{"package": {"ecosystem": "Red Hat:enterprise_linux:9::baseos", "name": "x"}}]}`})
	m := matcher(t, location)
	rpm := of(purl.TypeRPM, "bash", "5.1-6")
	rpm.Plugins, rpm.Metadata = []string{"os/rpm"}, &rpmmetadata.Metadata{PackageName: "bash", OSID: "rhel", OSVersionID: "9.3", OSCPEName: "cpe:/o:redhat:enterprise_linux:9::baseos"}
	ssl := deb("debian", "12", "libssl3", "3.0.11-1~deb12u1", "openssl", "")
	for name, tc := range map[string]struct {
		inventory *inventory.Inventory
		unmatched []string
		reason    v1alpha1.ImageReason
		message   string
		found     int
	}{
		"a release of which nothing is known": {
			inventoryOf(t, deb("debian", "7", "tar", "1", "", "")), []string{"Debian:7"}, v1alpha1.ReasonDistributionUnsupported,
			"packages of the distribution cannot be matched: the database does not cover Debian:7", 0,
		},
		"no release, as of Debian's sid": {
			inventoryOf(t, deb("debian", "", "tar", "1", "", "")), []string{"Debian"}, v1alpha1.ReasonDistributionUnsupported,
			"packages of the distribution cannot be matched: the database does not cover Debian", 0,
		},
		"a distribution that nobody has told": {
			inventoryOf(t, deb("unheardof", "1", "tar", "1", "", ""), ssl), []string{"unknown"}, v1alpha1.ReasonDistributionUnsupported,
			"packages of the distribution cannot be matched: the database does not cover unknown", 1,
		},
		"a distribution for which matching is not proven": {
			inventoryOf(t, rpm), []string{"Red Hat"}, v1alpha1.ReasonDistributionUnsupported,
			"packages of the distribution cannot be matched: the database does not cover Red Hat", 0,
		},
		"a language that the database does not cover": {
			inventoryOf(t, of(purl.TypeCargo, "time", "0.1.0"), ssl), []string{"crates.io"}, v1alpha1.ReasonEcosystemUnsupported,
			"packages cannot be matched: the database does not cover crates.io", 1,
		},
		"a version that cannot be compared": {
			inventoryOf(t, deb("debian", "12", "tar", "x:y", "", ""), ssl), nil, v1alpha1.ReasonVersionInvalid,
			`versions cannot be compared: "x:y" of "tar"`, 1,
		},
		"a distribution whose packages nobody has found": {
			&inventory.Inventory{About: v1alpha1.Image{Distribution: &v1alpha1.Distribution{ID: "arch", Name: "Arch Linux"}}}, nil,
			v1alpha1.ReasonDistributionUnsupported, `the image is built on "Arch Linux", but no list of its packages was found`, 0,
		},
		"files that cannot be read": {
			&inventory.Inventory{Unreadable: []inventory.Unreadable{{Path: "a.jar", Message: "damaged"}}}, nil,
			v1alpha1.ReasonFilesUnreadable, `files that show packages cannot be read: "a.jar": damaged`, 0,
		},
		"nothing in the image": {&inventory.Inventory{}, nil, "", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := m.Match(t.Context(), tc.inventory)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.unmatched, r.Unmatched); diff != "" {
				t.Errorf("unmatched (-want +got):\n%s", diff)
			}
			if r.Reason != tc.reason || r.Message != tc.message || len(r.Vulnerabilities) != tc.found {
				t.Errorf("%s: %s; found %q", r.Reason, r.Message, lines(r))
			}
		})
	}
}

// TestAnEmptyPackageIsNotAffected: transitional packages of Debian only lead to others.
func TestAnEmptyPackageIsNotAffected(t *testing.T) {
	m := matcher(t, fixture.Database(t))
	inv := inventoryOf(t, deb("debian", "12", "libssl3", "3.0.11-1~deb12u1", "openssl", ""))
	inv.Packages[0].Empty = true
	if r, err := m.Match(t.Context(), inv); err != nil || len(r.Vulnerabilities) > 0 || r.Reason != "" {
		t.Errorf("%v, %v", r, err)
	}
}

// TestTheNewestCVSSCounts: of one vulnerability there are a higher score of version 3.1 and a lower one of 4.0.
func TestTheNewestCVSSCounts(t *testing.T) {
	dir := t.TempDir()
	fixture.WriteArchive(t, dir, "npm", map[string]string{"a.json": `{
		"id": "GHSA-a", "aliases": ["CVE-2024-1"], "affected": [{"package": {"ecosystem": "npm", "name": "x"}, "versions": ["1.0.0"]}],
		"severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},
			{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:L/SC:N/SI:N/SA:N"}]}`})
	r, err := matcher(t, dir).Match(t.Context(), inventoryOf(t, of(purl.TypeNPM, "x", "1.0.0")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Medium CVE-2024-1 x 1.0.0-> 6.9 GHSA-a"}, lines(r)); diff != "" {
		t.Errorf("vulnerabilities (-want +got):\n%s", diff)
	}
}

func TestMaliciousPackagesAreCritical(t *testing.T) {
	dir := t.TempDir()
	fixture.WriteArchive(t, dir, "npm", map[string]string{"a.json": `{
		"id": "MAL-2024-1", "modified": "2024-01-01T00:00:00Z", "new_field": 1,
		"affected": [{"package": {"ecosystem": "npm", "name": "evil"}, "versions": ["1.0.0"]}]}`})
	r, err := matcher(t, dir).Match(t.Context(), inventoryOf(t, of(purl.TypeNPM, "evil", "1.0.0"), of(purl.TypeNPM, "evil", "2.0.0")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Critical MAL-2024-1 evil 1.0.0-> - "}, lines(r)); diff != "" {
		t.Errorf("vulnerabilities (-want +got):\n%s", diff)
	}
}

// TestWhatMendsAllAdvisoriesIsTheFixedVersion: two advisories on one CVE disagree, and the larger version is right by both.
func TestWhatMendsAllAdvisoriesIsTheFixedVersion(t *testing.T) {
	dir := t.TempDir()
	advisory := func(id, fixed string) string {
		return fmt.Sprintf(`{"id": %q, "aliases": ["CVE-2024-1"], "affected": [{"package": {"ecosystem": "npm", "name": "x"},
			"ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": %q}]}]}]}`, id, fixed)
	}
	fixture.WriteArchive(t, dir, "npm", map[string]string{
		"a.json": advisory("GHSA-a", "1.10.0"), "b.json": advisory("GHSA-b", "1.9.0"),
		"c.json": `{"id": "GHSA-c", "aliases": ["CVE-2024-1"], "affected": [{"package": {"ecosystem": "npm", "name": "x"}, "versions": ["1.0.0"]}]}`,
	})
	r, err := matcher(t, dir).Match(t.Context(), inventoryOf(t, of(purl.TypeNPM, "x", "1.0.0")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Unknown CVE-2024-1 x 1.0.0->1.10.0 - GHSA-a,GHSA-b,GHSA-c"}, lines(r)); diff != "" {
		t.Errorf("vulnerabilities (-want +got):\n%s", diff)
	}
}

// TestVerdictsAreThoseOfScalibr compares which advisories affect which packages with what osv-scalibr's own enricher says, on the same
// database. Packages are left out of which this package says on purpose that the enricher is wrong.
func TestVerdictsAreThoseOfScalibr(t *testing.T) {
	location := fixture.Database(t)
	packages := everyVersion(t, location)
	packages = append(packages,
		deb("debian", "12", "libssl3", "3.0.11-1~deb12u1", "openssl", ""), deb("debian", "13", "openssl", "3.0.11-1", "", ""),
		deb("debian", "12", "tar", "1.34", "", ""),
		alpine("3.18.4", "libcrypto3", "3.1.3-r0", "openssl"), alpine("3.17.0", "openssl", "3.0.11-r0", "openssl"),
		of(purl.TypeGolang, "golang.org/x/text", "0.3.5"), of(purl.TypePyPi, "JINJA2", "2.11.2"), of(purl.TypeNPM, "lodash", "3.0.0"),
		of(purl.TypeNPM, "@scope/lodash", "3.0.0"), jar("org.apache.logging.log4j", "log4j-core", "2.14.1"),
	)
	want := make(map[string]bool)
	for _, p := range enrich(t, location, packages) {
		want[p] = true
	}
	got := make(map[string]bool)
	m := matcher(t, location)
	for _, p := range packages {
		r, err := m.Match(t.Context(), inventoryOf(t, p))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range r.Vulnerabilities {
			for _, id := range append(v.Aliases, v.ID) {
				got[verdict(p, id)] = true
			}
		}
	}
	if len(want) < 30 {
		t.Errorf("only %d verdicts to compare", len(want))
	}
	// Names of a vulnerability are more than the advisories that affect: each of the enricher's must be there, and where it has none, none.
	affected := make(map[string]bool)
	for v := range want {
		if !got[v] {
			t.Errorf("missing: %s", v)
		}
		affected[v[:strings.LastIndex(v, " ")]] = true
	}
	for v := range got {
		if !affected[v[:strings.LastIndex(v, " ")]] {
			t.Errorf("too many: %s", v)
		}
	}
}

func verdict(p *extractor.Package, id string) string {
	return fmt.Sprintf("%s %s %s %s", p.Ecosystem(), p.Name, p.Version, id)
}

// enrich returns the verdicts of osv-scalibr's enricher.
func enrich(t *testing.T, location string, packages []*extractor.Package) []string {
	t.Helper()
	// It looks for archives in a folder of its own below the one that it is told.
	local := t.TempDir()
	if err := os.Symlink(location, filepath.Join(local, "osv-scalibr")); err != nil {
		t.Fatal(err)
	}
	cfg := config.DefaultPluginConfig()
	cfg.ProtoConfig = &cpb.PluginConfig{PluginSpecific: []*cpb.PluginSpecificConfig{{
		Config: &cpb.PluginSpecificConfig_Osvlocal{Osvlocal: &cpb.OSVLocalConfig{LocalPath: local}},
	}}}
	e, err := osvlocal.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	inv := &scalibr.Inventory{Packages: packages}
	if err := e.Enrich(t.Context(), nil, inv); err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, v := range inv.PackageVulns {
		list = append(list, verdict(v.Package, v.Vulnerability.GetId()))
	}
	return list
}

// everyVersion returns packages with every version that an advisory of a language names, below, at and above it.
func everyVersion(t *testing.T, location string) []*extractor.Package {
	t.Helper()
	types := map[string]string{"Go": purl.TypeGolang, "npm": purl.TypeNPM, "PyPI": purl.TypePyPi}
	var names = map[string][]string{"Go": {"golang.org/x/text"}, "npm": {"lodash"}, "PyPI": {"jinja2"}}
	var packages []*extractor.Package
	for ecosystem, purlType := range types {
		if _, err := fs.Stat(os.DirFS(location), ecosystem); err != nil {
			t.Fatal(err)
		}
		for _, name := range names[ecosystem] {
			for _, version := range []string{
				"", "0", "0.1", "0.3.2", "0.3.6", "0.3.7-rc1", "0.3.7", "0.3.8", "2.10.2", "2.11", "2.11.2", "2.11.3", "2.11.3rc1", "3.9.9", "4.0.0-rc.1",
				"4.0.0", "4.17.20", "4.17.21-beta", "4.17.21", "v0.3.6", "99",
			} {
				packages = append(packages, of(purlType, name, version))
			}
		}
	}
	slices.SortFunc(packages, func(a, b *extractor.Package) int { return strings.Compare(a.PURLType+a.Version, b.PURLType+b.Version) })
	return packages
}

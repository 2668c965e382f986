// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package match_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/osv-scalibr/extractor"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/inventory"
)

// rpmImage extracts what is in an image with a real database of rpm, one of osv-scalibr's own tests, and an os-release.
func rpmImage(t *testing.T, release string) *inventory.Inventory {
	t.Helper()
	dir := strings.TrimSpace(string(fixture.Run(t, ".", nil, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/google/osv-scalibr")))
	database, err := os.ReadFile(filepath.Join(dir, "extractor", "filesystem", "os", "rpm", "testdata", "rpmdb.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := inventory.NewExtractor(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	inv, err := e.Extract(t.Context(), &image.Image{Image: fixture.Image(t, fixture.Layer(t,
		fixture.File{Name: "etc/os-release", Content: release}, fixture.File{Name: "var/lib/rpm/rpmdb.sqlite", Content: string(database)}))})
	if err != nil {
		t.Fatal(err)
	}
	return inv
}

// advisory is one on a package of a distribution.
func advisory(id, ecosystem, name, fixed string) string {
	return fmt.Sprintf(`{"id": %q, "affected": [{"package": {"ecosystem": %q, "name": %q},
		"ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": %q}]}]}]}`, id, ecosystem, name, fixed)
}

// TestUnprovenDistributionsAreNotJudged: their packages are found, and whatever the database has, that none is vulnerable is not said.
func TestUnprovenDistributionsAreNotJudged(t *testing.T) {
	for release, ecosystem := range map[string]string{
		"ID=rocky\nVERSION_ID=9.3\n": "Rocky Linux",
		"ID=rhel\nVERSION_ID=9.3\nCPE_NAME=\"cpe:/o:redhat:enterprise_linux:9::baseos\"\n": "Red Hat",
		"ID=sles\nVERSION_ID=15.5\n": "SUSE",
	} {
		t.Run(ecosystem, func(t *testing.T) {
			location := fixture.Database(t)
			fixture.WriteArchive(t, location, ecosystem, map[string]string{"a.json": advisory("A-1", ecosystem+":9", "bash", "99")})
			inv := rpmImage(t, release)
			r, err := matcher(t, location).Match(t.Context(), inv)
			if err != nil {
				t.Fatal(err)
			}
			if len(inv.Packages) < 100 || r.Reason != v1alpha1.ReasonDistributionUnsupported || !slices.Equal(r.Unmatched, []string{ecosystem}) || len(r.Vulnerabilities) > 0 {
				t.Errorf("%d packages, %s: %s, %q, found %q", len(inv.Packages), r.Reason, r.Message, r.Unmatched, lines(r))
			}
		})
	}
}

// TestAlmaLinux: of a real database of rpm, the verdicts are those of osv-scalibr's enricher, and only those of the release.
func TestAlmaLinux(t *testing.T) {
	inv := rpmImage(t, "ID=almalinux\nVERSION_ID=9.3\n")
	files := make(map[string]string)
	var packages []*extractor.Package
	for i := range inv.Packages {
		p, err := inv.Packages[i].Scalibr()
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
		// What is fixed in the version itself, just after it, long after it, and in another release.
		for suffix, fixed := range map[string]string{"same": p.Version, "next": p.Version + ".1", "later": "99:1-1"} {
			id := fmt.Sprintf("ALSA-%s-%d", suffix, i)
			files[id+".json"] = advisory(id, "AlmaLinux:9", p.Name, fixed)
		}
		id := fmt.Sprintf("ALSA-other-%d", i)
		files[id+".json"] = advisory(id, "AlmaLinux:8", p.Name, "99:1-1")
	}
	location := t.TempDir()
	fixture.WriteArchive(t, location, "AlmaLinux", files)
	want := enrich(t, location, packages)
	r, err := matcher(t, location).Match(t.Context(), inv)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range r.Vulnerabilities {
		got = append(got, fmt.Sprintf("%s %s %s %s", v.Ecosystem, v.Package, v.InstalledVersion, v.ID))
	}
	slices.Sort(want)
	slices.Sort(got)
	want, got = slices.Compact(want), slices.Compact(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("verdicts (-enricher +this):\n%.4000s", diff)
	}
	if r.Reason != "" || len(got) < 2*100 || slices.ContainsFunc(got, func(v string) bool { return strings.Contains(v, "ALSA-other") }) {
		t.Errorf("%s: %s, %d verdicts", r.Reason, r.Message, len(got))
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package osvdb_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/ossf/osv-schema/bindings/go/osvschema"

	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
)

// counted counts what is fetched.
type counted struct {
	osvdb.Source
	fetched []string
}

func (c *counted) Fetch(ctx context.Context, a osvdb.Archive, to io.Writer) error {
	c.fetched = append(c.fetched, a.Ecosystem)
	return c.Source.Fetch(ctx, a, to)
}

func newSource(t *testing.T, location string, wanted ...string) *counted {
	t.Helper()
	s, err := osvdb.NewSource(location, wanted, image.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &counted{Source: s}
}

func newDB(t *testing.T) *osvdb.DB {
	t.Helper()
	db, err := osvdb.New(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	return db
}

func update(t *testing.T, db *osvdb.DB, location string, s osvdb.Source, wanted ...string) (*osvdb.State, bool) {
	t.Helper()
	state, changed, err := db.Update(t.Context(), location, s, wanted, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return state, changed
}

// ids are those of the advisories on a package.
func ids(t *testing.T, db *osvdb.DB, ecosystem, name string) []string {
	t.Helper()
	view, err := db.View()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = view.Close() }() // only read
	var got []string
	err = view.Advisories(ecosystem, name, func(v *osvschema.Vulnerability) error {
		got = append(got, v.GetId())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	return got
}

func names(s *osvdb.State) []string {
	var list []string
	for _, e := range s.Ecosystems {
		list = append(list, e.Name)
	}
	return list
}

var all = []string{"Alpine", "Debian", "Go", "Maven", "PyPI", "Ubuntu", "npm"}

func TestAdvisoriesAreFoundByName(t *testing.T) {
	location := fixture.Database(t)
	db := newDB(t)
	if state, err := db.State(); state != nil || err != nil {
		t.Fatalf("before the first update: %v, %v", state, err)
	}
	state, changed := update(t, db, location, newSource(t, location))
	if diff := cmp.Diff(all, names(state)); diff != "" || !changed {
		t.Errorf("ecosystems, changed %t (-want +got):\n%s", changed, diff)
	}
	for name, tc := range map[string]struct {
		ecosystem, name string
		want            []string
	}{
		"the first line":           {"Debian", "openssl", []string{"DEBIAN-CVE-2023-5363", "DSA-5532-1"}},
		"in the middle":            {"Debian", "tar", []string{"DEBIAN-CVE-2005-2541"}},
		"the last line":            {"Debian", "util-linux", []string{"DEBIAN-CVE-2022-0563", "DEBIAN-CVE-2024-28085"}},
		"before all":               {"Debian", "a", nil},
		"after all":                {"Debian", "zlib", nil},
		"the start of a name":      {"Debian", "ope", nil},
		"more than a name":         {"Debian", "openssl3", nil},
		"nothing":                  {"Debian", "", nil},
		"capital letters":          {"Go", "github.com/Masterminds/goutils", []string{"GHSA-3839-6r69-m497", "GO-2022-0411"}},
		"several places in one":    {"Maven", "org.apache.logging.log4j:log4j-core", []string{"GHSA-jfh8-c2jp-5v3q"}},
		"only line of its archive": {"npm", "lodash", []string{"GHSA-29mw-wpgm-hmr9", "GHSA-35jh-r3h4-6jhm"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, ids(t, db, tc.ecosystem, tc.name)); diff != "" {
				t.Errorf("advisories (-want +got):\n%s", diff)
			}
		})
	}
	view, err := db.View()
	if err != nil {
		t.Fatal(err)
	}
	debian := view.Ecosystem("Debian")
	if debian == nil || debian.Advisories != 5 || !debian.Covers("12") || debian.Covers("7") || debian.Covers("") || !view.Ecosystem("npm").Covers("") || view.Ecosystem("Red Hat") != nil {
		t.Errorf("Debian: %+v", debian)
	}
}

func TestOnlyWhatHasChangedIsFetched(t *testing.T) {
	var folder string
	requests := make(map[string]int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests[r.Method]++
		if info, err := os.Stat(filepath.Join(folder, filepath.FromSlash(r.URL.Path))); err == nil {
			w.Header().Set("ETag", `"`+info.ModTime().Format("150405.000000000")+`"`)
		}
		http.FileServer(http.Dir(folder)).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	for name, location := range map[string]string{"a folder": "", "a URL": server.URL} {
		t.Run(name, func(t *testing.T) {
			folder = fixture.Database(t)
			if location == "" {
				location = folder
			}
			db := newDB(t)
			s := newSource(t, location, "Debian", "npm", "NuGet")
			first, _ := update(t, db, location, s, "Debian", "npm", "NuGet")
			if diff := cmp.Diff([]string{"Debian", "npm"}, names(first)); diff != "" {
				t.Errorf("ecosystems (-want +got):\n%s", diff)
			}
			s.fetched = nil
			clear(requests)
			if second, changed := update(t, db, location, s, "Debian", "npm", "NuGet"); changed || second.Version != first.Version || s.fetched != nil {
				t.Errorf("without a change: changed %t, fetched %v", changed, s.fetched)
			}
			if location == server.URL && requests[http.MethodGet] != 1 {
				t.Errorf("GET requests without a change: %d, want that for the list alone", requests[http.MethodGet])
			}
			fixture.WriteArchive(t, folder, "npm", map[string]string{"X.json": `{"id": "X", "modified": "2026-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "npm", "name": "x"}}]}`})
			third, changed := update(t, db, location, s, "Debian", "npm", "NuGet")
			if diff := cmp.Diff([]string{"npm"}, s.fetched); diff != "" || !changed || third.Version == first.Version || third.Modified.Year() != 2026 {
				t.Errorf("after a change: %+v (-want +fetched):\n%s", third, diff)
			}
			if got := ids(t, db, "npm", "lodash"); got != nil {
				t.Errorf("npm is as before: %v", got)
			}
			if got := ids(t, db, "Debian", "tar"); len(got) != 1 {
				t.Errorf("Debian is not as before: %v", got)
			}
		})
	}
}

func TestAnEcosystemThatIsGoneFromTheSourceGoes(t *testing.T) {
	location := fixture.Database(t)
	db := newDB(t)
	before, _ := update(t, db, location, newSource(t, location))
	remove(t, filepath.Join(location, "npm"))
	after, changed := update(t, db, location, newSource(t, location))
	if diff := cmp.Diff(all[:len(all)-1], names(after)); diff != "" || !changed || after.Version == before.Version {
		t.Errorf("changed %t (-want +got):\n%s", changed, diff)
	}
}

func TestOtherEcosystemsStay(t *testing.T) {
	location, elsewhere := fixture.Database(t), fixture.Database(t)
	db := newDB(t)
	update(t, db, location, newSource(t, location, "Debian"), "Debian")
	state, _ := update(t, db, location, newSource(t, location, "npm"), "npm")
	if diff := cmp.Diff([]string{"Debian", "npm"}, names(state)); diff != "" {
		t.Errorf("after another ecosystem (-want +got):\n%s", diff)
	}
	state, _ = update(t, db, elsewhere, newSource(t, elsewhere, "Go"), "Go")
	if diff := cmp.Diff([]string{"Go"}, names(state)); diff != "" {
		t.Errorf("from elsewhere (-want +got):\n%s", diff)
	}
}

func TestABrokenUpdateChangesNothing(t *testing.T) {
	location := fixture.Database(t)
	archive := filepath.Join(location, "npm", "all.zip")
	good, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(good)
	flipped[60] ^= 0xff // in the first advisory
	for name, tc := range map[string]struct {
		write func()
		want  string
	}{
		"cut short":      {func() { write(t, archive, good[:len(good)-40]) }, "the vulnerability database of npm: the archive is not valid: zip: not a valid zip file"},
		"damaged":        {func() { write(t, archive, flipped) }, "the vulnerability database of npm: the archive is not valid: "},
		"no archive":     {func() { write(t, archive, []byte("<html>")) }, "the vulnerability database of npm: the archive is not valid: zip: not a valid zip file"},
		"no advisories":  {func() { fixture.WriteArchive(t, location, "npm", map[string]string{"README": "x"}) }, "the vulnerability database of npm: the archive is not valid: it has no advisories"},
		"no JSON":        {func() { fixture.WriteArchive(t, location, "npm", map[string]string{"a.json": "{"}) }, "the vulnerability database of npm: the archive is not valid: a.json: "},
		"no id":          {func() { fixture.WriteArchive(t, location, "npm", map[string]string{"a.json": "{}"}) }, "the vulnerability database of npm: the archive is not valid: a.json: it has no id"},
		"nothing at all": {func() { remove(t, location) }, "asking for the vulnerability database: "},
	} {
		t.Run(name, func(t *testing.T) {
			location = fixture.Database(t)
			archive = filepath.Join(location, "npm", "all.zip")
			db := newDB(t)
			before, _ := update(t, db, location, newSource(t, location))
			tc.write()
			_, _, err := db.Update(t.Context(), location, newSource(t, location), nil, func(string) {})
			if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			after, err := db.State()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, after); diff != "" {
				t.Errorf("state (-before +after):\n%s", diff)
			}
			if got := ids(t, db, "npm", "lodash"); len(got) != 2 {
				t.Errorf("advisories: %v", got)
			}
		})
	}
}

func remove(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAViewStaysReadableDuringAnUpdate(t *testing.T) {
	location := fixture.Database(t)
	db := newDB(t)
	update(t, db, location, newSource(t, location))
	view, err := db.View()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = view.Close() }() // only read
	fixture.WriteArchive(t, location, "npm", map[string]string{"X.json": `{"id": "X", "affected": [{"package": {"ecosystem": "npm", "name": "x"}}]}`})
	update(t, db, location, newSource(t, location))
	n := 0
	if err := view.Advisories("npm", "lodash", func(*osvschema.Vulnerability) error { n++; return nil }); err != nil || n != 2 {
		t.Errorf("%d advisories, %v", n, err)
	}
}

func TestADamagedFolderIsFilledAgain(t *testing.T) {
	location := fixture.Database(t)
	dir := filepath.Join(t.TempDir(), "db")
	db, err := osvdb.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	update(t, db, location, newSource(t, location))
	write(t, filepath.Join(dir, "current"), []byte("state-that-is-gone\n"))
	if _, err := db.View(); err == nil {
		t.Error("no error")
	}
	if state, changed := update(t, db, location, newSource(t, location)); !changed || len(state.Ecosystems) != len(all) {
		t.Errorf("changed %t: %v", changed, state)
	}
	entries, err := filepath.Glob(filepath.Join(dir, "state-*"))
	if err != nil || len(entries) != 1 {
		t.Errorf("states on disk: %v, %v", entries, err)
	}
}

func TestMirrors(t *testing.T) {
	location := fixture.Database(t)
	published := time.Date(2025, 11, 1, 12, 0, 0, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(location, "npm", "all.zip"), published, published); err != nil {
		t.Fatal(err)
	}
	db := newDB(t)
	state, _ := update(t, db, location, newSource(t, location))
	if !state.Published.Equal(published) {
		t.Errorf("published %v, want the time of the oldest archive, %v", state.Published, published)
	}
	view, err := db.View()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = view.Close() }() // only read
	for name, to := range map[string]string{"a registry": osvdb.OCIPrefix + fixture.Registry(t) + "/mirror/osv:latest", "a folder": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			if err := view.Copy(t.Context(), to, image.Options{}); err != nil {
				t.Fatal(err)
			}
			copied := newDB(t)
			s := newSource(t, to)
			got, _ := update(t, copied, to, s)
			if !got.Published.Equal(state.Published) || got.Published.IsZero() {
				t.Errorf("published %v, want %v", got.Published, state.Published)
			}
			if got.Version != state.Version || len(s.fetched) != len(all) {
				t.Errorf("version %s, want %s; fetched %v", got.Version, state.Version, s.fetched)
			}
			if diff := cmp.Diff([]string{"DEBIAN-CVE-2005-2541"}, ids(t, copied, "Debian", "tar")); diff != "" {
				t.Errorf("advisories (-want +got):\n%s", diff)
			}
			s.fetched = nil
			if err := view.Copy(t.Context(), to, image.Options{}); err != nil { // once more changes nothing
				t.Fatal(err)
			}
			if _, changed := update(t, copied, to, s); changed || s.fetched != nil {
				t.Errorf("after a second copy: changed %t, fetched %v", changed, s.fetched)
			}
		})
	}
}

// TestARegistryFetchesChangedLayersOnly copies two states to one tag.
func TestARegistryFetchesChangedLayersOnly(t *testing.T) {
	location, to := fixture.Database(t), osvdb.OCIPrefix+fixture.Registry(t)+"/osv:latest"
	db, copied := newDB(t), newDB(t)
	s := newSource(t, to)
	for _, want := range [][]string{all, {"npm"}} {
		update(t, db, location, newSource(t, location))
		view, err := db.View()
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(view.Copy(t.Context(), to, image.Options{}), view.Close()); err != nil {
			t.Fatal(err)
		}
		s.fetched = nil
		update(t, copied, to, s)
		if diff := cmp.Diff(want, s.fetched); diff != "" {
			t.Errorf("fetched (-want +got):\n%s", diff)
		}
		fixture.WriteArchive(t, location, "npm", map[string]string{"X.json": `{"id": "X", "affected": [{"package": {"ecosystem": "npm", "name": "x"}}]}`})
	}
}

func TestSourcesThatCannotBeUsed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ecosystems.txt" {
			_, _ = io.WriteString(w, "../../etc\nDebian\nDebian:12\n")
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(server.Close)
	img := fixture.Registry(t) + "/app:1"
	for location, want := range map[string]string{
		"/nothing":                       "no such file",
		t.TempDir():                      "there is no archive of an ecosystem that is wanted",
		server.URL:                       server.URL + "/Debian/all.zip: 500 Internal Server Error",
		osvdb.OCIPrefix + img:            "404 Not Found",
		"http://127.0.0.1:1/closed":      "connection refused",
		osvdb.OCIPrefix + "UPPER CASE!!": "is not a reference",
		"":                               "no database: name a folder, a URL or oci://REFERENCE",
	} {
		err := func() error {
			s, err := osvdb.NewSource(location, []string{"Debian"}, image.Options{})
			if err != nil {
				return err
			}
			_, err = s.List(t.Context())
			return err
		}()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", location, err, want)
		}
	}
}

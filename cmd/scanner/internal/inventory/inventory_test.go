// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package inventory_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/inventory"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

type file = fixture.File

const (
	release     = "etc/os-release"
	status      = "var/lib/dpkg/status"
	apkDatabase = "C:Q1abc\nP:libcrypto3\nV:3.1.3-r0\nA:x86_64\nS:1\nI:1\nT:x\nU:x\nL:Apache-2.0\no:openssl\nm:x\nt:1\nc:abc\n\n"
	jinja       = "Metadata-Version: 2.1\nName: Jinja2\nVersion: 2.11.2\n\n"
)

func log4j(t *testing.T) string {
	return string(fixture.Zip(t, map[string]string{
		"META-INF/maven/org.apache.logging.log4j/log4j-core/pom.properties": "version=2.14.1\ngroupId=org.apache.logging.log4j\nartifactId=log4j-core\n",
	}))
}

// extract returns what is in an image.
func extract(t *testing.T, layers ...v1.Layer) (*inventory.Inventory, error) {
	t.Helper()
	e, err := inventory.NewExtractor(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return e.Extract(t.Context(), &image.Image{Image: fixture.Image(t, layers...), About: v1alpha1.Image{
		Name: "x", Digest: "sha256:" + strings.Repeat("0", 64), IndexDigests: []string{"y"}, User: "1000",
	}})
}

func packages(inv *inventory.Inventory) []string {
	var list []string
	for _, p := range inv.Packages {
		list = append(list, fmt.Sprintf("%s %s %s %s", p.PURLType, p.Name, p.Version, p.Path))
	}
	return list
}

func TestPackagesOfDistributionsAndLanguages(t *testing.T) {
	for name, tc := range map[string]struct {
		layers [][]file
		want   []string
	}{
		"Debian": {
			[][]file{{{Name: release, Content: fixture.DebianRelease}, {Name: status, Content: fixture.OpenSSL + fixture.Bsdutils + "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n"}}},
			[]string{"deb bsdutils 1:2.38.1-5 " + status, "deb libssl3 3.0.11-1~deb12u1 " + status},
		},
		"distroless": {
			[][]file{{{Name: release, Content: fixture.DebianRelease}, {Name: "var/lib/dpkg/status.d/libssl3", Content: fixture.OpenSSL}}},
			[]string{"deb libssl3 3.0.11-1~deb12u1 var/lib/dpkg/status.d/libssl3"},
		},
		"a package that a later layer removes": {
			[][]file{{{Name: status, Content: fixture.OpenSSL + fixture.Bsdutils}, {Name: "app/node_modules/lodash/package.json", Content: `{"name": "lodash", "version": "4.17.20"}`}},
				{{Name: status, Content: fixture.Bsdutils}, {Name: "app/node_modules/.wh.lodash"}}},
			[]string{"deb bsdutils 1:2.38.1-5 " + status},
		},
		"Alpine, whose lib is a link": {
			[][]file{{{Name: release, Content: "ID=alpine\nVERSION_ID=3.18.4\n"}, {Name: "usr/lib/"}, {Name: "lib", Type: tar.TypeSymlink, Link: "usr/lib"}}, {{Name: "lib/apk/db/installed", Content: apkDatabase}}},
			[]string{"apk libcrypto3 3.1.3-r0 usr/lib/apk/db/installed"},
		},
		"languages": {
			[][]file{{
				{Name: "app/node_modules/lodash/package.json", Content: `{"name": "lodash", "version": "4.17.20"}`},
				{Name: "usr/lib/python3/dist-packages/Jinja2-2.11.2.dist-info/METADATA", Content: jinja},
				{Name: "app/app.jar", Content: string(fixture.Zip(t, map[string]string{"BOOT-INF/lib/log4j-core-2.14.1.jar": log4j(t)}))},
				{Name: "usr/lib/gems/specifications/rack-2.0.1.gemspec", Content: "Gem::Specification.new do |s|\n  s.name = \"rack\".freeze\n  s.version = \"2.0.1\"\nend\n"},
				{Name: "app/app.deps.json", Content: `{"runtimeTarget": {"name": "net8.0"}, "targets": {}, "libraries": {"Newtonsoft.Json/12.0.1": {"type": "package", "serviceable": true, "sha512": "", "path": "newtonsoft.json/12.0.1"}}}`},
			}},
			[]string{
				"gem rack 2.0.1 usr/lib/gems/specifications/rack-2.0.1.gemspec",
				"maven org.apache.logging.log4j:log4j-core 2.14.1 app/app.jar",
				"npm lodash 4.17.20 app/node_modules/lodash/package.json",
				"nuget Newtonsoft.Json 12.0.1 app/app.deps.json",
				"pypi Jinja2 2.11.2 usr/lib/python3/dist-packages/Jinja2-2.11.2.dist-info/METADATA",
			},
		},
		"hard links out of a store": {
			[][]file{{{Name: "store/0a", Content: `{"name": "lodash", "version": "4.17.20"}`}, {Name: "node_modules/lodash/package.json", Type: tar.TypeLink, Link: "store/0a"}}},
			[]string{"npm lodash 4.17.20 node_modules/lodash/package.json"},
		},
		"nothing": {[][]file{{{Name: "hello", Content: "world"}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var layers []v1.Layer
			for i, files := range tc.layers {
				if i == 0 {
					layers = append(layers, fixture.Layer(t, files...))
				} else {
					layers = append(layers, fixture.ZstdLayer(t, files...))
				}
			}
			inv, err := extract(t, layers...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, packages(inv)); diff != "" {
				t.Errorf("packages (-want +got):\n%s", diff)
			}
			if inv.Unreadable != nil {
				t.Errorf("unreadable: %v", inv.Unreadable)
			}
		})
	}
}

func TestWhatIsSaidOfAnImage(t *testing.T) {
	inv, err := extract(t, fixture.Layer(t,
		file{Name: release, Content: fixture.DebianRelease}, file{Name: status, Content: fixture.OpenSSL},
		file{Name: "usr/bin/bash", Content: "x", Mode: 0o755}, file{Name: "usr/bin/sh", Type: tar.TypeSymlink, Link: "bash"},
		file{Name: "usr/bin/apt", Content: "no program"}, file{Name: "bin", Type: tar.TypeSymlink, Link: "usr/bin"},
		file{Name: "app/package.json", Content: `{"name": "x", "version": "1.0.0"}`},
	))
	if err != nil {
		t.Fatal(err)
	}
	want := v1alpha1.Image{
		Digest: "sha256:" + strings.Repeat("0", 64), User: "1000", Shells: []string{"/usr/bin/bash", "/usr/bin/sh"}, PackageCount: 2,
		Packages:     []v1alpha1.EcosystemCount{{Ecosystem: "Debian:12", Count: 1}, {Ecosystem: "npm", Count: 1}},
		Distribution: &v1alpha1.Distribution{ID: "debian", Version: "12", Name: "Debian GNU/Linux 12 (bookworm)"},
	}
	end := inv.About.Distribution.EndOfLife
	if end == nil || end.Format(time.DateOnly) != "2028-06-30" {
		t.Errorf("end of life: %v", end)
	}
	inv.About.Distribution.EndOfLife = nil
	if diff := cmp.Diff(want, inv.About); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
}

func TestEndsOfLife(t *testing.T) {
	for content, want := range map[string]string{
		"ID=alpine\nVERSION_ID=3.18.4":                      "2025-05-09",
		"ID=\"rocky\"\nVERSION_ID=\"9.3\"":                  "2032-05-31",
		"ID=ubuntu\nVERSION_ID='22.04'":                     "2027-04-01",
		"ID=fedora\nVERSION_ID=41\nSUPPORT_END=2025-12-15":  "2025-12-15",
		"ID=unheardof\nVERSION_ID=1":                        "",
		"ID=debian\nPRETTY_NAME=\"Debian GNU/Linux sid\"":   "",
		"ID=fedora\nVERSION_ID=41\nSUPPORT_END=some day...": "",
	} {
		inv, err := extract(t, fixture.Layer(t, file{Name: release, Content: content + "\n"}))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if end := inv.About.Distribution.EndOfLife; end != nil {
			got = end.Format(time.DateOnly)
		}
		if got != want {
			t.Errorf("%q: end of life %q, want %q", content, got, want)
		}
	}
}

func TestWhatCannotBeReadIsTold(t *testing.T) {
	large := strings.Repeat(" ", 65<<20)
	for name, tc := range map[string]struct {
		file    file
		want    []inventory.Unreadable
		message string
	}{
		"a package.json that is none": {
			file: file{Name: "app/package.json", Content: "{"},
			want: []inventory.Unreadable{{Path: "app/package.json", Message: "packagejson.parse: failed to parse package.json file: unexpected end of JSON input"}},
		},
		"a package.json that is too large": {
			file: file{Name: "app/package.json", Content: large},
			want: []inventory.Unreadable{{Path: "app/package.json", Message: "it has 68157440 bytes, which is more than is read of such a file"}},
		},
		"an archive that is none": {
			file: file{Name: "app/app.jar", Content: strings.Repeat("no archive", 10)},
			want: []inventory.Unreadable{{Path: "app/app.jar", Message: "java/archive invalid archive: zip: not a valid zip file"}},
		},
		"the distribution's list is no such list": {
			file: file{Name: status, Content: "Package: x\nStatus: half-installed\nVersion: 1\n\n"}, message: `reading "var/lib/dpkg/status": `,
		},
		"the distribution's list is too large": {file: file{Name: status, Content: large}, message: `reading "var/lib/dpkg/status": it has 68157440 bytes`},
	} {
		t.Run(name, func(t *testing.T) {
			inv, err := extract(t, fixture.Layer(t, tc.file))
			if tc.message != "" {
				if err == nil || problem.Reason(err, "") != v1alpha1.ReasonExtractionFailed || !strings.HasPrefix(err.Error(), tc.message) {
					t.Errorf("error %v, want %q", err, tc.message)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, inv.Unreadable); diff != "" {
				t.Errorf("unreadable (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnArchiveInAnArchiveIsBounded: the inner one is all zeros, and would take gigabytes of memory.
func TestAnArchiveInAnArchiveIsBounded(t *testing.T) {
	bomb := string(fixture.Zip(t, map[string]string{"inner.jar": strings.Repeat("\x00", 300<<20)}))
	inv, err := extract(t, fixture.Layer(t, file{Name: "app.jar", Content: bomb}))
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Unreadable) != 1 || inv.Unreadable[0].Path != "app.jar" || !strings.Contains(inv.Unreadable[0].Message, "reached max opened bytes") {
		t.Errorf("unreadable: %v", inv.Unreadable)
	}
}

// TestTimeRunsOutWhileItIsRead, at every place. Plugins call it a problem of the file that they are at.
func TestTimeRunsOutWhileItIsRead(t *testing.T) {
	e, err := inventory.NewExtractor(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	img := fixture.Image(t, fixture.Layer(t, file{Name: "a.jar", Content: log4j(t)}))
	for n := range int32(100) {
		ctx := endsAfter{t.Context(), new(atomic.Int32)}
		ctx.left.Store(n)
		inv, err := e.Extract(ctx, &image.Image{Image: img})
		if err == nil {
			if inv.Unreadable != nil || len(inv.Packages) != 1 {
				t.Errorf("after %d questions: %+v", n, inv)
			}
			return
		}
		if got := problem.Reason(err, ""); got != v1alpha1.ReasonTimedOut {
			t.Errorf("after %d questions: reason %q: %v", n, got, err)
		}
	}
	t.Error("time always runs out")
}

// endsAfter is a context that runs out of time once it has been asked some times.
type endsAfter struct {
	context.Context
	left *atomic.Int32
}

func (e endsAfter) Err() error {
	if e.left.Add(-1) < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

func TestTheStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "inventories")
	s, err := inventory.NewStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	inv, err := extract(t, fixture.Layer(t,
		file{Name: release, Content: fixture.DebianRelease}, file{Name: status, Content: fixture.OpenSSL + fixture.Bsdutils}, file{Name: "app.jar", Content: log4j(t)},
	))
	if err != nil {
		t.Fatal(err)
	}
	digest := inv.About.Digest
	get := func() *inventory.Inventory {
		t.Helper()
		got, err := s.Get(digest)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := get(); got != nil {
		t.Errorf("before it is put: %v", got)
	}
	if err := s.Put(inv); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(inv, get()); diff != "" {
		t.Errorf("inventory (-put +got):\n%s", diff)
	}
	for i := range inv.Packages { // osv-scalibr's own metadata comes back, too
		before, err := inv.Packages[i].Scalibr()
		if err != nil {
			t.Fatal(err)
		}
		if before.Metadata == nil || before.Ecosystem().IsEmpty() {
			t.Errorf("package %+v", before)
		}
	}
	if digests, err := s.Digests(); err != nil || !cmp.Equal(digests, []string{digest}) {
		t.Errorf("digests %v, %v", digests, err)
	}
	name := filepath.Join(dir, "sha256-"+strings.Repeat("0", 64)+".json.gz")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for what, content := range map[string][]byte{
		"cut short": whole[:len(whole)/2], "damaged": append(bytes.Clone(whole[:50]), whole[60:]...), "empty": nil,
		"another format": fixture.Gzip(t, []byte(`{"format": 0, "inventory": {"about": {"digest": "`+digest+`"}}}`)),
		"another image":  fixture.Gzip(t, []byte(`{"format": 1, "inventory": {"about": {"digest": "sha256:1"}}}`)),
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := get(); got != nil {
			t.Errorf("%s: %v", what, got)
		}
	}
	if err := s.Delete(digest); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(digest); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if digests, err := s.Digests(); err != nil || digests != nil {
		t.Errorf("digests after all are deleted: %v, %v", digests, err)
	}
	for _, digest := range []string{"", "../../etc/passwd", "sha256:../x"} {
		if _, err := s.Get(digest); err == nil {
			t.Errorf("%q: no error", digest)
		}
	}
}

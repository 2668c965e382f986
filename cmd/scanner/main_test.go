// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	spdxjson "github.com/spdx/tools-golang/json"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
	"github.com/kubersafe/kubersafe/internal/command"
)

// execute runs the command as a process would, and returns its exit code and what it prints.
func execute(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("TMPDIR", os.TempDir()) // --temp-dir sets it
	var out, errs bytes.Buffer
	cmd := newCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SetContext(t.Context())
	code = command.Run(cmd, &errs)
	return code, out.String(), errs.String()
}

// writeLayout writes an image as a folder in the OCI layout, and returns its name for the command.
func writeLayout(t testing.TB, layers ...v1.Layer) string {
	t.Helper()
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AppendImage(fixture.Image(t, layers...)); err != nil {
		t.Fatal(err)
	}
	return "oci-layout:" + dir
}

// scanArgs are those of a scan with the database of testdata, as old as it is.
func scanArgs(t testing.TB, source string, more ...string) []string {
	t.Helper()
	return append([]string{
		"image", source, "--db", fixture.Database(t), "--db-dir", t.TempDir(), "--platform", "linux/amd64", "--temp-dir", t.TempDir(),
	}, more...)
}

func debian(t testing.TB) v1.Layer {
	return fixture.Layer(t,
		fixture.File{Name: "etc/os-release", Content: fixture.DebianRelease},
		fixture.File{Name: "var/lib/dpkg/status", Content: fixture.OpenSSL + fixture.Bsdutils +
			"Package: tar\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.34+dfsg-1.2\n\n"},
		fixture.File{Name: "usr/lib/node_modules/lodash/package.json", Content: `{"name": "lodash", "version": "4.17.20"}`},
	)
}

const table = `IMAGE       PLATFORM      OS                               CRITICAL   HIGH   MEDIUM   LOW   UNKNOWN   FIXABLE   STATE
the image   linux/amd64   Debian GNU/Linux 12 (bookworm)   0          2      1        1     1         4         Scanned

SEVERITY   VULNERABILITY    PACKAGE    INSTALLED           FIXED                ECOSYSTEM   CVSS   PATH
High       CVE-2023-5363    libssl3    3.0.11-1~deb12u1    3.0.11-1~deb12u2     Debian:12   7.5    var/lib/dpkg/status
High       CVE-2021-23337   lodash     4.17.20             4.17.21              npm         7.2    usr/lib/node_modules/lodash/package.json
Medium     CVE-2020-28500   lodash     4.17.20             4.17.21              npm         5.3    usr/lib/node_modules/lodash/package.json
Low        CVE-2005-2541    tar        1.34+dfsg-1.2       -                    Debian:12   10.0   var/lib/dpkg/status
Unknown    CVE-2024-28085   bsdutils   1:2.38.1-5          2.38.1-5+deb12u1     Debian:12   -      var/lib/dpkg/status

4 packages: 0 critical, 2 high, 1 medium, 1 low, 1 unknown; 4 can be fixed
`

func TestTheTable(t *testing.T) {
	source := writeLayout(t, debian(t))
	code, stdout, stderr := execute(t, scanArgs(t, source)...)
	got := strings.Replace(stdout, source, "the image", 1)
	if diff := cmp.Diff(strings.Join(strings.Fields(table), " "), strings.Join(strings.Fields(got), " ")); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if code != command.ExitFindings || stderr != "" {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

func TestExitCodes(t *testing.T) {
	all := writeLayout(t, debian(t))
	unfixed := writeLayout(t, fixture.Layer(t,
		fixture.File{Name: "etc/os-release", Content: fixture.DebianRelease},
		fixture.File{Name: "var/lib/dpkg/status", Content: "Package: tar\nStatus: install ok installed\nVersion: 1.34+dfsg-1.2\n\n"},
	))
	unknown := writeLayout(t, fixture.Layer(t, fixture.File{Name: "etc/os-release", Content: "ID=arch\nNAME=Arch\n"}))
	nothing := writeLayout(t, fixture.Layer(t, fixture.File{Name: "hello"}))
	old := fixture.Database(t)
	published := time.Date(2025, 11, 1, 0, 0, 0, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(old, "Debian", "all.zip"), published, published); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		args   []string
		want   int
		stderr string
	}{
		"high is the default":           {scanArgs(t, all), command.ExitFindings, ""},
		"nothing is critical":           {scanArgs(t, all, "--fail-on", "critical"), 0, ""},
		"never":                         {scanArgs(t, all, "--fail-on", "never"), 0, ""},
		"low":                           {scanArgs(t, unfixed, "--fail-on", "low"), command.ExitFindings, ""},
		"low, if it can be fixed":       {scanArgs(t, unfixed, "--fail-on", "low", "--only-fixable"), 0, ""},
		"nothing in it":                 {append(scanArgs(t, nothing), "--db", "/no/database/is/needed"), 0, ""},
		"not all can be judged":         {scanArgs(t, unknown, "--fail-on", "never"), command.ExitInput, `Error: "` + unknown + `" is Unsupported (DistributionUnsupported): the image is built on "Arch", but no list`},
		"an old database":               {append(scanArgs(t, all, "--fail-on", "never"), "--db", old), command.ExitInput, `Error: "` + all + `" is Stale (DatabaseOutdated): the vulnerability database is of 2025-11-01T00:00:00Z`},
		"no image":                      {scanArgs(t, "oci-layout:/nothing"), command.ExitInput, `Error: scanning "oci-layout:/nothing": reading the OCI layout "/nothing": `},
		"no database":                   {append(scanArgs(t, all), "--db", "/nothing"), command.ExitInput, "Error: asking for the vulnerability database: open /nothing: no such file or directory"},
		"no database, and none is kept": {scanArgs(t, all, "--db-offline"), command.ExitInput, "Error: there is no vulnerability database in "},
		"no time":                       {scanArgs(t, all, "--timeout", "1ns"), command.ExitInput, `Error: scanning "` + all + `": layer 1 of 1: reading it: context deadline exceeded`},
		"an unknown flag":               {[]string{"image", "x", "--nonsense"}, command.ExitInput, "Error: unknown flag: --nonsense\nSee 'kubersafe-scanner image --help'"},
		"a wrong value":                 {[]string{"image", "x", "-o", "xml"}, command.ExitInput, "Error: invalid argument \"xml\" for \"-o, --output\" flag: must be one of table, json, sarif, cyclonedx, spdx\nSee"},
		"a wrong platform":              {[]string{"image", "x", "--platform", "linux"}, command.ExitInput, `Error: "linux" is not a platform: it must be like linux/amd64 or linux/arm64/v8`},
		"no argument":                   {[]string{"image"}, command.ExitInput, "Error: accepts 1 arg(s), received 0\nSee 'kubersafe-scanner image --help'"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(t, tc.args...)
			if code != tc.want || !strings.HasPrefix(stderr, tc.stderr) || tc.stderr == "" && stderr != "" {
				t.Errorf("exit code %d, want %d; stderr %q, want %q\n%s", code, tc.want, stderr, tc.stderr, stdout)
			}
		})
	}
}

// TestADockerArchive scans the same image as docker saves it.
func TestADockerArchive(t *testing.T) {
	tag, err := name.NewTag("example.com/app:1")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := tarball.WriteToFile(file, tag, fixture.Image(t, debian(t))); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := execute(t, scanArgs(t, "docker-archive:"+file)...)
	if code != command.ExitFindings || stderr != "" || !strings.HasSuffix(stdout, table[strings.LastIndex(table, "\n\n"):]) {
		t.Errorf("exit code %d: %s\n%s", code, stderr, stdout)
	}
}

func TestAFailedScanHasAReport(t *testing.T) {
	code, stdout, _ := execute(t, scanArgs(t, "oci-layout:/nothing", "-o", "json")...)
	var r v1alpha1.ImageReport
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	if code != command.ExitInput || r.State != v1alpha1.ImageFailed || r.Reason != v1alpha1.ReasonNotFound || r.Summary != nil || r.Kind != "ImageReport" {
		t.Errorf("exit code %d: %s", code, stdout)
	}
	for _, format := range []string{"sarif", "cyclonedx", "spdx"} {
		if code, stdout, _ := execute(t, scanArgs(t, "oci-layout:/nothing", "-o", format)...); code != command.ExitInput || stdout != "" {
			t.Errorf("%s: exit code %d: %s", format, code, stdout)
		}
	}
}

func TestTheSourceOfTheDatabaseIsGone(t *testing.T) {
	location, kept := fixture.Database(t), t.TempDir()
	source := writeLayout(t, debian(t))
	args := append(scanArgs(t, source), "--db", location, "--db-dir", kept)
	if code, _, stderr := execute(t, args...); code != command.ExitFindings || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	if err := os.RemoveAll(location); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := execute(t, args...)
	if want := "Warning: asking for the vulnerability database: open " + location + ": no such file or directory; what was fetched before is used\n"; code != command.ExitFindings || stderr != want {
		t.Errorf("exit code %d, stderr %q, want %q", code, stderr, want)
	}
	if code, _, stderr := execute(t, append(args, "--db-offline")...); code != command.ExitFindings || stderr != "" {
		t.Errorf("offline: exit code %d: %s", code, stderr)
	}
}

func TestReportsAreTheSameEachTime(t *testing.T) {
	source := writeLayout(t, debian(t))
	for _, format := range []string{"json", "sarif"} {
		_, first, _ := execute(t, scanArgs(t, source, "-o", format)...)
		_, second, _ := execute(t, scanArgs(t, source, "-o", format)...)
		// Archives of the database have no order of their own, and so another digest.
		first, second = withoutVersion(first), withoutVersion(second)
		if diff := cmp.Diff(first, second); diff != "" || first == "" {
			t.Errorf("%s (-first +second):\n%s", format, diff)
		}
	}
}

func withoutVersion(report string) string {
	lines := strings.Split(report, "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, `"version": "sha256:`) }), "\n")
}

func TestSARIF(t *testing.T) {
	_, stdout, _ := execute(t, scanArgs(t, writeLayout(t, debian(t)), "-o", "sarif")...)
	var log sarifLog
	if err := json.Unmarshal([]byte(stdout), &log); err != nil {
		t.Fatal(err)
	}
	r := log.Runs[0]
	if len(r.Results) != 5 || len(r.Tool.Driver.Rules) != 5 || !r.Invocations[0].ExecutionSuccessful {
		t.Fatal(stdout)
	}
	first := r.Results[0]
	if want := `package "libssl3" 3.0.11-1~deb12u1 must not be used: CVE-2023-5363 (High); version 3.0.11-1~deb12u2 mends it`; first.Message.Text != want || first.Level != "error" {
		t.Errorf("%s: %s, want %s", first.Level, first.Message.Text, want)
	}
	if rule := r.Tool.Driver.Rules[first.RuleIndex]; rule.ID != "CVE-2023-5363" || rule.Properties["security-severity"] != "7.5" || rule.ShortDescription.Text != "openssl - security update" {
		t.Errorf("rule %+v", rule)
	}
}

func TestBillsOfMaterials(t *testing.T) {
	source := writeLayout(t, debian(t))
	_, stdout, _ := execute(t, scanArgs(t, source, "-o", "cyclonedx")...)
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(strings.NewReader(stdout), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	purls := make(map[string]string)
	for _, c := range *bom.Components {
		purls[c.BOMRef] = c.PackageURL
	}
	var got []string
	for _, v := range *bom.Vulnerabilities {
		for _, a := range *v.Affects {
			got = append(got, v.ID+" "+purls[a.Ref])
		}
	}
	want := []string{
		"CVE-2023-5363 pkg:deb/debian/libssl3@3.0.11-1~deb12u1?arch=amd64&distro=bookworm&source=openssl", "CVE-2021-23337 pkg:npm/lodash@4.17.20",
		"CVE-2020-28500 pkg:npm/lodash@4.17.20", "CVE-2005-2541 pkg:deb/debian/tar@1.34%2Bdfsg-1.2?arch=amd64&distro=bookworm",
		"CVE-2024-28085 pkg:deb/debian/bsdutils@1:2.38.1-5?arch=amd64&distro=bookworm&source=util-linux&sourceversion=2.38.1-5",
	}
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], "%3A", ":")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("vulnerabilities (-want +got):\n%s", diff)
	}

	_, stdout, _ = execute(t, scanArgs(t, source, "-o", "spdx")...)
	document, err := spdxjson.Read(strings.NewReader(stdout))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(document.Packages); n != 5 || document.DocumentName != source { // the image, and four in it
		t.Errorf("%d packages of %q", n, document.DocumentName)
	}
}

func TestMirrorAndStatus(t *testing.T) {
	location, dir, to := fixture.Database(t), t.TempDir(), "oci://"+fixture.Registry(t)+"/osv:latest"
	code, stdout, stderr := execute(t, "db", "mirror", "--db", location, "--db-dir", dir, "--to", to, "--ecosystem", "Debian", "--ecosystem", "npm")
	if want := to + ": 2 ecosystems of 2025-11-14T02:30:00Z\n"; code != 0 || stdout != want || stderr != "" {
		t.Fatalf("exit code %d: %q, want %q: %s", code, stdout, want, stderr)
	}
	kept := t.TempDir()
	code, _, stderr = execute(t, append(scanArgs(t, writeLayout(t, debian(t)), "--db-dir", kept), "--db", to)...)
	if code != command.ExitFindings || stderr != "" {
		t.Fatalf("with the mirror: exit code %d: %s", code, stderr)
	}
	code, stdout, stderr = execute(t, "db", "status", "--db-dir", kept)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	fields := strings.Fields(stdout)
	for _, want := range []string{to, "2025-11-14T02:30:00Z", "Debian", "5", "12,", "13", "npm", "all"} {
		if !slices.Contains(fields, want) {
			t.Errorf("%q is missing in\n%s", want, stdout)
		}
	}
	if code, _, stderr := execute(t, "db", "status", "--db-dir", t.TempDir()); code != command.ExitInput || !strings.HasPrefix(stderr, "Error: there is no vulnerability database in ") {
		t.Errorf("without a database: exit code %d: %s", code, stderr)
	}
	if code, _, stderr := execute(t, "db", "mirror"); code != command.ExitInput || !strings.HasPrefix(stderr, "Error: --to must be set\nSee") {
		t.Errorf("without a target: exit code %d: %s", code, stderr)
	}
}

func TestVersion(t *testing.T) {
	if code, stdout, _ := execute(t, "version"); code != 0 || stdout != "dev\n" {
		t.Errorf("exit code %d: %q", code, stdout)
	}
}

// TestRealPackages scans an image out of packages as Debian, npm and the Go module proxy give them, from a registry.
func TestRealPackages(t *testing.T) {
	if testing.Short() {
		t.Skip("downloads packages, and builds a program")
	}
	tarPackage, tarVersion := debianPackage(t, "tar")
	program := goProgram(t)
	layers := []v1.Layer{
		fixture.Layer(t,
			fixture.File{Name: "etc/os-release", Content: fixture.DebianRelease}, fixture.File{Name: "var/lib/dpkg/status", Content: tarPackage.status},
			fixture.File{Name: "usr/local/bin/vulnerable", Content: program, Mode: 0o755},
		),
		fixture.LayerOf(t, tarPackage.files),
		fixture.ZstdLayer(t, npmPackage(t, "lodash", "4.17.20")...),
		fixture.Layer(t, npmPackage(t, "minimist", "1.2.5")...),
		fixture.Layer(t, fixture.File{Name: "usr/lib/node_modules/.wh.minimist"}),
	}
	ref := fixture.Registry(t) + "/team/app:1"
	tag, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, fixture.Image(t, layers...)); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := execute(t, scanArgs(t, ref, "-o", "json")...)
	if code != command.ExitFindings || stderr != "" {
		t.Fatalf("exit code %d: %s\n%s", code, stderr, stdout)
	}
	var r v1alpha1.ImageReport
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, v := range r.Vulnerabilities {
		got = append(got, fmt.Sprintf("%s %s %s %s->%s %s", v.Severity, v.ID, v.Package, v.InstalledVersion, v.FixedVersion, v.Path))
	}
	want := []string{
		"Critical CVE-2021-4238 github.com/Masterminds/goutils 1.1.0->1.1.1 usr/local/bin/vulnerable",
		"High CVE-2021-38561 golang.org/x/text 0.3.5->0.3.7 usr/local/bin/vulnerable",
		"High CVE-2021-23337 lodash 4.17.20->4.17.21 usr/lib/node_modules/lodash/package.json",
		"Medium CVE-2020-28500 lodash 4.17.20->4.17.21 usr/lib/node_modules/lodash/package.json",
		"Low CVE-2005-2541 tar " + tarVersion + "-> var/lib/dpkg/status",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("vulnerabilities (-want +got):\n%s", diff)
	}
	for _, c := range r.Image.Packages {
		if c.Ecosystem == "npm" && c.Count != 1 {
			t.Errorf("%d packages of npm: one was removed by the last layer", c.Count)
		}
	}
}

type debPackage struct {
	status string // its entry in /var/lib/dpkg/status
	files  []byte
}

// debianPackage downloads a package of Debian.
func debianPackage(t *testing.T, name string) (debPackage, string) {
	t.Helper()
	dir := t.TempDir()
	// A machine that is new has no lists of packages.
	fixture.Run(t, dir, nil, "sh", "-c", `apt-get download "$1" || { apt-get update && apt-get download "$1"; }`, "sh", name)
	files, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	control := string(fixture.Run(t, dir, nil, "dpkg-deb", "--field", files[0]))
	first, rest, _ := strings.Cut(control, "\n")
	version := strings.TrimSpace(string(fixture.Run(t, dir, nil, "dpkg-deb", "--field", files[0], "Version")))
	return debPackage{
		status: first + "\nStatus: install ok installed\n" + strings.TrimSpace(rest) + "\n\n",
		files:  fixture.Run(t, dir, nil, "dpkg-deb", "--fsys-tarfile", files[0]),
	}, version
}

// npmPackage downloads a package of npm, and returns its files as they are installed.
func npmPackage(t *testing.T, name, version string) []fixture.File {
	t.Helper()
	dir := t.TempDir()
	archive := strings.TrimSpace(string(fixture.Run(t, dir, nil, "npm", "pack", "--silent", name+"@"+version)))
	f, err := os.Open(filepath.Join(dir, archive))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read
	content, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var files []fixture.File
	for in := tar.NewReader(content); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, fixture.File{Name: path.Join("usr/lib/node_modules", name, strings.TrimPrefix(h.Name, "package/")), Content: string(text)})
	}
}

// goProgram builds a program with vulnerable modules.
func goProgram(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "main.go"} {
		content, err := os.ReadFile(filepath.Join("testdata", "vulnerable", name+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64", "GOFLAGS=-mod=mod -buildvcs=false"}
	fixture.Run(t, dir, env, "go", "build", "-o", "vulnerable", ".")
	program, err := os.ReadFile(filepath.Join(dir, "vulnerable"))
	if err != nil {
		t.Fatal(err)
	}
	return string(program)
}

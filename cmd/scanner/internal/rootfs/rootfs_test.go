// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rootfs_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/rootfs"
)

type file = fixture.File

func keepAll(string, fs.FileInfo) bool { return true }

// tree lists a file system: contents of files, and a slash for directories.
func tree(t *testing.T, root fs.FS) map[string]string {
	t.Helper()
	got := make(map[string]string)
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case d.IsDir():
			got[name] = "/"
		case d.Type()&fs.ModeSymlink != 0:
			got[name] = "link"
		case !d.Type().IsRegular():
			got[name] = "device"
		default:
			content, err := fs.ReadFile(root, name)
			if err != nil {
				return err
			}
			got[name] = string(content)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestLayersAreAppliedAsByARuntime(t *testing.T) {
	link := func(name, target string) file { return file{Name: name, Type: tar.TypeSymlink, Link: target} }
	hard := func(name, target string) file { return file{Name: name, Type: tar.TypeLink, Link: target} }
	for name, tc := range map[string]struct {
		layers [][]file
		want   map[string]string
	}{
		"a file in a folder that no entry makes":             {[][]file{{{Name: "a/b/c", Content: "1"}}}, map[string]string{"a": "/", "a/b": "/", "a/b/c": "1"}},
		"a later layer replaces a file":                      {[][]file{{{Name: "a", Content: "1"}}, {{Name: "a", Content: "2"}}}, map[string]string{"a": "2"}},
		"a later entry of one layer replaces an earlier one": {[][]file{{{Name: "a", Content: "1"}, {Name: "./a", Content: "2"}}}, map[string]string{"a": "2"}},
		"a whiteout removes a file":                          {[][]file{{{Name: "a/b", Content: "1"}, {Name: "a/c", Content: "2"}}, {{Name: "a/.wh.b"}}}, map[string]string{"a": "/", "a/c": "2"}},
		"a whiteout removes a folder":                        {[][]file{{{Name: "a/b", Content: "1"}, {Name: "c", Content: "2"}}, {{Name: ".wh.a"}}}, map[string]string{"c": "2"}},
		"a file that was removed may come back": {
			[][]file{{{Name: "a", Content: "1"}}, {{Name: ".wh.a"}}, {{Name: "a", Content: "3"}}}, map[string]string{"a": "3"},
		},
		"a whiteout hides nothing of its own layer, whatever comes first": {
			[][]file{{{Name: "a/old", Content: "1"}}, {{Name: "a/new", Content: "2"}, {Name: ".wh.a"}}}, map[string]string{"a": "/", "a/new": "2"},
		},
		"an opaque folder hides what lower layers have in it": {
			[][]file{{{Name: "a/b/old", Content: "1"}}, {{Name: "a/b/new", Content: "2"}, {Name: "a/.wh..wh..opq"}}},
			map[string]string{"a": "/", "a/b": "/", "a/b/new": "2"},
		},
		"a folder replaces a file, and a file a folder": {
			[][]file{{{Name: "a", Content: "1"}, {Name: "b/c", Content: "1"}}, {{Name: "a/"}, {Name: "b", Content: "2"}}}, map[string]string{"a": "/", "b": "2"},
		},
		"a folder that is there already keeps what is in it": {[][]file{{{Name: "a/b", Content: "1"}}, {{Name: "a/"}}}, map[string]string{"a": "/", "a/b": "1"}},
		"a file below a link goes where the link leads": {
			[][]file{{{Name: "usr/lib/"}, link("lib", "usr/lib")}, {{Name: "lib/x", Content: "1"}}},
			map[string]string{"lib": "link", "usr": "/", "usr/lib": "/", "usr/lib/x": "1"},
		},
		"links do not lead out of the image": {
			[][]file{{link("etc", "../../../../../../tmp"), {Name: "tmp/"}, {Name: "etc/x", Content: "1"}}}, map[string]string{"etc": "link", "tmp": "/", "tmp/x": "1"},
		},
		"names do not lead out of the image": {
			[][]file{{{Name: "../../a", Content: "1"}, {Name: "/b", Content: "2"}, {Name: "c/../../d", Content: "3"}}}, map[string]string{"a": "1", "b": "2", "d": "3"},
		},
		"a hard link is the file, from the root on": {
			[][]file{{{Name: "a/b", Content: "1"}}, {hard("c/d", "a/b")}}, map[string]string{"a": "/", "a/b": "1", "c": "/", "c/d": "1"},
		},
		"a hard link outlives its first name": {
			[][]file{{{Name: "a", Content: "1"}, hard("b", "a")}, {{Name: ".wh.a"}}}, map[string]string{"b": "1"},
		},
		"a name that was linked in the same layer can be removed": {
			[][]file{{{Name: "a", Content: "1"}}, {hard("b", "a"), {Name: ".wh.a"}}}, map[string]string{"b": "1"},
		},
		"devices have no content": {
			[][]file{{{Name: "a", Type: tar.TypeChar}, {Name: "b", Type: tar.TypeFifo}}}, map[string]string{"a": "device", "b": "device"},
		},
		"a whiteout of nothing": {[][]file{{{Name: "x/.wh.a"}, {Name: ".wh..wh..opq"}, {Name: "b", Content: "1"}}}, map[string]string{"b": "1"}},
	} {
		t.Run(name, func(t *testing.T) {
			var layers []v1.Layer
			for _, files := range tc.layers {
				layers = append(layers, fixture.Layer(t, files...))
			}
			root, err := rootfs.Unpack(t.Context(), layers, t.TempDir(), rootfs.DefaultLimits, keepAll)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = root.Close() }() // only read
			if diff := cmp.Diff(tc.want, tree(t, root)); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestItIsAFileSystem(t *testing.T) {
	root, err := rootfs.Unpack(t.Context(), []v1.Layer{
		fixture.Layer(t, file{Name: "a/b/c", Content: "1"}, file{Name: "d", Content: "2"}, file{Name: "empty/"}),
		fixture.ZstdLayer(t, file{Name: "a/e", Content: "3"}),
	}, t.TempDir(), rootfs.DefaultLimits, keepAll)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }() // only read
	if err := fstest.TestFS(root, "a/b/c", "d", "empty", "a/e"); err != nil {
		t.Error(err)
	}
	f, err := root.Open("a/b/c")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := f.(io.ReaderAt); !ok {
		t.Error("files must be readable at any place: osv-scalibr demands it")
	}
}

func TestLinksThatLeadNowhere(t *testing.T) {
	root, err := rootfs.Unpack(t.Context(), []v1.Layer{fixture.Layer(t,
		file{Name: "loop", Type: tar.TypeSymlink, Link: "loop"},
		file{Name: "x", Type: tar.TypeSymlink, Link: "y/z"}, file{Name: "y", Type: tar.TypeSymlink, Link: "x"},
		file{Name: "missing", Type: tar.TypeSymlink, Link: "/not/there"},
	)}, t.TempDir(), rootfs.DefaultLimits, keepAll)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }() // only read
	for _, name := range []string{"loop", "x", "missing", "loop/a"} {
		if _, err := root.Open(name); err == nil {
			t.Errorf("%s can be opened", name)
		}
	}
}

func TestNothingIsLeftOnDisk(t *testing.T) {
	dir := t.TempDir()
	root, err := rootfs.Unpack(t.Context(), []v1.Layer{fixture.Layer(t, file{Name: "../../../evil", Content: "1"})}, dir, rootfs.DefaultLimits, keepAll)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }() // only read
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("files with names: %v, %v", entries, err)
	}
}

func TestLargeFilesAreKeptWhereTheyAreWanted(t *testing.T) {
	large := strings.Repeat("x", 2<<20)
	root, err := rootfs.Unpack(t.Context(), []v1.Layer{fixture.Layer(t,
		file{Name: "wanted", Content: large}, file{Name: "other", Content: large}, file{Name: "link", Type: tar.TypeLink, Link: "other"},
	)}, t.TempDir(), rootfs.DefaultLimits, func(name string, _ fs.FileInfo) bool { return name == "wanted" })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }() // only read
	if content, err := fs.ReadFile(root, "wanted"); err != nil || string(content) != large {
		t.Errorf("wanted: %d bytes, %v", len(content), err)
	}
	for _, name := range []string{"other", "link"} {
		if _, err := fs.ReadFile(root, name); err == nil {
			t.Errorf("%s can be read, though nothing of it was kept", name)
		}
		if info, err := fs.Stat(root, name); err != nil || info.Size() != int64(len(large)) {
			t.Errorf("stat %s: %v, %v", name, info, err)
		}
	}
}

// corrupt is a layer whose content is not what its digest promises.
type corrupt struct {
	v1.Layer
	content []byte
}

func (c corrupt) Uncompressed() (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(c.content)), nil
}

func TestHostileLayersEndInAReason(t *testing.T) {
	good := fixture.Tar(t, file{Name: "a", Content: "1"})
	deep := strings.Repeat("d/", 3000) + "f"
	limits := rootfs.Limits{Bytes: 1 << 20, Entries: 100, Names: 16 << 10, Disk: 64 << 10}
	for name, tc := range map[string]struct {
		layer   v1.Layer
		reason  v1alpha1.ImageReason
		message string
	}{
		"other content than promised": {
			corrupt{fixture.LayerOf(t, good), fixture.Tar(t, file{Name: "a", Content: "2"})}, v1alpha1.ReasonLayerCorrupt, "layer 1 of 1: its content is sha256:",
		},
		"more content than promised, behind the archive": {
			corrupt{fixture.LayerOf(t, good), append(bytes.Clone(good), 1)}, v1alpha1.ReasonLayerCorrupt, "layer 1 of 1: its content is sha256:",
		},
		"cut short":    {corrupt{fixture.LayerOf(t, good), good[:600]}, v1alpha1.ReasonLayerCorrupt, "layer 1 of 1: "},
		"no archive":   {fixture.LayerOf(t, bytes.Repeat([]byte("no tar "), 200)), v1alpha1.ReasonLayerCorrupt, "layer 1 of 1: reading it: archive/tar"},
		"damaged gzip": {damaged(t), v1alpha1.ReasonLayerCorrupt, "layer 1 of 1: reading it: "},
		"a bomb":       {fixture.Layer(t, file{Name: "bomb", Content: strings.Repeat("0", 2<<20)}), v1alpha1.ReasonLimitExceeded, "layer 1 of 1: reading it: the image unpacks to more than 1048576 bytes"},
		"much to keep": {fixture.Layer(t, file{Name: "a", Content: strings.Repeat("0", 80<<10)}), v1alpha1.ReasonLimitExceeded, "layer 1 of 1: the image has files of more than 65536 bytes to look into"},
		"many files":   {fixture.Layer(t, many(101)...), v1alpha1.ReasonLimitExceeded, "layer 1 of 1: the image has more than 100 files"},
		"many folders that no entry names": {
			fixture.Layer(t, file{Name: deep[:400]}), v1alpha1.ReasonLimitExceeded, `layer 1 of 1: "`,
		},
		"long names": {fixture.Layer(t, file{Name: "a", Type: tar.TypeSymlink, Link: strings.Repeat("x", 5000)}), v1alpha1.ReasonLayerInvalid, `layer 1 of 1: the entry "a" has a name or target of more than 4096 bytes`},
		"names of many bytes": {
			fixture.Layer(t, named(20, 1000)...), v1alpha1.ReasonLimitExceeded, "layer 1 of 1: the image has names of more than 16384 bytes",
		},
		"links that lead ever deeper": {fixture.Layer(t, deeper()...), v1alpha1.ReasonLayerInvalid, "layer 1 of 1: "},
		"a file below a file": {
			fixture.Layer(t, file{Name: "a", Content: "1"}, file{Name: "a/b", Content: "2"}), v1alpha1.ReasonLayerInvalid, `layer 1 of 1: "a/b": "a" is not a directory`,
		},
		"a file below a link in a circle": {
			fixture.Layer(t, file{Name: "a", Type: tar.TypeSymlink, Link: "a"}, file{Name: "a/b", Content: "2"}),
			v1alpha1.ReasonLayerInvalid, `layer 1 of 1: "a/b": too many levels of symbolic links`,
		},
		"a hard link to nothing": {
			fixture.Layer(t, file{Name: "a", Type: tar.TypeLink, Link: "../../etc/shadow"}), v1alpha1.ReasonLayerInvalid,
			`layer 1 of 1: "a" is a hard link to "../../etc/shadow": file does not exist`,
		},
		"a hard link to a folder": {
			fixture.Layer(t, file{Name: "a/b/"}, file{Name: "a/b/c", Type: tar.TypeLink, Link: "a"}), v1alpha1.ReasonLayerInvalid,
			`layer 1 of 1: "a/b/c" is a hard link to the directory "a"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			root, err := rootfs.Unpack(t.Context(), []v1.Layer{tc.layer}, t.TempDir(), limits, func(name string, _ fs.FileInfo) bool { return name != "bomb" })
			if err == nil {
				t.Fatal("no error", root.Close())
			}
			if got := problem.Reason(err, ""); got != tc.reason {
				t.Errorf("reason %q, want %q: %v", got, tc.reason, err)
			}
			if !strings.HasPrefix(err.Error(), tc.message) {
				t.Errorf("error %q, want %q", err, tc.message)
			}
		})
	}
}

// deeper makes folders below links, each in the one before: short names for a long path.
func deeper() []file {
	var files []file
	for i := range 20 {
		folder := strings.Repeat(strings.Repeat("x", 100)+"/", 3)
		files = append(files, file{Name: folder}, file{Name: fmt.Sprintf("next-%d", i), Type: tar.TypeSymlink, Link: folder})
		if i > 0 {
			files[len(files)-2].Name = fmt.Sprintf("next-%d/%s", i-1, folder)
			files[len(files)-1].Link = fmt.Sprintf("next-%d/%s", i-1, folder)
		}
	}
	return files
}

func damaged(t *testing.T) v1.Layer {
	compressed := fixture.Gzip(t, fixture.Tar(t, file{Name: "a", Content: strings.Repeat("abc", 5000)}))
	compressed[len(compressed)/2] ^= 0xff
	return undecodable{static.NewLayer(compressed, types.OCILayer)}
}

// undecodable is a layer of which only the compressed bytes are known.
type undecodable struct{ v1.Layer }

func (undecodable) DiffID() (v1.Hash, error) { return v1.Hash{Algorithm: "sha256"}, nil }

func (u undecodable) Uncompressed() (io.ReadCloser, error) {
	compressed, err := u.Compressed()
	if err != nil {
		return nil, err
	}
	return gunzip(compressed)
}

func gunzip(compressed io.Reader) (io.ReadCloser, error) { return gzip.NewReader(compressed) }

func many(n int) []file {
	var files []file
	for i := range n {
		files = append(files, file{Name: fmt.Sprint(i)})
	}
	return files
}

func named(n, length int) []file {
	var files []file
	for i := range n {
		files = append(files, file{Name: fmt.Sprint(i, strings.Repeat("n", length))})
	}
	return files
}

// TestWhatFollowsTheArchiveIsRead: some tools fill layers up with zeros, which the digest is of, too.
func TestWhatFollowsTheArchiveIsRead(t *testing.T) {
	filled := append(fixture.Tar(t, file{Name: "a", Content: "1"}), make([]byte, 2<<20)...)
	root, err := rootfs.Unpack(t.Context(), []v1.Layer{fixture.LayerOf(t, filled)}, t.TempDir(), rootfs.DefaultLimits, keepAll)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }() // only read
	if diff := cmp.Diff(map[string]string{"a": "1"}, tree(t, root)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestTimeRunsOut(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	<-ctx.Done()
	_, err := rootfs.Unpack(ctx, []v1.Layer{fixture.Layer(t, file{Name: "a"})}, t.TempDir(), rootfs.DefaultLimits, keepAll)
	if got := problem.Reason(err, ""); got != v1alpha1.ReasonTimedOut {
		t.Errorf("reason %q: %v", got, err)
	}
}

// TestDiskIsFull writes where there is no space, if this machine has such a place.
func TestDiskIsFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("no /dev/full")
	}
	_, err = full.WriteString("x")
	if got := problem.Reason(problem.Errorf(v1alpha1.ReasonLayerCorrupt, "%w", err), ""); got != v1alpha1.ReasonDiskFull {
		t.Errorf("reason %q: %v", got, err)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package rootfs applies the layers of an image as a container runtime does, in memory, with the contents of files on disk. It runs
// nothing, creates no file by a name out of an image, and is bounded in all that an image can make it take.
package rootfs

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

// Limits bound what unpacking one image may take.
type Limits struct {
	// Bytes of all layers, uncompressed.
	Bytes int64
	// Entries of all layers: files, directories, links.
	Entries int
	// Names is the number of bytes of all names and link targets together, which are held in memory.
	Names int64
	// Disk is the number of bytes of file contents that are kept.
	Disk int64
}

// DefaultLimits fit the images that people run: those for machine learning have some 20 GB and 300,000 files. A file takes about 150 bytes
// of memory.
var DefaultLimits = Limits{Bytes: 32 << 30, Entries: 500_000, Names: 64 << 20, Disk: 8 << 30}

const (
	// maxPath is the longest path that Linux takes: no runtime could unpack a longer one.
	maxPath = 4096
	// keepAlways is the size up to which contents are kept, whatever their names are: a hard link may give them another one. Package
	// managers that link from a store, such as pnpm, do so.
	keepAlways = 1 << 20
	// opaque in a directory hides what lower layers have in it.
	whiteoutPrefix = ".wh."
	opaque         = ".wh..wh..opq"
)

// Unpack applies layers, lowest first. keep says whether the content of a large file is wanted. The content is in a file of the folder
// dir, or of the system's where dir is empty, that has no name any more and goes when the FS is closed or the process ends.
//
// Errors are problem.Errors: LayerCorrupt where the bytes are not those that the manifest or configuration promise, LayerInvalid where no
// runtime could apply the layer, LimitExceeded, TimedOut or DiskFull, and what reading a layer from the registry gives.
func Unpack(ctx context.Context, layers []v1.Layer, dir string, limits Limits, keep func(name string, info fs.FileInfo) bool) (*FS, error) {
	blob, err := os.CreateTemp(dir, "kubersafe-scanner-*")
	if err != nil {
		return nil, problem.Errorf(v1alpha1.ReasonDiskFull, "creating a temporary file: %w", err)
	}
	if err := os.Remove(blob.Name()); err != nil {
		return nil, errors.Join(problem.Errorf(v1alpha1.ReasonDiskFull, "unlinking a temporary file: %w", err), blob.Close())
	}
	u := &unpacker{ctx: ctx, root: newDirectory(0), blob: blob, left: limits, limits: limits, keep: keep}
	for i, layer := range layers {
		u.layer = i
		if err := u.apply(layer); err != nil {
			return nil, errors.Join(fmt.Errorf("layer %d of %d: %w", i+1, len(layers), err), blob.Close())
		}
	}
	return &FS{root: u.root, blob: blob}, nil
}

type unpacker struct {
	ctx    context.Context
	root   *node
	blob   *os.File
	end    int64 // of the blob
	limits Limits
	left   Limits
	keep   func(string, fs.FileInfo) bool
	layer  int // at hand; its whiteouts do not hide what it has itself
}

// countingReader reads within the time and size allowed.
type countingReader struct {
	u *unpacker
	r io.Reader
}

func (c countingReader) Read(p []byte) (int, error) {
	if err := c.u.ctx.Err(); err != nil {
		return 0, problem.Errorf(v1alpha1.ReasonRegistryUnavailable, "%w", err)
	}
	n, err := c.r.Read(p)
	if c.u.left.Bytes -= int64(n); c.u.left.Bytes < 0 {
		return n, exceeded("unpacks to more than %d bytes", c.u.limits.Bytes)
	}
	return n, err
}

func exceeded(format string, args ...any) error {
	return problem.Errorf(v1alpha1.ReasonLimitExceeded, "the image "+format, args...)
}

func (u *unpacker) apply(layer v1.Layer) error {
	want, err := layer.DiffID()
	if err != nil {
		return problem.Errorf(v1alpha1.ReasonManifestInvalid, "reading its diff id: %w", err)
	}
	content, err := layer.Uncompressed()
	if err != nil {
		return readError(err)
	}
	defer func() { _ = content.Close() }() // only read
	hash := sha256.New()
	// Half a megabyte, so that hashing and unpacking do not take turns for every block of a tar file.
	in := bufio.NewReaderSize(io.TeeReader(countingReader{u, content}, hash), 512<<10)
	if err := u.applyTar(tar.NewReader(in)); err != nil {
		return err
	}
	// What follows the archive counts in the digest.
	if _, err := io.Copy(io.Discard, in); err != nil {
		return readError(err)
	}
	if got := (v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(hash.Sum(nil))}); got != want {
		return problem.Errorf(v1alpha1.ReasonLayerCorrupt, "its content is %s, not %s", got, want)
	}
	return nil
}

// readError is about bytes that do not come, or not as they should.
func readError(err error) error {
	return problem.Errorf(problem.Reason(err, v1alpha1.ReasonLayerCorrupt), "reading it: %w", err)
}

func (u *unpacker) applyTar(in *tar.Reader) error {
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return readError(err)
		}
		if u.left.Entries--; u.left.Entries < 0 {
			return exceeded("has more than %d files", u.limits.Entries)
		}
		if u.left.Names -= int64(len(header.Name) + len(header.Linkname)); u.left.Names < 0 {
			return exceeded("has names of more than %d bytes", u.limits.Names)
		}
		if err := u.applyEntry(header, in); err != nil {
			return err
		}
	}
}

func (u *unpacker) applyEntry(header *tar.Header, content io.Reader) error {
	if len(header.Name) > maxPath || len(header.Linkname) > maxPath {
		return problem.Errorf(v1alpha1.ReasonLayerInvalid, "the entry %.100q has a name or target of more than %d bytes", header.Name, maxPath)
	}
	// As for a process whose root this is, ".." leads nowhere above it.
	name := strings.TrimPrefix(path.Clean("/"+header.Name), "/")
	if name == "" {
		return nil // the root itself
	}
	folder, base := path.Split(name)
	if strings.HasPrefix(base, whiteoutPrefix) {
		u.whiteout(folder, base)
		return nil
	}
	parent, err := u.directory(folder)
	if err != nil {
		return problem.Errorf(problem.Reason(err, v1alpha1.ReasonLayerInvalid), "%.100q: %w", name, err)
	}
	length, err := lengthIn(parent, base)
	if err != nil {
		return err
	}
	n, err := u.entry(name, header, content)
	if n == nil || err != nil {
		return err
	}
	if old := parent.children[base].node; n.mode.IsDir() && old != nil && old.mode.IsDir() {
		old.mode = n.mode
		n = old
	}
	if n.mode.IsDir() {
		n.length = length
	}
	parent.children[strings.Clone(base)] = child{n, u.layer} // without the rest of the path
	return nil
}

// whiteout hides what lower layers have.
func (u *unpacker) whiteout(folder, base string) {
	parent, err := resolve(u.root, folder, true)
	if err != nil || !parent.mode.IsDir() {
		return // nothing to hide
	}
	if base == opaque {
		u.hide(parent)
		return
	}
	u.hideChild(parent, strings.TrimPrefix(base, whiteoutPrefix))
}

// hide removes from a directory what this layer has not put there.
func (u *unpacker) hide(directory *node) {
	for name := range directory.children {
		u.hideChild(directory, name)
	}
}

func (u *unpacker) hideChild(directory *node, name string) {
	if c := directory.children[name]; c.node != nil && c.layer == u.layer {
		u.hide(c.node)
		return
	}
	delete(directory.children, name)
}

// directory returns the directory of a name, and makes what is missing. Links on the way are followed, as runtimes do.
func (u *unpacker) directory(name string) (*node, error) {
	n := u.root
	made := ""
	for part := range strings.SplitSeq(name, "/") {
		if part == "" {
			continue
		}
		made = path.Join(made, part)
		next := n.children[part].node
		if next != nil && next.mode&fs.ModeSymlink != 0 {
			var err error
			if next, err = resolve(u.root, made, true); err != nil {
				return nil, err
			}
		}
		switch {
		case next == nil:
			if u.left.Entries--; u.left.Entries < 0 {
				return nil, exceeded("has more than %d files", u.limits.Entries)
			}
			length, err := lengthIn(n, part)
			if err != nil {
				return nil, err
			}
			next = newDirectory(length)
			n.children[strings.Clone(part)] = child{next, u.layer}
		case !next.mode.IsDir():
			return nil, fmt.Errorf("%q is not a directory", made)
		case n.children[part].node == next:
			n.children[part] = child{next, u.layer}
		}
		n = next
	}
	return n, nil
}

// lengthIn returns the length of the path of a directory's entry. Links can lead deeper and deeper, with names that are short.
func lengthIn(directory *node, name string) (int, error) {
	length := directory.length + 1 + len(name)
	if length > maxPath {
		return 0, problem.Errorf(v1alpha1.ReasonLayerInvalid, "a path is longer than %d bytes", maxPath)
	}
	return length, nil
}

// entry returns the node of an entry, or none where there is nothing to be kept.
func (u *unpacker) entry(name string, header *tar.Header, content io.Reader) (*node, error) {
	// Only the twelve bits that an archive may set: the rest is about types.
	n := &node{mode: fs.FileMode(header.Mode & 0o777)}
	switch header.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		n.size = header.Size
		return n, u.store(name, n, content)
	case tar.TypeDir:
		n.mode |= fs.ModeDir
		n.children = make(map[string]child)
		return n, nil
	case tar.TypeSymlink:
		n.mode |= fs.ModeSymlink
		n.target = header.Linkname
		return n, nil
	case tar.TypeLink:
		target, err := resolve(u.root, strings.TrimPrefix(path.Clean("/"+header.Linkname), "/"), false)
		if err != nil {
			return nil, problem.Errorf(v1alpha1.ReasonLayerInvalid, "%q is a hard link to %q: %w", name, header.Linkname, err)
		}
		if target.mode.IsDir() {
			return nil, problem.Errorf(v1alpha1.ReasonLayerInvalid, "%q is a hard link to the directory %q", name, header.Linkname)
		}
		return target, nil
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		n.mode |= fs.ModeIrregular // what it is does not matter, for nobody reads it; but it hides what it replaces
		return n, nil
	default:
		return nil, nil // global headers, and what runtimes do not know either
	}
}

// store keeps the content of a file.
func (u *unpacker) store(name string, n *node, content io.Reader) error {
	if n.size > keepAlways && !u.keep(name, fileInfo{path.Base(name), n}) {
		n.offset = notKept
		return nil
	}
	if u.left.Disk -= n.size; u.left.Disk < 0 {
		return exceeded("has files of more than %d bytes to look into", u.limits.Disk)
	}
	n.offset = u.end
	written, err := io.Copy(u.blob, content)
	u.end += written
	if err != nil {
		return readError(fmt.Errorf("%q: %w", name, err))
	}
	return nil
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rootfs

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// maxLinks is how many symbolic links may be followed on the way to one file, as in Linux.
const maxLinks = 40

// errNotKept says that a file is in the image, but its content was thrown away. Only a hard link can lead there: see FS.
var errNotKept = errors.New("the content was not kept, for nobody asked for it by its first name")

// FS is the root file system of an image. It is safe for concurrent reading. Content is on disk; Close frees it.
//
// Of a file that is larger than keepAlways and that nobody asked for by its name, there is no content, and to open it is an error.
type FS struct {
	root *node
	blob *os.File
}

// node is a file. Hard links share one.
type node struct {
	mode     fs.FileMode // type and permissions
	size     int64
	offset   int64            // of the content in the blob, or notKept
	target   string           // of a symbolic link
	children map[string]child // of a directory
	length   int              // of a directory's path from the root, without links
}

// child is an entry of a directory.
type child struct {
	*node
	layer int // that has written it last
}

const notKept = -1

func newDirectory(length int) *node {
	return &node{mode: fs.ModeDir | 0o755, children: make(map[string]child), length: length}
}

// Close frees the disk space.
func (f *FS) Close() error {
	return f.blob.Close()
}

// Open opens a file or directory. Symbolic links are followed within the image.
func (f *FS) Open(name string) (fs.File, error) {
	n, err := f.find("open", name)
	if err != nil {
		return nil, err
	}
	info := fileInfo{path.Base(name), n}
	switch {
	case n.mode.IsDir():
		return &directory{info: info, entries: entries(n)}, nil
	case n.mode.IsRegular() && n.offset == notKept:
		return nil, &fs.PathError{Op: "open", Path: name, Err: errNotKept}
	default: // devices and such are empty
		return &file{io.NewSectionReader(f.blob, n.offset, n.size), info}, nil
	}
}

// Stat describes a file. Symbolic links are followed within the image.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	n, err := f.find("stat", name)
	if err != nil {
		return nil, err
	}
	return fileInfo{path.Base(name), n}, nil
}

// ReadDir lists a directory, sorted.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	n, err := f.find("readdir", name)
	if err != nil {
		return nil, err
	}
	if !n.mode.IsDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	return entries(n), nil
}

func (f *FS) find(op, name string) (*node, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	n, err := resolve(f.root, name, true)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return n, nil
}

// resolve walks from the root to a name, and follows symbolic links on the way, and at its end if last is true. As for a process whose
// root this is, neither ".." nor an absolute link leads out of it.
func resolve(root *node, name string, last bool) (*node, error) {
	var (
		rest  = strings.Split(name, "/")
		way   = []*node{root}
		links int
	)
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(way) > 1 {
				way = way[:len(way)-1]
			}
			continue
		}
		n := way[len(way)-1].children[part].node
		if n == nil {
			return nil, fs.ErrNotExist
		}
		if n.mode&fs.ModeSymlink == 0 || len(rest) == 0 && !last {
			way = append(way, n)
			continue
		}
		if links++; links > maxLinks {
			return nil, errors.New("too many levels of symbolic links")
		}
		if strings.HasPrefix(n.target, "/") {
			way = way[:1]
		}
		rest = append(strings.Split(n.target, "/"), rest...)
	}
	return way[len(way)-1], nil
}

func entries(n *node) []fs.DirEntry {
	list := make([]fs.DirEntry, 0, len(n.children))
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		list = append(list, fs.FileInfoToDirEntry(fileInfo{name, n.children[name].node}))
	}
	return list
}

// fileInfo describes a node by one of its names.
type fileInfo struct {
	name string
	node *node
}

func (i fileInfo) Name() string       { return i.name }
func (i fileInfo) Size() int64        { return i.node.size }
func (i fileInfo) Mode() fs.FileMode  { return i.node.mode }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return i.node.mode.IsDir() }
func (i fileInfo) Sys() any           { return nil }

// file is an open file. It can be read at any place.
type file struct {
	*io.SectionReader
	info fileInfo
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }

func (f *file) Close() error { return nil }

// directory is an open directory.
type directory struct {
	info    fileInfo
	entries []fs.DirEntry
}

func (d *directory) Stat() (fs.FileInfo, error) { return d.info, nil }

func (d *directory) Close() error { return nil }

func (d *directory) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.info.name, Err: errors.New("is a directory")}
}

func (d *directory) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(d.entries)
	} else if len(d.entries) == 0 {
		return nil, io.EOF
	}
	list := d.entries[:min(n, len(d.entries))]
	d.entries = d.entries[len(list):]
	return list, nil
}

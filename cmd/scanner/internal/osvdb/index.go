// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package osvdb

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/ossf/osv-schema/bindings/go/osvschema"
	"google.golang.org/protobuf/encoding/protojson"
)

// maxAdvisory bounds one advisory; the largest have some 3 MB.
const maxAdvisory = 32 << 20

// place is where an advisory is in its archive.
type place struct {
	offset           int64
	compressed, size uint64
	method           uint16
}

// The index of an archive is a text file. It has a line for each name of a package, sorted by name, with the places of all advisories that name it:
// "name\toffset,compressed,size,method\t…". It is read as a whole and searched by halves, which takes a fraction of the memory of a map,
// and of the archive's own directory.

// writeIndex reads an archive whole, which proves that it is not damaged, and writes its index.
func writeIndex(archive, index, ecosystem string) (Ecosystem, error) {
	e := Ecosystem{Name: ecosystem}
	in, err := zip.OpenReader(archive)
	if err != nil {
		return e, err
	}
	defer func() { _ = in.Close() }() // only read
	places := make(map[string][]place)
	releases := make(map[string]bool)
	for _, f := range in.File {
		if !strings.HasSuffix(f.Name, ".json") {
			continue
		}
		if err := e.add(f, places, releases); err != nil {
			return e, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if e.Advisories == 0 {
		return e, errors.New("it has no advisories")
	}
	e.Releases = slices.Sorted(maps.Keys(releases))
	out, err := os.Create(index) //nolint:gosec // G304: in our own folder
	if err != nil {
		return e, err
	}
	defer func() { _ = out.Close() }() // the second time for nothing
	w := bufio.NewWriter(out)
	for _, name := range slices.Sorted(maps.Keys(places)) {
		fmt.Fprint(w, name)
		for _, p := range places[name] {
			fmt.Fprintf(w, "\t%d,%d,%d,%d", p.offset, p.compressed, p.size, p.method)
		}
		fmt.Fprintln(w)
	}
	return e, errors.Join(w.Flush(), out.Sync(), out.Close())
}

// add takes an advisory into the index.
func (e *Ecosystem) add(f *zip.File, places map[string][]place, releases map[string]bool) error {
	if f.UncompressedSize64 > maxAdvisory {
		return fmt.Errorf("it has %d bytes, and more than %d are not read", f.UncompressedSize64, maxAdvisory)
	}
	content, err := f.Open()
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }() // only read
	text, err := io.ReadAll(content)       // to the end, where the checksum is compared
	if err != nil {
		return err
	}
	var advisory struct {
		ID        string
		Modified  time.Time
		Withdrawn *time.Time
		Affected  []struct {
			Package struct{ Ecosystem, Name string }
		}
	}
	if err := json.Unmarshal(text, &advisory); err != nil {
		return err
	}
	if advisory.ID == "" {
		return errors.New("it has no id")
	}
	e.Advisories++
	if advisory.Modified.After(e.Modified) {
		e.Modified = advisory.Modified
	}
	if advisory.Withdrawn != nil {
		return nil
	}
	offset, err := f.DataOffset()
	if err != nil {
		return err
	}
	at := place{offset, f.CompressedSize64, f.UncompressedSize64, f.Method}
	for _, a := range advisory.Affected {
		base, release, _ := strings.Cut(a.Package.Ecosystem, ":")
		if base != e.Name {
			continue
		}
		releases[release] = true
		name := a.Package.Name
		if name == "" || strings.ContainsAny(name, "\t\n") {
			continue // no package has such a name
		}
		if list := places[name]; len(list) == 0 || list[len(list)-1] != at {
			places[name] = append(list, at)
		}
	}
	return nil
}

// reader reads the advisories of an ecosystem.
type reader struct {
	archive *os.File
	index   []byte
}

func openReader(archive, index string) (*reader, error) {
	text, err := os.ReadFile(index) //nolint:gosec // G304: in our own folder
	if err != nil {
		return nil, err
	}
	f, err := os.Open(archive) //nolint:gosec // G304: in our own folder
	if err != nil {
		return nil, err
	}
	return &reader{f, text}, nil
}

// line returns the places of a name, as in the index.
func (r *reader) line(name string) []byte {
	key := []byte(name)
	// start returns where the line begins that a byte is in.
	start := func(i int) int { return bytes.LastIndexByte(r.index[:i], '\n') + 1 }
	i := sort.Search(len(r.index), func(i int) bool {
		line := r.index[start(i):]
		return bytes.Compare(line[:bytes.IndexByte(line, '\t')], key) >= 0
	})
	if i == len(r.index) {
		return nil
	}
	line, _, _ := bytes.Cut(r.index[start(i):], []byte{'\n'})
	found, places, _ := bytes.Cut(line, []byte{'\t'})
	if !bytes.Equal(found, key) {
		return nil
	}
	return places
}

// advisories calls f with each advisory that names a package. They are read anew each time: whoever gets one may change it.
func (r *reader) advisories(name string, f func(*osvschema.Vulnerability) error) error {
	line := r.line(name)
	if line == nil {
		return nil
	}
	for field := range bytes.SplitSeq(line, []byte{'\t'}) {
		v, err := r.advisory(string(field))
		if err != nil {
			return fmt.Errorf("reading an advisory on %q: %w", name, err)
		}
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) advisory(field string) (*osvschema.Vulnerability, error) {
	var numbers [4]int64
	parts := strings.Split(field, ",")
	if len(parts) != len(numbers) {
		return nil, errors.New("the index is damaged")
	}
	for i, part := range parts {
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil || n < 0 {
			return nil, errors.New("the index is damaged")
		}
		numbers[i] = n
	}
	content := io.Reader(io.NewSectionReader(r.archive, numbers[0], numbers[1]))
	if numbers[3] == int64(zip.Deflate) {
		content = flate.NewReader(content)
	}
	if numbers[2] > maxAdvisory {
		return nil, errors.New("the index is damaged")
	}
	text := make([]byte, numbers[2])
	if _, err := io.ReadFull(content, text); err != nil {
		return nil, err
	}
	v := &osvschema.Vulnerability{}
	// What a newer version of the schema has is left out: it says nothing about which versions are affected.
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, v); err != nil {
		return nil, err
	}
	return v, nil
}

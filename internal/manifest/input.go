// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Input is the text that objects are read from.
type Input struct {
	stdin     io.Reader
	stdinRead bool
	files     []file
	// documents of all files, in their order.
	documents []document
	// problems of files, by the number of documents before them.
	problems map[int][]Problem
}

// file is the text of a file that was read, and how many documents are in it.
type file struct {
	text      []byte
	documents int
}

// Load takes in the text of files, folders and, for Stdin, the standard input.
func Load(paths []string, stdin io.Reader) *Input {
	in := &Input{stdin: stdin}
	for _, path := range paths {
		in.path(path)
	}
	return in
}

// Objects returns the objects in the text as it is now.
func (in *Input) Objects() *Objects { return objectsOf(slices.Clone(in.documents), in.problems) }

// Text returns the text of a document, by its number in the input.
func (in *Input) Text(document int) []byte { return in.documents[document].text }

// Line returns the line of its file, from 1, at which the text of a document begins.
func (in *Input) Line(document int) int { return in.documents[document].start }

// SetText gives a document another text, which must hold as many objects as before, of the same kinds.
func (in *Input) SetText(document int, text []byte) { in.documents[document].text = text }

func (in *Input) problem(p Problem) {
	if in.problems == nil {
		in.problems = make(map[int][]Problem)
	}
	in.problems[len(in.documents)] = append(in.problems[len(in.documents)], p)
}

func (in *Input) path(path string) {
	if path == Stdin {
		if in.stdinRead {
			in.problem(Problem{File: Stdin, Message: "can be read only once"})
			return
		}
		in.stdinRead = true
		content, err := io.ReadAll(in.stdin)
		in.file(Stdin, content, err)
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		if strings.HasPrefix(path, "http://") || strings.HasPrefix(path, "https://") {
			err = errors.New("is an address, and only files are read: curl -sSL ADDRESS | kubersafe audit -f -")
		}
		in.file(path, nil, err)
	case info.IsDir():
		in.folder(path)
	default:
		content, err := os.ReadFile(path) //nolint:gosec // G304: what the user asks for
		in.file(path, content, err)
	}
}

// folder reads what kubectl apply --recursive would.
func (in *Input) folder(folder string) {
	found := false
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			in.file(path, nil, err)
			if entry != nil && entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return nil
		}
		isManifest := slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path))
		if entry.Type()&fs.ModeSymlink != 0 {
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				in.problem(Problem{File: path, Warning: true, Message: "is a link to a folder and not followed"})
				return nil
			}
		}
		if isManifest {
			found = true
			content, err := os.ReadFile(path) //nolint:gosec // G304, G122: what the user asks for
			in.file(path, content, err)
		}
		return nil
	})
	if err != nil {
		in.file(folder, nil, err)
	} else if !found {
		in.problem(Problem{File: folder, Message: "is a folder without any .yaml, .yml or .json file"})
	}
}

func (in *Input) file(path string, content []byte, err error) {
	if err != nil {
		if e := (*fs.PathError)(nil); errors.As(err, &e) {
			err = e.Err // the path is named anyway
		}
		in.problem(Problem{File: path, Message: err.Error()})
		return
	}
	if len(content) >= 2 && (content[0] == 0xff && content[1] == 0xfe || content[0] == 0xfe && content[1] == 0xff) {
		in.problem(Problem{File: path, Message: "is UTF-16: save it as UTF-8"})
		return
	}
	documents := split(path, content)
	if len(documents) == 0 {
		in.problem(Problem{File: path, Warning: true, Message: "is empty"})
	}
	if len(documents) > 0 {
		in.files = append(in.files, file{content, len(documents)})
		in.documents = append(in.documents, documents...)
	}
}

// Bytes returns all files with documents in them as one stream, as they were read but for what was set. JSON that follows JSON
// is not separated from it, as is usual in streams of JSON.
func (in *Input) Bytes() []byte {
	var text []byte
	documents := in.documents
	for i, f := range in.files {
		done := 0
		if i > 0 {
			done = len(f.text) - len(bytes.TrimPrefix(f.text, byteOrderMark))
			before, next := &in.documents[len(in.documents)-len(documents)-1], &documents[0]
			if !bytes.HasSuffix(text, []byte("\n")) {
				text = append(text, '\n')
			}
			if !before.isJSON || !next.isJSON {
				text = append(text, separator(f.text[done:])...)
			}
		}
		for i := range documents[:f.documents] {
			d := &documents[i]
			text = append(append(text, f.text[done:d.offset]...), d.text...)
			done = d.end
		}
		text = append(text, f.text[done:]...)
		documents = documents[f.documents:]
	}
	return text
}

// separator returns what must stand before a file so that it does not continue the one before.
func separator(text []byte) string {
	for line := range bytes.Lines(text) {
		switch trimmed := bytes.TrimSpace(line); {
		case len(trimmed) == 0 || trimmed[0] == '#':
			continue
		case isMarker(line, "---"):
			return ""
		case line[0] == '%':
			return "...\n" // directives stand at the beginning
		}
		break
	}
	return "---\n"
}

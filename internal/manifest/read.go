// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifest reads the objects that an audit judges from files instead of an API server, and fills in what the API
// server would.
package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/kubersafe/kubersafe/internal/source"
)

// Problem is something wrong with the input.
type Problem struct {
	// File is a path, or Stdin.
	File string
	// Document in the file, and the line; from 1. 0 if the problem is with the file.
	Document, Line int
	// Object is the kind and quoted name of the object, where they are known.
	Object  string
	Message string
	// Warning says that the object is judged all the same.
	Warning bool
}

// Stdin stands for the standard input, as a path and in problems.
const Stdin = "-"

// maxProblem is how much of a problem is shown; it may quote the input.
const maxProblem = 1024

// String tells the problem in one line that is fit for a terminal.
func (p Problem) String() string {
	text := fmt.Sprintf("%q", p.File)
	if p.File == Stdin {
		text = "standard input"
	}
	if p.Document > 0 {
		text += fmt.Sprintf(", document %d, line %d", p.Document, p.Line)
	}
	text += ": "
	if p.Object != "" {
		text += p.Object + ": "
	}
	text = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '�'
		}
		return r
	}, text+p.Message)
	if runes := []rune(text); len(runes) > maxProblem {
		return string(runes[:maxProblem]) + "…"
	}
	return text
}

// Objects are what was read.
type Objects struct {
	// All objects of kinds that some check reads, each once and as an API server would store it; and, behind them, what every
	// namespace has although no manifest says so.
	All []source.Object
	// Found is how many objects the input holds, those that are left out or wrong included.
	Found int
	// LeftOut counts the objects of kinds that no check reads, by kind. Apart from their kind nothing of them was looked at,
	// and they may well be malformed.
	LeftOut map[string]int
	// Problems, in the order of the input.
	Problems []Problem
}

// Read reads files, folders and, for Stdin, the standard input. What cannot be read is a problem; the rest is read all the
// same.
func Read(paths []string, stdin io.Reader) *Objects {
	r := reader{stdin: stdin, Objects: Objects{LeftOut: make(map[string]int)}}
	for _, path := range paths {
		r.path(path)
	}
	r.collect()
	r.complete()
	return &r.Objects
}

type reader struct {
	Objects
	stdin     io.Reader
	stdinRead bool
	documents []document
	// problems of files, by the number of documents before them.
	problems map[int][]Problem
}

func (r *reader) problem(p Problem) {
	if r.problems == nil {
		r.problems = make(map[int][]Problem)
	}
	r.problems[len(r.documents)] = append(r.problems[len(r.documents)], p)
}

func (r *reader) path(path string) {
	if path == Stdin {
		if r.stdinRead {
			r.problem(Problem{File: Stdin, Message: "can be read only once"})
			return
		}
		r.stdinRead = true
		content, err := io.ReadAll(r.stdin)
		r.file(Stdin, content, err)
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		if strings.HasPrefix(path, "http://") || strings.HasPrefix(path, "https://") {
			err = errors.New("is an address, and only files are read: curl -sSL ADDRESS | kubersafe audit -f -")
		}
		r.file(path, nil, err)
	case info.IsDir():
		r.folder(path)
	default:
		content, err := os.ReadFile(path) //nolint:gosec // G304: what the user asks for
		r.file(path, content, err)
	}
}

// folder reads what kubectl apply --recursive would.
func (r *reader) folder(folder string) {
	found := false
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			r.file(path, nil, err)
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
				r.problem(Problem{File: path, Warning: true, Message: "is a link to a folder and not followed"})
				return nil
			}
		}
		if isManifest {
			found = true
			content, err := os.ReadFile(path) //nolint:gosec // G304, G122: what the user asks for
			r.file(path, content, err)
		}
		return nil
	})
	if err != nil {
		r.file(folder, nil, err)
	} else if !found {
		r.problem(Problem{File: folder, Message: "is a folder without any .yaml, .yml or .json file"})
	}
}

func (r *reader) file(path string, content []byte, err error) {
	if err != nil {
		if e := (*fs.PathError)(nil); errors.As(err, &e) {
			err = e.Err // the path is named anyway
		}
		r.problem(Problem{File: path, Message: err.Error()})
		return
	}
	if len(content) >= 2 && (content[0] == 0xff && content[1] == 0xfe || content[0] == 0xfe && content[1] == 0xff) {
		r.problem(Problem{File: path, Message: "is UTF-16: save it as UTF-8"})
		return
	}
	documents := split(path, content)
	if len(documents) == 0 {
		r.problem(Problem{File: path, Warning: true, Message: "is empty"})
	}
	r.documents = append(r.documents, documents...)
}

// collect decodes the documents and puts them together, in their order.
func (r *reader) collect() {
	out := make([]decoded, len(r.documents))
	var (
		wg   sync.WaitGroup
		next atomic.Int64
	)
	for range min(runtime.GOMAXPROCS(0), len(r.documents)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(r.documents) {
					return
				}
				out[i] = r.documents[i].decode()
				r.documents[i].text = nil
			}
		})
	}
	wg.Wait()

	at := make(map[string]int) // index in All
	places := make(map[string]placed)
	for i := range out {
		r.Problems = append(r.Problems, r.problems[i]...)
		d := &out[i]
		r.Found += d.items
		r.Problems = append(r.Problems, d.problems...)
		for _, kind := range d.leftOut {
			r.LeftOut[kind]++
		}
		for _, o := range d.objects {
			identify(o.Object, r.Found+len(r.All))
			key := kindOf(o.Object) + "\x00" + o.GetNamespace() + "\x00" + o.GetName()
			if j, again := at[key]; again {
				before := places[key]
				r.Problems = append(r.Problems, Problem{
					File: o.file, Document: o.document, Line: o.line, Warning: true,
					Object:  fmt.Sprintf("%s %q", kindOf(o.Object), nameOf(o.Object)),
					Message: fmt.Sprintf("takes the place of the one in %q, document %d, line %d", before.file, before.document, before.line),
				})
				r.All[j] = o.Object
			} else {
				at[key] = len(r.All)
				r.All = append(r.All, o.Object)
			}
			places[key] = o
		}
	}
	r.Problems = append(r.Problems, r.problems[len(out)]...)
}

// identify gives an object the namespace and name that an API server would.
func identify(o source.Object, number int) {
	if !source.Namespaced(o) {
		o.SetNamespace("")
	} else if o.GetNamespace() == "" {
		o.SetNamespace(metav1.NamespaceDefault)
	}
	if o.GetName() == "" {
		o.SetName(fmt.Sprintf("%s%05d", o.GetGenerateName(), number))
	}
}

// misses returns for want of what an object cannot be judged, or "".
func misses(o source.Object) string {
	name := cmp.Or(o.GetName(), o.GetGenerateName())
	switch {
	case name == "":
		return "metadata.name: must be set"
	case strings.Contains(name, string(template)):
		return "metadata.name: must be filled in"
	case strings.Contains(o.GetNamespace(), string(template)):
		return "metadata.namespace: must be filled in"
	}
	return ""
}

// misnamed returns what an API server would not like about how an object is called.
func misnamed(o source.Object) []string {
	var wrong []string
	name, field := o.GetName(), "metadata.name"
	if name == "" {
		name, field = o.GetGenerateName()+"x", "metadata.generateName"
	}
	if errs := validation.IsDNS1123Subdomain(name); len(errs) > 0 {
		wrong = append(wrong, field+": "+errs[0])
	}
	if namespace := o.GetNamespace(); namespace != "" {
		if errs := validation.IsDNS1123Label(namespace); len(errs) > 0 {
			wrong = append(wrong, fmt.Sprintf("metadata.namespace: %q: %s", namespace, errs[0]))
		}
	}
	return wrong
}

func kindOf(o source.Object) string { return o.GetObjectKind().GroupVersionKind().Kind }

func nameOf(o source.Object) string {
	name := cmp.Or(o.GetName(), o.GetGenerateName())
	if namespace := o.GetNamespace(); namespace != "" {
		return namespace + "/" + name
	}
	return name
}

// complete fills in what an API server would.
func (o *Objects) complete() {
	namespaces := make(map[string]bool) // whether it is among the objects
	accounts := make(map[string]bool)   // whether its ServiceAccount "default" is
	for _, object := range o.All {
		setDefaults(object)
		if _, ok := object.(*corev1.Namespace); ok {
			namespaces[object.GetName()] = true
		} else if source.Namespaced(object) {
			namespaces[object.GetNamespace()] = namespaces[object.GetNamespace()]
		}
		if _, ok := object.(*corev1.ServiceAccount); ok && object.GetName() == defaultServiceAccount {
			accounts[object.GetNamespace()] = true
		}
	}
	setLimitRangeDefaults(o.All)
	for _, name := range slices.Sorted(maps.Keys(namespaces)) {
		if !namespaces[name] {
			n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
			setDefaults(n)
			o.All = append(o.All, n)
		}
		if !accounts[name] {
			o.All = append(o.All, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: defaultServiceAccount}})
		}
	}
}

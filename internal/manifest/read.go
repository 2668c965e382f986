// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifest reads the objects that an audit judges from files instead of an API server, and fills in what the API
// server would.
package manifest

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apicontent "k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes/scheme"

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

// QuoteFile returns what a file is called in a message.
func QuoteFile(path string) string {
	if path == Stdin {
		return "standard input"
	}
	return strconv.Quote(path)
}

// maxProblem is how much of a problem is shown; it may quote the input.
const maxProblem = 1024

// String tells the problem in one line that is fit for a terminal.
func (p Problem) String() string {
	text := QuoteFile(p.File)
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
	// Places of the objects that manifests describe, which are the first of All.
	Places []Place
	// Found is how many objects the input holds, those that are left out or wrong included.
	Found int
	// LeftOut counts the objects of kinds that no check reads, by kind. Apart from their kind nothing of them was looked at,
	// and they may well be malformed.
	LeftOut map[string]int
	// Problems, in the order of the input.
	Problems []Problem
}

// Place is where an object stands.
type Place struct {
	File string
	// Document is the number of the document in the input, from 0.
	Document int
	// Path of the object in the document: nil if it is all of it, else keys and indices ("items", 0).
	Path []any
}

// Read reads files, folders and, for Stdin, the standard input. What cannot be read is a problem; the rest is read all the
// same. more are kinds that are read beside those of the checks: functions that return an empty object, of types that
// client-go's scheme knows.
func Read(paths []string, stdin io.Reader, more ...func() source.Object) *Objects {
	in := Load(paths, stdin)
	documents := in.documents
	also := make(kinds)
	for _, fresh := range more {
		known, _, _ := scheme.Scheme.ObjectKinds(fresh()) // none for a type that is not known
		for _, gvk := range known {
			also[gvk] = fresh
		}
	}
	for i := range documents {
		documents[i].kinds = also
	}
	in.files, in.documents = nil, nil // so that texts can go while objects come
	return objectsOf(documents, in.problems)
}

// kinds are read beside those of the checks.
type kinds map[schema.GroupVersionKind]func() source.Object

// object returns an empty object of a kind, or nil if it is not read.
func (k kinds) object(gvk schema.GroupVersionKind) source.Object {
	if o := source.NewObject(gvk); o != nil {
		return o
	}
	if fresh := k[gvk]; fresh != nil {
		return fresh()
	}
	return nil
}

// version returns the version in which a kind is read, or "" if it is not.
func (k kinds) version(gk schema.GroupKind) string {
	for gvk := range k {
		if gvk.GroupKind() == gk {
			return gvk.Version
		}
	}
	return source.VersionOf(gk)
}

// objectsOf decodes documents, which it gives up.
func objectsOf(documents []document, problems map[int][]Problem) *Objects {
	o := Objects{LeftOut: make(map[string]int)}
	o.collect(documents, problems)
	o.complete()
	return &o
}

// collect decodes documents and puts them together, in their order.
func (o *Objects) collect(documents []document, problems map[int][]Problem) {
	out := make([]decoded, len(documents))
	var (
		wg   sync.WaitGroup
		next atomic.Int64
	)
	for range min(runtime.GOMAXPROCS(0), len(documents)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(documents) {
					return
				}
				out[i] = documents[i].decode()
				documents[i].text = nil
			}
		})
	}
	wg.Wait()

	at := make(map[string]int) // index in All
	places := make(map[string]placed)
	for i := range out {
		o.Problems = append(o.Problems, problems[i]...)
		d := &out[i]
		o.Found += d.items
		o.Problems = append(o.Problems, d.problems...)
		for _, kind := range d.leftOut {
			o.LeftOut[kind]++
		}
		for _, p := range d.objects {
			identify(p.Object, o.Found+len(o.All))
			key := kindOf(p.Object) + "\x00" + p.GetNamespace() + "\x00" + p.GetName()
			if j, again := at[key]; again {
				before := places[key]
				o.Problems = append(o.Problems, Problem{
					File: p.file, Document: p.document, Line: p.line, Warning: true,
					Object:  fmt.Sprintf("%s %q", kindOf(p.Object), nameOf(p.Object)),
					Message: fmt.Sprintf("takes the place of the one in %q, document %d, line %d", before.file, before.document, before.line),
				})
				o.All[j], o.Places[j] = p.Object, Place{p.file, i, p.at}
			} else {
				at[key] = len(o.All)
				o.All, o.Places = append(o.All, p.Object), append(o.Places, Place{p.file, i, p.at})
			}
			places[key] = p
		}
	}
	o.Problems = append(o.Problems, problems[len(out)]...)
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
	errs := validation.IsDNS1123Subdomain(name)
	switch o.(type) {
	case *rbacv1.Role, *rbacv1.ClusterRole, *rbacv1.RoleBinding, *rbacv1.ClusterRoleBinding: // such as system:node
		errs = apicontent.IsPathSegmentName(name)
	}
	if len(errs) > 0 {
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

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/internal/source"
)

// decoded is what came out of one document.
type decoded struct {
	objects  []placed
	leftOut  []string
	problems []Problem
	// items is how many objects the document holds, whatever became of them.
	items int
}

// placed is an object and where it stands.
type placed struct {
	source.Object
	document, line int
	file           string
	// at is its path in the document.
	at []any
}

// maxNesting of Lists in Lists. kubectl makes one.
const maxNesting = 8

func (d *document) decode() decoded {
	var out decoded
	if line := d.invalidUTF8(); line > 0 {
		out.fail(d, Problem{Line: line, Message: "is not valid UTF-8"})
		return out
	}
	gvk := schema.FromAPIVersionAndKind(d.apiVersion, d.kind)
	if d.kind != "" && !isList(gvk.Kind) && out.passOver(d, gvk) {
		return out
	}
	text := d.text
	if d.isJSON {
		var value any
		if twice, _ := kjson.UnmarshalStrict(text, &value, kjson.DisallowDuplicateFields); len(twice) > 0 {
			out.fail(d, Problem{Message: twice[0].Error() + "; which one counts depends on who reads it"})
			return out
		}
	} else {
		var ok bool
		if text, ok = out.toJSON(d); !ok {
			return out
		}
	}
	out.object(d, nil, text, schema.GroupVersionKind{}, "")
	return out
}

// toJSON converts a YAML document.
func (out *decoded) toJSON(d *document) (text []byte, ok bool) {
	if text, ok = plainToJSON(d.text); ok {
		return text, true
	}
	text, err := yaml.YAMLToJSONStrict(d.text)
	if err == nil {
		return text, true
	}
	twice := twiceSet(err)
	for _, m := range twice {
		line, _ := strconv.Atoi(m[1]) // digits only; should they be too many, 0
		line += d.start - 1
		if d.indentation(line) == 0 {
			out.fail(d, Problem{Line: line, Message: "is not valid YAML: " + m[2] + `; is a line "---" missing before it?`})
			return nil, false
		}
		// As the API server takes it.
		out.problems = append(out.problems, d.problem(Problem{Line: line, Warning: true, Message: m[2] + "; the last one counts"}))
	}
	if len(twice) == 0 {
		out.fail(d, d.invalid(err))
		return nil, false
	}
	if text, err = yaml.YAMLToJSON(d.text); err != nil {
		out.fail(d, d.invalid(err))
		return nil, false
	}
	return text, true
}

func (d *document) invalid(err error) Problem {
	message, line := yamlError(err)
	if line > 0 {
		// Of what the end of the text lacks, the parser says that it is behind it.
		line = d.start - 1 + min(line, 1+bytes.Count(bytes.TrimRight(d.text, " \t\r\n"), []byte("\n")))
	} else if at := bytes.Index(d.text, template); at >= 0 {
		line = d.start + bytes.Count(d.text[:at], []byte("\n"))
	}
	return Problem{Line: line, Message: "is not valid YAML: " + message}
}

// twiceSet finds line and text of every key that a document sets twice in the error about it.
func twiceSet(err error) [][]string { return setTwice.FindAllStringSubmatch(err.Error(), -1) }

// indentation of a line of the file, which the document must hold.
func (d *document) indentation(line int) int {
	lines := bytes.SplitN(d.text, []byte("\n"), line-d.start+2)
	if i := line - d.start; i >= 0 && i < len(lines) {
		return len(lines[i]) - len(bytes.TrimLeft(lines[i], " "))
	}
	return 0
}

// object takes in the JSON of an object or List. kind is what it is where it does not say itself, as in a typed List. at is
// its path in the document.
func (out *decoded) object(d *document, at []any, text []byte, kind schema.GroupVersionKind, where string) {
	fail := func(p Problem) {
		if where != "" {
			p.Message = where + ": " + p.Message
		}
		if len(at) > 0 && p.Line == 0 {
			p.Line = d.lineOf(at)
		}
		out.fail(d, p)
	}
	text = bytes.TrimSpace(text)
	if bytes.Equal(text, []byte("null")) {
		return // a document without content
	}
	if len(text) == 0 || text[0] != '{' {
		fail(Problem{Message: "is no Kubernetes object, but a list or a single value"})
		return
	}
	var head struct {
		APIVersion string             `json:"apiVersion"`
		Kind       string             `json:"kind"`
		Items      *[]json.RawMessage `json:"items"`
	}
	if d.kind != "" && !isList(d.kind) && len(at) == 0 {
		head.APIVersion, head.Kind = d.apiVersion, d.kind
	} else if err := kjson.UnmarshalCaseSensitivePreserveInts(text, &head); err != nil {
		fail(Problem{Message: "is no Kubernetes object: " + jsonError(err)})
		return
	}
	if head.APIVersion == "" && head.Kind == "" {
		head.APIVersion, head.Kind = kind.ToAPIVersionAndKind()
	}
	switch {
	case head.Kind == "":
		fail(Problem{Message: `is no Kubernetes object: "kind" is missing`})
		return
	case head.APIVersion == "":
		fail(Problem{Message: `is no Kubernetes object: "apiVersion" is missing`})
		return
	}
	gvk := schema.FromAPIVersionAndKind(head.APIVersion, head.Kind)
	// To kubectl whatever has items is a list, and what it applies are the items. To the API server it is what its kind says.
	if head.Items != nil {
		if len(at) >= 2*maxNesting {
			fail(Problem{Message: "has too many Lists inside each other"})
			return
		}
		kind := gvk
		if kind.Kind = strings.TrimSuffix(kind.Kind, "List"); kind.Kind == "" {
			kind = schema.GroupVersionKind{}
		}
		for i, item := range *head.Items {
			place := fmt.Sprintf("items[%d]", i)
			if where != "" {
				place = where + "." + place
			}
			out.object(d, append(at[:len(at):len(at)], "items", i), item, kind, place)
		}
		if isList(gvk.Kind) {
			return
		}
	}
	if out.passOver(d, gvk) {
		return
	}
	out.typed(d, at, text, gvk, fail)
}

// typed decodes an object of a kind that is read.
func (out *decoded) typed(d *document, at []any, text []byte, gvk schema.GroupVersionKind, fail func(Problem)) {
	o := d.kinds.object(gvk)
	unknown, err := kjson.UnmarshalStrict(text, o)
	name := gvk.Kind + " " + strconv.Quote(nameOf(o))
	if err != nil {
		if o.GetName() == "" {
			name = gvk.Kind
		}
		path, line := d.locate(at, text, gvk)
		fail(Problem{Object: name, Line: line, Message: fieldError(err, path)})
		return
	}
	p := Problem{Object: name}
	if len(at) > 0 {
		p.Line = -1 // not looked for unless there is something to tell
	}
	if message := misses(o); message != "" {
		p.Message = message
		p.Line = max(p.Line, 0)
		fail(p)
		return
	}
	warnings := misnamed(o)
	for _, u := range unknown {
		warnings = append(warnings, u.Error())
	}
	for _, message := range warnings {
		w := p
		if w.Line < 0 {
			w.Line = d.lineOf(at)
		}
		w.Warning, w.Message = true, message
		out.problems = append(out.problems, d.problem(w))
	}
	o.GetObjectKind().SetGroupVersionKind(gvk) // items of typed lists do not say it
	out.items++
	out.objects = append(out.objects, placed{Object: o, file: d.file, document: d.number, line: d.line, at: at})
}

// passOver leaves an object of a kind that no check reads out, and says so of one that no API server would know. It
// returns false for kinds that are read.
func (out *decoded) passOver(d *document, gvk schema.GroupVersionKind) bool {
	if d.kinds.object(gvk) != nil {
		return false
	}
	version := gvk.GroupVersion().String()
	switch current := d.currentVersion(gvk.GroupKind()); {
	case current != "" && current != version:
		out.fail(d, Problem{Message: fmt.Sprintf("apiVersion %q of kind %q is not served: use %q", version, gvk.Kind, current)})
	case !strings.Contains(gvk.Group, ".") && !scheme.Scheme.Recognizes(gvk),
		gvk.Group == "networking.k8s.io" && !scheme.Scheme.Recognizes(gvk):
		out.fail(d, Problem{Message: fmt.Sprintf("Kubernetes has no kind %q in apiVersion %q", gvk.Kind, version)})
	default:
		out.items++
		out.leftOut = append(out.leftOut, gvk.Kind)
	}
	return true
}

// currentVersion returns the API version in which a kind is read, or "" if it is not.
func (d *document) currentVersion(gk schema.GroupKind) string {
	groups := []string{gk.Group}
	if gk.Group == "extensions" { // where they were until Kubernetes 1.16
		groups = []string{"apps", "networking.k8s.io"}
	}
	for _, group := range groups {
		if v := d.kinds.version(schema.GroupKind{Group: group, Kind: gk.Kind}); v != "" {
			return schema.GroupVersion{Group: group, Version: v}.String()
		}
	}
	return ""
}

func isList(kind string) bool { return strings.HasSuffix(kind, "List") }

// template is what the text of a chart has and no manifest.
var template = []byte("{{")

func (out *decoded) fail(d *document, p Problem) {
	out.items++
	if bytes.Contains(d.text, template) {
		p.Message += "; it looks like a template: render it first (helm template, kustomize build)"
	}
	out.problems = append(out.problems, d.problem(p))
}

// problem completes a problem with where its document is.
func (d *document) problem(p Problem) Problem {
	p.File, p.Document = d.file, d.number
	if p.Line <= 0 {
		p.Line = d.line
	}
	return p
}

var (
	setTwice = regexp.MustCompile(`(?m)^\s*line ([0-9]+): (key .* already set in map)$`)
	yamlLine = regexp.MustCompile(`^line ([0-9]+): `)
	// What the parser, unlike the scanner below it, says; it counts lines from 0.
	yamlParser = regexp.MustCompile(`^did not find expected (key|'-' indicator|node content|',' or '[}\]]'|<document start>|<stream-start>)`)
)

// yamlError returns what is wrong with a YAML document, and in which of its lines; 0 if that is not known.
func yamlError(err error) (message string, line int) {
	message = err.Error()
	for _, prefix := range []string{"error converting YAML to JSON: ", "yaml: ", "unmarshal errors:\n  "} {
		message = strings.TrimPrefix(message, prefix)
	}
	message, _, _ = strings.Cut(message, "\n")
	if strings.HasPrefix(message, "invalid map key") || strings.HasPrefix(message, "unsupported map key") {
		return "a key must be a string", 0 // the rest is a dump of the library's own
	}
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		message = message[len(m[0]):]
		line, _ = strconv.Atoi(m[1]) // digits only; should they be too many, 0
		if yamlParser.MatchString(message) {
			line++
		}
	}
	return message, line
}

// fieldError tells a decoding error with its field.
func fieldError(err error, path string) string {
	message := jsonError(err)
	if path == "" {
		return message
	}
	return path + ": " + message
}

func jsonError(err error) string {
	if t := (*json.UnmarshalTypeError)(nil); errors.As(err, &t) {
		want := t.Type.Kind().String()
		switch t.Type.Kind() { //nolint:exhaustive // the API has no others
		case reflect.Int, reflect.Int32, reflect.Int64:
			want = "an integer"
		case reflect.Bool:
			want = "true or false"
		case reflect.String:
			want = "a string"
		case reflect.Slice:
			want = "a list"
		case reflect.Struct, reflect.Map:
			want = "an object"
		}
		return fmt.Sprintf("must be %s, not %s", want, articles.Replace(t.Value))
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// articles names JSON's types in a sentence.
var articles = strings.NewReplacer("object", "an object", "array", "a list", "string", "a string", "bool", "true or false")

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// hidden are ways to write "kind" so that it is easily missed.
var hidden = []string{
	"kind: ConfigMap\n\"kind\": Pod\n", "\"kind\": Pod\nkind: ConfigMap\n", "kind: ConfigMap\n'kind': Pod\n", "kind: ConfigMap\nkind : Pod\n",
	"kind: ConfigMap\n? kind\n: Pod\n", "kind: ConfigMap\n!!str kind: Pod\n", "kind: ConfigMap\n&a kind: Pod\n",
	"kind: ConfigMap\nx: &a kind\n*a : Pod\n", "kind: ConfigMap\n<<: {kind: Pod}\n", "x: &a {kind: Pod}\n<<: *a\n", "kind: ConfigMap\n\"\\x6bind\": Pod\n",
	"kind: ConfigMap #\rkind: Pod\n", "kind: ConfigMap #\u0085kind: Pod\n", "kind: ConfigMap #\u2028kind: Pod\n", "kind: ConfigMap #\u2029kind: Pod\n",
	"kind: ConfigMap\n  Map\n", "kind: ConfigMap\n\n  Map\n", "kind:\n  ConfigMap\n", "kind: Con#figMap\n", "kind: ConfigMap\t# c\n",
	" x: \"\nkind: ConfigMap\n \"\n kind: Pod\n", " x: [\nkind: ConfigMap,\n ]\n kind: Pod\n", "x: \"\nkind: ConfigMap\n\"\n'kind': Pod\n",
	"kind: ConfigMap\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n", "kind: ConfigMap\n\"items\": [{apiVersion: v1, kind: Pod, metadata: {name: a}}]\n",
	"kind: ConfigMap\nkind: Pod\n", "kind: Pod\nkind: ConfigMap\n", "kind: No\n", "kind: ~\n", "? x\n: kind: ConfigMap\nkind: Pod\n",
	"kind: ConfigMap\n...\nkind: Pod\n", "kind: ConfigMap\n---\nkind: Pod\n",
}

// checkHidden holds what is left out unparsed against the parser, and what is read against what kubectl would apply.
func checkHidden(t *testing.T, text []byte) {
	t.Helper()
	for _, d := range split(Stdin, text) {
		encoded, err := yaml.YAMLToJSON(d.text)
		if d.kind == "" || err != nil {
			continue // nobody can apply what is no YAML
		}
		var head struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Items      any    `json:"items"`
		}
		if err := kjson.UnmarshalCaseSensitivePreserveInts(encoded, &head); err != nil || head.APIVersion != d.apiVersion || head.Kind != d.kind || head.Items != nil {
			t.Errorf("%q is taken for a %s %s, and the parser has %s", d.text, d.apiVersion, d.kind, encoded)
		}
	}

	o := Read([]string{Stdin}, bytes.NewReader(text))
	for _, p := range o.Problems {
		if !p.Warning {
			return // nobody thinks that it was judged
		}
	}
	read := make(map[string]bool)
	for _, object := range o.All {
		read[kindOf(object)+" "+object.GetName()] = true
	}
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var raw runtime.RawExtension
		if err := decoder.Decode(&raw); err != nil {
			return
		}
		if raw.Raw = bytes.TrimSpace(raw.Raw); len(raw.Raw) == 0 || bytes.Equal(raw.Raw, []byte("null")) {
			continue
		}
		applied, _, err := unstructured.UnstructuredJSONScheme.Decode(raw.Raw, nil, nil)
		if err != nil {
			return
		}
		items := []unstructured.Unstructured{}
		switch applied := applied.(type) {
		case *unstructured.UnstructuredList:
			items = applied.Items
		case *unstructured.Unstructured:
			items = append(items, *applied)
		}
		for _, u := range items {
			if u.GetAPIVersion() == "v1" && u.GetKind() == "Pod" && u.GetName() != "" && !read["Pod "+u.GetName()] {
				t.Errorf("%q holds Pod %q, and it is not judged", text, u.GetName())
			}
		}
	}
}

func TestNothingIsHidden(t *testing.T) {
	for _, text := range hidden {
		for _, rest := range []string{"apiVersion: v1\nmetadata: {name: a}\n", "metadata:\n  name: a\napiVersion: v1 # c\n"} {
			for _, manifest := range []string{text + rest, rest + text} {
				checkHidden(t, []byte(manifest))
				checkHidden(t, []byte(strings.ReplaceAll(manifest, "\n", "\r\n")))
			}
		}
	}
	for _, text := range []string{
		`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"kind":"Pod"}`,
		`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"},"items":[]}`,
		`{"kind":"ConfigMap","apiVersion":"v1","items":[{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}}]}`,
	} {
		checkHidden(t, []byte(text))
	}
}

// TestMostIsLeftOutUnparsed: to be careful must not cost much.
func TestMostIsLeftOutUnparsed(t *testing.T) {
	for text, want := range map[string]string{
		"# c\napiVersion: v1\nkind: ConfigMap # c\n\ndata:\n  a: |\n    kind: Pod\n  b: \"\n    x\"\nmetadata:\n  name: a\n": "v1 ConfigMap",
		"kind: Role\r\nrules:\r\n- verbs: [get]\r\n  # c\r\napiVersion: rbac.authorization.k8s.io/v1\r\n":                    "rbac.authorization.k8s.io/v1 Role",
	} {
		for _, d := range split(Stdin, []byte(text)) {
			if got := d.apiVersion + " " + d.kind; got != want {
				t.Errorf("%q is a %q, want %q", text, got, want)
			}
		}
	}
}

func TestNothingIsHiddenInLinesAtRandom(t *testing.T) {
	pieces := strings.SplitAfter(strings.Join(hidden, ""), "\n")
	pieces = append(pieces, "apiVersion: v1\n", "apiVersion: v1\n", "metadata: {name: a}\n", "metadata:\n", "  name: a\n", "data: |\n", "- x\n", "}\n", "{\n", "  ", " ", "\n", "# c\n", "\t", "\r")
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		text := "apiVersion: v1\nmetadata: {name: a}\n"
		if random.IntN(4) == 0 {
			text = ""
		}
		for range 1 + random.IntN(5) {
			text += pieces[random.IntN(len(pieces))]
		}
		checkHidden(t, []byte(text))
	}
}

// FuzzNothingIsHidden: what an API server would get, the audit judges, or says that it could not.
func FuzzNothingIsHidden(f *testing.F) {
	for _, text := range hidden {
		f.Add([]byte("apiVersion: v1\nmetadata: {name: a}\n" + text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		checkHidden(t, text)
	})
}

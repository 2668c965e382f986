// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// load writes texts into files and loads them.
func load(t *testing.T, texts ...string) *Input {
	t.Helper()
	var paths []string
	for i, text := range texts {
		paths = append(paths, filepath.Join(t.TempDir(), fmt.Sprint(i)))
		if err := os.WriteFile(paths[i], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Load(paths, nil)
}

func TestInputBytes(t *testing.T) {
	const json = `{"kind":"Pod"}`
	for name, tc := range map[string]struct {
		files []string
		want  string
	}{
		"one file is as it was": {
			[]string{"\ufeff# a\n%YAML 1.1\n--- # b\r\na: 1\n...\n---\n\n---\n{a: 1}\n# c\n" + json + "\n" + json},
			"\ufeff# a\n%YAML 1.1\n--- # b\r\na: 1\n...\n---\n\n---\n{a: 1}\n# c\n" + json + "\n" + json,
		},
		"files are separated":                       {[]string{"a: 1", "\n# c\nb: 1\n", json, "d: 1\n"}, "a: 1\n---\n\n# c\nb: 1\n---\n" + json + "\n---\nd: 1\n"},
		"but not twice":                             {[]string{"a: 1\n", "# c\n\n--- # d\nb: 1\n"}, "a: 1\n# c\n\n--- # d\nb: 1\n"},
		"JSON is a stream":                          {[]string{json, json + "\n\n", json}, json + "\n" + json + "\n\n" + json},
		"a byte order mark stands at the beginning": {[]string{"\ufeffa: 1\n", "\ufeffb: 1\n"}, "\ufeffa: 1\n---\nb: 1\n"},
		"directives stand at the beginning":         {[]string{"a: 1\n", "# c\n%YAML 1.1\n---\nb: 1\n"}, "a: 1\n...\n# c\n%YAML 1.1\n---\nb: 1\n"},
		"files without documents are left out":      {[]string{"# c\n", "a: 1\n", "---\n", "b: 1\n"}, "a: 1\n---\nb: 1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			in := load(t, tc.files...)
			if diff := cmp.Diff(tc.want, string(in.Bytes())); diff != "" {
				t.Errorf("text differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInputSetText(t *testing.T) {
	other := strings.Replace(pod, "name: a", "name: b", 1)
	in := load(t, "# x\n---\n"+pod+"--- # y\n"+pod, `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}}`)
	in.SetText(1, []byte(strings.Replace(string(in.Text(1)), "name: a", "name: b", 1)))
	in.SetText(2, []byte("{}"))
	if diff := cmp.Diff("# x\n---\n"+pod+"--- # y\n"+other+"---\n{}", string(in.Bytes())); diff != "" {
		t.Errorf("text differs (-want +got):\n%s", diff)
	}
	if got := lines(in.Objects()); len(got) < 2 || got[0] != "Pod default/a" || got[1] != "Pod default/b" {
		t.Errorf("objects %q, want Pods a and b first", got)
	}
}

func TestPlaces(t *testing.T) {
	list := "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: c}}\n- kind: List\n  apiVersion: v1\n  items:\n  - {apiVersion: v1, kind: Pod, metadata: {name: d}}\n"
	in := load(t, pod+"---\nkind: ConfigMap\napiVersion: v1\n---\n"+pod, list)
	o := in.Objects()
	var got []string
	for i, p := range o.Places {
		got = append(got, fmt.Sprintln(o.All[i].GetName(), filepath.Base(p.File), p.Document, p.Path))
	}
	// Of the two called a, the second counts.
	want := []string{"a 0 2 []\n", "c 1 3 [items 0]\n", "d 1 3 [items 1 items 0]\n"}
	if diff := cmp.Diff(want, got); diff != "" || len(o.All) < len(want) {
		t.Errorf("places differ (-want +got):\n%s", diff)
	}
}

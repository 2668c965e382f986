// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// checkPlain compares with the YAML library, and says whether the text was taken.
func checkPlain(t *testing.T, text []byte) bool {
	t.Helper()
	encoded, ok := plainToJSON(text)
	if !ok {
		return false
	}
	library, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		t.Fatalf("%q is taken for %s, and the library says %v", text, encoded, err)
	}
	var got, want any
	if err := kjson.UnmarshalCaseSensitivePreserveInts(encoded, &got); err != nil {
		t.Fatalf("%q gives %s: %v", text, encoded, err)
	}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(library, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%q differs (-library +got):\n%s", text, diff)
	}
	return true
}

func TestPlainToJSON(t *testing.T) {
	for text, want := range map[string]bool{
		"a: 1\nb: two words\nc:\n- x\n- z\nd:\n  - k: v\n    l: w\n  -\n    m: o\n  -\n":    true,
		"# c\na: b # c\n\n  # c\nc: \"q # q\" # c\nd: 'it \"is\" \\'\ne: {}\nf: []\ng:\nh:": true,
		"cpu: 50m\nmemory: 64Mi\nimage: r.example.com:5000/a/b:1.2@sha256:00\npath: /a/b":   true,
		"-   a: 1\n    b: 2":           false, // no object
		"a:\n-   b: 1\n    c: 2\n- d":  true,
		"a:\n  b: 1\nc: 2":             true,
		"a: yes":                       false,
		"on: 1":                        false,
		"a: 010":                       false,
		"a: 1.5":                       false,
		"a: 2020-01-01":                false,
		"a: 1e3":                       false,
		"a: ~":                         false,
		"a: b\n  c":                    false,
		"a: b\n  c: d":                 false,
		"a:\n  b: 1\n c: 2":            false,
		"a: 1\na: 2":                   false,
		"a: |\n  b":                    false,
		"a: &x b":                      false,
		"a: {b: c}":                    false,
		"a: b: c":                      false,
		"a: \"\\n\"":                   false,
		"a: 'it''s'":                   false,
		"a: \"b\" c":                   false,
		"a:\t1":                        false,
		"a: ä":                         false,
		"a: b\r\n":                     false,
		"a:\n- - b":                    false,
		"<<: b":                        false,
		"a: {{ .Values.a }}":           false,
		"a: 64Mi # comment\nb: x#y\nc": false,
	} {
		if got := checkPlain(t, []byte(text)); got != want {
			t.Errorf("%q: taken is %t, want %t", text, got, want)
		}
	}
}

// FuzzPlainToJSON: what is taken is what the library makes of it.
func FuzzPlainToJSON(f *testing.F) {
	samples, err := filepath.Glob("../../config/*/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	taken := 0
	for _, sample := range samples {
		content, err := os.ReadFile(sample)
		if err != nil {
			f.Fatal(err)
		}
		for _, d := range bytes.Split(content, []byte("\n---\n")) {
			if _, ok := plainToJSON(d); ok {
				taken++
			}
			f.Add(d)
		}
	}
	if taken < 10 {
		f.Errorf("only %d of our own manifests are plain", taken)
	}
	for _, text := range []string{
		"a: 1\nb:\n- c: 'd'\n  e: \"f\"\n-\n- g\n", "a: 1_0s\nb: 0x1h\nc: 1:30s\nd: 12:30:45\ne: .5\nf: y\n", "a:\n  b:\n  - c\n  d: {}\ne: []",
		"a: b #c\nd: #e\nf: 2001-12-14t21:59:43.10-05:00\n", "a:\n- b: c\n   d: e\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		// Documents come without markers, and the library would read only the first.
		if d := split("", text); len(d) == 1 && !d[0].isJSON && bytes.Equal(d[0].text, text) && d[0].invalidUTF8() == 0 {
			checkPlain(t, text)
		}
	})
}

// TestPlainToJSONOnLinesAtRandom puts documents together from pieces that mean something to YAML, at any indentation.
func TestPlainToJSONOnLinesAtRandom(t *testing.T) {
	indents := []string{"", "", "", "  ", "  ", "    ", "    ", " ", "   ", "      "}
	entries := []string{"", "", "", "", "- ", "- ", "-   ", "-", "- - "}
	keys := []string{"a: ", "b: ", "c: ", "d: ", "e:", "f:", "g: ", "h/i.j-k_l:  ", "\"q\": ", "y: ", "1: ", "a:", "", "", "? "}
	values := []string{
		"", "", "", "x", "x y", "1", "01", "0", "50m", "64Mi", "1.5", "1h", "1m30s", "0x1f", "0x1fM", "1_0k", "12:30", "12:30:00", "1/2", "true", "false", "True", "no", "null", "~",
		"\"x # y\"", "'x: y'", "\"x\" # c", "\"x\"#c", "x # c", "x #c", "x#c", "# c", "#c", "{}", "[]", "{} # c", "[1]", "x: y", "x:y", "x:", "/p", "-1", "- x", "-x", "|", ">", "*a", "&a", "!x y",
		"x 'y' \"z\"", "x {y} [z], w", "'it''s'", "\"\\\"", "...", "---", "%x", "<<", "=", "2001-12-14T21:59:43Z", "1e3", "1e3M", "9999999999999999", "999999999999999", "12345678901234567890",
	}
	const documents = 30_000
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	taken := 0
	for range documents {
		var text bytes.Buffer
		for range 1 + random.IntN(6) {
			text.WriteString(pick(indents) + pick(entries) + pick(keys) + pick(values) + "\n")
		}
		if d := split("", text.Bytes()); len(d) == 1 && !d[0].isJSON && bytes.Equal(d[0].text, text.Bytes()) && checkPlain(t, text.Bytes()) {
			taken++
		}
	}
	if taken < documents/100 {
		t.Errorf("only %d of %d documents are plain", taken, documents)
	}
}

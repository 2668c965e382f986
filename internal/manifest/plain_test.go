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
		"a: 1\nb: two words\nc:\n- x\n- z\nd:\n  - k: v\n    l: w\n  -\n    m: o\n  -\n":                            true,
		"# c\na: b # c\n\n  # c\nc: \"q # q\" # c\nd: 'it \"is\" \\'\ne: {}\nf: []\ng:\nh:":                         true,
		"cpu: 50m\nmemory: 64Mi\nimage: r.example.com:5000/a/b:1.2@sha256:00\npath: /a/b":                           true,
		"args: [\"--a\", -b, 'c d', $(E), 1, true, null, [], {}]\nm: {a: b/c:1.2@sha256:00, \"d\": {e: [f,g]}} # c": true,
		"args:\n- --a=b\n- -c\n- $(E)\n- ---\n- |\n  d\n   e\n\n  # f \n- >-\n  g\n  h\n\n\n  i\n\n# j\n":           true,
		"a:\n- b: |+\n\n    c\n\n\n  # no comment is in it\n  d: >\n    e\n    f\ng: |-\n  h":                       true,
		"\"a/b\": ä # ü\n'c': 'it''s \"\\'\nd: \"\\t\\\"\\\\ '\"\ne: 日本 語\n":                                        true,
		"a: 1.5\nb: 0.25\nc: 1.2.3\nd: 10.0.0.1\ne: ./x\n":                                                          false,
		"a: 1.5\nb: 0.25\nc: 1.2.3\nd: 10.0.0.1\ne: null\n":                                                         true,
		"a: b\r\nc: |\r\n  d\r\n\r\n  e\r\n":                                                                        true,
		"-   a: 1\n    b: 2":                                                                                        false, // no object
		"a:\n-   b: 1\n    c: 2\n- d":                                                                               true,
		"a:\n  b: 1\nc: 2":                                                                                          true,
		"a: yes":                                                                                                    false,
		"on: 1":                                                                                                     false,
		"a: 010":                                                                                                    false,
		"a: 1.":                                                                                                     false,
		"a: 1.0":                                                                                                    false,
		"a: 0.0001":                                                                                                 false,
		"a: .5":                                                                                                     false,
		"a: -1":                                                                                                     false,
		"a: 2020-01-01":                                                                                             false,
		"a: 1e3":                                                                                                    false,
		"a: ~":                                                                                                      false,
		"a: Null":                                                                                                   false,
		"a: b\n  c":                                                                                                 false,
		"a: b\n  c: d":                                                                                              false,
		"a:\n  b: 1\n c: 2":                                                                                         false,
		"a: 1\na: 2":                                                                                                false,
		"a: 1\n\"a\": 2":                                                                                            false,
		"a: |2\n  b":                                                                                                false,
		"a: |\nb: c":                                                                                                false,
		"a: |\n   \n  b":                                                                                            false,
		"a: |\n  b\n  ":                                                                                             false,
		"a: |\n  b\n   \n":                                                                                          false,
		"a: 9999999999999999":                                                                                       false,
		"a: [b: , c]":                                                                                               false,
		"a: |\n  b\n c: d":                                                                                          false,
		"a: >\n  b\n   c":                                                                                           false,
		"a: &x b":                                                                                                   false,
		"a: {b: c, b: d}":                                                                                           false,
		"a: {b: c,}":                                                                                                false,
		"a: {b}":                                                                                                    false,
		"a: {b:c}":                                                                                                  false,
		"a: [b: c]":                                                                                                 false,
		"a: [b, ]":                                                                                                  false,
		"a: [b c]":                                                                                                  false,
		"a: [b,\n  c]":                                                                                              false,
		"a: [b] c":                                                                                                  false,
		"a: b: c":                                                                                                   false,
		"a: \"\\x41\"":                                                                                              false,
		"a: \"\\":                                                                                                   false,
		"a: 'b":                                                                                                     false,
		"a: \"b\" c":                                                                                                false,
		"a: \"b\"#c":                                                                                                false,
		"a:\t1":                                                                                                     false,
		"a: \u0085":                                                                                                 false,
		"a: \u2028b":                                                                                                false,
		"a: \ufeff":                                                                                                 false,
		"a: \xff":                                                                                                   false,
		"a: b\rc: d":                                                                                                false,
		"a:\n- - b":                                                                                                 false,
		"<<: b":                                                                                                     false,
		"a: {{ .Values.a }}":                                                                                        false,
		"a: 64Mi # comment\nb: x#y\nc":                                                                              false,
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
		"a: [b, 'c''d', \"\\n\", -e, {f: g, \"h\": []}] # i\n", "a: |+\n\n  b\n   c\n\n\nd: >-\n  e\n  f\n\n  g\n# h\n", "a: ä\r\n\"b\": 1.50\r\nd: 1.0\nc: 1.2.3\n",
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
	// In most lines only what is likely to be taken, so that whole documents are.
	entries, oddEntries := []string{"", "", "", "- "}, []string{"-   ", "-", "- - "}
	keys, oddKeys := []string{"a: ", "b: ", "c: ", "d: ", "e:", "f:", "h/i.j-k_l:  ", "\"q\": ", "'r':"}, []string{"\"y\": ", "y: ", "1: ", "", "", "? "}
	scalars := []string{
		"", "", "", "x", "x y", "1", "50m", "1.5", "1.2.3", "true", "null", "\"x # y\"", "'x: y' # c", "{}", "[x, \"y\"]", "{a: [b], c: 1}", "/p", "--x=y", "'it''s'", "ä ö # ü", "\"\\t\\\"\"",
		"|", "|-", "|+", ">", ">-", ">+",
	}
	odd := []string{
		"01", "0", "64Mi", "1.", "0.50", "0.0", "1.0", "00.5", "1.2.3-4", "1h", "1m30s", "0x1f", "0x1fM", "1_0k", "1_0.0.0", "12:30", "12:30:00", "1/2", "false", "True", "no", "Null", "~",
		"\"x\"#c", "x #c", "x#c", "# c", "#c", "[]", "{} # c", "[1]", "x: y", "x:y", "x:", "-1", "--1", "-x", "-.inf", "-0x1", "- x", "-", "--", "$(X)", "(x)", "_1", ":x", "=", "*a", "&a", "!x y",
		"x 'y' \"z\"", "x {y} [z], w", "''", "\"\\\"", "\"\\/\"", "\"\\\\\"", "...", "---", "%x", "<<", "2001-12-14T21:59:43Z", "1e3", "1e3M", "9999999999999999", "999999999999999",
		"99999999.9999999", "0.0000001", "12345678901234567890", "\u00a0x", "日本", "x\u2028", "x\u0085", "x\ufeff", "x\ty", "x\r", "|2", "|-2", "| # c", "|#c", "|x",
	}
	flow := []string{"[", "]", "{", "}", ",", ", ", " ", "a: ", "\"c\": ", "\"c\":", "a", ":", ": ", "?", "#", " # c", "-"}
	ends, oddEnds := []string{"\n", "\n", "\n", "\n\n"}, []string{"\r\n", "  \n", "    \n\n", ""}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(from []string) string { return from[random.IntN(len(from))] }
	mostly := func(from, odd []string) string {
		if random.IntN(12) == 0 {
			return pick(odd)
		}
		return pick(from)
	}
	value := func() string {
		if random.IntN(8) > 0 {
			return mostly(scalars, odd)
		}
		text := pick([]string{"[", "{a: "}) // a flow collection, more or less
		for range random.IntN(4) {
			text += mostly(scalars, odd) + mostly([]string{", ", ", b: ", ", c: "}, flow)
		}
		return text + mostly(scalars, odd) + pick([]string{"]", "}", "]}", "}]"})
	}
	const documents = 30_000
	taken := 0
	for range documents {
		var text bytes.Buffer
		for range 1 + random.IntN(6) {
			text.WriteString(pick(indents) + mostly(entries, oddEntries) + mostly(keys, oddKeys) + value() + mostly(ends, oddEnds))
		}
		if d := split("", text.Bytes()); len(d) == 1 && !d[0].isJSON && bytes.Equal(d[0].text, text.Bytes()) && checkPlain(t, text.Bytes()) {
			taken++
		}
	}
	if taken < documents/50 {
		t.Errorf("only %d of %d documents are plain", taken, documents)
	}
}

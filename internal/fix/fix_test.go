// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package fix_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/internal/fix"
)

// changesOf makes changes of "path: value".
func changesOf(texts ...string) []fix.Change {
	changes := make([]fix.Change, 0, len(texts))
	for _, text := range texts {
		path, value, _ := strings.Cut(text, ": ")
		changes = append(changes, fix.Change{Path: path, Value: json.RawMessage(value)})
	}
	return changes
}

func TestApply(t *testing.T) {
	for name, tc := range map[string]struct {
		before string
		set    []string
		after  string
	}{
		"a value is replaced, and the comment behind it stays": {
			"a:  true # why\nb: 1\n", []string{"a: false"}, "a:  false # why\nb: 1\n",
		},
		"a string keeps its quotes": {
			"a: \"x\"\nb: 'x'\nc: x\nd: 'x'\n", []string{`a: "w"`, `b: "w"`, `c: "w"`, `d: "it's"`}, "a: \"w\"\nb: 'w'\nc: w\nd: \"it's\"\n",
		},
		"a string gets quotes where it would mean something else": {
			"a: x\nb: x\nc: x\nd: x\n", []string{`a: ""`, `b: "no"`, `c: "1"`, `d: "a: b"`}, "a: \"\"\nb: \"no\"\nc: \"1\"\nd: \"a: b\"\n",
		},
		"a text in block style is replaced": {
			"a: |-\n  x\n\n  y\nb: >\n  z\nc: 1\n", []string{`a: "x"`, `b: "w"`}, "a: x\nb: w\nc: 1\n",
		},
		"a plain text of several lines is replaced": {
			"a: x\n  y # c\nb: 1\n", []string{`a: "z"`}, "a: z # c\nb: 1\n",
		},
		"a field is added behind the others, before blank lines and comments": {
			"a:\n  b: 1 # c\n  # d\n\n# e\nf: 1\n", []string{"a.z: 2"}, "a:\n  b: 1 # c\n  z: 2\n  # d\n\n# e\nf: 1\n",
		},
		"what is missing on the way is made, once": {
			"a:\n- name: x\n", []string{"a[name=x].s.c.drop: [\"ALL\"]", "a[name=x].s.p.type: \"T\"", "a[name=x].s.b: true"},
			"a:\n- name: x\n  s:\n    b: true\n    c:\n      drop:\n      - ALL\n    p:\n      type: T\n",
		},
		"an indentation of four, and of dashes, is followed": {
			"m:\n    n: 1\na:\n  - b: 1\n", []string{`a[0].c.d: ["x", 2]`}, "m:\n    n: 1\na:\n  - b: 1\n    c:\n        d:\n          - x\n          - 2\n",
		},
		"empty maps, null and nothing are filled": {
			"a: {} # c\nb: null\nc:\nd: ~ # c\ne: {\n  }\n", []string{"a.x: 1", "b.x: 1", "c.x: 1", "d.x: 1", "e.x: 1"},
			"a: # c\n  x: 1\nb:\n  x: 1\nc:\n  x: 1\nd: # c\n  x: 1\ne:\n  x: 1\n",
		},
		"nothing becomes a value": {
			"a:\nb: # c\nc: [{d: , e: 1}]\n", []string{"a: false", "b: []", "c[0].d: 0"}, "a: false\nb: [] # c\nc: [{d: 0, e: 1}]\n",
		},
		"a list in flow style keeps what stays as it is written": {
			"a: [\"x\",  'y', z] # c\nb: [x]\nc: [x]\n", []string{`a: ["x", "z"]`, `b: []`, `c: ["w", "v"]`}, "a: [\"x\", z] # c\nb: []\nc: [w, v]\n",
		},
		"of a list only the lines of what goes are touched": {
			"a:\n- x # one\n# two\n- y\n- \"z\"\nb: 1\n", []string{`a: ["x", "z"]`}, "a:\n- x # one\n# two\n- \"z\"\nb: 1\n",
		},
		"a list becomes empty": {
			"a:\n  l: # c\n  - x\n  # d\n  - y\n", []string{`a.l: []`, "a.m: 1"}, "a:\n  l: [] # c\n  # d\n  m: 1\n",
		},
		"a list gets other entries": {
			"a:\n  - 'x'\n  - y\nb:\n- x\nc: 1\n", []string{`a: ["z"]`, `b: ["w", "v"]`}, "a:\n  - 'z'\nb:\n- w\n- v\nc: 1\n",
		},
		"flow style stays flow style": {
			"a: {b: 1}\nc: { d: {}, }\ne: [{f: [x]}, {g: 1}]\n", []string{"a.x.w: [1]", "c.d.z: 1", "c.q: 2", `e[1].h: "s"`},
			"a: {b: 1, x: {w: [1]}}\nc: { d: {z: 1}, q: 2, }\ne: [{f: [x]}, {g: 1, h: s}]\n",
		},
		"flow style over several lines": {
			"a: {\n  b: 1, # c\n  d: 2 # e\n}\nf: {\n  g: 1,\n}\n", []string{"a.x: 1", "a.z: 2", "f.x: 1"},
			"a: {\n  b: 1, # c\n  d: 2, # e\n  x: 1,\n  z: 2\n}\nf: {\n  g: 1,\n  x: 1\n}\n",
		},
		"JSON for people": {
			"{\n    \"a\": {\n        \"b\": [\"x\"]\n    },\n    \"c\": {},\n    \"d\": [\n        1,\n        2\n    ]\n}\n",
			[]string{"a.x.y: [1]", "c.z: true", "d: [2]"},
			"{\n    \"a\": {\n        \"b\": [\"x\"],\n        \"x\": {\n            \"y\": [\n                1\n            ]\n        }\n    },\n" +
				"    \"c\": {\n        \"z\": true\n    },\n    \"d\": [\n        2\n    ]\n}\n",
		},
		"JSON for machines, with escapes that YAML does not know": {
			`{"a":{"b":"\ud83d\ude00\/\"}"},"c":[{"name":"x"}]}`, []string{"a.b2: true", `c[name=x].d: {"e":["f"]}`},
			`{"a":{"b":"\ud83d\ude00\/\"}","b2":true},"c":[{"name":"x","d":{"e":["f"]}}]}`,
		},
		"JSON with one space": {`{"a": {"b": 1}}`, []string{"a.c: 2"}, `{"a": {"b": 1, "c": 2}}`},
		"a text in block style at the end of what gets a field": {
			"a:\n  b: |\n    x\n    # no comment\n\n  # comment\nc:\n  d: |+\n    x\n\ne:\n  f: >-\n    x\n     y\n\n    z\n", []string{"a.q: 1", "c.q: 1", "e.q: 1"},
			"a:\n  b: |\n    x\n    # no comment\n  q: 1\n\n  # comment\nc:\n  d: |+\n    x\n\n  q: 1\ne:\n  f: >-\n    x\n     y\n\n    z\n  q: 1\n",
		},
		"lines may end as in Windows": {
			"a:\r\n  b: 1\r\nl:\r\n- x\r\n- z\r\n", []string{"a.c.d: 1", `l: ["z"]`}, "a:\r\n  b: 1\r\n  c:\r\n    d: 1\r\nl:\r\n- z\r\n",
		},
		"lines may end as nobody ends them any more": {
			"a: 1\rb: {c: 1}\r# \u0085d: [1,\u20282]\n", []string{"b.c: 2", "d: [2]"}, "a: 1\rb: {c: 2}\r# \u0085d: [2]\n",
		},
		"fields are added to what is inside and around at one place": {
			"a:\n  b:\n    c: {}\n", []string{"a.x: 1", "a.b.x: 1", "a.b.c.x: 1"}, "a:\n  b:\n    c:\n      x: 1\n    x: 1\n  x: 1\n",
		},
		"the last line need not end":      {"a:\n  b: x", []string{"a.c: 1"}, "a:\n  b: x\n  c: 1"},
		"characters are not bytes":        {"ä: {ö: ü, a: 1}\n", []string{"a: 1"}, "ä: {ö: ü, a: 1}\na: 1\n"},
		"and are none in what is changed": {"a: {ö: \"ü€😀\", b: 1}\n", []string{"a.b: 2"}, "a: {ö: \"ü€😀\", b: 2}\n"},
		"keys may have dots": {
			"m:\n  labels:\n    a.b/c: x\n", []string{`m.labels[a.b/c]: "w"`, `m.labels[d.e/f]: "z"`, `m.annotations[a.b]: "c"`},
			"m:\n  labels:\n    a.b/c: w\n    d.e/f: z\n  annotations:\n    a.b: c\n",
		},
		"entries are told by fields": {
			"a:\n- port: 80\n  name: \"x\"\n- {port: 90, name: z}\n", []string{"a[port=80].p: 1", "a[name=z].p: 2", "a[name=x].q: 3"},
			"a:\n- port: 80\n  name: \"x\"\n  p: 1\n  q: 3\n- {port: 90, name: z, p: 2}\n",
		},
		"of a key that is there twice the last one counts": {"a: 1\na: 2\n", []string{"a: 3"}, "a: 1\na: 3\n"},
		"what all that share it are to have is set where it is": {
			"a: &s\n  b: 1\nc: *s\n", []string{"a.b: 2", "c.b: 2", "a.d: 3", "c.d: 3"}, "a: &s\n  b: 2\n  d: 3\nc: *s\n",
		},
		"a merged field that all are to have is set where it is": {
			"x: &d {p: {q: 1}}\na:\n  <<: *d\n", []string{"a.p.q: 2", "x.p.q: 2", "a.r: 1"}, "x: &d {p: {q: 2}}\na:\n  <<: *d\n  r: 1\n",
		},
		"what is behind an anchor is filled": {"a: &s {}\nb: &t\n  c: 1\n", []string{"a.x: 1", "b.x: 1"}, "a: &s\n  x: 1\nb: &t\n  c: 1\n  x: 1\n"},
		"nothing is changed that is so already": {
			"a: false # c\nl: [x]\nm:\n- x\n", []string{"a: false", `l: ["x"]`, `m: ["x"]`}, "a: false # c\nl: [x]\nm:\n- x\n",
		},
		"of two values for a field the last one counts": {"l: [a, b, c]\n", []string{`l: ["a", "b"]`, `l: ["a"]`}, "l: [a]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			changes := changesOf(tc.set...)
			got := fix.Apply([]byte(tc.before), changes)
			for i, err := range got.Errors {
				if err != nil {
					t.Errorf("%s: %v", tc.set[i], err)
				}
			}
			if diff := cmp.Diff(tc.after, string(got.Text)); diff != "" || got.WrittenOut {
				t.Errorf("written out: %v; text differs (-want +got):\n%s", got.WrittenOut, diff)
			}
			if again := fix.Apply(got.Text, changes[len(changes)-1:]); string(again.Text) != tc.after {
				t.Errorf("a second time changes it again, to\n%s", again.Text)
			}
		})
	}
}

func TestApplyWritesAliasesOut(t *testing.T) {
	for name, tc := range map[string]struct {
		before string
		set    []string
		after  string
	}{
		"a change is not for all that share it": {
			"a: &s # c\n  b: 1 # d\n  t: \"x\"\n  l: [{}, 'y']\nc: *s\n", []string{"c.b: 2"},
			"a: &s # c\n  b: 1 # d\n  t: \"x\"\n  l: [{}, 'y']\nc: {b: 2, t: \"x\", l: [{}, 'y']}\n",
		},
		"not for the one with the anchor": {"a: &s {b: 1}\nc: *s\nd:\n- *s\n", []string{"d[0].b: 2"}, "a: &s {b: 1}\nc: {b: 1}\nd:\n- {b: 2}\n"},
		"a merged field": {
			"x: &d\n  p:\n    q: 1\n    r: |\n      s\na:\n  <<: *d\n", []string{"a.p.q: 2"},
			"x: &d\n  p:\n    q: 1\n    r: |\n      s\na:\n  <<: {p: {q: 2, r: \"s\\n\"}}\n",
		},
		"aliases in what aliases stand for": {
			"a: &s {b: &t [1, yes]}\nc: *s\nd: &u {e: *t, f: }\ng: *u\n", []string{"g.e: []"},
			"a: &s {b: &t [1, yes]}\nc: {b: [1, yes]}\nd: &u {e: [1, yes], f: }\ng: {e: [], f: null}\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := fix.Apply([]byte(tc.before), changesOf(tc.set...))
			if diff := cmp.Diff(tc.after, string(got.Text)); diff != "" || !got.WrittenOut || got.Errors[0] != nil {
				t.Errorf("written out: %v, %v; text differs (-want +got):\n%s", got.WrittenOut, got.Errors, diff)
			}
		})
	}
}

func TestApplyInAnObjectOfAList(t *testing.T) {
	const before = "kind: List\nitems:\n- kind: Pod\n  spec: {}\n- kind: List\n  items:\n  - kind: Pod\n"
	got := fix.Apply([]byte(before), []fix.Change{
		{Object: []any{"items", 0}, Path: "spec.hostPID", Value: []byte("false")},
		{Object: []any{"items", 1, "items", 0}, Path: "spec.hostPID", Value: []byte("false")},
	})
	const want = "kind: List\nitems:\n- kind: Pod\n  spec:\n    hostPID: false\n- kind: List\n  items:\n  - kind: Pod\n    spec:\n      hostPID: false\n"
	if diff := cmp.Diff(want, string(got.Text)); diff != "" || got.Errors[0] != nil || got.Errors[1] != nil {
		t.Errorf("%v; text differs (-want +got):\n%s", got.Errors, diff)
	}
}

// TestApplyLeavesOut: what cannot be done is told, and the rest is done.
func TestApplyLeavesOut(t *testing.T) {
	for name, tc := range map[string]struct{ before, set, err string }{
		"an entry that is not there":       {"a:\n- name: x\n", "a[name=y].b: 1", `there is no entry "name=y"`},
		"an entry of nothing":              {"a:\n", "a[0].b: 1", `there is no entry "0"`},
		"an index that is not there":       {"a: [1]\n", "a[1]: 1", `there is no entry "1"`},
		"a field of a list":                {"a: [1]\n", "a.b: 1", `there is no "b"`},
		"a field of a value":               {"a: 1\n", "a.b: 1", "what is on the way is neither an object nor a list"},
		"what is no path":                  {"a: 1\n", "a..b: 1", `"a..b" is no path`},
		"a name with brackets":             {"a: 1\n", "a[name=x]y]: 1", `"a[name=x]y]" is no path`},
		"a value that is no JSON":          {"a: 1\n", "a: x", `"x" is no JSON`},
		"keys that are told to be some":    {"a:\n  ? b\n  : 1\n", "a.c: 1", "cannot be set without writing the document anew"},
		"a list of more than plain values": {"a:\n- [1]\n- 2\n", "a: [2]", "cannot be set without writing the document anew"},
		"a value with a tag":               {"a: !!str 5\n", "a: 6", "cannot be set without writing the document anew"},
	} {
		t.Run(name, func(t *testing.T) {
			got := fix.Apply([]byte(tc.before+"z: 1\n"), changesOf("z: 2", tc.set, "w: 3"))
			if want := tc.before + "z: 2\nw: 3\n"; string(got.Text) != want {
				t.Errorf("text %q, want %q", got.Text, want)
			}
			if got.Errors[0] != nil || got.Errors[2] != nil || fmt.Sprint(got.Errors[1]) != tc.err {
				t.Errorf("errors %v, want %q", got.Errors, tc.err)
			}
		})
	}
	got := fix.Apply([]byte("a: ["), changesOf("a: 1"))
	if string(got.Text) != "a: [" || got.Errors[0] == nil {
		t.Errorf("text %q, errors %v of what is no YAML", got.Text, got.Errors)
	}
}

const deployment = `# who looks after it
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web

spec:
  template:
    metadata:
      annotations: {a: b}
    spec:
      hostPID: true
      containers:
      - name: app
        args:
        - |
          set -e
          run
        securityContext:
          privileged: true
          capabilities:
            add:
            - CHOWN
            - SYS_ADMIN
      - image: b
        name: "sidecar"
        ports: [{hostPort: 80}]
      volumes:
      - name: v
        emptyDir: {}
`

// TestApplyKeepsCommentsAndBlankLines puts comments and blank lines wherever they may be.
func TestApplyKeepsCommentsAndBlankLines(t *testing.T) {
	const pod = "spec.template.spec."
	changes := changesOf(
		pod+"hostPID: false", pod+"containers[name=app].securityContext.privileged: false",
		pod+`containers[name=app].securityContext.capabilities.add: ["CHOWN"]`, pod+`containers[name=app].securityContext.capabilities.drop: ["ALL"]`,
		pod+`containers[name=sidecar].securityContext.capabilities.drop: ["ALL"]`, pod+"containers[name=sidecar].securityContext.runAsNonRoot: true",
		pod+"containers[name=sidecar].ports[hostPort=80].hostPort: 0", "metadata.labels[a.b/c]: \"d\"", "spec.template.metadata.annotations[a.b]: \"c\"",
	)
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var text, kept []string
		for line := range strings.Lines(deployment) {
			inText := strings.Contains(line, "set -e") || strings.Contains(line, "run\n")
			line = strings.TrimSuffix(line, "\n")
			if !inText && !strings.HasSuffix(line, "|") && random.IntN(4) == 0 {
				line += fmt.Sprintf(" # behind %d", random.Int())
			}
			for !inText && random.IntN(3) == 0 {
				text = append(text, "", strings.Repeat(" ", random.IntN(12))+fmt.Sprintf("# before %d", random.Int()))
				kept = append(kept, text[len(text)-2:]...)
			}
			text = append(text, line)
			if before, comment, ok := strings.Cut(line, " # behind"); ok && !strings.Contains(before, "SYS_ADMIN") {
				kept = append(kept, " # behind"+comment)
			}
		}
		before := strings.Join(text, "\n") + "\n"
		got := fix.Apply([]byte(before), changes)
		rest := string(got.Text)
		for _, k := range kept {
			_, after, ok := strings.Cut(rest, k)
			if !ok {
				t.Fatalf("%q is not where it was\nbefore:\n%s\nafter:\n%s", k, before, got.Text)
			}
			rest = after
		}
		for i, err := range got.Errors {
			if err != nil {
				t.Fatalf("%s: %v\n%s", changes[i].Path, err, before)
			}
		}
	}
}

func FuzzApply(f *testing.F) {
	for _, text := range []string{
		deployment, "a: &s {b: 1}\nc: *s\nd: {<<: *s}\n", "a:\n- |+\n  x\n\n- >-\n  y\n", `{"a": ["\ud83d\ude00", {}]}`, "a: !!str &x 'b'\r\nc:\r\n",
		"? a\n: - - 1\n  - 2\n", "{a: {b: , c: [], d: \"\n\n\"}}", "a: x\u2028b\u0085c: 1\n", "a:\n  # c\n  b: # d\n#e\n",
	} {
		for _, path := range []string{"a", "a.b", "a[0]", "c.b.d", "spec.template.spec.containers[name=app].securityContext", "a[1].x[y.z]"} {
			for _, value := range []string{"false", `"x"`, "[]", `["CHOWN", 1]`, `{"a":{"b":["c"]}}`, "null"} {
				f.Add(text, path, value)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text, path, value string) {
		got := fix.Apply([]byte(text), []fix.Change{{Path: path, Value: json.RawMessage(value)}})
		if got.Errors[0] != nil {
			if string(got.Text) != text {
				t.Errorf("%v, and yet the text is %q", got.Errors[0], got.Text)
			}
			return
		}
		if numbered.MatchString(text) {
			return // keys such as 8 and 08 are one, and which of them counts is left to chance
		}
		if before, after := meaning(t, text), meaning(t, string(got.Text)); !only(steps.FindAllString(path, -1), before, after) {
			t.Errorf("more than %q differs between %q and %q", path, text, got.Text)
		}
	})
}

func meaning(t *testing.T, text string) (value any) {
	t.Helper()
	if json.Valid([]byte(text)) {
		if err := json.Unmarshal([]byte(text), &value); err != nil {
			t.Fatal(err)
		}
		return value
	}
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		t.Fatalf("%q is no YAML any more: %v", text, err)
	}
	return value
}

var numbered = regexp.MustCompile(`[0-9.~]['"]?\s*:`)

var steps = regexp.MustCompile(`[^.\[\]]+|\[[^\]]+\]`)

// only says whether values differ only at the end of the steps.
func only(steps []string, before, after any) bool {
	if len(steps) == 0 {
		return true
	}
	step := strings.Trim(steps[0], "[]")
	switch b := before.(type) {
	case nil:
		a, ok := after.(map[string]any)
		return ok && len(a) == 1 && only(steps[1:], nil, a[step])
	case map[string]any:
		a, ok := after.(map[string]any)
		if !ok || !only(steps[1:], b[step], a[step]) {
			return false
		}
		delete(a, step)
		delete(b, step)
		return cmp.Equal(a, b)
	case []any:
		a, ok := after.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range b {
			field, value, _ := strings.Cut(step, "=")
			if fields, ok := b[i].(map[string]any); strconv.Itoa(i) == step || ok && strings.TrimSuffix(fmt.Sprint(fields[field]), "<nil>") == value {
				return only(steps[1:], b[i], a[i]) && cmp.Equal(a[:i], b[:i]) && cmp.Equal(a[i+1:], b[i+1:])
			}
		}
	}
	return false
}

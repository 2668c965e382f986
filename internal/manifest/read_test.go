// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/kubersafe/kubersafe/internal/source"
)

const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: i}]}\n"

// read returns what was read: a line for each object of the input, problem, and kind left out.
func read(t *testing.T, input string) []string {
	t.Helper()
	return lines(Read([]string{Stdin}, strings.NewReader(input)))
}

func lines(o *Objects) []string {
	var got []string
	for _, object := range o.All {
		if kind := kindOf(object); kind != "" { // else no manifest has it
			got = append(got, kind+" "+nameOf(object))
		}
	}
	for _, p := range o.Problems {
		level := "error: "
		if p.Warning {
			level = "warning: "
		}
		got = append(got, level+strings.TrimPrefix(p.String(), "standard input, "))
	}
	for kind, n := range o.LeftOut {
		got = append(got, fmt.Sprintf("left out: %d %s", n, kind))
	}
	return got
}

func TestRead(t *testing.T) {
	const web = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n  namespace: shop\n"
	named := func(name string) string { return strings.Replace(pod, "name: a", "name: "+name, 1) }
	json := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":%q}}`
	const subdomain = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
	for name, tc := range map[string]struct {
		input string
		want  []string
	}{
		"documents are separated by lines that begin with three dashes": {
			pod + "---\n" + named("b") + "--- # and more\n" + named("c") + "---", []string{"Pod default/a", "Pod default/b", "Pod default/c"},
		},
		"content may follow a marker on its line": {
			"--- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n" + named("b"), []string{"Pod default/a", "Pod default/b"},
		},
		"three dots end a document too": {pod + "...\n" + named("b"), []string{"Pod default/a", "Pod default/b"}},
		"documents without content count for nothing": {
			"# license\n---\n\n---\n# nothing\n---\n" + pod + "---\n%YAML 1.2\n---\n" + named("b") + "---\nnull\n",
			[]string{"Pod default/a", "Pod default/b"},
		},
		"Windows line ends": {
			strings.ReplaceAll(pod+"---\n"+named("b"), "\n", "\r\n"), []string{"Pod default/a", "Pod default/b"},
		},
		"a byte order mark": {"\xef\xbb\xbf---\n" + pod, []string{"Pod default/a"}},
		"dashes in a block scalar separate nothing": {
			web + "spec:\n  template:\n    metadata:\n      annotations:\n        x: |\n          a\n          ---\n          kind: Pod\n    spec:\n      containers: []\n---\n" + pod,
			[]string{"Deployment shop/web", "Pod default/a"},
		},
		"JSON": {fmt.Sprintf(json, "a"), []string{"Pod default/a"}},
		"JSON documents after each other": {
			fmt.Sprintf(json+"\n"+json+json+"\n---\n"+json, "a", "b", "c", "d"),
			[]string{"Pod default/a", "Pod default/b", "Pod default/c", "Pod default/d"},
		},
		"faulty JSON does not take what follows with it": {
			fmt.Sprintf(json+"\n{\"kind\": oops,,}\n"+json, "a", "b"),
			[]string{"Pod default/a", "Pod default/b", `error: document 2, line 2: is not valid YAML: did not find expected node content`},
		},
		"YAML in braces": {"{apiVersion: v1, kind: Pod, metadata: {name: a}}", []string{"Pod default/a"}},
		"a List": {
			"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n- apiVersion: v1\n  kind: ConfigMap\n",
			[]string{"Pod default/a", "left out: 1 ConfigMap"},
		},
		"a typed list, whose items need not say what they are": {
			"apiVersion: apps/v1\nkind: DeploymentList\nitems:\n- metadata: {name: a}\n- metadata: {name: b, namespace: shop}\n",
			[]string{"Deployment default/a", "Deployment shop/b"},
		},
		"Lists in Lists": {
			`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List","items":[` + fmt.Sprintf(json, "a") + `]}]}`,
			[]string{"Pod default/a"},
		},
		"a faulty item does not take the others with it": {
			"apiVersion: v1\nkind: List\nitems:\n- kind: Pod\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: a\n  spec:\n    hostPID: 7\n" +
				"- apiVersion: v1\n  kind: Pod\n  metadata: {name: b}\n",
			[]string{
				"Pod default/b", `error: document 1, line 4: items[0]: is no Kubernetes object: "apiVersion" is missing`,
				`error: document 1, line 10: Pod "a": items[1]: spec.hostPID: must be true or false, not number`,
			},
		},
		"kinds that no check reads are left out unread": {
			"apiVersion: v1\nkind: ConfigMap\ndata: {a: [b\n---\napiVersion: example.com/v1\nkind: Widget\n---\napiVersion: storage.k8s.io/v1\nkind: StorageClass\n",
			[]string{"left out: 1 ConfigMap", "left out: 1 StorageClass", "left out: 1 Widget"},
		},
		"a kind that Kubernetes does not have": {
			strings.Replace(web, "Deployment", "Deploymnet", 1) + "---\n" + strings.Replace(web, "apps/v1", "app/v1", 1) + "---\n" + pod,
			[]string{
				"Pod default/a", `error: document 1, line 1: Kubernetes has no kind "Deploymnet" in apiVersion "apps/v1"`,
				`error: document 2, line 7: Kubernetes has no kind "Deployment" in apiVersion "app/v1"`,
			},
		},
		"an API version of old": {
			strings.Replace(web, "apps/v1", "extensions/v1beta1", 1),
			[]string{`error: document 1, line 1: apiVersion "extensions/v1beta1" of kind "Deployment" is not served: use "apps/v1"`},
		},
		"no kind": {"# values\nreplicas: 3\n", []string{`error: document 1, line 2: is no Kubernetes object: "kind" is missing`}},
		"a list":  {"- a\n- b\n", []string{"error: document 1, line 1: is no Kubernetes object, but a list or a single value"}},
		"a malformed document": {
			pod + "---\n" + web + "spec:\n  replicas: 2\n   paused: true\n---\n" + named("b"),
			[]string{"Pod default/a", "Pod default/b", "error: document 2, line 13: is not valid YAML: mapping values are not allowed in this context"},
		},
		"a malformed document whose fault the parser finds": {
			web + "spec:\n  a: 1\n bad: 2\n", []string{"error: document 1, line 8: is not valid YAML: did not find expected key"},
		},
		"a template": {
			"---\n" + web + "spec:\n  replicas: {{ .Values.replicas }}\n---\n{{- if .Values.web }}\n" + pod + "{{- end }}\n",
			[]string{
				`error: document 1, line 8: is not valid YAML: a key must be a string; it looks like a template: render it first (helm template, kustomize build)`,
				`error: document 2, line 10: is not valid YAML: did not find expected node content; it looks like a template: render it first (helm template, kustomize build)`,
			},
		},
		"a template that is YAML by chance": {
			strings.Replace(pod, "name: a", `name: "{{ .Release.Name }}"`, 1),
			[]string{`error: document 1, line 1: Pod "{{ .Release.Name }}": metadata.name: must be filled in; it looks like a template: render it first (helm template, kustomize build)`},
		},
		"a field of the wrong type": {
			web + "spec:\n  template:\n    spec:\n      containers:\n      - name: ok\n      - name: bad\n        securityContext:\n          privileged: maybe\n",
			[]string{`error: document 1, line 13: Deployment "shop/web": spec.template.spec.containers[1].securityContext.privileged: must be true or false, not a string`},
		},
		"a quantity that is none": {
			web + "spec:\n  template:\n    spec:\n      containers:\n      - resources:\n          limits:\n            cpu: 1\n            example.com/gpu: much\n",
			[]string{`error: document 1, line 13: Deployment "shop/web": spec.template.spec.containers[0].resources.limits["example.com/gpu"]: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'`},
		},
		"a list where an object must be": {
			"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n- containers\n",
			[]string{`error: document 1, line 4: Pod "a": spec: must be an object, not a list`},
		},
		"an unknown field is a warning": {
			web + "spec:\n  template:\n    spec:\n      containers:\n      - name: c\n        securtyContext: {}\n",
			[]string{"Deployment shop/web", `warning: document 1, line 1: Deployment "shop/web": unknown field "spec.template.spec.containers[0].securtyContext"`},
		},
		"a field that is set twice is a warning, and the last one counts": {
			"apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  name: b\n",
			[]string{"Pod default/b", `warning: document 1, line 5: key "name" already set in map; the last one counts`},
		},
		"a field that JSON sets twice": {
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"hostPID":true},"spec":{}}`,
			[]string{`error: document 1, line 1: duplicate field "spec"; which one counts depends on who reads it`},
		},
		"JSON that ends too early": {
			"{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Pod\"\n", []string{"error: document 1, line 3: is not valid YAML: did not find expected ',' or '}'"},
		},
		"a map for a key": {"kind: Pod\n? {a: b}\n: c\n", []string{"error: document 1, line 1: is not valid YAML: a key must be a string"}},
		"what has items is a list, whatever it says": {
			"apiVersion: v1\nkind: ConfigMap\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n", []string{"Pod default/a", "left out: 1 ConfigMap"},
		},
		"two objects without a marker between them": {
			pod + named("b"), []string{`error: document 1, line 5: is not valid YAML: key "apiVersion" already set in map; is a line "---" missing before it?`},
		},
		"the last object of that name counts": {
			pod + "---\n" + strings.Replace(pod, "name: a", "name: a, namespace: default", 1) + "---\n" + strings.Replace(pod, "name: a", "name: a, namespace: shop", 1),
			[]string{"Pod default/a", "Pod shop/a", `warning: document 2, line 6: Pod "default/a": takes the place of the one in "-", document 1, line 1`},
		},
		"objects without a name": {
			"apiVersion: v1\nkind: Pod\n---\napiVersion: v1\nkind: Pod\nmetadata: {generateName: job-}\n---\napiVersion: v1\nkind: Pod\nmetadata: {generateName: job-}\n",
			[]string{"Pod default/job-00002", "Pod default/job-00004", `error: document 1, line 1: Pod "": metadata.name: must be set`},
		},
		"a name that an API server would not take is a warning": {
			strings.Replace(pod, "name: a", "name: a_b, namespace: A", 1),
			[]string{
				"Pod A/a_b", "warning: document 1, line 1: Pod \"A/a_b\": metadata.name: " + subdomain,
				"warning: document 1, line 1: Pod \"A/a_b\": metadata.namespace: \"A\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
			},
		},
		"a name that could write to a terminal": {
			strings.Replace(pod, "name: a", `name: "a\e[31m"`, 1),
			[]string{"Pod default/a\x1b[31m", `warning: document 1, line 1: Pod "a\x1b[31m": metadata.name: ` + subdomain},
		},
		"invalid UTF-8": {
			pod + "---\n" + web + "  labels: {a: \"\xff\"}\n---\n" + named("b"),
			[]string{"Pod default/a", "Pod default/b", "error: document 2, line 11: is not valid UTF-8"},
		},
		"UTF-16":         {"\xff\xfea\x00", []string{"error: standard input: is UTF-16: save it as UTF-8"}},
		"nothing at all": {"", []string{"warning: standard input: is empty"}},
		"comments only":  {"# nothing\n\n# at all", []string{"warning: standard input: is empty"}},
		"an alias that grows without end": {
			web + "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n" +
				"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n",
			[]string{"error: document 1, line 1: is not valid YAML: document contains excessive aliasing"},
		},
		"what YAML 1.1 takes for true": {
			"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {hostPID: yes}\n", []string{"Pod default/a"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := read(t, tc.input)
			if diff := cmp.Diff(tc.want, got, cmpopts.SortSlices(func(a, b string) bool { return strings.HasPrefix(a, "left") && strings.HasPrefix(b, "left") && a < b })); diff != "" {
				t.Errorf("read differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadMany(t *testing.T) {
	const documents = 10_000
	var input bytes.Buffer
	for i := range documents {
		fmt.Fprintf(&input, "---\n%s", strings.Replace(pod, "name: a", fmt.Sprintf("name: a%d", i), 1))
		if i == 5000 {
			fmt.Fprintf(&input, "---\napiVersion: v1\nkind: ConfigMap\ndata:\n  a: %s\n", strings.Repeat("x", 1<<20))
		}
	}
	o := Read([]string{Stdin}, &input)
	if len(o.Problems) > 0 || o.Found != documents+1 || o.LeftOut["ConfigMap"] != 1 || o.All[documents-1].GetName() != "a9999" {
		t.Errorf("read %d objects, left out %v, problems %v", o.Found, o.LeftOut, o.Problems)
	}
}

func TestReadFiles(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"b/deep/pod.yml": pod, "a.yaml": strings.Replace(pod, "name: a", "name: first", 1), "c.json": `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"c"}}`,
		"README.md": "no manifest", "empty/README.md": "no manifest", "void.yaml": "",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "b"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	got := lines(Read([]string{dir, filepath.Join(dir, "empty"), filepath.Join(dir, "gone\x1b.yaml"), "https://example.com/a.yaml", Stdin, Stdin}, strings.NewReader(pod)))
	for i := range got {
		got[i] = strings.ReplaceAll(got[i], dir, "DIR")
	}
	want := []string{
		"Pod default/first", "Pod default/a", "Pod default/c",
		`warning: "DIR/link": is a link to a folder and not followed`,
		`warning: "DIR/void.yaml": is empty`,
		`error: "DIR/empty": is a folder without any .yaml, .yml or .json file`,
		`error: "DIR/gone\x1b.yaml": no such file or directory`,
		`error: "https://example.com/a.yaml": is an address, and only files are read: curl -sSL ADDRESS | kubersafe audit -f -`,
		`warning: document 1, line 1: Pod "default/a": takes the place of the one in "DIR/b/deep/pod.yml", document 1, line 1`,
		`error: standard input: can be read only once`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read differs (-want +got):\n%s", diff)
	}
}

func TestDefaults(t *testing.T) {
	o := Read([]string{Stdin}, strings.NewReader(`
apiVersion: v1
kind: Pod
metadata: {name: bare}
spec:
  hostNetwork: true
  containers:
  - name: c
    ports: [{containerPort: 80}]
    resources: {limits: {cpu: 2}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      hostNetwork: true
      serviceAccount: old
      containers:
      - name: c
        ports: [{containerPort: 80}]
        resources: {limits: {cpu: 2}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: both}
spec: {podSelector: {}, egress: [{}]}
---
apiVersion: v1
kind: LimitRange
metadata: {name: l}
spec:
  limits:
  - type: Container
    max: {memory: 2Gi}
    min: {ephemeral-storage: 1Gi}
`))
	type container struct {
		Account          string
		HostPort         int32
		Requests, Limits map[string]string
	}
	texts := func(l corev1.ResourceList) map[string]string {
		m := make(map[string]string)
		for name, quantity := range l {
			m[string(name)] = quantity.String()
		}
		return m
	}
	of := func(spec *corev1.PodSpec) container {
		c := spec.Containers[0]
		return container{spec.ServiceAccountName, c.Ports[0].HostPort, texts(c.Resources.Requests), texts(c.Resources.Limits)}
	}
	got := make(map[string]any)
	for _, object := range o.All {
		switch object := object.(type) {
		case *corev1.Pod:
			got["Pod"] = of(&object.Spec)
		case *appsv1.Deployment:
			got["Deployment"] = of(&object.Spec.Template.Spec)
		case *networkingv1.NetworkPolicy:
			got["NetworkPolicy"] = object.Spec.PolicyTypes
		case *corev1.Namespace:
			got["Namespace "+object.Name] = object.Labels
		case *corev1.ServiceAccount:
			got["ServiceAccount "+object.Name] = object.Namespace
		}
	}
	want := map[string]any{
		"Pod": container{
			"default", 80,
			map[string]string{"cpu": "2", "memory": "2Gi", "ephemeral-storage": "1Gi"}, map[string]string{"cpu": "2", "memory": "2Gi"},
		},
		"Deployment":             container{"old", 0, map[string]string{}, map[string]string{"cpu": "2"}},
		"NetworkPolicy":          []networkingv1.PolicyType{"Ingress", "Egress"},
		"Namespace default":      map[string]string{"kubernetes.io/metadata.name": "default"},
		"ServiceAccount default": "default",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults differ (-want +got):\n%s", diff)
	}
}

// TestReadRBAC reads roles, whose names may be almost anything.
func TestReadRBAC(t *testing.T) {
	const input = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:mine", namespace: odd}
rules: [{verbs: [get], apiGroups: [""], resources: [pods], resource: x}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: a/b}
---
apiVersion: rbac.authorization.k8s.io/v1beta1
kind: Role
metadata: {name: old}
`
	o := Read([]string{Stdin}, strings.NewReader(input))
	var got []string
	for _, p := range o.Problems {
		got = append(got, p.String())
	}
	want := []string{
		`standard input, document 1, line 2: ClusterRole "odd/system:mine": unknown field "rules[0].resource"`,
		`standard input, document 2, line 7: Role "a/b": metadata.name: may not contain '/'`,
		`standard input, document 3, line 11: apiVersion "rbac.authorization.k8s.io/v1beta1" of kind "Role" is not served: use "rbac.authorization.k8s.io/v1"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(o.All) < 2 || o.All[0].GetNamespace() != "" || o.All[1].GetNamespace() != "default" {
		t.Errorf("a ClusterRole is in no namespace, and a Role in one: %v", o.All)
	}
}

// TestReadMore reads a kind that no check does.
func TestReadMore(t *testing.T) {
	const input = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"
	if o := Read([]string{Stdin}, strings.NewReader(input), func() source.Object { return &corev1.Secret{} }); o.LeftOut["Secret"] != 0 || o.All[0].GetName() != "a" {
		t.Errorf("what is asked for is read: %v, left out %v", o.All, o.LeftOut)
	}
	if o := Read([]string{Stdin}, strings.NewReader(input)); o.LeftOut["Secret"] != 1 {
		t.Errorf("what is not asked for is left out: %v", o.LeftOut)
	}
}

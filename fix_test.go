// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/manifest"
	"github.com/kubersafe/kubersafe/test/fixtures"
)

// judgeWithAll returns a judge that runs every check that has what it needs, those that are off by default too.
func judgeWithAll(t *testing.T, spec *v1alpha1.AuditConfigurationSpec) *judge {
	t.Helper()
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Clone(set.Checks())
	for i := range all {
		all[i].Off = false
	}
	j := newJudge(all)
	if spec != nil {
		j.configure(spec)
	}
	return j
}

const (
	toFix = `# Shop, the whole of it.
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}

spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      hostNetwork: true   # was once needed
      containers:
      - name: app
        image: example.com/app:1

        ports:
        - containerPort: 8080
          hostPort: 8080
      # the other one
      - {name: side, image: "example.com/side:1", securityContext: {runAsUser: 0}}
`
	fixed = `# Shop, the whole of it.
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}

spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      hostNetwork: false   # was once needed
      containers:
      - name: app
        image: example.com/app:1

        ports:
        - containerPort: 8080
          hostPort: 0
        securityContext:
          allowPrivilegeEscalation: false
          capabilities:
            drop:
            - ALL
          readOnlyRootFilesystem: true
          runAsNonRoot: true
          seccompProfile:
            type: RuntimeDefault
      # the other one
      - {name: side, image: "example.com/side:1", securityContext: {runAsUser: 0, allowPrivilegeEscalation: false, ` +
		`capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true, seccompProfile: {type: RuntimeDefault}}}
`
	nearlyClean = `apiVersion: v1
kind: Pod
metadata: {name: a, namespace: shop}
spec:
  containers:
  - name: one
    image: i
    securityContext: &all {privileged: false, allowPrivilegeEscalation: %v, capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true, runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  - {name: two, image: i, securityContext: *all}
`
	merging = `apiVersion: v1
kind: Pod
metadata: {name: a, namespace: shop}
spec:
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - &c {name: one, image: "i:latest", imagePullPolicy: %s, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}}
  - {<<: %s, name: two, image: "i:1"}
`
)

func TestFix(t *testing.T) {
	const (
		namespace = "---\n# what is in it decides\nkind: Namespace\napiVersion: v1\nmetadata:\n  name: shop\n  labels: {pod-security.kubernetes.io/warn: baseline}\n---\n"
		enforcing = "---\n# what is in it decides\nkind: Namespace\napiVersion: v1\nmetadata:\n  name: shop\n  labels: {pod-security.kubernetes.io/warn: restricted, pod-security.kubernetes.io/enforce: restricted}\n---\n"
		alike     = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a\u0001","namespace":"shop"},"spec":{"hostPID":true,"containers":[]}}` +
			`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a\u0002","namespace":"shop"},"spec":{"hostPID":true,"containers":[]}}`
		rollout = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, uid: "1"}
spec: {template: {spec: {containers: []}}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-1, uid: "2", ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: "1", controller: true}]}
spec: {template: {spec: {hostPID: true, containers: []}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1-1, uid: "3", ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: "2", controller: true}]}
spec: {hostPID: true, containers: []}
`
		unread = "--- # not read\nkind:   ConfigMap\napiVersion: v1\n"
		list   = "kind: List\napiVersion: v1\nitems:\n- kind: Pod\n  apiVersion: v1\n  metadata: {name: a}\n  spec:\n    hostPID: %v\n    containers: []\n"
	)
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		code  int
		// stdout is all that is printed, and stderr are lines that are told, with single spaces.
		stdout string
		stderr []string
	}{
		"what can be fixed is, and the rest is told": {
			stdin: toFix + unread, code: 1, stdout: fixed + unread,
			stderr: []string{
				"Left out 1 object of kinds that no check reads: ConfigMap",
				"Warning: Namespace shop: metadata.labels[pod-security.kubernetes.io/enforce] must be fixed by hand: no manifest describes the object",
				"Fixed 11 findings",
				"FIXED CHECK OBJECT PATH VALUE FILE",
				"host-network Deployment shop/web spec.template.spec.hostNetwork false standard input",
				`capabilities-not-dropped Deployment shop/web spec.template.spec.containers[name=side].securityContext.capabilities.drop ["ALL"] standard input`,
				`High runs-as-root Deployment/web container "side" must not set runAsUser to 0 spec.template.spec.containers[name=side].securityContext.runAsUser`,
			},
		},
		"the exit code is about what remains": {stdin: toFix, args: []string{"--fail-on=critical"}, stdout: fixed},
		"a namespace is fixed once what is in it is": {
			stdin: namespace + fmt.Sprintf(nearlyClean, true), args: []string{"--fail-on=never"},
			stdout: enforcing + fmt.Sprintf(nearlyClean, false),
			stderr: []string{`pod-security-not-enforced Namespace shop metadata.labels[pod-security.kubernetes.io/enforce] "restricted" standard input`},
		},
		"what is shared is written out if not all are to have it": {
			stdin:  fmt.Sprintf(merging, "IfNotPresent", "*c"),
			args:   []string{"--fail-on=never"},
			stdout: fmt.Sprintf(merging, "Always", `{name: one, image: "i:latest", imagePullPolicy: IfNotPresent, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, readOnlyRootFilesystem: true}}`),
			stderr: []string{"Warning: standard input: what aliases stand for is written out, because a fix is not for all that share it"},
		},
		"what is malformed is printed as it is": {stdin: toFix + malformed, code: 2, stdout: fixed + malformed, stderr: []string{"Error: 1 error in the input"}},
		"JSON stays JSON": {
			stdin: `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop"}} {"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"shop"},"spec":{"hostPID":true,"containers":[]}}`,
			args:  []string{"--fail-on=never"},
			stdout: `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"shop","labels":{"pod-security.kubernetes.io/enforce":"restricted"}}} ` +
				`{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","namespace":"shop"},"spec":{"hostPID":false,"containers":[]}}`,
		},
		"a List is fixed inside": {stdin: fmt.Sprintf(list, true), args: []string{"--fail-on=never"}, stdout: fmt.Sprintf(list, false)},
		"what only Pods show is left to the next rollout": {
			stdin: rollout, args: []string{"--fail-on=never"}, stdout: rollout,
			stderr: []string{
				"Fixed 0 findings", `High host-pid Deployment/web "hostPID" must not be true spec.template.spec.hostPID`,
			},
		},
		"what reports do not tell apart is left": {
			stdin:  alike,
			args:   []string{"--fail-on=never"},
			stdout: alike,
			stderr: []string{"Warning: Pod shop/a�: spec.hostPID must be fixed by hand: no manifest describes the object"},
		},
		"another output":       {args: []string{"-o", "json"}, code: 2, stderr: []string{"Error: --fix and --output exclude each other: what is printed are the manifests"}},
		"a cluster":            {args: []string{"--kubeconfig=x"}, code: 2, stderr: []string{"Error: --filename and --kubeconfig exclude each other: it is either manifests or a cluster"}},
		"nothing in the input": {stdin: "# nothing\n", code: 2, stderr: []string{"Error: no Kubernetes object in the input: nothing was judged"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(tc.stdin, append([]string{"audit", "--fix", "-f", "-"}, tc.args...)...)
			if diff := gocmp.Diff(tc.stdout, stdout); diff != "" || code != tc.code {
				t.Errorf("exit code %d, want %d; output differs (-want +got):\n%s", code, tc.code, diff)
			}
			var told []string
			for line := range strings.Lines(stderr) {
				told = append(told, strings.Join(strings.Fields(line), " "))
			}
			for _, line := range tc.stderr {
				if !slices.Contains(told, line) {
					t.Errorf("%q is not among\n%s", line, stderr)
				}
			}
		})
	}
	if code, stdout, stderr := execute("", "audit", "--fix"); code != 2 || stdout != "" || !strings.Contains(stderr, "--fix needs --filename: only manifests can be fixed\nSee 'kubersafe audit --help'") {
		t.Errorf("without files: exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestFixOnFixtures(t *testing.T) {
	all, err := fixtures.Load()
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range all {
		if f.Cluster || testing.Short() && i%10 != 0 {
			continue
		}
		for _, c := range f.Cases {
			name := cmp.Or(c.Namespace, fixtures.Namespace)
			objects, err := c.Objects(name)
			if err != nil {
				t.Fatal(err)
			}
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: c.NamespaceLabels}}
			namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
			var asJSON, asYAML bytes.Buffer
			for _, o := range append(objects, namespace) {
				text, err := json.Marshal(o)
				if err != nil {
					t.Fatal(err)
				}
				asJSON.Write(append(text, '\n'))
				if text, err = yaml.JSONToYAML(text); err != nil {
					t.Fatal(err)
				}
				asYAML.WriteString("---\n" + string(text))
			}
			for format, text := range map[string]string{"JSON": asJSON.String(), "YAML": asYAML.String()} {
				t.Run(f.Check+"/"+c.Name+" in "+format, func(t *testing.T) { checkFix(t, judgeWithAll(t, c.Configuration), text) })
			}
		}
	}
}

// TestFixOnTheLibrarysOwnPods: Pods that break the Pod Security Standards in every way that their library knows.
func TestFixOnTheLibrarysOwnPods(t *testing.T) {
	pods, err := fixtures.PodSecurityPods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	judge := judgeWithAll(t, nil)
	for _, p := range pods {
		text, err := os.ReadFile(p.Path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(p.Name, func(t *testing.T) {
			checkFix(t, judge, "apiVersion: v1\nkind: Namespace\nmetadata: {name: default}\n---\n"+string(text))
		})
	}
}

// checkFix fixes manifests, and fails for what is not as promised.
func checkFix(t *testing.T, judge *judge, text string) string {
	t.Helper()
	before := findingsIn(t, judge, text)
	f := fixer{judge: judge, input: manifest.Load([]string{"-"}, strings.NewReader(text))}
	if _, err := f.run(f.input.Objects()); err != nil {
		t.Fatal(err)
	}
	fixed := string(f.input.Bytes())
	for where, finding := range findingsIn(t, judge, fixed) {
		if finding.SuggestedValue != nil && finding.SeenIn != v1alpha1.SeenInPods {
			t.Errorf("remains: %s", where)
		}
		// A Pod that leaves the node's network is in that of the Pods, whose policies are nobody's to guess.
		if before[where] == nil && !strings.HasPrefix(where, "cross-namespace-ingress-open Namespace ") {
			t.Errorf("new: %s", where)
		}
	}
	for where, err := range f.failed {
		t.Errorf("%+v: %v", where, err)
	}
	if t.Failed() {
		t.Logf("%s\n\n----- fixed:\n%s", text, fixed)
	}
	return fixed
}

// findingsIn returns the findings by what tells them apart.
func findingsIn(t *testing.T, judge *judge, text string) map[string]*v1alpha1.Finding {
	t.Helper()
	objects := manifest.Load([]string{"-"}, strings.NewReader(text)).Objects()
	for _, p := range objects.Problems {
		if !p.Warning {
			t.Fatal(p)
		}
	}
	if _, err := judge.manifests(objects); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]*v1alpha1.Finding)
	for _, r := range judge.reports {
		for i := range r.Findings {
			s := subjectOf(r, r.Findings[i].Object)
			found[strings.Join([]string{r.Findings[i].Check, s.kind, s.namespace, s.name, r.Findings[i].Path}, " ")] = &r.Findings[i]
		}
	}
	return found
}

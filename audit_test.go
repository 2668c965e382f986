// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/test/fixtures"
)

const (
	privileged = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: app, image: example.com/app:1, securityContext: {privileged: true}}
`
	clean = `
apiVersion: v1
kind: Namespace
metadata: {name: empty, labels: {pod-security.kubernetes.io/enforce: restricted}}
`
	quota = `
apiVersion: v1
kind: ResourceQuota
metadata: {name: q, namespace: empty}
spec: {hard: {pods: "10"}}
`
	denied = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out, namespace: shop}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}]}]}
---` + privileged
	malformed = "\n---\napiVersion: v1\nkind: Pod\nspec: [\n"
)

// execute runs the command line.
func execute(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	cmd := newCommand()
	cmd.SetArgs(args)
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	code = command.Run(cmd, &errs)
	return code, out.String(), errs.String()
}

func TestAuditExitCodes(t *testing.T) {
	for name, tc := range map[string]struct {
		stdin string
		args  []string
		code  int
		// texts that must be in what is printed.
		stdout, stderr string
	}{
		"a finding above the bar": {
			stdin: privileged, args: []string{"-f", "-"}, code: 1, stdout: "Critical   privileged-container",
		},
		"a finding at the bar": {stdin: privileged, args: []string{"-f", "-", "--fail-on=critical"}, code: 1},
		"no finding at the bar": {
			stdin: strings.Replace(privileged, "privileged: true", "privileged: false", 1), args: []string{"-f", "-", "--fail-on", "critical"}, code: 0,
		},
		"no bar":                {stdin: privileged, args: []string{"-f", "-", "--fail-on=never"}, code: 0, stdout: "1 workload in 1 namespace: 1 critical"},
		"nothing found":         {stdin: clean, args: []string{"-f", "-", "--fail-on=low"}, code: 0, stdout: "0 workloads in 1 namespace: 0 critical, 0 high, 0 medium, 0 low\n"},
		"only what is left out": {stdin: "apiVersion: v1\nkind: ConfigMap\n", args: []string{"-f", "-"}, code: 0, stderr: "Left out 1 object of kinds that no check reads: ConfigMap"},
		"malformed input, and the rest is judged": {
			stdin: privileged + malformed, args: []string{"-f", "-"}, code: 2, stdout: "privileged-container", stderr: "standard input, document 2, line ",
		},
		"malformed input counts even without a bar": {stdin: clean + malformed, args: []string{"-f", "-", "--fail-on=never"}, code: 2, stderr: "Error: 1 error in the input"},
		"no objects": {args: []string{"-f", "-"}, code: 2, stderr: "nothing was judged"},
		"names that an API server would not take": {
			stdin: strings.Replace(privileged, "name: web, namespace: shop", `name: a_b, namespace: "s\e[31m"`, 1), args: []string{"-f", "-"}, code: 1,
			stdout: "s�[31m", stderr: `Deployment "s\x1b[31m/a_b": metadata.name: a lowercase RFC 1123 subdomain`,
		},
		"no such file": {args: []string{"-f", "no/such.yaml"}, code: 2, stderr: `"no/such.yaml": no such file or directory`},
		"what is not known of nodes": {
			stdin: denied, args: []string{"-f", "-", "--fail-on=never"}, code: 0, stdout: "metadata-endpoint-reachable     Namespace/shop   no manifest describes a node",
		},
		"what is skipped fails nothing": {stdin: clean + "---" + quota, args: []string{"-f", "-", "--fail-on=high"}, code: 0, stdout: "; 1 check skipped"},
		"a flag that does not exist":    {args: []string{"--nope"}, code: 2, stderr: "unknown flag: --nope\nSee 'kubersafe audit --help'"},
		"a bar that does not exist":     {args: []string{"--fail-on", "huge"}, code: 2, stderr: "must be one of critical, high, medium, low, never"},
		"a format that does not exist":  {args: []string{"-o", "xml"}, code: 2, stderr: "must be one of table, json, yaml, html, sarif, junit, markdown"},
		"a file without -f":             {args: []string{"deploy.yaml"}, code: 2, stderr: `"deploy.yaml"`},
		"files and a cluster":           {args: []string{"-f", "-", "--kubeconfig=x"}, code: 2, stderr: "exclude each other"},
		"no such kubeconfig":            {args: []string{"--kubeconfig=no/such"}, code: 2, stderr: "no/such"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(tc.stdin, append([]string{"audit"}, tc.args...)...)
			if code != tc.code || !strings.Contains(stdout, tc.stdout) || !strings.Contains(stderr, tc.stderr) {
				t.Errorf("code %d, want %d\nstdout:\n%s\nstderr:\n%s", code, tc.code, stdout, stderr)
			}
			if strings.Contains(stdout+stderr, "\x1b") {
				t.Errorf("a terminal would take %q and %q for commands", stdout, stderr)
			}
		})
	}
}

func TestAuditPrintsReports(t *testing.T) {
	for _, format := range []string{"json", "yaml"} {
		t.Run(format, func(t *testing.T) {
			_, stdout, stderr := execute(privileged, "audit", "-f", "-", "-o", format)
			encoded, err := yaml.YAMLToJSON([]byte(stdout))
			if err != nil {
				t.Fatal(err)
			}
			decoder := json.NewDecoder(bytes.NewReader(encoded))
			decoder.DisallowUnknownFields()
			var list struct {
				APIVersion, Kind string
				Metadata         struct{}
				Items            []v1alpha1.SecurityReport
			}
			if err := decoder.Decode(&list); err != nil {
				t.Fatalf("%v\n%s", err, stdout)
			}
			var names []string
			for _, r := range list.Items {
				names = append(names, r.APIVersion+" "+r.Kind+" "+r.Namespace+" "+r.Name)
			}
			want := []string{
				"audit.kubersafe.io/v1alpha1 SecurityReport shop deployment-web",
				"audit.kubersafe.io/v1alpha1 SecurityReport shop namespace-shop",
			}
			if diff := gocmp.Diff(want, names); diff != "" || list.APIVersion != "v1" || list.Kind != "List" || stderr != "" {
				t.Fatalf("%s %s, stderr %q, reports (-want +got):\n%s", list.APIVersion, list.Kind, stderr, diff)
			}
			workload, namespace := list.Items[0], list.Items[1]
			if workload.Summary.Critical != 1 || workload.Findings[0].Check != "privileged-container" || workload.Findings[0].Since.IsZero() {
				t.Errorf("report %+v", workload)
			}
			if namespace.Workloads == nil || namespace.Workloads.Critical != 1 || namespace.Summary.Critical != 0 {
				t.Errorf("the namespace's report must sum its workloads up apart from itself: %+v", namespace)
			}
		})
	}
}

func TestAuditPrintsTables(t *testing.T) {
	_, stdout, _ := execute(privileged+"---"+quota, "audit", "-f", "-")
	lines := strings.Split(stdout, "\n")
	for _, want := range []string{
		"NAMESPACE   NAME             KIND         SCORE   CRITICAL   HIGH   MEDIUM   LOW   SKIPPED",
		"NAMESPACE   NAME              KIND        SCORE   CRITICAL   HIGH   MEDIUM   LOW   SKIPPED",
		`SKIPPED CHECK            SUBJECT           REASON`,
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q in\n%s", want, stdout)
		}
	}
	worst := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "SEVERITY ") }) + 1
	if fields := strings.Fields(lines[worst]); !slices.Equal(fields[:3], []string{"Critical", "privileged-container", "Deployment/web"}) ||
		fields[len(fields)-1] != "spec.template.spec.containers[name=app].securityContext.privileged" {
		t.Errorf("the worst finding must come first: %q", lines[worst])
	}
}

func TestAuditOfAServerThatAnswersNothing(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	content := "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"" + server.URL + "\"}}]\n" +
		"contexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n"
	if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := execute("", "audit", "--kubeconfig", kubeconfig)
	if code != 2 || stdout != "" || !strings.Contains(stderr, "Error: the API server at \""+server.URL+"\" cannot be used") {
		t.Errorf("code %d\nstdout:\n%s\nstderr:\n%s", code, stdout, stderr)
	}
}

func TestAuditCompletesFlagValues(t *testing.T) {
	for flag, want := range map[string]string{"--fail-on": "critical\nhigh\nmedium\nlow\nnever\n", "--output": "table\njson\nyaml\nhtml\nsarif\njunit\nmarkdown\n"} {
		_, stdout, _ := execute("", "__complete", "audit", flag, "")
		if !strings.HasPrefix(stdout, want) {
			t.Errorf("%s completes to\n%s", flag, stdout)
		}
	}
}

// TestAuditJudgesFixtures: what the fixtures want, which a real API server agrees with, must come out of manifests too.
func TestAuditJudgesFixtures(t *testing.T) {
	all, err := fixtures.Load()
	if err != nil {
		t.Fatal(err)
	}
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Cluster {
			continue
		}
		for _, c := range f.Cases {
			if c.Today != "" && !c.Cluster {
				continue // the command judges by the day that it is
			}
			t.Run(f.Check+"/"+c.Name, func(t *testing.T) {
				name := cmp.Or(c.Namespace, fixtures.Namespace)
				objects, err := c.Objects(name)
				if err != nil {
					t.Fatal(err)
				}
				namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: c.NamespaceLabels}}
				namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
				var input bytes.Buffer
				for _, o := range append(objects, namespace) {
					if err := json.NewEncoder(&input).Encode(o); err != nil {
						t.Fatal(err)
					}
				}
				args := []string{"audit", "-f", "-", "-o", "json"}
				if c.Configuration != nil {
					args = append(args, "--config", configurationFile(t, c.Configuration))
				}
				_, stdout, stderr := execute(input.String(), args...)
				var list v1alpha1.SecurityReportList
				if err := json.Unmarshal([]byte(stdout), &list); err != nil {
					t.Fatalf("%v\n%s", err, stderr)
				}
				var got, want []string
				for _, r := range list.Items {
					if r.Subject.Kind == audit.KindClusterRole && !c.Cluster {
						continue // the case is about what its namespace makes of it
					}
					subject := r.Subject.Kind + "/" + r.Subject.Name
					if r.Subject.Kind == audit.KindNamespace {
						subject = r.Subject.Kind
					}
					for _, found := range r.Findings {
						if found.Check == f.Check {
							got = append(got, subject+" "+string(found.Severity)+" "+found.Path)
						}
					}
				}
				if unshown[f.Check] && len(c.Want) > 0 {
					skipped := slices.ContainsFunc(list.Items, func(r v1alpha1.SecurityReport) bool { return tells(&r, f.Check) })
					if len(got) > 0 || !skipped && !c.Cluster { // what belongs to no namespace has no report for that
						t.Errorf("found %q, want it skipped", got)
					}
					return
				}
				for _, w := range c.Want {
					want = append(want, w.Subject+" "+w.Severity+" "+w.Path)
				}
				if set.Check(f.Check).LiveOnly != "" {
					for _, r := range list.Items {
						if r.Subject.Kind != audit.KindNamespace && !tells(&r, f.Check) {
							t.Errorf("%s passes, which manifests do not show", r.Name)
						}
					}
				}
				slices.Sort(got)
				slices.Sort(want)
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Errorf("findings differ (-want +got):\n%s\n%s", diff, stderr)
				}
			})
		}
	}
}

// unshown are the checks that cannot find anything in manifests, which do not say what the API server is, nor what else the
// cluster has and grants.
var unshown = map[string]bool{
	"pod-security-version-pinned-old": true, "service-account-token-mounted": true, "rbac-dangling-subject": true, "rbac-unused-role": true,
}

// tells says whether a report has a finding of a check, or says that it could not look.
func tells(r *v1alpha1.SecurityReport, check string) bool {
	return slices.ContainsFunc(r.Findings, func(f v1alpha1.Finding) bool { return f.Check == check }) ||
		slices.ContainsFunc(r.Skips, func(s v1alpha1.Skip) bool { return s.Check == check })
}

// TestAuditSkipsWhatManifestsDoNotShow: what only a cluster knows is skipped, and says what is missing, unless it is found in
// what somebody has saved of a cluster.
func TestAuditSkipsWhatManifestsDoNotShow(t *testing.T) {
	const saved = `
---
apiVersion: v1
kind: Pod
metadata: {name: debugged, namespace: shop}
spec:
  containers: [{name: app, image: example.com/app:1}]
  ephemeralContainers: [{name: debugger, image: busybox}]
`
	_, stdout, stderr := execute(privileged+saved, "audit", "-f", "-", "-o", "json")
	var list v1alpha1.SecurityReportList
	if err := json.Unmarshal([]byte(stdout), &list); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	skip := func(check, missing string) v1alpha1.Skip {
		return v1alpha1.Skip{Check: check, Reason: v1alpha1.SkipDataMissing, Message: "manifests do not show " + missing}
	}
	want := []v1alpha1.Skip{
		skip("bootstrap-sidecar", "how containers end"),
		skip("ephemeral-container", "which containers were attached to live Pods"),
		skip("image-drift", "which images Pods run"),
		skip("image-too-large", "how large images are"),
		skip("rollout-stuck", "how far rollouts have come"),
		skip("runs-on-control-plane", "which nodes Pods are on"),
	}
	for _, check := range []string{"exposed-privilege-path", "service-account-token-mounted", "workload-can-escalate", "workload-reads-secrets"} {
		want = append(want, v1alpha1.Skip{Check: check, Reason: v1alpha1.SkipDataMissing, Message: "no manifest describes a role or binding"})
	}
	for _, check := range []string{
		"image-outdated", "image-runs-as-root", "image-scan-stale", "image-too-many-packages", "image-update-available", "image-vulnerabilities",
	} {
		want = append(want, skip(check, `what is in images: add ImageReports, such as "kubersafe-scanner image -o json" prints`))
	}
	slices.SortFunc(want, func(a, b v1alpha1.Skip) int { return cmp.Compare(a.Check, b.Check) })
	deployment, pod := list.Items[0], list.Items[2]
	if diff := gocmp.Diff(want, deployment.Skips); diff != "" {
		t.Errorf("%s skips (-want +got):\n%s", deployment.Name, diff)
	}
	if diff := gocmp.Diff(slices.DeleteFunc(want, func(s v1alpha1.Skip) bool { return s.Check == "ephemeral-container" }), pod.Skips); diff != "" || !tells(&pod, "ephemeral-container") {
		t.Errorf("%s skips (-want +got):\n%s", pod.Name, diff)
	}
}

func TestAwaited(t *testing.T) {
	for want, unread := range map[string][]string{"Reading pods, nodes": {"pods", "nodes"}, "Finding out what ServiceAccounts may do": nil} {
		if got := awaited(unread); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestAuditJudgesTheLibrarysOwnPods: what the Pod Security Standards' library denies and allows comes out of the command too,
// although an API server would take many of these Pods' names for none.
func TestAuditJudgesTheLibrarysOwnPods(t *testing.T) {
	pods, err := fixtures.PodSecurityPods(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods {
		t.Run(p.Name, func(t *testing.T) {
			code, stdout, stderr := execute("", "audit", "-f", p.Path, "-o", "json", "--fail-on=never")
			var list v1alpha1.SecurityReportList
			if err := json.Unmarshal([]byte(stdout), &list); err != nil || code != 0 {
				t.Fatalf("exit code %d, %v\n%s", code, err, stderr)
			}
			var found []string
			for _, r := range list.Items {
				for _, f := range r.Findings {
					found = append(found, f.Check)
				}
			}
			isFound := func(id string) bool { return slices.Contains(found, id) }
			if len(p.Some) > 0 && !slices.ContainsFunc(p.Some, isFound) {
				t.Errorf("none of the checks %v finds anything", p.Some)
			}
			if i := slices.IndexFunc(p.None, isFound); i >= 0 {
				t.Errorf("%s finds something", p.None[i])
			}
		})
	}
}

// TestOurOwnManifestsAreClean: what we tell others to do, we do. The image gets its digest with the release.
func TestOurOwnManifestsAreClean(t *testing.T) {
	code, stdout, stderr := execute("", "audit", "-f", "dist/install.yaml", "-o", "json", "--fail-on", "medium")
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, stdout, stderr)
	}
	var list v1alpha1.SecurityReportList
	if err := json.Unmarshal([]byte(stdout), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 2 {
		t.Errorf("%d reports, want that of the Deployment and that of its namespace", len(list.Items))
	}
	for _, r := range list.Items {
		for _, f := range r.Findings {
			if f.Check != "image-not-pinned" {
				t.Errorf("%s: %s: %s", r.Name, f.Check, f.Message)
			}
		}
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/internal/output"
)

// storedReport is a report as an API server has it.
func storedReport(namespace, kind, name string, findings ...v1alpha1.Finding) v1alpha1.SecurityReport {
	r := v1alpha1.SecurityReport{Subject: v1alpha1.Subject{Kind: kind, Name: name}, Findings: findings}
	r.Namespace, r.Name = namespace, strings.ToLower(kind)+"-"+name
	r.UID = types.UID(namespace + "/" + r.Name)
	r.Labels = map[string]string{v1alpha1.LabelSubjectKind: kind}
	for _, f := range findings {
		switch f.Severity { //nolint:exhaustive // the others are not used
		case v1alpha1.SeverityCritical:
			r.Summary.Critical++
		case v1alpha1.SeverityHigh:
			r.Summary.High++
		}
	}
	return r
}

// storedReports are those of a cluster with one workload in each of two namespaces.
func storedReports() []v1alpha1.SecurityReport {
	privileged := v1alpha1.Finding{
		Check: "privileged-container", Severity: v1alpha1.SeverityCritical, Message: "must not\x1b[31m run privileged", Path: "spec.privileged",
		SuggestedValue: &v1alpha1.Value{Raw: []byte("false")},
	}
	denied := v1alpha1.Finding{Check: "no-default-deny-ingress", Severity: v1alpha1.SeverityHigh, Message: "must deny", Path: "metadata.name"}
	shop := storedReport("shop", "Namespace", "shop", denied)
	shop.Workloads = &v1alpha1.RollUp{Critical: 1}
	return []v1alpha1.SecurityReport{
		storedReport("default", "CronJob", "backup"), storedReport("default", "Namespace", "default"),
		storedReport("shop", "Deployment", "checkout", privileged), shop,
	}
}

// cluster starts an API server with these reports and two on what is in no namespace, and makes it that of the kubeconfig. A nil
// list is not served, and pages are of two reports, or of one of the cluster.
func cluster(t *testing.T, reports []v1alpha1.SecurityReport) {
	t.Helper()
	const path = "/apis/audit.kubersafe.io/v1alpha1/"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		rest, ok := strings.CutPrefix(r.URL.Path, path)
		var answer any
		switch namespace, isNamespaced := strings.CutPrefix(rest, "namespaces/"); {
		case !ok || reports == nil:
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprintln(w, "404 page not found")
			return
		case rest == "clustersecurityreports":
			whole := v1alpha1.ClusterSecurityReport{
				Subject: v1alpha1.Subject{Kind: "Cluster", Name: "cluster"}, Summary: v1alpha1.Summary{Score: 51, Critical: 1, High: 1},
				Compliance: []v1alpha1.FrameworkCompliance{{Framework: "cis", Title: "CIS", Failed: []string{"5.2.2"}}},
			}
			whole.Name, whole.UID = "cluster", "cluster"
			node := v1alpha1.ClusterSecurityReport{
				Subject: v1alpha1.Subject{Kind: "Node", Name: "n1"}, Summary: v1alpha1.Summary{High: 1},
				Findings: []v1alpha1.Finding{{Check: "node-public-ip", Severity: v1alpha1.SeverityHigh, Message: "must not", Path: "status.addresses"}},
			}
			node.Name, node.UID = "node-n1", "node-n1"
			var list v1alpha1.ClusterSecurityReportList
			switch q := r.URL.Query(); {
			case q.Get("fieldSelector") == "metadata.name=cluster", q.Get("continue") == "1":
				list.Items = []v1alpha1.ClusterSecurityReport{whole}
			case q.Get("limit") != "":
				list.Items, list.Continue = []v1alpha1.ClusterSecurityReport{node}, "1"
			default:
				t.Errorf("%s asks for everything at once", r.URL)
			}
			answer = list
		case namespace == "forbidden/securityreports":
			w.WriteHeader(http.StatusForbidden)
			answer = metav1.Status{Status: "Failure", Reason: metav1.StatusReasonForbidden, Code: http.StatusForbidden}
		default:
			var list v1alpha1.SecurityReportList
			selector, err := labels.Parse(r.URL.Query().Get("labelSelector"))
			if err != nil {
				t.Error(err)
				return
			}
			for _, report := range reports {
				if (!isNamespaced || namespace == report.Namespace+"/securityreports") && selector.Matches(labels.Set(report.Labels)) {
					list.Items = append(list.Items, report)
				}
			}
			if r.URL.Query().Get("continue") == "2" {
				list.Items = list.Items[2:]
			} else if len(list.Items) > 2 {
				list.Items, list.Continue = list.Items[:2], "2"
			}
			answer = list
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	content := "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"" + server.URL + "\"}}]\n" +
		"contexts: [{name: one, context: {cluster: c, namespace: shop}}, {name: two, context: {cluster: c}}]\ncurrent-context: one\n"
	if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", kubeconfig)
}

// plugin runs the command line as kubectl does.
func plugin(called string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	cmd := newRoot("/usr/local/bin/"+called, args)
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	code = command.Run(cmd, &errs)
	return code, out.String(), errs.String()
}

func TestReportingCommands(t *testing.T) {
	cluster(t, storedReports())
	for name, tc := range map[string]struct {
		args           string
		code           int
		stdout, stderr string
		not            string // must not be printed
	}{
		"an overview":                        {args: "", stdout: "Cluster   score 51   1 critical, 1 high", not: "default"},
		"with the worst namespaces":          {args: "", stdout: "shop        1          1"},
		"and compliance":                     {args: "-o json", stdout: `"failed": [`},
		"an overview of a namespace":         {args: "-n shop", code: 2, stderr: `"kubectl kubersafe report -n NAMESPACE"`},
		"the context's namespace":            {args: "report", stdout: "shop/Deployment/checkout   score 0   1 critical\n", not: "backup"},
		"with how to fix it":                 {args: "report", stdout: "fix  set it to false\n"},
		"or what the check says":             {args: "report ns/shop", stdout: "fix  Create a NetworkPolicy"},
		"another context":                    {args: "report --context two", stdout: "default     CronJob/backup", not: "checkout"},
		"another namespace":                  {args: "report -n default", stdout: "CronJob/backup", not: "checkout"},
		"all namespaces":                     {args: "report -A", stdout: "default     CronJob/backup"},
		"and what is in none":                {args: "report -A", stdout: "            Node/n1 "},
		"one workload":                       {args: "report deploy/checkout", stdout: "  Critical   privileged-container\n", not: "SUBJECT"},
		"by its plural and group":            {args: "report deployments.apps/checkout -n shop", stdout: "privileged-container"},
		"with a blank":                       {args: "report deployment checkout", stdout: "privileged-container"},
		"as Markdown":                        {args: "report -o markdown", stdout: "| <code>shop</code> | 1 | 1 | 0 | 0 |"},
		"as a page with compliance":          {args: "report -A -o html", stdout: ">5.2.2</th>"},
		"a bar":                              {args: "report --fail-on critical", code: 1},
		"a bar that is not reached":          {args: "report ns/shop --fail-on critical"},
		"no such workload":                   {args: "report sts/checkout", code: 2, stderr: `there is no report on sts/checkout in namespace "shop"; "kubectl kubersafe report -n shop" prints`},
		"no such namespace of its own":       {args: "report ns/nope", code: 2, stderr: `there is no report in namespace "nope"`},
		"of a kind that is not known":        {args: "report rollout/web", code: 2, stderr: `there is no report on rollout/web in namespace "shop"`},
		"a node":                             {args: "report node/n1", stdout: "Node/n1   score 0   1 high\n"},
		"no such node":                       {args: "report no/n2", code: 2, stderr: `there is no report on no/n2; "kubectl kubersafe report -A" prints`},
		"a node of a namespace":              {args: "report node/n1 -n shop", code: 2, stderr: "node/n1 is in no namespace: leave out -n"},
		"a namespace of another":             {args: "report ns/shop -n default", code: 2, stderr: `ns/shop is not in namespace "default": leave out -n`},
		"a namespace of itself":              {args: "report ns/shop -n shop", stdout: "Namespace/shop   score"},
		"no such namespace":                  {args: "report -n nope", code: 2, stderr: `there is no report in namespace "nope"`},
		"what is no subject":                 {args: "report checkout", code: 2, stderr: `"checkout" must be TYPE/NAME, such as deploy/checkout`},
		"a subject in all namespaces":        {args: "report deploy/checkout -A", code: 2, stderr: "exclude each other"},
		"a namespace that is not for you":    {args: "report -n forbidden", code: 2, stderr: `you may not list SecurityReports in namespace "forbidden"`},
		"no such flag":                       {args: "report --nope", code: 2, stderr: "See 'kubectl kubersafe report --help'"},
		"the worst":                          {args: "top", stdout: "privileged-container      1          0      0        0     1 "},
		"the worst namespaces alone":         {args: "top namespaces", stdout: "shop        1          1", not: "WORKLOAD"},
		"workloads, and no nodes":            {args: "top workloads --limit 2", stdout: "shop        Deployment/checkout", not: "Node/n1"},
		"nodes count for checks":             {args: "top checks", stdout: "node-public-ip "},
		"checks of a namespace without any":  {args: "top checks -n default", stdout: "Nothing was found.\n"},
		"the worst as YAML":                  {args: "top -o yaml", stdout: "checks:\n- critical: 1\n"},
		"the worst of something else":        {args: "top pods", code: 2, stderr: "must be one of namespaces, workloads, checks"},
		"no limit":                           {args: "top --limit 0", code: 2, stderr: "--limit must be 1 or more"},
		"no operator":                        {args: "operator", code: 2, stderr: "unknown command"},
		"no such file to compare with":       {args: "diff no/such.json", code: 2, stderr: "no/such.json"},
		"a file to compare with itself":      {args: "diff a.json a.json", code: 2, stderr: "are the same"},
		"nothing to compare":                 {args: "diff", code: 2, stderr: "accepts between 1 and 2 arg(s)"},
		"a file that is none to compare":     {args: "diff go.mod", code: 2, stderr: `"go.mod": `},
		"manifests are nothing to compare":   {args: "diff dist/install.yaml", code: 2, stderr: "must hold reports"},
		"two files of a cluster":             {args: "diff a.json b.json --context two", code: 2, stderr: "NEW and --context exclude each other: it is either a file or a cluster"},
		"manifests of a cluster":             {args: "audit -f dist/install.yaml --as me", code: 2, stderr: "--filename and --as exclude each other: it is either manifests or a cluster"},
		"manifests in a namespace":           {args: "audit -f dist/install.yaml -n shop", code: 2, stderr: "--filename and --namespace exclude each other"},
		"policies of both":                   {args: "network -f dist/install.yaml -n shop --kubeconfig x", code: 2, stderr: "--filename and --kubeconfig exclude each other"},
		"a context that is not there":        {args: "rbac can-reach-admin --context nope", code: 2, stderr: `context "nope" does not exist`},
		"no such check":                      {args: "checks nope", code: 1, stderr: `"kubectl kubersafe checks" lists them`},
		"examples as they are typed":         {args: "audit --help", stdout: "\n  kubectl kubersafe audit -f deploy/\n", not: "\n  kubersafe "},
		"those of commands below, too":       {args: "rbac who-can --help", stdout: "\n  kubectl kubersafe rbac who-can get secrets\n"},
		"a page of manifests still is there": {args: "audit -f dist/install.yaml -o html", stdout: "<title>Security audit of manifests</title>"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := plugin("kubectl-kubersafe", strings.Fields(tc.args)...)
			if code != tc.code || !strings.Contains(stdout, tc.stdout) || !strings.Contains(stderr, tc.stderr) || tc.not != "" && strings.Contains(stdout, tc.not) {
				t.Errorf("code %d, want %d\nstdout:\n%s\nstderr:\n%s", code, tc.code, stdout, stderr)
			}
			if strings.Contains(stdout+stderr, "\x1b") {
				t.Errorf("a terminal would take %q and %q for commands", stdout, stderr)
			}
		})
	}
}

func TestReportingCommandsWithoutKubersafe(t *testing.T) {
	for _, args := range []string{"", "report", "report -A", "top"} {
		cluster(t, nil)
		code, stdout, stderr := plugin("kubectl-kubersafe", strings.Fields(args)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, "kubersafe is not installed there") {
			t.Errorf("%q: code %d\n%s%s", args, code, stdout, stderr)
		}
	}
	cluster(t, []v1alpha1.SecurityReport{})
	if code, _, stderr := plugin("kubectl-kubersafe", "report"); code != 2 || !strings.Contains(stderr, `there is no report in namespace "shop"`) {
		t.Errorf("code %d\n%s", code, stderr)
	}
	t.Setenv("KUBECONFIG", "/nonexistent")
	for _, args := range []string{"", "audit", "network -n shop", "rbac can-reach-admin"} {
		const want = `there is no kubeconfig at "/nonexistent", so no cluster to read: pass --kubeconfig`
		if code, _, stderr := plugin("kubectl-kubersafe", strings.Fields(args)...); code != 2 || !strings.Contains(stderr, want) {
			t.Errorf("%q: code %d\n%s", args, code, stderr)
		}
	}
}

// TestDiff: against a file that each of the commands has saved, in both formats.
func TestDiff(t *testing.T) {
	t.Chdir(t.TempDir())
	cluster(t, storedReports())
	for _, format := range []string{"json", "yaml"} {
		code, saved, stderr := plugin("kubersafe", "report", "-A", "-o", format)
		if code != 0 {
			t.Fatal(stderr)
		}
		if err := os.WriteFile("old", []byte(saved), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, stdout, stderr := plugin("kubersafe", "diff", "old"); code != 0 || stdout != "0 new, 0 fixed, 3 unchanged\n" {
			t.Errorf("%s: code %d, %q\n%s", format, code, stdout, stderr)
		}
	}

	worse := storedReports()
	worse[0] = storedReport("default", "CronJob", "backup", worse[3].Findings[0])
	worse[2] = storedReport("shop", "Deployment", "checkout")
	cluster(t, worse)
	code, stdout, _ := plugin("kubersafe", "diff", "old", "-o", "json")
	var c output.Comparison
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || code != 1 {
		t.Fatalf("code %d, %v", code, err)
	}
	var got []string
	for _, change := range c.Changes {
		got = append(got, fmt.Sprint(change.State, " ", change.Namespace, " ", change.Check))
	}
	if diff := gocmp.Diff([]string{"New default no-default-deny-ingress", "Fixed shop privileged-container"}, got); diff != "" || c.Unchanged != 2 {
		t.Errorf("%d unchanged (-want +got):\n%s", c.Unchanged, diff)
	}
	for args, want := range map[string]int{
		"diff old --fail-on high": 1, "diff old --fail-on critical": 0, "diff old --fail-on never": 0, "diff old -n shop": 0, "diff old -n default": 1,
	} {
		if code, stdout, stderr := plugin("kubersafe", strings.Fields(args)...); code != want {
			t.Errorf("%s: code %d, want %d\n%s%s", args, code, want, stdout, stderr)
		}
	}
}

// TestDiffOfParts: what one side cannot hold is neither new nor gone.
func TestDiffOfParts(t *testing.T) {
	t.Chdir(t.TempDir())
	cluster(t, storedReports())
	save := func(file string, args ...string) {
		t.Helper()
		code, saved, stderr := plugin("kubersafe", append(args, "-o", "json")...)
		if code != 0 {
			t.Fatal(stderr)
		}
		if err := os.WriteFile(file, []byte(saved), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	save("all", "report", "-A")
	save("shop", "report", "-n", "shop")
	save("default", "report", "-n", "default")
	save("checkout", "report", "deploy/checkout")
	save("node", "report", "node/n1")
	var list v1alpha1.SecurityReportList
	for _, r := range storedReports() {
		r.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("SecurityReport"))
		list.Items = append(list.Items, r)
	}
	list.Kind, list.APIVersion = "List", "v1" // as kubectl prints it
	encoded, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("kubectl", encoded, 0o600); err != nil {
		t.Fatal(err)
	}
	const cannot = " of the other side cannot be compared\n"
	for args, want := range map[string]string{
		"all":             "0 new, 0 fixed, 3 unchanged\n",
		"kubectl":         "0 new, 0 fixed, 2 unchanged\nWarning: OLD has no reports on what is in no namespace: 1 report" + cannot,
		"all kubectl":     "0 new, 0 fixed, 2 unchanged\nWarning: NEW has no reports on what is in no namespace: 1 report" + cannot,
		"shop":            "0 new, 0 fixed, 2 unchanged\nWarning: OLD has reports of namespace \"shop\" alone: 3 reports" + cannot,
		"all shop":        "0 new, 0 fixed, 2 unchanged\nWarning: NEW has reports of namespace \"shop\" alone: 3 reports" + cannot,
		"shop -n shop":    "0 new, 0 fixed, 2 unchanged\n",
		"all -n shop":     "0 new, 0 fixed, 2 unchanged\n",
		"checkout":        "0 new, 0 fixed, 1 unchanged\nWarning: OLD has no more than 1 report, and none on a whole namespace: 4 reports" + cannot,
		"node":            "0 new, 0 fixed, 1 unchanged\nWarning: OLD has no more than 1 report, and none on a whole namespace: 4 reports" + cannot,
		"shop -n default": "Error: OLD has reports of namespace \"shop\" alone\n",
		"shop default":    "Error: OLD has reports of namespace \"shop\" alone, and NEW has reports of namespace \"default\" alone\n",
	} {
		_, stdout, stderr := plugin("kubersafe", append([]string{"diff"}, strings.Fields(args)...)...)
		if got := stdout + stderr; got != want {
			t.Errorf("diff %s:\n%s\nwant:\n%s", args, got, want)
		}
	}

	// Of manifests there are no reports that could be missing.
	manifests := `{"kind": "List", "apiVersion": "v1", "items": [` + strings.Join(reportsOfManifests, ", ") + `]}`
	if err := os.WriteFile("before", []byte(`{"kind": "List", "apiVersion": "v1", "items": [`+reportsOfManifests[0]+`]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("after", []byte(manifests), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := plugin("kubersafe", "diff", "before", "after"); code != 1 || !strings.Contains(stdout, "\n2 new, 0 fixed, 0 unchanged\n") || stderr != "" {
		t.Errorf("code %d\n%s%s", code, stdout, stderr)
	}
}

// reportsOfManifests: one of a namespace, of a workload in another, and on a role of the cluster.
var reportsOfManifests = []string{
	`{"apiVersion": "audit.kubersafe.io/v1alpha1", "kind": "SecurityReport", "metadata": {"name": "namespace-a", "namespace": "a"}, "subject": {"kind": "Namespace", "name": "a"}}`,
	`{"apiVersion": "audit.kubersafe.io/v1alpha1", "kind": "SecurityReport", "metadata": {"name": "pod-b", "namespace": "b"}, "subject": {"kind": "Pod", "name": "b"}, "findings": [{"check": "c", "severity": "High"}]}`,
	`{"apiVersion": "audit.kubersafe.io/v1alpha1", "kind": "ClusterSecurityReport", "metadata": {"name": "clusterrole-c"}, "subject": {"kind": "ClusterRole", "name": "c"}, "findings": [{"check": "c", "severity": "High"}]}`,
}

// TestDiffOfAFileWithASubjectTwice: nobody could tell which of the two is meant.
func TestDiffOfAFileWithASubjectTwice(t *testing.T) {
	t.Chdir(t.TempDir())
	text := `{"kind": "List", "apiVersion": "v1", "items": [` + reportsOfManifests[1] + `, ` + reportsOfManifests[1] + `]}`
	for _, file := range []string{"old", "new"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, stderr := plugin("kubersafe", "diff", "old", "new"); code != 2 || stderr != "Error: before: there are two reports on b/Pod/b\n" {
		t.Errorf("code %d, %s", code, stderr)
	}
}

// TestNoCredentialsArePrinted: those in the address of a cluster are used, and nobody sees them.
func TestNoCredentialsArePrinted(t *testing.T) {
	var authorization string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization, _, _ = r.BasicAuth()
		w.WriteHeader(http.StatusTeapot)
	}))
	defer server.Close()
	for address, wantUser := range map[string]string{
		strings.Replace(server.URL, "://", "://me:hunter2@", 1): "me", strings.Replace(server.URL, "://", "://hunter2@", 1): "hunter2",
		"https://me:hunter2@127.0.0.1:1": "", "https://me:hunter2@[::": "", "me:hunter2@127.0.0.1:1": "", strings.Replace(server.URL, "http://", "me:hunter2@", 1): "me",
	} {
		kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
		content := "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"" + address + "\"}}]\n" +
			"users: [{name: u, user: {token: t}}]\ncontexts: [{name: one, context: {cluster: c, user: u}}]\ncurrent-context: one\n"
		if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range []string{"", "report -A", "audit", "rbac can-reach-admin"} {
			authorization = ""
			code, stdout, stderr := plugin("kubectl-kubersafe", append(strings.Fields(args), "--kubeconfig", kubeconfig)...)
			if code != 2 || strings.Contains(stdout+stderr, "hunter2") || authorization != wantUser {
				t.Errorf("%q at %s: code %d, user %q\n%s%s", args, address, code, authorization, stdout, stderr)
			}
		}
	}
}

func TestReadReports(t *testing.T) {
	t.Chdir(t.TempDir())
	const head = "apiVersion: audit.kubersafe.io/v1alpha1\nkind: SecurityReport\nmetadata: {name: a, namespace: b}\n"
	for name, tc := range map[string]struct {
		text, err string
		reports   int
	}{
		"one report":              {text: head + "subject: {kind: Pod, name: a}\n", reports: 1},
		"an empty list":           {text: `{"kind": "List", "apiVersion": "v1", "items": []}`},
		"the cluster's sum":       {text: strings.ReplaceAll(head, "SecurityReport\nmetadata: {name: a, namespace: b}", "ClusterSecurityReport\nmetadata: {name: cluster}") + "subject: {kind: Cluster, name: cluster}\n"},
		"a node's":                {text: strings.ReplaceAll(head, "SecurityReport", "ClusterSecurityReport") + "subject: {kind: Node, name: a}\n", reports: 1},
		"another kind in a list":  {text: "kind: List\nitems: [{kind: Pod, apiVersion: v1}]\n", err: `items[0]: must be a report of audit.kubersafe.io/v1alpha1, not "Pod" of "v1"`},
		"a severity of one's own": {text: head + "subject: {kind: Pod, name: a}\nfindings: [{check: c, severity: Huge}]\n", err: `findings[0].severity: "Huge" must be one of`},
		"no subject":              {text: head, err: "subject: must have a kind and a name"},
		"no YAML":                 {text: "a: [", err: `"f": `},
		"nothing":                 {text: "", err: "must hold reports"},
		"a bare list":             {text: "[]", err: `"f": must hold reports, as "report -o json" prints them`},
		"two documents":           {text: "---\n" + head + "subject: {kind: Pod, name: a}\n---\n# Nothing.\n---\n" + head + "subject: {kind: Pod, name: b}\n", reports: 2},
		"a document of another":   {text: head + "subject: {kind: Pod, name: a}\n---\nkind: Pod\n", err: `must hold reports, as "report -o json" prints them, not "Pod"`},
		"two documents of JSON":   {text: `{"kind": "List", "items": []}{"kind": "List", "items": []}`, err: "after top-level value"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile("f", []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			reports, err := readReports("f", nil)
			if len(reports) != tc.reports || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%d reports, %v; want %d, %s", len(reports), err, tc.reports, tc.err)
			}
		})
	}
}

func TestPluginCompletes(t *testing.T) {
	cluster(t, storedReports())
	for args, want := range map[string]string{
		"re":                    "report\tPrint the operator's reports",
		"report ":               "deployment/checkout\nnamespace/shop\n:4\n",
		"report -n default ":    "cronjob/backup\nnamespace/default\n:4\n",
		"report deploy/x ":      ":4\n",
		"report -o ":            "table\njson\nyaml\nhtml\nsarif\njunit\nmarkdown\n",
		"top ":                  "namespaces\nworkloads\nchecks\n",
		"diff --fail-on ":       "critical\nhigh\nmedium\nlow\nnever\n",
		"checks privileged-con": "privileged-container\t",
	} {
		_, stdout, _ := plugin("kubectl_complete-kubersafe", strings.Split(args, " ")...)
		if !strings.Contains(stdout, want) {
			t.Errorf("%q completes to\n%s", args, stdout)
		}
	}
}

// TestKrewManifest: once it is filled in, krew can install from it.
func TestKrewManifest(t *testing.T) {
	text, err := os.ReadFile("config/krew/kubersafe.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		APIVersion, Kind string
		Metadata         struct{ Name string }
		Spec             struct {
			Version, ShortDescription, Homepage string
			Platforms                           []struct {
				URI, SHA256, Bin string
				Selector         metav1.LabelSelector
				Files            []struct{ From, To string }
			}
		}
	}
	filled := strings.NewReplacer("${VERSION}", "v1.2.3").Replace(string(text))
	if err := yaml.Unmarshal([]byte(filled), &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.APIVersion != "krew.googlecontainertools.github.com/v1alpha2" || manifest.Kind != "Plugin" || manifest.Metadata.Name != strings.TrimPrefix(pluginName, "kubectl-") {
		t.Errorf("%s %s %s", manifest.APIVersion, manifest.Kind, manifest.Metadata.Name)
	}
	if manifest.Spec.Version != "v1.2.3" || len(manifest.Spec.ShortDescription) > 50 {
		t.Errorf("version %q, description %q", manifest.Spec.Version, manifest.Spec.ShortDescription)
	}
	for _, p := range manifest.Spec.Platforms {
		platform := p.Selector.MatchLabels["os"] + "_" + p.Selector.MatchLabels["arch"]
		if want := "https://github.com/kubersafe/kubersafe/releases/download/v1.2.3/kubersafe_" + platform + ".tar.gz"; p.URI != want {
			t.Errorf("%s is at %s", platform, p.URI)
		}
		if want := "${SHA256_" + strings.ToUpper(platform) + "}"; p.SHA256 != want || !strings.HasPrefix(p.Bin, "kubersafe") || len(p.Files) != 2 {
			t.Errorf("%s: %+v", platform, p)
		}
	}
	if len(manifest.Spec.Platforms) != 5 {
		t.Errorf("%d platforms", len(manifest.Spec.Platforms))
	}
}

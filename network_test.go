// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

const segmented = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, uid: web}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: app, image: a}]}}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-1, namespace: shop, uid: web-1, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: web, controller: true}]}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: app, image: a}]}}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1-a, namespace: shop, labels: {app: web, pod-template-hash: "1"}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: web-1, controller: true}]}
spec: {containers: [{name: app, image: a}]}
status: {podIPs: [{ip: 10.0.0.1}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-1-b, namespace: shop, labels: {app: web, canary: "yes", pod-template-hash: "1"}, ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: web-1, controller: true}]}
spec: {containers: [{name: app, image: a}]}
status: {podIPs: [{ip: 10.0.0.2}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: api, namespace: shop}
spec:
  selector: {matchLabels: {app: api}}
  template:
    metadata: {labels: {app: api}}
    spec: {containers: [{name: app, image: a, ports: [{name: http, containerPort: 8080}, {name: admin, containerPort: 9090}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: probe, namespace: other}
spec: {containers: [{name: app, image: a}]}
---
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: other}
spec: {containers: [{name: app, image: a}]}
status: {phase: Succeeded}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: api-in, namespace: shop}
spec:
  podSelector: {matchLabels: {app: api}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: http}, {port: 9000, endPort: 9100}]
  - from: [{ipBlock: {cidr: 10.0.0.2/32}}]
    ports: [{port: 53, protocol: UDP}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-out, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - to: [{podSelector: {matchLabels: {app: api}}}]
  - to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]
    ports: [{port: 80}]
`

func TestNetworkMatrix(t *testing.T) {
	code, stdout, stderr := execute(segmented, "network", "matrix", "-f", "-", "-o", "json")
	if code != 0 || stderr != "" {
		t.Fatalf("code %d: %s", code, stderr)
	}
	var entries []struct {
		From, To string
		Allowed  []struct{ Protocol, Ports string }
	}
	if err := json.Unmarshal([]byte(stdout), &entries); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	var got []string
	for _, e := range entries {
		text := e.From + " -> " + e.To + ":"
		for _, a := range e.Allowed {
			text += " " + a.Protocol + " " + a.Ports
		}
		got = append(got, text)
	}
	const everything = ": TCP all UDP all SCTP all"
	want := []string{
		"internet -> other/Pod/probe" + everything,
		"other/Pod/probe -> internet" + everything,
		"other/Pod/probe -> metadata" + everything,
		"other/Pod/probe -> other/Pod/probe" + everything,
		"shop/Deployment/web -> internet: TCP 80",
		"shop/Deployment/web -> metadata: TCP 80",
		"shop/Deployment/web -> shop/Deployment/api: TCP 8080 TCP 9000-9100",
		"shop/Deployment/web#2 -> internet: TCP 80",
		"shop/Deployment/web#2 -> metadata: TCP 80",
		"shop/Deployment/web#2 -> shop/Deployment/api: TCP 8080 TCP 9000-9100 UDP 53",
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !slices.IsSorted(got) {
		t.Error("entries must be sorted")
	}
	_, stdout, _ = execute(segmented, "network", "matrix", "-f", "-", "-n", "other")
	if strings.Contains(stdout, "shop/") || !strings.Contains(stdout, "other/Pod/probe") {
		t.Errorf("of one namespace:\n%s", stdout)
	}
}

func TestNetworkAnswers(t *testing.T) {
	for name, tc := range map[string]struct {
		stdin          string
		args           []string
		code           int
		stdout, stderr string
	}{
		"yes": {args: []string{"-n", "shop", "--from", "Deployment/web#2", "--to", "Deployment/api", "--port", "9050"},
			stdout: `yes: shop/Deployment/web#2 can connect to shop/Deployment/api on TCP 9050
  egress allowed: the Pod is isolated, and a rule allows it
    network policy "shop/web-out" spec.egress[0]
  ingress allowed: the Pod is isolated, and a rule allows it
    network policy "shop/api-in" spec.ingress[0]
`},
		"no": {args: []string{"--from", "other/Pod/probe", "--to", "shop/Deployment/api", "--port", "8080"}, code: 1,
			stdout: `no: other/Pod/probe cannot connect to shop/Deployment/api on TCP 8080
  egress allowed: no policy isolates the Pod
  ingress denied: the Pod is isolated, and no rule allows it
    network policy "shop/api-in"
    network policy "shop/deny"
`},
		"what hinges on an address": {args: []string{"-n", "shop", "--from", "Deployment/web#2", "--to", "Deployment/api", "--port", "53/udp"},
			stdout: "It hinges on an ipBlock"},
		"all rows of a workload": {args: []string{"-n", "shop", "--from", "Deployment/web", "--to", "metadata", "--port", "80"},
			stdout: "yes: shop/Deployment/web#2 can connect to metadata on TCP 80"},
		"all ports": {args: []string{"-n", "shop", "--from", "Deployment/web#2", "--to", "Deployment/api"},
			stdout: "on TCP 8080, TCP 9000-9100, UDP 53\n"},
		"an address":                    {args: []string{"-n", "shop", "--from", "192.0.2.1", "--to", "Deployment/api"}, code: 1, stdout: "no: 192.0.2.1 cannot connect to shop/Deployment/api\n"},
		"the internet":                  {args: []string{"-n", "shop", "--from", "Deployment/api", "--to", "internet"}, code: 1, stdout: "no: shop/Deployment/api cannot connect to internet\n"},
		"as JSON":                       {args: []string{"-n", "shop", "--from", "Deployment/api", "--to", "Deployment/web#2", "-o", "json"}, code: 1, stdout: `"allowed": [],`},
		"the namespace as a table":      {args: []string{"-n", "shop"}, stdout: "Deployment/web#2   Isolated   Isolated   none   none            TCP 80        TCP 80\n"},
		"the namespace as JSON":         {args: []string{"-n", "shop", "-o", "json"}, stdout: `"everyNamespace": false`},
		"the namespace drawn":           {args: []string{"-n", "shop", "-o", "dot"}, stdout: `"shop/Deployment/web" -> "metadata" [label="TCP 80"];`},
		"the namespace for Markdown":    {args: []string{"-n", "shop", "-o", "mermaid"}, stdout: `n4["shop/Deployment/web#35;2"]`},
		"a workload that is not there":  {args: []string{"-n", "shop", "--from", "Deployment/nobody", "--to", "internet"}, code: 2, stderr: `there is no "Deployment/nobody"`},
		"a namespace that is not there": {args: []string{"-n", "nowhere"}, code: 2, stderr: `there is no namespace "nowhere"`},
		"no workload at all":            {args: []string{"--from", "192.0.2.1", "--to", "metadata"}, code: 2, stderr: "must be a workload"},
		"half a question":               {args: []string{"--from", "internet"}, code: 2, stderr: "--from and --to go together\nSee 'kubersafe network --help'"},
		"no question":                   {code: 2, stderr: "a namespace is needed"},
		"a port that is none":           {args: []string{"--from", "internet", "--to", "x", "--port", "0"}, code: 2, stderr: `port "0" must be a number`},
		"manifests with errors":         {stdin: "---\nkind: Pod\n", args: []string{"-n", "shop"}, code: 2, stdout: "Deployment/web", stderr: "Error: 1 error in the input"},
		"a policy of the cluster": {stdin: `---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: probes}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {matchLabels: {team: shop}}}
  ingress: [{name: probes, action: Accept, from: [{namespaces: {matchLabels: {kubernetes.io/metadata.name: other}}}]}]
`, args: []string{"--from", "other/Pod/probe", "--to", "shop/Deployment/api", "--port", "1"},
			stdout: "  ingress allowed: a policy of the cluster decides\n    cluster network policy \"probes\" spec.ingress[0]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(segmented+tc.stdin, append([]string{"network", "-f", "-"}, tc.args...)...)
			if code != tc.code || !strings.Contains(stdout, tc.stdout) || !strings.Contains(stderr, tc.stderr) {
				t.Errorf("code %d, want %d\nstdout:\n%s\nstderr:\n%s", code, tc.code, stdout, stderr)
			}
		})
	}
}

// TestNetworkNamesAreText: of owners that are not read a Pod may say what it likes.
func TestNetworkNamesAreText(t *testing.T) {
	const odd = `---
apiVersion: v1
kind: Pod
metadata:
  name: p
  namespace: other
  ownerReferences: [{apiVersion: example.com/v1, kind: "K\e[2J", name: "<img>` + "`" + `\u009b", uid: u, controller: true}]
spec: {containers: [{name: app, image: app}]}
`
	for format, want := range map[string]string{
		"table": "K�[2J/<img>`�   ", "mermaid": `["other/K�[2J/#lt;img#gt;#96;�"]`, "dot": "\"other/K�[2J/<img>`�\"", "json": `"K�[2J/<img>` + "`�\"",
	} {
		code, stdout, stderr := execute(segmented+odd, "network", "-f", "-", "-n", "other", "-o", format)
		if code != 0 || !strings.Contains(stdout, want) || strings.ContainsAny(stdout+stderr, "\x1b\u009b") {
			t.Errorf("%s: code %d, want %q\nstdout:\n%q\nstderr:\n%q", format, code, want, stdout, stderr)
		}
	}
}

// TestNetworkWarnings: what a verdict rests on is told, apart from the verdict.
func TestNetworkWarnings(t *testing.T) {
	const flannel = `
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-flannel-ds, namespace: kube-flannel}
spec: {selector: {matchLabels: {app: flannel}}, template: {metadata: {labels: {app: flannel}}, spec: {containers: [{name: app, image: a}]}}}
`
	const invalid = `
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: invalid, namespace: shop}
spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0}}]}]}
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: names}
spec:
  tier: Admin
  priority: 1
  subject: {namespaces: {}}
  egress: [{action: Accept, to: [{domainNames: [example.com]}]}]
`
	for name, tc := range map[string]struct {
		more, stderr, enforcement string
	}{
		"nothing to tell": {"", "", "Unknown"},
		"a network that does not enforce": {flannel,
			"Warning: policies are not enforced as far as can be seen: \"Flannel\" does not enforce them\n", "NotEnforced"},
		"one that does": {strings.ReplaceAll(strings.ReplaceAll(flannel, "kube-flannel-ds", "cilium"), "namespace: kube-flannel", "namespace: kube-system"), "", "Enforced"},
		"what is wrong with policies": {invalid, "Warning: cluster network policy \"names\": \"spec.egress[0].to[0].domainNames\" cannot be judged: names are not resolved\n" +
			"Warning: network policy \"shop/invalid\": \"spec.ingress[0].from[0].ipBlock.cidr\" must be a CIDR, not \"10.0.0.0\": no '/'\n", "Unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(segmented+tc.more, "network", "-f", "-", "-n", "shop", "-o", "json")
			if code != 0 || stderr != tc.stderr || !strings.Contains(stdout, `"enforcement": "`+tc.enforcement+`"`) {
				t.Errorf("code %d\nstderr:\n%s\nstdout:\n%s", code, stderr, stdout)
			}
		})
	}
}

// TestNetworkSuggestionsKnowTheCluster: exceptions are for the endpoints that its cloud has, and for its DNS.
func TestNetworkSuggestionsKnowTheCluster(t *testing.T) {
	const nodes = `
---
apiVersion: v1
kind: Node
metadata: {name: node}
spec: {providerID: "azure:///subscriptions/s/virtualMachines/0"}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: node-local-dns, namespace: kube-system}
spec: {selector: {matchLabels: {app: dns}}, template: {metadata: {labels: {app: dns}}, spec: {containers: [{name: app, image: a}]}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out, namespace: shop}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]}
`
	code, stdout, stderr := execute(segmented+nodes, "network", "suggest", "-f", "-", "-n", "shop")
	if code != 0 {
		t.Fatalf("code %d: %s", code, stderr)
	}
	for _, want := range []string{"169.254.20.10/32", "- 10.0.0.0/8\n        - 169.254.169.254/32\n        - 168.63.129.16/32\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is missing:\n%s", want, stdout)
		}
	}
	findings := func(input string) (found []string) {
		_, stdout, _ := execute(input, "audit", "-f", "-", "-o", "json")
		var list v1alpha1.SecurityReportList
		if err := json.Unmarshal([]byte(stdout), &list); err != nil {
			t.Fatal(err)
		}
		for _, r := range list.Items {
			for _, f := range r.Findings {
				if r.Namespace == "shop" && f.Check == "metadata-endpoint-reachable" {
					found = append(found, f.Message)
				}
			}
		}
		return found
	}
	if before, after := findings(segmented+nodes), findings(segmented+nodes+"---\n"+stdout); len(before) == 0 || len(after) > 0 {
		t.Errorf("before: %q, after: %q", before, after)
	}
}

// TestNetworkSuggestionsIsolate: with what is suggested, every Pod of the namespace is isolated and none reaches the
// metadata endpoint, whatever was allowed before.
func TestNetworkSuggestionsIsolate(t *testing.T) {
	open := strings.NewReplacer("{podSelector: {}, policyTypes: [Ingress, Egress]}", "{podSelector: {matchLabels: {app: nobody}}}").Replace(segmented) + `---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: all-out, namespace: shop}
spec: {podSelector: {}, policyTypes: [Egress], egress: [{}, {ports: [{port: 80}]}, {to: [{ipBlock: {cidr: 169.254.169.254/32}}]}, {to: [{ipBlock: {cidr: "::/0"}}]}]}
`
	_, before, _ := execute(open, "network", "-f", "-", "-n", "shop")
	if !strings.Contains(before, "Open ") || strings.Count(before, "all") < 3 {
		t.Fatalf("the namespace must be open before:\n%s", before)
	}
	code, suggested, stderr := execute(open, "network", "suggest", "-f", "-", "-n", "shop")
	if code != 0 {
		t.Fatalf("code %d: %s", code, stderr)
	}
	code, stdout, stderr := execute(open+"---\n"+suggested, "network", "-f", "-", "-n", "shop", "-o", "json")
	if code != 0 || strings.Contains(stderr, "Error") {
		t.Fatalf("code %d: %s\n%s", code, stderr, suggested)
	}
	var after struct {
		Workloads []rowSummary
	}
	if err := json.Unmarshal([]byte(stdout), &after); err != nil {
		t.Fatal(err)
	}
	if len(after.Workloads) != 3 {
		t.Errorf("%d workloads", len(after.Workloads))
	}
	for _, w := range after.Workloads {
		if w.Ingress != "Isolated" || w.Egress != "Isolated" || len(w.ToMetadata) > 0 || len(w.ToInternet) == 0 {
			t.Errorf("%+v\n%s", w, suggested)
		}
	}
	_, stdout, _ = execute(open+"---\n"+suggested, "audit", "-f", "-", "-o", "json")
	var list v1alpha1.SecurityReportList
	if err := json.Unmarshal([]byte(stdout), &list); err != nil {
		t.Fatal(err)
	}
	closed := []string{"no-default-deny-ingress", "no-default-deny-egress", "metadata-endpoint-reachable", "workload-not-isolated"}
	for _, r := range list.Items {
		for _, f := range r.Findings {
			if r.Namespace == "shop" && slices.Contains(closed, f.Check) {
				t.Errorf("%s: %s: %s", r.Name, f.Check, f.Message)
			}
		}
	}
}

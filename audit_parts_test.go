// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// controlPlane are manifests of a static Pod, of a node and of a webhook, beside any other.
const controlPlane = `
apiVersion: v1
kind: Pod
metadata: {name: kube-apiserver, namespace: kube-system}
spec:
  containers:
  - name: kube-apiserver
    image: registry.k8s.io/kube-apiserver:v1.37.2
    command: [kube-apiserver, "--authorization-mode=AlwaysAllow"]
---
apiVersion: v1
kind: Node
metadata: {name: one}
status:
  addresses: [{type: ExternalIP, address: 3.120.0.7}]
---
apiVersion: v1
kind: Node
metadata: {name: two}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: engine}
webhooks:
- name: validate.example.com
  failurePolicy: Ignore
  admissionReviewVersions: [v1]
  sideEffects: None
  clientConfig: {url: "https://example.com"}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
`

// TestAuditOfWhatBelongsToNoNamespace: what manifests have of it is judged, and nothing is said of what they do not have.
func TestAuditOfWhatBelongsToNoNamespace(t *testing.T) {
	_, stdout, stderr := execute(controlPlane, "audit", "-f", "-", "-o", "json")
	var list v1alpha1.ClusterSecurityReportList
	if err := json.Unmarshal([]byte(stdout), &list); err != nil {
		t.Fatalf("%v\n%s", err, stderr)
	}
	found, skipped := make(map[string]string), make(map[string]bool)
	for _, r := range list.Items {
		if (r.Kind == "ClusterSecurityReport") != (r.Namespace == "") {
			t.Errorf("a %s in namespace %q", r.Kind, r.Namespace)
		}
		if r.Namespace != "" {
			continue
		}
		for _, f := range r.Findings {
			found[f.Check] = r.Name
		}
		for _, s := range r.Skips {
			skipped[s.Check] = true
		}
	}
	for check, report := range map[string]string{
		"api-server-always-allow": "control-plane", "secrets-not-encrypted": "control-plane", "admission-fails-open": "admission", "node-public-ip": "node-one",
	} {
		if found[check] != report {
			t.Errorf("%s is found in %q, want %q", check, found[check], report)
		}
	}
	for _, check := range []string{"kubernetes-unsupported", "etcd-client-auth", "api-server-public", "no-image-admission", "no-pod-admission"} {
		if !skipped[check] {
			t.Errorf("%s is not skipped", check)
		}
	}

	_, table, _ := execute(controlPlane, "audit", "-f", "-")
	if head, _, _ := strings.Cut(table, "\n"); !strings.HasPrefix(head, "NAME ") || !strings.Contains(table, ", 3 parts of the cluster: ") {
		t.Errorf("table:\n%s", table)
	}
	_, only, _ := execute("apiVersion: v1\nkind: Node\nmetadata: {name: two}\n", "audit", "-f", "-", "-o", "json")
	if strings.Contains(only, "ClusterSecurityReport") {
		t.Errorf("reports of what manifests do not have:\n%s", only)
	}
}

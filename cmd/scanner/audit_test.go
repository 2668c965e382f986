// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
	"github.com/kubersafe/kubersafe/internal/command"
)

// manifests name %[1]s/debian, twice, and %[1]s/node.
const manifests = `apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}}
    spec:
      initContainers:
      - {name: init, image: "%[1]s/debian"}
      containers:
      - {name: app, image: "%[1]s/debian:latest"}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: app, image: "%[1]s/node:1"}]}}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
`

func TestAudit(t *testing.T) {
	s := newServer(t)
	s.push(t, "debian:latest", debianImage(t, "audit"))
	s.push(t, "node:1", nodeImage(t, "audit"))
	file := filepath.Join(t.TempDir(), "manifests.yaml")
	text := fmt.Sprintf(manifests, s.host)
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := func(more ...string) []string {
		return append([]string{
			"audit", "-f", file, "--db", fixture.Database(t), "--db-dir", t.TempDir(), "--platform", "linux/amd64", "--temp-dir", t.TempDir(),
		}, more...)
	}
	write(text)
	s.forget()
	code, stdout, stderr := execute(t, args("-o", "json")...)
	var list v1alpha1.ImageReportList
	if err := json.Unmarshal([]byte(stdout), &list); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range list.Items {
		got = append(got, fmt.Sprint(strings.TrimPrefix(list.Items[i].Image.Name, s.host), " ", list.Items[i].State, " ", list.Items[i].Summary.All.High))
	}
	if diff := cmp.Diff([]string{"/debian:latest Scanned 1", "/node:1 Scanned 1"}, got); diff != "" || code != command.ExitFindings || stderr != "" || list.Kind != "ImageReportList" {
		t.Errorf("exit code %d: %s (-want +got):\n%s", code, stderr, diff)
	}
	if n := s.asked("/manifests/latest"); n != 1 {
		t.Errorf("an image that is named twice was looked for %d times", n)
	}

	if code, stdout, _ = execute(t, args()...); code != command.ExitFindings || strings.Count(stdout, "CVE-2023-5363") != 1 || strings.Count(stdout, "CVE-2021-23337") != 1 {
		t.Errorf("exit code %d, table:\n%s", code, stdout)
	}
	if code, stdout, _ = execute(t, args("-o", "sarif", "--fail-on=critical")...); code != 0 || !strings.Contains(stdout, `"executionSuccessful": true`) ||
		!strings.Contains(stdout, `"ruleId": "CVE-2023-5363"`) || !strings.Contains(stdout, `"ruleId": "CVE-2021-23337"`) {
		t.Errorf("exit code %d, SARIF:\n%s", code, stdout)
	}

	// What cannot be looked at is told, and the rest is looked at.
	write(strings.Replace(strings.Replace(text, "/node:1", "/gone:1", 1), s.host+`/debian"`, `docker-archive:/etc/passwd"`, 1))
	code, stdout, stderr = execute(t, args("-o", "sarif")...)
	if code != command.ExitInput || !strings.Contains(stdout, `"executionSuccessful": false`) || !strings.Contains(stdout, `"ruleId": "CVE-2023-5363"`) ||
		!strings.Contains(stderr, `Error: Deployment shop/cart: container "init": "docker-archive:/etc/passwd" is no name of an image`) ||
		!strings.Contains(stderr, `scanning "`+s.host+`/gone:1": `) {
		t.Errorf("exit code %d: %s\n%s", code, stderr, stdout)
	}

	for name, tc := range map[string]struct{ text, want string }{
		"no objects": {"", "no Kubernetes object in the input: nothing was scanned"},
		"not YAML":   {text + "---\nkind: [\n", "1 error in the input: not all of it was scanned"},
		"no images":  {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", "Warning: the manifests name no image"},
	} {
		write(tc.text)
		if code, _, stderr := execute(t, args()...); !strings.Contains(stderr, tc.want) || (code == command.ExitInput) == strings.HasPrefix(tc.want, "Warning") {
			t.Errorf("%s: exit code %d: %s", name, code, stderr)
		}
	}
	if code, _, stderr := execute(t, "audit"); code != command.ExitInput || !strings.Contains(stderr, "-f must be set") {
		t.Errorf("without -f: exit code %d: %s", code, stderr)
	}
}

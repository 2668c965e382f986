// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// configurationFile writes a file with an AuditConfiguration.
func configurationFile(t *testing.T, spec *v1alpha1.AuditConfigurationSpec) string {
	t.Helper()
	c := &v1alpha1.AuditConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AuditConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.AuditConfigurationName}, Spec: *spec,
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return file(t, string(text))
}

func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

const configured = `
apiVersion: audit.kubersafe.io/v1alpha1
kind: AuditConfiguration
metadata: {name: default}
spec: `

func TestAuditConfig(t *testing.T) {
	for name, tc := range map[string]struct {
		config string
		code   int
		// texts that must be in what is printed.
		stdout, stderr string
	}{
		"no settings":      {configured + "{}", 1, "1 workload in 1 namespace: 1 critical", ""},
		"a check disabled": {configured + "{checks: [{names: [privileged-container], state: Disabled}]}", 0, "1 workload in 1 namespace: 0 critical", ""},
		"a check regraded": {configured + "{checks: [{names: [privileged-container], severity: Low}]}", 0, "Low        privileged-container", ""},
		"a rule for another namespace": {
			configured + "{checks: [{names: [privileged-container], state: Disabled, namespaces: {names: [blog]}}]}", 1, "1 critical", "",
		},
		"a namespace left out": {
			configured + "{namespaces: {excluded: {names: [sh*]}}}", 0,
			"0 workloads in 0 namespaces: 0 critical, 0 high, 0 medium, 0 low; 1 namespace left out\n", "",
		},
		"what is not valid is told, and the rest holds": {
			configured + "{checks: [{names: [nope, privileged-container], state: Disabled}]}", 2, "0 critical",
			`spec.checks[0].names[0]: no check is called "nope"`,
		},
		"a field that there is not": {configured + "{image: {}}", 2, "", `unknown field "spec.image"`},
		"another name": {
			strings.Replace(configured, "default", "other", 1) + "{}", 2, "", `metadata.name: "other" must be "default"`,
		},
		"another kind": {"apiVersion: v1\nkind: Pod\n", 2, "", "must be one AuditConfiguration of audit.kubersafe.io/v1alpha1"},
		"no YAML":      {"{", 2, "", "file.yaml: "},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := execute(privileged, "audit", "-f", "-", "--fail-on=critical", "--config", file(t, tc.config))
			if code != tc.code || !strings.Contains(stdout, tc.stdout) || !strings.Contains(stderr, tc.stderr) {
				t.Errorf("code %d, want %d\nstdout:\n%s\nstderr:\n%s", code, tc.code, stdout, stderr)
			}
		})
	}
	if code, _, stderr := execute(privileged, "audit", "-f", "-", "--config", "no/such.yaml"); code != 2 || !strings.Contains(stderr, "no/such.yaml") {
		t.Errorf("code %d\n%s", code, stderr)
	}
}

// TestAuditExceptions: exceptions among the manifests count, within the limits of the configuration.
func TestAuditExceptions(t *testing.T) {
	soon := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	exception := func(kind, spec string) string {
		return "\n---\napiVersion: audit.kubersafe.io/v1alpha1\nkind: " + kind + "\nmetadata: {name: known, namespace: shop}\n" +
			"spec: {reason: until the rebuild, subjects: [{kind: Deployment, name: web}], " + strings.ReplaceAll(spec, "SOON", `"`+soon+`"`) + "}\n"
	}
	for name, tc := range map[string]struct {
		manifests, config string
		stdout, stderr    string
	}{
		"a cluster's exception exempts what is critical": {
			manifests: exception("ClusterSecurityException", "checks: [privileged-container], expirationTime: SOON"),
			stdout:    "Critical   privileged-container   Deployment/web   ClusterSecurityException/known   " + soon + "   until the rebuild",
		},
		"a namespace's may not": {
			manifests: exception("SecurityException", "checks: [privileged-container], expirationTime: SOON"),
			stdout:    "1 critical",
			stderr:    `SecurityException "shop/known": NotPermitted: the findings that it is about are of severities`,
		},
		"unless the configuration lets it": {
			manifests: exception("SecurityException", "checks: [privileged-container], expirationTime: SOON"),
			config:    configured + "{exceptions: {namespaced: {severities: [Critical]}}}",
			stdout:    "0 critical",
		},
		"it must end": {
			manifests: exception("SecurityException", "checks: [no-cpu-request]"), stderr: `"shop/known": NotPermitted: it must have an expirationTime`,
		},
		"soon": {
			manifests: exception("SecurityException", `checks: [no-cpu-request], expirationTime: "2099-01-01T00:00:00Z"`),
			stderr:    `"shop/known": NotPermitted: it must end within 90 days`,
		},
		"what has ended is told": {
			manifests: exception("ClusterSecurityException", `checks: [privileged-container], expirationTime: "2026-01-01T00:00:00Z"`),
			stdout:    "1 critical", stderr: `ClusterSecurityException "known": Expired: it ended at 2026-01-01T00:00:00Z`,
		},
		"what is not used is told": {
			manifests: exception("SecurityException", "checks: [host-pid], expirationTime: SOON"), stderr: `Warning: SecurityException "shop/known": Unused`,
		},
		"what is for a namespace with nothing in it is told": {
			manifests: strings.Replace(exception("SecurityException", "checks: [host-pid], expirationTime: SOON"), "namespace: shop", "namespace: blog", 1),
			stderr:    `Warning: SecurityException "blog/known": Unused`,
		},
		"what matches nothing is told": {
			manifests: exception("SecurityException", "checks: [host-pids], expirationTime: SOON"),
			stderr:    `"shop/known": Invalid: spec.checks[0]: no check is called "host-pids"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"audit", "-f", "-"}
			if tc.config != "" {
				args = append(args, "--config", file(t, tc.config))
			}
			_, stdout, stderr := execute(privileged+tc.manifests, args...)
			if !strings.Contains(stdout, tc.stdout) || !strings.Contains(stderr, tc.stderr) || tc.stderr == "" && stderr != "" {
				t.Errorf("stdout:\n%s\nstderr:\n%s", stdout, stderr)
			}
		})
	}
}

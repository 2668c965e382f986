// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].env[*].valueFrom.secretKeyRef and envFrom[*].secretRef, init and ephemeral containers
// likewise. Allowed: none.
var _ = register(audit.Check{
	ID:          "secret-in-env",
	Title:       "Secrets are mounted as files, not set as environment variables",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategorySecrets,
	Rationale:   "Environment variables are inherited by every child process, and end up in crash reports, debug pages and logs, where others read them.",
	Remediation: "Mount the Secret as a volume and let the application read the file; programs often take its path from a variable that ends in _FILE.",
	Before:      "env:\n- name: DB_PASSWORD\n  valueFrom: {secretKeyRef: {name: db, key: password}}",
	After:       "volumeMounts:\n- {name: db, mountPath: /etc/db, readOnly: true}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.4.1"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/configuration/secret/#using-secrets-as-files-from-a-pod",
		"https://kubernetes.io/docs/concepts/security/secrets-good-practices/",
	},
	Pod: secretInEnv,
})

func secretInEnv(pod *audit.Pod, r *audit.Reporter) {
	for c := range pod.Containers() {
		find := func(field, message string) {
			r.Find(audit.Finding{Message: message, Container: c.Name, Path: c.Path(field)})
		}
		for _, e := range c.Env {
			if e.ValueFrom != nil && e.ValueFrom.SecretKeyRef != nil {
				find("env[name="+e.Name+"].valueFrom.secretKeyRef",
					fmt.Sprintf("container %q must not set environment variable %q from Secret %q", c.Name, e.Name, e.ValueFrom.SecretKeyRef.Name))
			}
		}
		for i, from := range c.EnvFrom {
			if from.SecretRef != nil {
				find(fmt.Sprintf("envFrom[%d].secretRef", i),
					fmt.Sprintf("container %q must not set environment variables from Secret %q", c.Name, from.SecretRef.Name))
			}
		}
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/credential"
)

// Looks at spec.containers[*].env[*].value, command, args, and what probes and hooks run, init and ephemeral containers
// likewise. Allowed: no credential, neither by a format that providers use nor by a name such as DB_PASSWORD. Only marks come
// here: the values were taken out when the Pod was read.
var _ = register(audit.Check{
	ID:          "literal-secret",
	Title:       "Manifests hold no credentials",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategorySecrets,
	Rationale:   "Whoever may read the workload, its history in git or the node's process list has the credential, which neither RBAC on Secrets nor encryption at rest guards.",
	Remediation: "Replace the credential, put the new one into a Secret, and mount that as a file or refer to it with valueFrom.secretKeyRef.",
	Before:      "env:\n- {name: DB_PASSWORD, value: correct-horse}",
	After:       "env:\n- {name: DB_PASSWORD_FILE, value: /etc/db/password}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Secrets"},
		{Framework: audit.FrameworkOWASP, ID: "K08"},
		{Framework: audit.FrameworkMITRE, ID: "T1552"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/secrets-good-practices/",
		"https://owasp.org/www-project-kubernetes-top-ten/2022/en/src/K08-secrets-management",
	},
	Pod: literalSecret,
})

func literalSecret(pod *audit.Pod, r *audit.Reporter) {
	for c := range pod.Containers() {
		find := func(kind, field, what string) {
			if kind != "" {
				r.Find(audit.Finding{
					Message:   fmt.Sprintf("container %q must not have a credential in %s: %s", c.Name, what, kind),
					Container: c.Name,
					Path:      c.Path(field),
				})
			}
		}
		for _, e := range c.Env {
			find(credential.Marked(e.Value), "env[name="+e.Name+"].value", fmt.Sprintf("environment variable %q", e.Name))
		}
		for field, words := range c.CommandLines() {
			for i, word := range words {
				find(credential.Marked(word), fmt.Sprintf("%s[%d]", field, i), field)
			}
		}
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --encryption-provider-config of API servers. Where it names a file, that may encrypt secrets or leave them as they are, which
// cannot be seen.
var _ = register(audit.Check{
	ID:          "secrets-not-encrypted",
	Title:       "Secrets are encrypted at rest",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategorySecrets,
	Rationale:   "Whoever gets at etcd's disk, a snapshot of it or a backup reads all Secrets of the cluster.",
	Remediation: "Write an EncryptionConfiguration with a provider for secrets, best of a key management service, and set --encryption-provider-config to it.",
	Before:      "command:\n- kube-apiserver",
	After:       "command:\n- kube-apiserver\n- --encryption-provider-config=/etc/kubernetes/encryption.yaml",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "1.2.27"},
		{Framework: audit.FrameworkNSA, ID: "Secrets"},
		{Framework: audit.FrameworkOWASP, ID: "K08"},
		{Framework: audit.FrameworkMITRE, ID: "T1552"},
	},
	References: []string{
		"https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/",
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: secretsNotEncrypted,
})

func secretsNotEncrypted(c *audit.Cluster, r *audit.Reporter) {
	eachProgram(c, r, audit.APIServer, func(server *audit.Component) {
		if server.Flags.Get("encryption-provider-config") != "" {
			skipFile(r, server, "encryption-provider-config")
			return
		}
		r.Find(server.Finding("encryption-provider-config", fmt.Sprintf("%q must set flag %q", server.Program, "--encryption-provider-config")))
	})
}

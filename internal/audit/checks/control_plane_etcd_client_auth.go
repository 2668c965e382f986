// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --cert-file, --key-file, --client-cert-auth and --auto-tls of etcd. Required are a certificate and its key, and
// that clients show theirs; certificates that etcd signs itself are forbidden. Flags may be environment variables or in a file, which
// cannot be seen.
var _ = register(audit.Check{
	ID:          "etcd-client-auth",
	Title:       "etcd serves only clients with a certificate",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Whoever reaches etcd reads and writes everything in the cluster, Secrets and roles included, past the API server.",
	Remediation: "Set --cert-file, --key-file, --trusted-ca-file and --client-cert-auth=true, and remove --auto-tls.",
	Before:      "command:\n- etcd\n- --listen-client-urls=http://0.0.0.0:2379",
	After:       "command:\n- etcd\n- --cert-file=/etc/kubernetes/pki/etcd/server.crt\n- --key-file=/etc/kubernetes/pki/etcd/server.key\n- --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt\n- --client-cert-auth=true",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "2.1"},
		{Framework: audit.FrameworkCIS, ID: "2.2"},
		{Framework: audit.FrameworkCIS, ID: "2.3"},
		{Framework: audit.FrameworkNSA, ID: "Control plane hardening"},
		{Framework: audit.FrameworkOWASP, ID: "K09"},
	},
	References: []string{
		"https://etcd.io/docs/v3.6/op-guide/security/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: etcdClientAuth,
})

func etcdClientAuth(c *audit.Cluster, r *audit.Reporter) {
	eachProgram(c, r, audit.Etcd, func(etcd *audit.Component) { judgeEtcd(r, etcd, "") })
}

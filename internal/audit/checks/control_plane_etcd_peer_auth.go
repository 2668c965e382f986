// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --peer-cert-file, --peer-key-file, --peer-client-cert-auth and --peer-auto-tls of etcd. Required are a certificate and its key, and
// that peers show theirs; certificates that etcd signs itself are forbidden. Flags may be environment variables or in a file, which
// cannot be seen.
var _ = register(audit.Check{
	ID:          "etcd-peer-auth",
	Title:       "Members of etcd show each other a certificate",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Whoever reaches the port for peers joins as a member, and has a copy of everything in the cluster.",
	Remediation: "Set --peer-cert-file, --peer-key-file, --peer-trusted-ca-file and --peer-client-cert-auth=true, and remove --peer-auto-tls.",
	Before:      "command:\n- etcd\n- --listen-peer-urls=http://0.0.0.0:2380",
	After:       "command:\n- etcd\n- --peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt\n- --peer-key-file=/etc/kubernetes/pki/etcd/peer.key\n- --peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt\n- --peer-client-cert-auth=true",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "2.4"},
		{Framework: audit.FrameworkCIS, ID: "2.5"},
		{Framework: audit.FrameworkCIS, ID: "2.6"},
		{Framework: audit.FrameworkNSA, ID: "Control plane hardening"},
		{Framework: audit.FrameworkOWASP, ID: "K09"},
	},
	References: []string{
		"https://etcd.io/docs/v3.6/op-guide/security/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: etcdPeerAuth,
})

func etcdPeerAuth(c *audit.Cluster, r *audit.Reporter) {
	eachProgram(c, r, audit.Etcd, func(etcd *audit.Component) { judgeEtcd(r, etcd, "peer-") })
}

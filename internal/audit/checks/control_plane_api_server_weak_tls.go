// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"crypto/tls"
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --tls-min-version and --tls-cipher-suites of API servers. Allowed: unset, which is TLS 1.2 and Go's own choice;
// TLS 1.2 and 1.3; and suites that Go does not call insecure.
var _ = register(audit.Check{
	ID:          "api-server-weak-tls",
	Title:       "The API server speaks strong TLS only",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryAccess,
	Rationale:   "Who can listen on the way to the API server may come to read tokens and Secrets out of connections that old protocols protect.",
	Remediation: "Set --tls-min-version to VersionTLS12 or VersionTLS13, and remove the weak suites from --tls-cipher-suites.",
	Before:      "command:\n- kube-apiserver\n- --tls-min-version=VersionTLS10",
	After:       "command:\n- kube-apiserver\n- --tls-min-version=VersionTLS13",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Encryption"},
		{Framework: audit.FrameworkOWASP, ID: "K09"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: apiServerWeakTLS,
})

func apiServerWeakTLS(c *audit.Cluster, r *audit.Reporter) {
	eachProgram(c, r, audit.APIServer, func(server *audit.Component) {
		if version := server.Flags.Get("tls-min-version"); version == "VersionTLS10" || version == "VersionTLS11" {
			r.Find(server.Finding("tls-min-version", fmt.Sprintf("%q must not set flag %q to %q", server.Program, "--tls-min-version", version)))
		}
		for _, weak := range tls.InsecureCipherSuites() {
			if slices.Contains(server.Flags.List("tls-cipher-suites"), weak.Name) {
				r.Find(server.Finding("tls-cipher-suites."+weak.Name, fmt.Sprintf("%q must not have %q among its %q", server.Program, weak.Name, "--tls-cipher-suites")))
			}
		}
	})
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --token-auth-file and --basic-auth-file of API servers. Allowed: unset.
var _ = register(audit.Check{
	ID:          "api-server-token-auth-file",
	Title:       "Nobody signs in with a token out of a file",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "The tokens in the file never expire, and nobody can take one back without restarting the API server.",
	Remediation: "Remove --token-auth-file, and let users sign in through OpenID Connect.",
	Before:      "command:\n- kube-apiserver\n- --token-auth-file=/etc/kubernetes/tokens.csv",
	After:       "command:\n- kube-apiserver",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "1.2.2"},
		{Framework: audit.FrameworkNSA, ID: "Authentication"},
		{Framework: audit.FrameworkOWASP, ID: "K06"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file",
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: apiServerTokenAuthFile,
})

func apiServerTokenAuthFile(c *audit.Cluster, r *audit.Reporter) {
	eachProgram(c, r, audit.APIServer, func(server *audit.Component) {
		for _, flag := range []string{"token-auth-file", "basic-auth-file"} {
			if server.Flags.Get(flag) != "" {
				r.Find(server.Finding(flag, fmt.Sprintf("%q must not set flag %q", server.Program, "--"+flag)))
			}
		}
	})
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --anonymous-auth of API servers. Allowed: false, and what authorizes with AlwaysAllow, which is for another check. Where it
// is not set, a file of --authentication-config may say otherwise, which cannot be seen.
var _ = register(audit.Check{
	ID:          "api-server-anonymous-auth",
	Title:       "The API server lets nobody in without a name",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever reaches the API server may ask it as system:anonymous, and gets whatever a binding or a flaw gives everybody.",
	Remediation: "Set --anonymous-auth=false or, so that probes of /livez and /readyz still work, limit anonymous requests to these paths with --authentication-config.",
	Before:      "command:\n- kube-apiserver\n- --anonymous-auth=true",
	After:       "command:\n- kube-apiserver\n- --anonymous-auth=false",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "1.2.1"},
		{Framework: audit.FrameworkNSA, ID: "Authentication"},
		{Framework: audit.FrameworkOWASP, ID: "K06"},
		{Framework: audit.FrameworkMITRE, ID: "T1078.001"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/access-authn-authz/authentication/#anonymous-requests",
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: apiServerAnonymousAuth,
})

func apiServerAnonymousAuth(c *audit.Cluster, r *audit.Reporter) {
	eachProgram(c, r, audit.APIServer, func(server *audit.Component) {
		if len(server.Flags["anonymous-auth"]) == 0 && server.Flags.Get("authentication-config") != "" {
			skipFile(r, server, "authentication-config")
			return
		}
		if modes, known := authorizers(server); known && slices.Contains(modes, "AlwaysAllow") {
			return // the API server switches it off by itself
		}
		judgeSwitch(r, server, "anonymous-auth", false, true)
	})
}

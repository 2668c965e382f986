// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --authorization-mode of API servers. Allowed: lists without AlwaysAllow; unset is AlwaysAllow. A file of
// --authorization-config, which takes its place, cannot be seen.
var _ = register(audit.Check{
	ID:          "api-server-always-allow",
	Title:       "The API server does not allow everything to everybody",
	Severity:    v1alpha1.SeverityCritical,
	Category:    audit.CategoryAccess,
	Rationale:   "Whoever is authenticated, every Pod with a token among them, may do anything in the cluster.",
	Remediation: "Set --authorization-mode=Node,RBAC.",
	Before:      "command:\n- kube-apiserver\n- --authorization-mode=AlwaysAllow",
	After:       "command:\n- kube-apiserver\n- --authorization-mode=Node,RBAC",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "1.2.6"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K09"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/access-authn-authz/authorization/",
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: apiServerAlwaysAllow,
})

func apiServerAlwaysAllow(c *audit.Cluster, r *audit.Reporter) {
	eachAuthorizer(c, r, func(server *audit.Component, modes []string) {
		if slices.Contains(modes, "AlwaysAllow") {
			r.Find(server.Finding("authorization-mode", fmt.Sprintf("%q must not authorize with %q", server.Program, "AlwaysAllow")))
		}
	})
}

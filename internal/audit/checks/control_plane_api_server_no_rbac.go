// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --authorization-mode of API servers. Allowed: lists with RBAC. A file of --authorization-config, which takes its
// place, cannot be seen. AlwaysAllow is for another check.
var _ = register(audit.Check{
	ID:          "api-server-no-rbac",
	Title:       "The API server authorizes by RBAC",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Roles and bindings have no effect, and whatever authorizes in their place is not what everybody reads in the cluster.",
	Remediation: "Add RBAC to --authorization-mode.",
	Before:      "command:\n- kube-apiserver\n- --authorization-mode=Node,Webhook",
	After:       "command:\n- kube-apiserver\n- --authorization-mode=Node,RBAC,Webhook",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "1.2.8"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K09"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/access-authn-authz/authorization/",
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: apiServerNoRBAC,
})

func apiServerNoRBAC(c *audit.Cluster, r *audit.Reporter) {
	eachAuthorizer(c, r, func(server *audit.Component, modes []string) {
		if !slices.Contains(modes, "RBAC") && !slices.Contains(modes, "AlwaysAllow") {
			r.Find(server.Finding("authorization-mode", fmt.Sprintf("%q must authorize with %q: it does with %q", server.Program, "RBAC", modes)))
		}
	})
}

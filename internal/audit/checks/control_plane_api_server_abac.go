// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --authorization-mode of API servers. Allowed: lists without ABAC. A file of --authorization-config, which takes its
// place, cannot be seen.
var _ = register(audit.Check{
	ID:          "api-server-abac",
	Title:       "The API server does not authorize by a file of attributes",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "The policy is a file on the nodes of the control plane, which no audit of roles sees, and which only a restart changes.",
	Remediation: "Remove ABAC from --authorization-mode, and grant by roles and bindings what its file does.",
	Before:      "command:\n- kube-apiserver\n- --authorization-mode=Node,RBAC,ABAC",
	After:       "command:\n- kube-apiserver\n- --authorization-mode=Node,RBAC",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K09"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/access-authn-authz/authorization/",
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: apiServerABAC,
})

func apiServerABAC(c *audit.Cluster, r *audit.Reporter) {
	eachAuthorizer(c, r, func(server *audit.Component, modes []string) {
		if slices.Contains(modes, "ABAC") {
			r.Find(server.Finding("authorization-mode", fmt.Sprintf("%q must not authorize with %q", server.Program, "ABAC")))
		}
	})
}

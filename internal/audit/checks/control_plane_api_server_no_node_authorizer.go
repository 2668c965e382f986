// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at --authorization-mode of API servers. Allowed: lists with Node. A file of --authorization-config, which takes its
// place, cannot be seen. AlwaysAllow is for another check.
var _ = register(audit.Check{
	ID:          "api-server-no-node-authorizer",
	Title:       "Kubelets are authorized by what runs on their node",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "A kubelet, and whoever takes over its node, may read what Pods on other nodes use, Secrets included.",
	Remediation: "Add Node to --authorization-mode.",
	Before:      "command:\n- kube-apiserver\n- --authorization-mode=RBAC",
	After:       "command:\n- kube-apiserver\n- --authorization-mode=Node,RBAC",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "1.2.7"},
		{Framework: audit.FrameworkOWASP, ID: "K09"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/access-authn-authz/authorization/",
		"https://kubernetes.io/docs/reference/command-line-tools-reference/kube-apiserver/",
	},
	Needs:        []audit.Resource{audit.Pods},
	ControlPlane: apiServerNoNodeAuthorizer,
})

func apiServerNoNodeAuthorizer(c *audit.Cluster, r *audit.Reporter) {
	eachAuthorizer(c, r, func(server *audit.Component, modes []string) {
		if !slices.Contains(modes, "Node") && !slices.Contains(modes, "AlwaysAllow") {
			r.Find(server.Finding("authorization-mode", fmt.Sprintf("%q must authorize with %q: it does with %q", server.Program, "Node", modes)))
		}
	})
}

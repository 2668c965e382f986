// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"
	"strconv"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at rules of roles for "*" in verbs, apiGroups and resources. Allowed: none.
var _ = register(audit.Check{
	ID:          "rbac-wildcard",
	Title:       "Roles name what they allow",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "A wildcard allows what nobody has thought of: subresources that run commands, verbs that lift bounds, and every kind that is added later.",
	Remediation: "List the verbs, API groups and resources that are needed.",
	Before:      "kind: Role\nrules:\n- apiGroups: [apps]\n  resources: [\"*\"]\n  verbs: [\"*\"]",
	After:       "kind: Role\nrules:\n- apiGroups: [apps]\n  resources: [deployments]\n  verbs: [get, list, watch]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.1.3"},
		{Framework: audit.FrameworkNSA, ID: "Role-based access control"},
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1098.006"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#least-privilege",
	},
	Needs:   audit.PowerResources,
	Role:    wildcardIn,
	Binding: given(wildcardBound),
})

func wildcardIn(role *audit.Role, r *audit.Reporter) { findRules(role, r, "", wildcard) }

func wildcardBound(b *audit.Binding, r *audit.Reporter) {
	if b.RoleDefault && gives(b) && worstOf(b) == nil && wildcard(b.Rules) != "" {
		findRoleRef(b, r, "", "give wildcards")
	}
}

// wildcard tells where rules have one, or returns "".
func wildcard(rules []rbacv1.PolicyRule) string {
	for _, rule := range rules {
		var fields []string
		for _, f := range []struct {
			name   string
			values []string
		}{{"verbs", rule.Verbs}, {"apiGroups", rule.APIGroups}, {"resources", rule.Resources}} {
			if slices.Contains(f.values, rbacv1.ResourceAll) {
				fields = append(fields, strconv.Quote(f.name))
			}
		}
		if len(fields) > 0 {
			return `have "*" in ` + strings.Join(fields, ", ")
		}
	}
	return ""
}

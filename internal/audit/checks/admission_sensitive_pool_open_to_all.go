// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks for what restricts who may tolerate the taints of dedicated nodes: a ValidatingAdmissionPolicy that denies and reads
// tolerations of Pods, or the admission plugin PodTolerationRestriction. Webhooks that are asked about Pods may do it, which
// cannot be seen.
var _ = register(audit.Check{
	ID:          "sensitive-pool-open-to-all",
	Title:       "Not everybody may tolerate the taints of dedicated nodes",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Whoever may create Pods anywhere adds the toleration to one, and has it run beside the sensitive workloads.",
	Remediation: "Write a ValidatingAdmissionPolicy that denies the toleration outside of the namespaces that it is meant for.",
	Before:      "spec:\n  tolerations:\n  - {key: dedicated, operator: Exists}",
	After:       "validations:\n- expression: >-\n    !object.spec.?tolerations.orValue([]).exists(t, t.key == \"dedicated\")",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Worker node segmentation"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/",
		"https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#podtolerationrestriction",
	},
	Setting:   "spec.sensitiveWorkloads.dedicatedNodeKeys is set",
	Applies:   tellDedicated,
	Needs:     []audit.Resource{audit.Nodes, audit.Pods, audit.ValidatingWebhooks, audit.AdmissionPolicies, audit.AdmissionPolicyBindings},
	Admission: sensitivePoolOpenToAll,
})

func sensitivePoolOpenToAll(c *audit.Cluster, r *audit.Reporter) {
	pool := slices.ContainsFunc(c.Nodes, func(n *audit.NodeRecord) bool { return dedicatedKey(n.TaintKeys, r.Settings()) != "" })
	if !pool || slices.ContainsFunc(c.Denying(), func(p *audit.AdmissionPolicyRecord) bool { return p.Tolerations }) {
		return
	}
	if mayRestrict(c, r, "PodTolerationRestriction", "who may tolerate the taints of dedicated nodes") {
		return
	}
	r.Find(audit.Finding{
		Message: "dedicated nodes must not be open to all: nothing restricts which Pods may tolerate their taints",
		Path:    string(audit.AdmissionPolicies),
	})
}

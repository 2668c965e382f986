// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks for what restricts who may tolerate the taints of dedicated nodes: a ValidatingAdmissionPolicy that denies and reads
// tolerations of Pods, in every namespace but those of the system. Webhooks that are asked about Pods may do it, and so may the
// admission plugin PodTolerationRestriction, by annotations of namespaces: that cannot be seen.
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
	Needs:     []audit.Resource{audit.Nodes, audit.Namespaces, audit.Pods, audit.ValidatingWebhooks, audit.MutatingWebhooks, audit.AdmissionPolicies, audit.AdmissionPolicyBindings},
	Admission: sensitivePoolOpenToAll,
})

var tolerationRestriction = restriction{
	what:   "who may tolerate the taints of dedicated nodes",
	policy: func(p *audit.AdmissionPolicyRecord) bool { return p.Tolerations },
}

func sensitivePoolOpenToAll(c *audit.Cluster, r *audit.Reporter) {
	if !slices.ContainsFunc(c.Nodes, func(n *audit.NodeRecord) bool { return dedicatedKey(n.TaintKeys, r.Settings()) != "" }) {
		return
	}
	const plugin = "PodTolerationRestriction"
	left := tolerationRestriction.left(c, r, plugin)
	switch {
	case left == "":
	case allHave(c, plugin):
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("the admission plugin %q restricts what annotations of namespaces say, which are not read", plugin))
	default:
		r.Find(audit.Finding{
			Message: fmt.Sprintf("dedicated nodes must not be open to all: nothing restricts which Pods of namespace %q may tolerate their taints", left),
			Path:    string(audit.AdmissionPolicies),
		})
	}
}

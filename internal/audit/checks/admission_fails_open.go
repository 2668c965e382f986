// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at failurePolicy, namespaceSelector and objectSelector of validating webhooks that are asked about Pods, the same of
// ValidatingAdmissionPolicies on Pods that deny, but for namespaces, and parameterNotFoundAction of their bindings. Allowed: Fail,
// Deny, selectors of namespaces by which the webhooks of a configuration together leave out system namespaces and their own alone,
// and selectors of objects that select by labels which Pods must have. Webhooks of providers that their users cannot change are not
// looked at.
var _ = register(audit.Check{
	ID:          "admission-fails-open",
	Title:       "What controls Pods fails closed, and everywhere",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Who makes the webhook unavailable, or uses a namespace that it does not see, has whatever it forbids let in.",
	Remediation: "Set failurePolicy to Fail, run the webhook in several replicas, and leave out no namespaces but those of the platform.",
	Before:      "webhooks:\n- name: validation.gatekeeper.sh\n  failurePolicy: Ignore",
	After:       "webhooks:\n- name: validation.gatekeeper.sh\n  failurePolicy: Fail",
	Controls: []audit.Control{
		{Framework: audit.FrameworkOWASP, ID: "K04"},
		{Framework: audit.FrameworkMITRE, ID: "T1562.001"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/cluster-administration/admission-webhooks-good-practices/",
		"https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#failure-policy",
	},
	Needs:     []audit.Resource{audit.Namespaces, audit.ValidatingWebhooks, audit.AdmissionPolicies, audit.AdmissionPolicyBindings},
	Admission: admissionFailsOpen,
})

func admissionFailsOpen(c *audit.Cluster, r *audit.Reporter) {
	for _, configuration := range c.Validating {
		if !configuration.OfProvider() {
			webhooksFailOpen(c, r, configuration)
		}
	}
	for i := range c.Denying {
		policyFailsOpen(r, &c.Denying[i])
	}
}

// webhooksFailOpen judges the webhooks of a configuration that are asked about Pods. What they are there for is not seen.
func webhooksFailOpen(c *audit.Cluster, r *audit.Reporter, configuration *audit.WebhookRecord) {
	find := func(w *audit.Webhook, field, message string) {
		r.Find(audit.Finding{
			Message: fmt.Sprintf("webhook %q, if it is there to restrict Pods, must %s", w.Name, message),
			Object:  &v1alpha1.ObjectReference{Kind: "ValidatingWebhookConfiguration", Name: configuration.Name},
			Path:    fmt.Sprintf("webhooks[name=%s].%s", w.Name, field),
		})
	}
	var asked []*audit.Webhook
	for i := range configuration.Webhooks {
		w := &configuration.Webhooks[i]
		if !w.Pods {
			continue
		}
		asked = append(asked, w)
		if w.FailsOpen {
			find(w, "failurePolicy", "set failurePolicy to Fail")
		}
		if w.OptOut {
			find(w, "objectSelector", "not leave out Pods by labels that whoever creates them sets: its objectSelector does")
		}
	}
	if left := leftOut(c, r, asked); left != "" {
		find(asked[0], "namespaceSelector", fmt.Sprintf("not leave namespaces out: its namespaceSelector does namespace %q", left))
	}
}

// leftOut returns the first namespace that all of some webhooks leave out and that runs none of them, or "".
func leftOut(c *audit.Cluster, r *audit.Reporter, webhooks []*audit.Webhook) string {
	if len(webhooks) == 0 {
		return ""
	}
	for n := range judgedNamespaces(c, r) {
		if !slices.ContainsFunc(webhooks, func(w *audit.Webhook) bool { return w.ServiceNamespace == n.Name || w.Covers(n) }) {
			return n.Name
		}
	}
	return ""
}

func policyFailsOpen(r *audit.Reporter, p *audit.DenyingPolicy) {
	find := func(kind, name, path, message string) {
		r.Find(audit.Finding{Message: message, Object: &v1alpha1.ObjectReference{Kind: kind, Name: name}, Path: path})
	}
	const policy, binding = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
	if p.FailsOpen {
		find(policy, p.Name, "spec.failurePolicy", fmt.Sprintf("policy %q must set failurePolicy to Fail", p.Name))
	}
	if p.OptOut {
		find(policy, p.Name, "spec.matchConstraints.objectSelector",
			fmt.Sprintf("policy %q must not leave out Pods by labels that whoever creates them sets: its objectSelector does", p.Name))
	}
	for _, b := range p.Bindings {
		if b.OptOut {
			find(binding, b.Name, "spec.matchResources.objectSelector",
				fmt.Sprintf("binding %q must not leave out Pods by labels that whoever creates them sets: its objectSelector does", b.Name))
		}
		if p.Parameters && b.Lenient {
			find(binding, b.Name, "spec.paramRef.parameterNotFoundAction", fmt.Sprintf("binding %q must set parameterNotFoundAction to Deny", b.Name))
		}
	}
}

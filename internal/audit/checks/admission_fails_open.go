// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at failurePolicy and namespaceSelector of validating webhooks that are asked about Pods, and at failurePolicy of
// ValidatingAdmissionPolicies on Pods that deny. Allowed: Fail, and selectors that leave out system namespaces and the webhook's
// own alone. Webhooks of providers that their users cannot change are left out.
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
		if configuration.OfProvider() {
			continue
		}
		object := &v1alpha1.ObjectReference{Kind: "ValidatingWebhookConfiguration", Name: configuration.Name}
		for _, w := range configuration.Webhooks {
			if !w.Pods {
				continue
			}
			path := fmt.Sprintf("webhooks[name=%s].", w.Name)
			if w.FailsOpen {
				r.Find(audit.Finding{
					Message: fmt.Sprintf("webhook %q must set failurePolicy to Fail", w.Name), Object: object, Path: path + "failurePolicy",
				})
			}
			if left := leftOut(c, r, &w); left != "" {
				r.Find(audit.Finding{
					Message: fmt.Sprintf("webhook %q must not leave namespaces out: its namespaceSelector does namespace %q", w.Name, left),
					Object:  object, Path: path + "namespaceSelector",
				})
			}
		}
	}
	for _, p := range c.Denying() {
		if p.FailsOpen {
			r.Find(audit.Finding{
				Message: fmt.Sprintf("policy %q must set failurePolicy to Fail", p.Name),
				Object:  &v1alpha1.ObjectReference{Kind: "ValidatingAdmissionPolicy", Name: p.Name}, Path: "spec.failurePolicy",
			})
		}
	}
}

// leftOut returns the first namespace that a webhook leaves out and should not, or "".
func leftOut(c *audit.Cluster, r *audit.Reporter, w *audit.Webhook) string {
	for _, n := range c.Namespaces {
		if n.Name != w.ServiceNamespace && !r.Settings().SystemNamespaces[n.Name] && !w.Namespaces.Matches(labels.Set(n.Labels)) {
			return n.Name
		}
	}
	return ""
}

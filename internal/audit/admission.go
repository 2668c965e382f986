// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// WebhookRecord is what is kept of a ValidatingWebhookConfiguration or a MutatingWebhookConfiguration.
type WebhookRecord struct {
	Object
	// Generation changes with its webhooks, and with nothing else.
	Generation int64
	Webhooks   []Webhook
}

// Equal says whether nothing that is audited differs.
func (w *WebhookRecord) Equal(v *WebhookRecord) bool {
	return w.UID == v.UID && w.Generation == v.Generation
}

// OfProvider says whether it is a provider's own: asked about Pods for other reasons than to forbid any, and put back by the
// provider when it is changed.
func (w *WebhookRecord) OfProvider() bool { return w.Name == "vpc-resource-validating-webhook" }

// Webhook is a webhook that the API server asks before it stores an object.
type Webhook struct {
	Name string
	// FailsOpen: what it is not there to be asked about is let in.
	FailsOpen bool
	// Pods: it is asked about every Pod that is created in the namespaces that it selects.
	Pods bool
	// Namespaces that it selects, by their labels.
	Namespaces labels.Selector
	// ServiceNamespace is where it runs; "" if that is not in the cluster.
	ServiceNamespace string
}

// AdmissionPolicyRecord is what is kept of a ValidatingAdmissionPolicy.
type AdmissionPolicyRecord struct {
	Object
	// Generation changes with its spec, and with nothing else.
	Generation int64
	// FailsOpen: what its expressions break down on is let in.
	FailsOpen bool
	// Pods: it is about Pods that are created in the namespaces that it selects.
	Pods bool
	// Namespaces that it selects, by their labels.
	Namespaces labels.Selector
	// Images and Tolerations say whether its expressions read those of Pods.
	Images, Tolerations bool
}

// Equal says whether nothing that is audited differs.
func (p *AdmissionPolicyRecord) Equal(q *AdmissionPolicyRecord) bool {
	return p.UID == q.UID && p.Generation == q.Generation
}

// AdmissionBindingRecord is what is kept of a ValidatingAdmissionPolicyBinding.
type AdmissionBindingRecord struct {
	Object
	// Generation changes with its spec, and with nothing else.
	Generation int64
	// Policy is the name of the policy that it puts into force.
	Policy string
	// Denies: what violates the policy is denied.
	Denies bool
	// Pods: it does not leave Pods out.
	Pods bool
	// Namespaces that it selects, by their labels.
	Namespaces labels.Selector
}

// Equal says whether nothing that is audited differs.
func (b *AdmissionBindingRecord) Equal(c *AdmissionBindingRecord) bool {
	return b.UID == c.UID && b.Generation == c.Generation
}

// CoverPods says whether rules are about Pods that are created.
func CoverPods(rules []admissionregistrationv1.RuleWithOperations) bool {
	return slices.ContainsFunc(rules, func(r admissionregistrationv1.RuleWithOperations) bool {
		if r.Scope != nil && *r.Scope == admissionregistrationv1.ClusterScope {
			return false
		}
		return containsAny(r.Operations, admissionregistrationv1.OperationAll, admissionregistrationv1.Create) &&
			containsAny(r.APIGroups, "*", "") && containsAny(r.APIVersions, "*", "v1") && containsAny(r.Resources, "*", "*/*", "pods", "pods/*")
	})
}

func containsAny[T comparable](list []T, wanted ...T) bool {
	return slices.ContainsFunc(list, func(entry T) bool { return slices.Contains(wanted, entry) })
}

// Denying returns the policies on Pods with a binding that denies.
func (c *Cluster) Denying() []*AdmissionPolicyRecord {
	var found []*AdmissionPolicyRecord
	for _, p := range c.Policies {
		if p.Pods && slices.ContainsFunc(c.Bindings, func(b *AdmissionBindingRecord) bool { return b.puts(p) }) {
			found = append(found, p)
		}
	}
	return found
}

// puts says whether the binding makes a policy deny Pods.
func (b *AdmissionBindingRecord) puts(p *AdmissionPolicyRecord) bool {
	return b.Policy == p.Name && b.Denies && b.Pods
}

// DeniesIn says whether a policy or webhook may deny a Pod in a namespace.
func (c *Cluster) DeniesIn(namespace *NamespaceRecord) bool {
	of := labels.Set(namespace.Labels)
	for _, p := range c.Policies {
		if p.Pods && p.Namespaces.Matches(of) && slices.ContainsFunc(c.Bindings, func(b *AdmissionBindingRecord) bool {
			return b.puts(p) && b.Namespaces.Matches(of)
		}) {
			return true
		}
	}
	for _, configuration := range c.Validating {
		if !configuration.OfProvider() && slices.ContainsFunc(configuration.Webhooks, func(w Webhook) bool {
			return w.Pods && w.Namespaces.Matches(of)
		}) {
			return true
		}
	}
	return false
}

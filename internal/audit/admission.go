// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"slices"
	"strings"

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

// Bystander says whether it is known to be asked about Pods for other reasons than to forbid any.
func (w *WebhookRecord) Bystander() bool { return w.Name == "vpc-resource-validating-webhook" } // counts network interfaces on EKS

// OfProvider says whether it is a provider's own, who puts it back when it is changed.
func (w *WebhookRecord) OfProvider() bool {
	return w.Bystander() || strings.HasPrefix(w.Name, "aks-") || // Azure Kubernetes Service
		strings.HasSuffix(w.Name, ".common-webhooks.networking.gke.io") || // Google Kubernetes Engine
		strings.HasPrefix(w.Name, "sre-") // OpenShift Dedicated and Red Hat OpenShift Service on AWS
}

// Scope is what of all that is created a webhook, a policy or a binding is about.
type Scope struct {
	// Pods: it is about Pods in the namespaces that it selects.
	Pods bool
	// Namespaces that it selects, by their labels.
	Namespaces labels.Selector
	// Partial is the field because of which it need not be about all of these Pods; "" if there is none.
	Partial string
	// OptOut: it is not about Pods to which whoever creates them gives certain labels.
	OptOut bool
}

// Covers says whether it is about Pods of a namespace.
func (s *Scope) Covers(namespace *NamespaceRecord) bool {
	return s.Pods && s.Namespaces.Matches(labels.Set(namespace.Labels))
}

// Webhook is a webhook that the API server asks before it stores an object.
type Webhook struct {
	Scope
	Name string
	// FailsOpen: what it is not there to be asked about is let in.
	FailsOpen bool
	// ServiceNamespace is where it runs; "" if that is not in the cluster.
	ServiceNamespace string
}

// AdmissionPolicyRecord is what is kept of a ValidatingAdmissionPolicy.
type AdmissionPolicyRecord struct {
	Object
	Scope
	// Generation changes with its spec, and with nothing else.
	Generation int64
	// Validates: it has expressions that may forbid something.
	Validates bool
	// FailsOpen: what its expressions break down on is let in.
	FailsOpen bool
	// Parameters: its expressions may read an object that its bindings name.
	Parameters bool
	// Images and Tolerations say whether its expressions read those of Pods.
	Images, Tolerations bool
}

// Equal says whether nothing that is audited differs.
func (p *AdmissionPolicyRecord) Equal(q *AdmissionPolicyRecord) bool {
	return p.UID == q.UID && p.Generation == q.Generation
}

// AdmissionBindingRecord is what is kept of a ValidatingAdmissionPolicyBinding. Its Scope narrows down that of the policy.
type AdmissionBindingRecord struct {
	Object
	Scope
	// Generation changes with its spec, and with nothing else.
	Generation int64
	// Policy is the name of the policy that it puts into force.
	Policy string
	// Denies: what violates the policy is denied.
	Denies bool
	// Lenient: without the parameters that it names, what the policy would forbid is let in.
	Lenient bool
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

// DenyingPolicy is a policy that may deny Pods, with the bindings that make it do so.
type DenyingPolicy struct {
	*AdmissionPolicyRecord
	Bindings []*AdmissionBindingRecord
}

// denying returns the policies that may deny Pods, in their order.
func denying(policies []*AdmissionPolicyRecord, bindings []*AdmissionBindingRecord) []DenyingPolicy {
	of := make(map[string][]*AdmissionBindingRecord)
	for _, b := range bindings {
		if b.Pods && b.Denies {
			of[b.Policy] = append(of[b.Policy], b)
		}
	}
	var found []DenyingPolicy
	for _, p := range policies {
		if p.Pods && p.Validates && len(of[p.Name]) > 0 {
			found = append(found, DenyingPolicy{p, of[p.Name]})
		}
	}
	return found
}

// In says whether the policy denies all Pods of a namespace that violate it. If it need not be about all of them, partial is
// the field because of which.
func (p *DenyingPolicy) In(namespace *NamespaceRecord) (denies bool, partial string) {
	if !p.Covers(namespace) {
		return false, ""
	}
	for _, b := range p.Bindings {
		if !b.Covers(namespace) {
			continue
		}
		why := cmp.Or(p.Partial, b.Partial)
		if why == "" && p.Parameters && b.Lenient {
			why = "parameterNotFoundAction"
		}
		if why == "" {
			return true, ""
		}
		partial = cmp.Or(partial, why)
	}
	return false, partial
}

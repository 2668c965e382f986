// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"k8s.io/pod-security-admission/api"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks for what restricts the Pods of each namespace: its label pod-security.kubernetes.io/enforce, a ValidatingAdmissionPolicy
// that denies, or a validating webhook. Left out are system namespaces.
var _ = register(audit.Check{
	ID:          "no-pod-admission",
	Title:       "Something controls the Pods of every namespace",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryPodSecurity,
	Rationale:   "Whoever may create Pods there creates any, privileged ones included, and nothing even looks.",
	Remediation: "Set the namespace's label pod-security.kubernetes.io/enforce, or write a ValidatingAdmissionPolicy that covers it.",
	Before:      "kind: Namespace\nmetadata:\n  name: shop",
	After:       "kind: Namespace\nmetadata:\n  name: shop\n  labels: {pod-security.kubernetes.io/enforce: restricted}",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.2.1"},
		{Framework: audit.FrameworkNSA, ID: "Pod security enforcement"},
		{Framework: audit.FrameworkOWASP, ID: "K04"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/pod-security-admission/",
		"https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/",
	},
	Needs:     []audit.Resource{audit.Namespaces, audit.Pods, audit.ValidatingWebhooks, audit.AdmissionPolicies, audit.AdmissionPolicyBindings},
	Admission: noPodAdmission,
})

func noPodAdmission(c *audit.Cluster, r *audit.Reporter) {
	if c.FromManifests {
		r.Skip(v1alpha1.SkipDataMissing, "manifests do not show what else the cluster has")
		return
	}
	note := ""
	if servers := c.Programs(audit.APIServer); len(servers) == 0 || slices.ContainsFunc(servers, func(s audit.Component) bool {
		return s.Unknown != "" || s.Flags.Get("admission-control-config-file") != ""
	}) {
		note = " (a default in the API server's own configuration cannot be seen)"
	}
	for _, n := range c.Namespaces {
		level, err := api.ParseLevel(n.Labels[api.EnforceLevelLabel])
		if r.Settings().SystemNamespaces[n.Name] || err == nil && level != api.LevelPrivileged || c.DeniesIn(n) {
			continue
		}
		r.Find(audit.Finding{
			Message: fmt.Sprintf("something must control the Pods of namespace %q: no level of Pod Security, policy or webhook does%s", n.Name, note),
			Object:  &v1alpha1.ObjectReference{Kind: audit.KindNamespace, Name: n.Name},
			Path:    "metadata.labels[" + api.EnforceLevelLabel + "]",
		})
	}
}

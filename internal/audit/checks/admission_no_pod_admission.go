// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"k8s.io/pod-security-admission/api"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks for what restricts all Pods of each namespace: its label pod-security.kubernetes.io/enforce, or a ValidatingAdmissionPolicy
// that denies. Validating webhooks that are asked about its Pods may do it, and so may policies that leave some Pods out, a default
// in a file of the API server, and what OpenShift's has built in: that cannot be seen. Left out are system namespaces.
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
	Needs:     []audit.Resource{audit.Namespaces, audit.Nodes, audit.Pods, audit.ValidatingWebhooks, audit.AdmissionPolicies, audit.AdmissionPolicyBindings},
	Admission: noPodAdmission,
})

var podRestriction = restriction{what: "what they do", policy: func(*audit.AdmissionPolicyRecord) bool { return true }}

func noPodAdmission(c *audit.Cluster, r *audit.Reporter) {
	if c.FromManifests {
		r.Skip(v1alpha1.SkipDataMissing, "manifests do not show what else the cluster has")
		return
	}
	defaulted, note := defaultLevel(c)
	for n := range judgedNamespaces(c, r) {
		text, labelled := n.Labels[api.EnforceLevelLabel]
		level, err := api.ParseLevel(text)
		if err == nil && level != api.LevelPrivileged {
			continue
		}
		restricted, may := podRestriction.in(n, c.Denying, c.Validating)
		switch {
		case restricted:
		case c.OpenShift:
			r.Skip(v1alpha1.SkipDataMissing, "OpenShift restricts Pods by SecurityContextConstraints, which are not read")
		case may != "":
			r.Skip(v1alpha1.SkipDataMissing, may)
		case !labelled && defaulted != "":
			r.Skip(v1alpha1.SkipDataMissing, defaulted)
		default:
			r.Find(audit.Finding{
				Message: fmt.Sprintf("something must control the Pods of namespace %q: no level of Pod Security, policy or validating webhook does%s", n.Name, note),
				Object:  &v1alpha1.ObjectReference{Kind: audit.KindNamespace, Name: n.Name},
				Path:    "metadata.labels[" + api.EnforceLevelLabel + "]",
			})
		}
	}
}

// defaultLevel says why namespaces without a label may have a level of Pod Security all the same, "" if nothing tells of one; and
// what is to be noted where nothing does.
func defaultLevel(c *audit.Cluster) (may, note string) {
	servers := c.Programs(audit.APIServer)
	for i := range servers {
		s := &servers[i]
		switch {
		case s.Unknown != "":
			return s.Unknown, ""
		case s.Flags.Get("admission-control-config-file") != "":
			return fmt.Sprintf("%q may take a level of Pod Security from the file of its flag %q, which the API does not show", s.Program, "--admission-control-config-file"), ""
		}
	}
	if len(servers) == 0 || unseen(c) != nil {
		note = " (a default in the API server's own configuration cannot be seen)"
	}
	return "", note
}

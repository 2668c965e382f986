// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks for what restricts the images of Pods: a ValidatingAdmissionPolicy that denies and reads images, a webhook of one of the
// imageEngines, or the admission plugin ImagePolicyWebhook. Other webhooks that are asked about Pods may do it, which cannot be
// seen.
var _ = register(audit.Check{
	ID:          "no-image-admission",
	Title:       "Admission restricts which images run",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryImages,
	Rationale:   "Whoever may create Pods runs any image from anywhere, and nothing but a review afterwards tells.",
	Remediation: "Write a ValidatingAdmissionPolicy that denies images from elsewhere than your registries, or install an engine that verifies their signatures.",
	Before:      "# no policy on images",
	After:       "validations:\n- expression: object.spec.containers.all(c, c.image.startsWith(\"registry.example.com/\"))",
	Controls: []audit.Control{
		{Framework: audit.FrameworkCIS, ID: "5.5.1"},
		{Framework: audit.FrameworkNSA, ID: "Building secure container images"},
		{Framework: audit.FrameworkOWASP, ID: "K02"},
		{Framework: audit.FrameworkOWASP, ID: "K04"},
		{Framework: audit.FrameworkMITRE, ID: "T1204.003"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/",
		"https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/#imagepolicywebhook",
	},
	Needs:     []audit.Resource{audit.Pods, audit.ValidatingWebhooks, audit.MutatingWebhooks, audit.AdmissionPolicies, audit.AdmissionPolicyBindings},
	Admission: noImageAdmission,
})

// imageEngines verify images and do nothing else. They are told by the names of their webhooks.
var imageEngines = []string{"policy.sigstore.dev", "connaisseur", "securityenforcement.admission.cloud.ibm.com"}

func noImageAdmission(c *audit.Cluster, r *audit.Reporter) {
	if slices.ContainsFunc(c.Denying(), func(p *audit.AdmissionPolicyRecord) bool { return p.Images }) {
		return
	}
	for _, configuration := range slices.Concat(c.Validating, c.Mutating) {
		for _, w := range configuration.Webhooks {
			if w.Pods && slices.ContainsFunc(imageEngines, func(name string) bool { return strings.Contains(w.Name, name) }) {
				return
			}
		}
	}
	if mayRestrict(c, r, "ImagePolicyWebhook", "images") {
		return
	}
	r.Find(audit.Finding{
		Message: "the cluster must restrict images at admission: no policy, webhook or plugin does",
		Path:    string(audit.AdmissionPolicies),
	})
}

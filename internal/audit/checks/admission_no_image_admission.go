// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks for what restricts the images of all Pods in every namespace but those of the system: a ValidatingAdmissionPolicy that
// denies and reads images, a webhook of one of the imageEngines, or the admission plugin ImagePolicyWebhook. Other webhooks that
// are asked about Pods may do it, and so may policies that leave some Pods out: that cannot be seen.
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
	Needs:     []audit.Resource{audit.Namespaces, audit.Pods, audit.ValidatingWebhooks, audit.MutatingWebhooks, audit.AdmissionPolicies, audit.AdmissionPolicyBindings},
	Admission: noImageAdmission,
})

// imageEngines verify images and do nothing else. They are told by the names of their webhooks.
var imageEngines = []string{"policy.sigstore.dev", "connaisseur", "securityenforcement.admission.cloud.ibm.com"}

var imageRestriction = restriction{
	what:   "images",
	policy: func(p *audit.AdmissionPolicyRecord) bool { return p.Images },
	webhook: func(w *audit.Webhook) bool {
		return slices.ContainsFunc(imageEngines, func(name string) bool { return strings.Contains(w.Name, name) })
	},
}

func noImageAdmission(c *audit.Cluster, r *audit.Reporter) {
	const plugin = "ImagePolicyWebhook"
	left := imageRestriction.left(c, r, plugin)
	if left == "" || allHave(c, plugin) {
		return
	}
	r.Find(audit.Finding{
		Message: fmt.Sprintf("the cluster must restrict images at admission: no policy, webhook or plugin does in namespace %q", left),
		Path:    string(audit.AdmissionPolicies),
	})
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at what became of verifying the signatures of images, as ImageReports tell it, where the AuditConfiguration demands one.
// Allowed: signed by one of the keys and identities that it names.
var _ = register(audit.Check{
	ID:          "image-signature",
	Title:       "Images are signed by whom you trust",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryImages,
	Rationale:   "Whoever can push to the registry, or stands between it and the nodes, runs code of theirs, and nothing shows that nobody of yours built it.",
	Remediation: "Sign the image in the pipeline that builds it (cosign sign), and deploy that image by its digest.",
	Before:      "image: registry.example.com/shop/cart:1.4.2 # not signed",
	After:       "image: registry.example.com/shop/cart:1.4.3 # signed with a key in spec.images.requiredSignatures",
	Controls: []audit.Control{
		{Framework: audit.FrameworkOWASP, ID: "K02"},
		{Framework: audit.FrameworkMITRE, ID: "T1525"},
	},
	References: []string{
		"https://docs.sigstore.dev/cosign/signing/overview/",
		"https://kubernetes.io/docs/tasks/administer-cluster/verify-signed-artifacts/",
	},
	Setting: "spec.images.requiredSignatures is set",
	Applies: func(s *audit.Settings) bool { return len(s.RequiredSignatures) > 0 },
	Scanned: imageSignature,
})

func imageSignature(image *audit.ScannedImage, r *audit.Reporter) {
	name := image.Image.Image
	if !r.Settings().MustBeSigned(image.Reference) {
		return
	}
	if image.Report == nil || image.Report.Signature == nil {
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("the signatures of image %q have not been verified yet", name))
		return
	}
	problem := ""
	switch s := image.Report.Signature; s.State {
	case v1alpha1.SignatureVerified:
		return
	case v1alpha1.SignatureFailed:
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("the signatures of image %q could not be verified: %s", name, s.Message))
		return
	case v1alpha1.SignatureUnsigned:
		problem = "has no signature"
	case v1alpha1.SignatureRejected:
		problem = "has none that counts"
		if s.Message != "" {
			problem += ": " + s.Message
		}
	}
	r.Find(audit.Finding{
		Message:   fmt.Sprintf("container %q must run an image that is signed by whom you trust: %q %s", image.Name, name, problem),
		Container: image.Name,
		Path:      image.Path("image"),
	})
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].image, init and ephemeral containers likewise. Allowed: a digest. What image-tag-latest finds
// (no tag, the tag latest, what is no image reference) is left to it, unless digests are required: then it is the other way
// round, and High.
var _ = register(audit.Check{
	ID:          "image-not-pinned",
	Title:       "Images are pinned to a digest",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryImages,
	Rationale:   "Whoever can push to the repository can move the tag to another image, which then runs on the next node that pulls it.",
	Remediation: "Add the digest to image (name:tag@sha256:…), as kubectl get pod -o jsonpath='{.status.containerStatuses[*].imageID}' shows it.",
	Before:      "image: registry.example.com/shop/cart:1.4.2",
	After:       "image: registry.example.com/shop/cart:1.4.2@sha256:b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c",
	Controls: []audit.Control{
		{Framework: audit.FrameworkOWASP, ID: "K02"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/containers/images/#image-names",
	},
	Image: imageNotPinned,
})

func imageNotPinned(image audit.Image, r *audit.Reporter) {
	required := r.Settings().RequireDigests
	if image.Registry == "" || image.Digest != "" || image.Latest() && !required {
		return
	}
	var severity v1alpha1.Severity
	if required {
		severity = v1alpha1.SeverityHigh
	}
	r.Find(audit.Finding{
		Severity:  severity,
		Message:   fmt.Sprintf("container %q must pin image %q to a digest", image.Name, image.Image),
		Container: image.Name,
		Path:      image.Path("image"),
	})
}

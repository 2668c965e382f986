// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].image, init and ephemeral containers likewise. Allowed: a digest, or a tag other than
// latest. No tag means latest.
var _ = register(audit.Check{
	ID:          "image-tag-latest",
	Title:       "Images have a tag other than latest",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryImages,
	Rationale:   "Whoever pushes to the repository decides what runs next, and nobody can tell which version runs now or roll back to it.",
	Remediation: "Set image to a digest (name@sha256:…) or to a version's tag.",
	Before:      "image: registry.example.com/shop/cart:latest",
	After:       "image: registry.example.com/shop/cart:1.4.2",
	References: []string{
		"https://kubernetes.io/docs/concepts/containers/images/#image-names",
		"https://kubernetes.io/docs/concepts/configuration/overview/",
	},
	Image: imageTagLatest,
})

func imageTagLatest(image audit.Image, r *audit.Reporter) {
	var why string
	switch {
	case image.Image == "":
		return // a template may leave it to an admission webhook
	case image.Registry == "":
		why = "it is not a valid image reference"
	case !image.Latest() || r.Settings().RequireDigests: // then image-not-pinned is the stricter
		return
	case image.Tag == "":
		why = "without a tag it means latest"
	default:
		why = "its tag is latest"
	}
	r.Find(audit.Finding{
		Message:   fmt.Sprintf("container %q must not use image %q: %s", image.Name, image.Image, why),
		Container: image.Name,
		Path:      image.Path("image"),
	})
}

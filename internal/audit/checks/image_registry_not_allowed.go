// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].image, init and ephemeral containers likewise. Allowed: what is in one of the configured
// repositories, compared by path segments. What is no image reference is found by image-tag-latest.
var _ = register(audit.Check{
	ID:          "image-registry-not-allowed",
	Title:       "Images come from the registries that are allowed",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryImages,
	Rationale:   "What comes from elsewhere nobody has vetted or scanned, and its owner can replace it with anything.",
	Remediation: "Push the image that you have vetted to one of the registries in spec.images.allowedRepositories, and set image to it.",
	Before:      "image: docker.io/somebody/cart:1.4.2",
	After:       "image: registry.example.com/shop/cart:1.4.2",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Building secure container images"},
		{Framework: audit.FrameworkMITRE, ID: "T1204.003"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/containers/images/#image-names",
	},
	Setting: "spec.images.allowedRepositories is set",
	Applies: func(s *audit.Settings) bool { return s.AllowedRepositories != nil },
	Image:   imageRegistryNotAllowed,
})

func imageRegistryNotAllowed(image audit.Image, r *audit.Reporter) {
	held := func(allowed audit.Repository) bool { return allowed.Holds(image.Reference) }
	if image.Registry == "" || slices.ContainsFunc(r.Settings().AllowedRepositories, held) {
		return
	}
	r.Find(audit.Finding{
		Message: fmt.Sprintf("container %q must not use image %q: %s/%s is in none of the allowed repositories",
			image.Name, image.Image, image.Registry, image.Repository),
		Container: image.Name,
		Path:      image.Path("image"),
	})
}

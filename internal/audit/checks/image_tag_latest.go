// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/distribution/reference"

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
	Pod: imageTagLatest,
})

func imageTagLatest(pod *audit.Pod, r *audit.Reporter) {
	for c := range pod.Containers() {
		if c.Image == "" {
			continue // a template may leave it to an admission webhook
		}
		must := imageMust(c.Image)
		if must == "" {
			continue
		}
		r.Find(audit.Finding{
			Message:   fmt.Sprintf("container %q must not use image %q: %s", c.Name, c.Image, must),
			Container: c.Name,
			Path:      c.Path("image"),
		})
	}
}

// imageMust says what is wrong with an image reference, or nothing.
func imageMust(image string) string {
	named, err := parseImage(image)
	switch {
	case err != nil:
		return "it is not a valid image reference"
	case !isLatest(named):
		return ""
	case reference.IsNameOnly(named):
		return "without a tag it means latest"
	}
	return "its tag is latest"
}

// isLatest says whether an image reference means the tag latest.
func isLatest(named reference.Named) bool {
	if _, ok := named.(reference.Digested); ok {
		return false
	}
	tagged, ok := reference.TagNameOnly(named).(reference.Tagged)
	return ok && tagged.Tag() == "latest"
}

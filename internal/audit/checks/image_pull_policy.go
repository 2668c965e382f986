// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].imagePullPolicy, init and ephemeral containers likewise. Allowed: unset, Always, and
// IfNotPresent for images with a digest or a tag other than latest.
var _ = register(audit.Check{
	ID:          "image-pull-policy",
	Title:       "Images are pulled from their registry",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryImages,
	Rationale:   "The node runs whatever it has under that name, old and vulnerable or put there by another Pod, and asks nobody whether this Pod may have it.",
	Remediation: "Set imagePullPolicy to Always, or to IfNotPresent and image to a digest or a version's tag.",
	Before:      "image: registry.example.com/shop/cart:1.4.2\nimagePullPolicy: Never",
	After:       "image: registry.example.com/shop/cart:1.4.2\nimagePullPolicy: Always",
	References: []string{
		"https://kubernetes.io/docs/concepts/containers/images/#image-pull-policy",
	},
	Image: imagePullPolicy,
})

func imagePullPolicy(image audit.Image, r *audit.Reporter) {
	var why string
	switch {
	case image.ImagePullPolicy == corev1.PullNever:
		why = "the node runs what it has under that name"
	case image.ImagePullPolicy == corev1.PullIfNotPresent && image.Latest():
		why = fmt.Sprintf("the tag of image %q is latest, and a node that has an old one keeps it", image.Image)
	default:
		return
	}
	r.Find(audit.Finding{
		Message:   fmt.Sprintf("container %q must not set imagePullPolicy to %q: %s", image.Name, image.ImagePullPolicy, why),
		Container: image.Name,
		Path:      image.Path("imagePullPolicy"),
		Suggested: strconv.Quote(string(corev1.PullAlways)),
	})
}

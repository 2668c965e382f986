// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at where the tags of images lead now, as ImageReports tell it, where it is known by its digest what a container runs, or is to
// run. Allowed: the same image. A digest without a tag is left alone: nobody knows what it should be compared with.
var _ = register(audit.Check{
	ID:          "image-update-available",
	Title:       "Containers run the image that its tag leads to",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryImages,
	Rationale:   "Whoever publishes the image has put another one in its place, most often because of what was wrong with this one.",
	Remediation: "Restart the rollout (kubectl rollout restart), or set image to the digest that the tag leads to now.",
	Before:      "image: registry.example.com/shop/cart:1.4 # pulled before the tag was moved",
	After:       "image: registry.example.com/shop/cart:1.4 # pulled since",
	References: []string{
		"https://kubernetes.io/docs/concepts/containers/images/#updating-images",
	},
	Scanned: imageUpdateAvailable,
})

func imageUpdateAvailable(image *audit.ScannedImage, r *audit.Reporter) {
	if image.Report == nil {
		looked(image, r)
		return
	}
	if !image.ByDigest || image.Tag == "" && image.Digest != "" {
		return // it is whatever the tag leads to, or there is no tag
	}
	tag := image.TagInReport()
	if tag == nil || tag.CurrentDigest == "" || image.Report.Image.Digest == "" {
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("it is not known where the tag of image %q leads", image.Image.Image))
		return
	}
	if tag.CurrentDigest == image.Report.Image.Digest {
		return
	}
	message := fmt.Sprintf("container %q must run what its tag leads to: %q is %s now", image.Name, image.Image.Image, shortened(tag.CurrentDigest))
	if tag.NewestTag != "" && tag.NewestTag != image.Tag {
		message += fmt.Sprintf(", and the newest version is %q", tag.NewestTag)
	}
	r.Find(audit.Finding{Message: message, Container: image.Name, Path: image.Path("image")})
}

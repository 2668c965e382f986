// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at how many packages ImageReports count in the images of containers, those of the distribution and of languages. Allowed: up
// to the configured number, 500 unless that is set.
var _ = register(audit.Check{
	ID:          "image-too-many-packages",
	Title:       "Images have few dependencies",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryImages,
	Rationale:   "Every package can have vulnerabilities or be taken over by somebody else, whether the application needs it or not.",
	Remediation: "Begin with the leanest base image, build in stages, and leave out what only builds or tests the application.",
	Before:      "image: registry.example.com/shop/cart:1.4.2 # 1,200 packages",
	After:       "image: registry.example.com/shop/cart:1.4.3 # on a distroless image, 140 packages",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Building secure container images"},
	},
	References: []string{
		"https://docs.docker.com/build/building/best-practices/",
	},
	Scanned: imageTooManyPackages,
})

func imageTooManyPackages(image *audit.ScannedImage, r *audit.Reporter) {
	if !looked(image, r) {
		return
	}
	if n, most := int(image.Report.Image.PackageCount), r.Settings().MaxPackages; n > most {
		r.Find(audit.Finding{
			Message:   fmt.Sprintf("container %q must run an image of at most %d packages: %q has %d", image.Name, most, image.Image.Image, n),
			Container: image.Name,
			Path:      image.Path("image"),
		})
	}
}

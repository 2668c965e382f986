// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the shells and package managers that ImageReports find in the images of containers. Allowed: none.
var _ = register(audit.Check{
	ID:          "image-has-shell",
	Title:       "Images have no shell and no package manager",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryImages,
	Rationale:   "Whoever gets into the container goes on with a shell, and installs with a package manager what else is needed.",
	Remediation: "Copy what runs into a base image without them, such as a distroless one.",
	Before:      "image: registry.example.com/shop/cart:1.4.2 # on debian:12",
	After:       "image: registry.example.com/shop/cart:1.4.3 # on gcr.io/distroless/base-debian12",
	References: []string{
		"https://github.com/GoogleContainerTools/distroless",
	},
	Off:     true, // most images have one
	Scanned: imageHasShell,
})

func imageHasShell(image *audit.ScannedImage, r *audit.Reporter) {
	if !looked(image, r) || len(image.Report.Image.Shells) == 0 {
		return
	}
	shells := image.Report.Image.Shells
	const most = 3
	shown := strings.Join(shells[:min(len(shells), most)], ", ")
	if len(shells) > most {
		shown += fmt.Sprintf(" and %d more", len(shells)-most)
	}
	r.Find(audit.Finding{
		Message:   fmt.Sprintf("container %q must run an image without a shell or package manager: %q has %s", image.Name, image.Image.Image, shown),
		Container: image.Name,
		Path:      image.Path("image"),
	})
}

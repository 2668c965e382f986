// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at what ImageReports tell of how far the images of containers have been scanned. Allowed: what has been scanned whole, and
// judged by a vulnerability database that is not older than the configured age, seven days unless that is set; and what waits for
// its first scan for less than six hours.
var _ = register(audit.Check{
	ID:          "image-scan-stale",
	Title:       "Images are scanned, whole and by today's knowledge",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryImages,
	Rationale:   "What nobody has looked at may have any vulnerability, and everybody but you may know of it.",
	Remediation: "Do what the ImageReport's message asks for: give the scanner credentials for the registry, mend the image, or see why the vulnerability database is old.",
	Before:      "image: registry.example.com/shop/cart:1.4.2 # which the scanner may not pull",
	After:       "imagePullSecrets: [{name: registry}]\nimage: registry.example.com/shop/cart:1.4.2",
	Controls: []audit.Control{
		{Framework: audit.FrameworkOWASP, ID: "K02"},
	},
	References: []string{
		"https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/",
	},
	Scanned: imageScanStale,
})

func imageScanStale(image *audit.ScannedImage, r *audit.Reporter) {
	name := image.Image.Image
	find := func(problem string) {
		r.Find(audit.Finding{
			Message:   fmt.Sprintf("container %q must run an image that is scanned: %q %s", image.Name, name, problem),
			Container: image.Name,
			Path:      image.Path("image"),
		})
	}
	if image.Report == nil {
		looked(image, r)
		return
	}
	switch image.Report.State {
	case v1alpha1.ImageFailed:
		find("could not be: " + why(image.Report))
	case v1alpha1.ImageUnsupported:
		find("could not be as a whole: " + why(image.Report))
	case v1alpha1.ImageStale:
		find("was judged by an old vulnerability database: " + why(image.Report))
	case v1alpha1.ImagePending:
		if image.Overdue() {
			find("has been waiting for hours: " + why(image.Report))
		} else {
			r.Skip(v1alpha1.SkipDataMissing, notScanned)
		}
	case v1alpha1.ImageScanned:
		if most := r.Settings().MaxScanAge; agedDatabase(image, most) {
			find(fmt.Sprintf("was judged by a vulnerability database that is older than %d days, and nobody brings a newer one", days(most)))
		}
	}
}

// agedDatabase says whether even the newest database that any image was judged by is too old, and the image needs one.
func agedDatabase(image *audit.ScannedImage, most time.Duration) bool {
	return image.Record.Matched != 0 && image.Past(image.Newest, most)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at what ImageReports tell of when images were built, and of the distribution that they are built on. Allowed: up to the
// configured age, 180 days unless that is set, on a distribution that still gets security updates.
var _ = register(audit.Check{
	ID:          "image-outdated",
	Title:       "Images are built anew from time to time",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryImages,
	Rationale:   "An old image lacks what has been mended since, and on a distribution that has ended nobody mends or even reports anything.",
	Remediation: "Build the image anew on a current release of its base image, and do so regularly.",
	Before:      "image: registry.example.com/shop/cart:1.4.2 # of last year, on Debian 9",
	After:       "image: registry.example.com/shop/cart:1.4.3 # of last month, on Debian 12",
	References: []string{
		"https://endoflife.date/",
		"https://docs.docker.com/build/building/best-practices/",
	},
	Scanned: imageOutdated,
})

func imageOutdated(image *audit.ScannedImage, r *audit.Reporter) {
	if !looked(image, r) {
		return
	}
	find := func(problem string) {
		r.Find(audit.Finding{
			Message:   fmt.Sprintf("container %q must run an image that %s", image.Name, problem),
			Container: image.Name,
			Path:      image.Path("image"),
		})
	}
	record, most := image.Record, r.Settings().MaxImageAge
	switch d := image.Report.Image.Distribution; {
	case image.Past(record.EndOfLife, 0):
		find(fmt.Sprintf("still gets security updates: %q is built on %s, which has had none since %s",
			image.Image.Image, strings.TrimSpace(d.ID+" "+d.Version), record.EndOfLife.Time().Format(time.DateOnly)))
	case image.Past(record.Built, most):
		find(fmt.Sprintf("was built in the last %d days: %q is of %s", days(most), image.Image.Image, record.Built.Time().Format(time.DateOnly)))
	case record.Built == 0:
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("image %q does not say when it was built", image.Image.Image))
	}
}

// days returns how many whole days a time is.
func days(d time.Duration) int { return int(d / (24 * time.Hour)) }

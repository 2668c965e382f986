// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package configuration

import (
	"time"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// compileScanning compiles what is set of images that are scanned.
func (c *Configuration) compileScanning() {
	images := &c.spec.Images
	if n := images.MaxPackages; n != nil {
		if *n < 1 {
			c.problem("spec.images.maxPackages", "%d must be greater than 0", *n)
		} else {
			c.settings.MaxPackages = int(*n)
		}
	}
	c.days("spec.images.maxAgeDays", images.MaxAgeDays, maxDays, &c.settings.MaxImageAge)
	c.days("spec.images.maxScanAgeDays", images.MaxScanAgeDays, maxScanAgeDays, &c.settings.MaxScanAge)
	for i := range images.IgnoredVulnerabilities {
		c.settings.IgnoredVulnerabilities = append(c.settings.IgnoredVulnerabilities, audit.NewIgnoredVulnerability(&images.IgnoredVulnerabilities[i]))
	}
	for i := range images.RequiredSignatures {
		c.settings.RequiredSignatures = append(c.settings.RequiredSignatures, audit.NewRequiredSignature(&images.RequiredSignatures[i]))
	}
}

// maxScanAgeDays is the most that can be set.
const maxScanAgeDays = 365

// days sets a time to a number of days, if there is one and it is valid.
func (c *Configuration) days(path string, days *int32, most int32, to *time.Duration) {
	switch {
	case days == nil:
	case *days < 1 || *days > most:
		c.problem(path, "%d must be from 1 to %d", *days, most)
	default:
		*to = time.Duration(*days) * 24 * time.Hour
	}
}

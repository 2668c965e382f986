// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at what ImageReports tell of the images of containers: by digest where it is known what runs, else by name. Allowed: no
// known vulnerability but those that the AuditConfiguration has do not count. The finding is as severe as the worst that can be
// fixed, or one grade below the worst of all, if that is more.
var _ = register(audit.Check{
	ID:          "image-vulnerabilities",
	Title:       "Images have no known vulnerabilities",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryImages,
	Rationale:   "Whoever reaches the container can use what is published about its packages, often with a program that is published too.",
	Remediation: "Build the image anew with the fixed versions of the packages, and roll it out.",
	Before:      "image: registry.example.com/shop/cart:1.4.2 # with openssl 3.0.11",
	After:       "image: registry.example.com/shop/cart:1.4.3 # with openssl 3.0.14",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Building secure container images"},
		{Framework: audit.FrameworkOWASP, ID: "K02"},
	},
	References: []string{
		"https://ossf.github.io/osv-schema/",
		"https://kubernetes.io/docs/concepts/security/cloud-native-security/",
	},
	Scanned: imageVulnerabilities,
})

func imageVulnerabilities(image *audit.ScannedImage, r *audit.Reporter) {
	if !looked(image, r) {
		return
	}
	if image.Report.State != v1alpha1.ImageScanned { // in part, or by an old database
		skipUnscanned(image, r)
	} else if age := r.Settings().MaxScanAge; agedDatabase(image, age) {
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("the vulnerability database is older than %d days", days(age)))
	}
	known := vulnerabilitiesOf(image.Report, func(v *v1alpha1.Vulnerability) bool { return r.Settings().Ignores(v, image.Reference, image.Now) }, nil)
	if known.all.total() == 0 {
		return
	}
	r.Find(audit.Finding{
		Severity:  severityOf(&known.all, &known.fixable),
		Message:   fmt.Sprintf("container %q must run an image without known vulnerabilities: %q has %s", image.Name, image.Image.Image, known),
		Container: image.Name,
		Path:      image.Path("image"),
	})
}

// vulnerabilities are those of a report that count.
type vulnerabilities struct {
	all, fixable grades
	// ignored is how many more do not count by the AuditConfiguration.
	ignored int32
	// worst are described, at most shownVulnerabilities of them.
	worst []string
}

// vulnerabilitiesOf returns those of a report that count, given which are ignored and which belong to something else; that may be nil.
func vulnerabilitiesOf(report *v1alpha1.ImageReport, ignored, elsewhere func(*v1alpha1.Vulnerability) bool) *vulnerabilities {
	known := &vulnerabilities{all: gradesOf(&report.Summary.All), fixable: gradesOf(&report.Summary.Fixable)}
	for i := range report.Vulnerabilities {
		v := &report.Vulnerabilities[i]
		switch {
		case elsewhere != nil && elsewhere(v):
		case ignored(v):
			known.ignored++
		default:
			if len(known.worst) < shownVulnerabilities {
				known.worst = append(known.worst, described(v))
			}
			continue
		}
		at := grade(v.Severity)
		known.all[at] = max(0, known.all[at]-1) // whatever somebody has written
		if v.FixedVersion != "" {
			known.fixable[at] = max(0, known.fixable[at]-1)
		}
	}
	return known
}

// String returns text such as "2 Critical, 1 High; 1 can be fixed: CVE-2024-0001 in libssl3 (fixed in 2), 2 more".
func (v *vulnerabilities) String() string {
	text := v.all.String()
	if n := v.fixable.total(); n > 0 {
		text += fmt.Sprintf("; %d can be fixed", n)
	}
	if v.ignored > 0 {
		text += fmt.Sprintf("; %d more are ignored", v.ignored)
	}
	if len(v.worst) > 0 {
		text += ": " + strings.Join(v.worst, ", ")
		if more := int(v.all.total()) - len(v.worst); more > 0 {
			text += fmt.Sprintf(", %d more", more)
		}
	}
	return text
}

// shownVulnerabilities is how many a message names.
const shownVulnerabilities = 5

func described(v *v1alpha1.Vulnerability) string {
	if v.FixedVersion == "" {
		return fmt.Sprintf("%s in %s (not fixed yet)", v.ID, v.Package)
	}
	return fmt.Sprintf("%s in %s (fixed in %s)", v.ID, v.Package, v.FixedVersion)
}

// notScanned names no image: while one replaces another, neither of which is scanned, nothing is to be written anew.
const notScanned = "not all images have been scanned yet"

// looked says whether it is known what is in an image. If not, the check is skipped.
func looked(image *audit.ScannedImage, r *audit.Reporter) bool {
	switch {
	case image.Report == nil:
		r.Skip(v1alpha1.SkipDataMissing, notScanned)
	case image.Report.Summary == nil:
		skipUnscanned(image, r)
	default:
		return true
	}
	return false
}

func skipUnscanned(image *audit.ScannedImage, r *audit.Reporter) {
	r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("image %q is %s: %s", image.Image.Image, image.Report.State, why(image.Report)))
}

// why says why an image is not scanned.
func why(report *v1alpha1.ImageReport) string {
	if report.Message == "" {
		return string(report.Reason)
	}
	return fmt.Sprintf("%s (%s)", report.Message, report.Reason)
}

// grades are numbers of vulnerabilities by severity, the worst first and those of none last.
type grades [5]int32

var gradeNames = [len(grades{})]v1alpha1.VulnerabilitySeverity{
	v1alpha1.VulnerabilityCritical, v1alpha1.VulnerabilityHigh, v1alpha1.VulnerabilityMedium, v1alpha1.VulnerabilityLow, v1alpha1.VulnerabilityUnknown,
}

func gradesOf(c *v1alpha1.VulnerabilityCounts) grades {
	return grades{c.Critical, c.High, c.Medium, c.Low, c.Unknown}
}

// grade returns which of the grades a severity is.
func grade(s v1alpha1.VulnerabilitySeverity) int {
	for i, name := range gradeNames {
		if name == s {
			return i
		}
	}
	return len(gradeNames) - 1
}

func (g grades) total() int32 {
	var n int32
	for _, of := range g {
		n += of
	}
	return n
}

// String returns text such as "2 Critical, 1 High".
func (g grades) String() string {
	var parts []string
	for i, n := range g {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, gradeNames[i]))
		}
	}
	return strings.Join(parts, ", ")
}

// worst returns the severity of the worst of them, lowered by some grades; "" if there are none. Nothing is below Low, and what is of
// no known severity is there.
func (g grades) worst(lowered int) v1alpha1.Severity {
	for i, n := range g {
		if n > 0 {
			return audit.Severities[min(i+lowered, len(audit.Severities)-1)]
		}
	}
	return ""
}

func severityOf(all, fixable *grades) v1alpha1.Severity {
	severity := all.worst(1)
	if worst := fixable.worst(0); audit.Rank(worst) > audit.Rank(severity) {
		severity = worst
	}
	return severity
}

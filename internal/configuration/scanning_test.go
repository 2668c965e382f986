// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package configuration

import (
	"strings"
	"testing"
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// TestIgnoredVulnerabilities: all that is set must match.
func TestIgnoredVulnerabilities(t *testing.T) {
	c := New(builtin(t), spec(t, `images: {ignoredVulnerabilities: [
{id: CVE-1, status: NotAffected, reason: r},
{id: CVE-2, status: Fixed, reason: r, packages: [lib*, tar]},
{id: CVE-3, status: NotAffected, reason: r, images: [example.com/shop/*]},
{id: CVE-4, status: Accepted, reason: r, expirationTime: "2026-11-22T00:00:00Z"}]}`), nil)
	before := time.Date(2026, 11, 21, 23, 59, 59, 0, time.UTC)
	for name, tc := range map[string]struct {
		vulnerability v1alpha1.Vulnerability
		image         string
		now           time.Time
		want          bool
	}{
		"by its name":              {v1alpha1.Vulnerability{ID: "CVE-1", Package: "a"}, "a:1", before, true},
		"by another name":          {v1alpha1.Vulnerability{ID: "CVE-9", Aliases: []string{"A", "CVE-1"}}, "a:1", before, true},
		"none that is named":       {v1alpha1.Vulnerability{ID: "CVE-10"}, "a:1", before, false},
		"in a package":             {v1alpha1.Vulnerability{ID: "CVE-2", Package: "libc6"}, "a:1", before, true},
		"in another package":       {v1alpha1.Vulnerability{ID: "CVE-2", Package: "bash"}, "a:1", before, false},
		"in an image":              {v1alpha1.Vulnerability{ID: "CVE-3"}, "example.com/shop/cart:1", before, true},
		"in an image like it":      {v1alpha1.Vulnerability{ID: "CVE-3"}, "example.com/shop-old/cart:1", before, false},
		"in an image of Docker":    {v1alpha1.Vulnerability{ID: "CVE-3"}, "shop/cart", before, false},
		"until it expires":         {v1alpha1.Vulnerability{ID: "CVE-4"}, "a:1", before, true},
		"from when it expires on":  {v1alpha1.Vulnerability{ID: "CVE-4"}, "a:1", before.Add(time.Second), false},
		"in an image of no syntax": {v1alpha1.Vulnerability{ID: "CVE-3"}, "UPPER", before, false},
	} {
		if got := c.Settings().Ignores(&tc.vulnerability, audit.ReferenceOf(tc.image), tc.now); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestRequiredSignatures: no name is too long for an image that must be signed.
func TestRequiredSignatures(t *testing.T) {
	c := New(builtin(t), spec(t, `images: {requiredSignatures: [{images: ["example.com/*", docker.io/library/nginx]}]}`), nil)
	for image, want := range map[string]bool{
		"example.com/a:1": true, "nginx": true, "nginx-old": false, "example.com.evil.test/a": false,
		strings.Repeat("a.", 200) + "test/a": false, "example.com/" + strings.Repeat("a", 250): true,
	} {
		if got := c.Settings().MustBeSigned(audit.ReferenceOf(image)); got != want {
			t.Errorf("%s: %v", image, got)
		}
	}
	if len(c.Problems) > 0 {
		t.Error(c.Problems)
	}
}

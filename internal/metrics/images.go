// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/ledger"
)

func imageVulnerabilities(_ *snapshot, out *samples, namespace string, entries ledger.Entries) {
	counted := make(map[audit.UID]bool)
	for _, e := range entries {
		for _, image := range e.Images {
			if counted[image.Report] {
				continue
			}
			counted[image.Report] = true
			all, fixable := numbers(&image.Known.All), numbers(&image.Known.Fixable)
			for i, severity := range vulnerabilities {
				if n := all[i] - fixable[i]; n > 0 {
					out.add(float64(n), "false", namespace, severity)
				}
				if n := fixable[i]; n > 0 {
					out.add(float64(n), "true", namespace, severity)
				}
			}
		}
	}
}

// numbers returns numbers of vulnerabilities in the order of their severities.
func numbers(c *v1alpha1.VulnerabilityCounts) [len(vulnerabilities)]int32 {
	return [...]int32{c.Critical, c.High, c.Low, c.Medium, c.Unknown}
}

func images(s *snapshot, out *samples) {
	if s.images == nil {
		return
	}
	for _, state := range imageStates {
		out.add(float64(s.images.States[v1alpha1.ImageState(state)]), state)
	}
}

func databaseTime(s *snapshot, out *samples) {
	if s.images != nil && s.images.Matched != 0 {
		out.add(float64(s.images.Matched))
	}
}

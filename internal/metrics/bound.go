// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"slices"
	"strconv"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// dimension is something that numbers of series are multiples of.
type dimension struct {
	// symbol in formulas; a number if it never changes.
	symbol string
	// meaning of a symbol that is no number.
	meaning string
	count   func(*sizes) int
}

// sizes are how many there are of what the number of series depends on.
type sizes struct {
	namespaces, kinds, subjects, checks, resources, frameworks int
}

var (
	perNamespace = &dimension{"N", "namespaces that are audited: `count(kubersafe_score)`", func(z *sizes) int { return z.namespaces }}
	perKind      = &dimension{
		"K", "pairs of a namespace and a kind of subject in it: `count(kubersafe_subjects)`, from 1 to 10 for each namespace",
		func(z *sizes) int { return z.kinds },
	}
	perSubject  = &dimension{"W", "workloads and namespaces: `sum(kubersafe_subjects)`", func(z *sizes) int { return z.subjects }}
	perCheck    = &dimension{"C", "checks, custom ones included", func(z *sizes) int { return z.checks }}
	perResource = &dimension{
		"R", "resources that are read: `count(kubersafe_source_state{state=\"Synced\"})` of one replica", func(z *sizes) int { return z.resources },
	}
	perFramework = &dimension{"F", "published standards", func(z *sizes) int { return z.frameworks }}

	perSeverity     = fixed(len(audit.Severities))
	perReason       = fixed(len(reasons))
	perSourceState  = fixed(len(sourceStates))
	perControlState = fixed(len(controlStates))
	perDirection    = fixed(len(directions))

	perFixable       = fixed(len(fixables))
	perVulnerability = fixed(len(vulnerabilities))
	perImageState    = fixed(len(imageStates))
)

func fixed(n int) *dimension {
	return &dimension{symbol: strconv.Itoa(n), count: func(*sizes) int { return n }}
}

// The values of labels that are the same in every cluster, sorted.
var (
	sourceStates = []string{
		string(v1alpha1.SourceForbidden), string(v1alpha1.SourceNotServed), string(v1alpha1.SourceSynced), string(v1alpha1.SourceSyncing),
	}
	// Of a namespace that is left out there are no series.
	reasons = []string{
		string(v1alpha1.SkipCheckFailed), string(v1alpha1.SkipDataMissing), string(v1alpha1.SkipExpressionFailed),
		string(v1alpha1.SkipSourceForbidden), string(v1alpha1.SkipSourceNotServed), string(v1alpha1.SkipSourceSyncing),
	}
	controlStates = []string{"Exempted", "Failed", "NotAssessed", "Passed"}
	directions    = []string{"egress", "ingress"}
	fixables      = []string{"false", "true"}
	// vulnerabilities are the severities of vulnerabilities.
	vulnerabilities = [...]string{
		string(v1alpha1.VulnerabilityCritical), string(v1alpha1.VulnerabilityHigh), string(v1alpha1.VulnerabilityLow),
		string(v1alpha1.VulnerabilityMedium), string(v1alpha1.VulnerabilityUnknown),
	}
	imageStates = []string{
		string(v1alpha1.ImageFailed), string(v1alpha1.ImagePending), string(v1alpha1.ImageScanned), string(v1alpha1.ImageStale),
		string(v1alpha1.ImageUnsupported),
	}
)

// sizes returns how many there are of everything, as far as the labels that are left tell it apart.
func (s *snapshot) sizes() *sizes {
	z := &sizes{resources: len(s.sources), frameworks: len(s.compliance), checks: len(s.checks)}
	var everywhere, kinds []string
	for namespace, entries := range s.namespaces {
		if namespace == "" || entries.Excluded() {
			continue
		}
		kinds = kinds[:0]
		for _, e := range entries {
			if !slices.Contains(kinds, e.Kind) {
				kinds = append(kinds, e.Kind)
			}
			if !slices.Contains(everywhere, e.Kind) {
				everywhere = append(everywhere, e.Kind)
			}
		}
		z.namespaces++
		z.kinds += len(kinds)
		z.subjects += len(entries)
	}
	if s.drops(labelNamespace) {
		z.namespaces, z.kinds = min(1, z.namespaces), len(everywhere)
	}
	if s.drops(labelNamespace) || !s.Workloads {
		z.subjects = 0
	}
	if s.drops(labelCheck) {
		categories := make(map[string]bool)
		for _, category := range s.categories {
			categories[category] = true
		}
		z.checks = len(categories)
	}
	return z
}

// bound returns how many series there are at most.
func (s *snapshot) bound() int {
	z, total := s.sizes(), 0
	for i := range families {
		n := 1
		for _, d := range families[i].most {
			n *= d.count(z)
		}
		total += n
	}
	return total
}

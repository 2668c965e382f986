// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import "github.com/kubersafe/kubersafe/api/v1alpha1"

// Severities lists the severities of findings, worst first.
var Severities = [...]v1alpha1.Severity{
	v1alpha1.SeverityCritical, v1alpha1.SeverityHigh, v1alpha1.SeverityMedium, v1alpha1.SeverityLow,
}

// Rank orders severities: the worse, the higher; 0 is none.
func Rank(s v1alpha1.Severity) int {
	for i, known := range Severities {
		if s == known {
			return len(Severities) - i
		}
	}
	return 0
}

// Category groups checks by what they guard.
type Category string

// The categories. They are label values of metrics: a closed set.
const (
	CategoryPodSecurity    Category = "pod-security"
	CategoryImages         Category = "images"
	CategoryResources      Category = "resources"
	CategoryNetwork        Category = "network"
	CategoryNamespaces     Category = "namespaces"
	CategoryAccess         Category = "access"
	CategorySecrets        Category = "secrets"
	CategoryAvailability   Category = "availability"
	CategoryInfrastructure Category = "infrastructure"
	// CategoryCustom is that of the checks in an AuditConfiguration. Nobody but their message explains them.
	CategoryCustom Category = "custom"
)

// ForViewers says whether what checks of the category find may be told to everybody who may look at a namespace: they may not
// read roles, and are not to learn what those grant.
func (c Category) ForViewers() bool { return c != CategoryAccess }

var categories = map[Category]bool{
	CategoryPodSecurity: true, CategoryImages: true, CategoryResources: true, CategoryNetwork: true, CategoryNamespaces: true,
	CategoryAccess: true, CategorySecrets: true, CategoryAvailability: true, CategoryInfrastructure: true,
	CategoryCustom: true,
}

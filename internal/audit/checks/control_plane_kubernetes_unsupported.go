// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the API server's version. Allowed: minors that the Kubernetes project supports on the day, by the table of
// kubernetesMinors. Whether a provider supports others cannot be seen.
var _ = register(audit.Check{
	ID:          "kubernetes-unsupported",
	Title:       "Kubernetes is supported",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Flaws that become known are not mended in this version any more, and everybody can read how to use them.",
	Remediation: "Update the cluster to a supported minor version, one minor after the other.",
	Before:      "# kubectl version\nServer Version: v1.29.2",
	After:       "# kubectl version\nServer Version: v1.37.2",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Upgrading and application security practices"},
		{Framework: audit.FrameworkOWASP, ID: "K10"},
	},
	References: []string{
		"https://kubernetes.io/releases/",
		"https://kubernetes.io/releases/version-skew-policy/",
	},
	ControlPlane: kubernetesUnsupported,
})

func kubernetesUnsupported(c *audit.Cluster, r *audit.Reporter) {
	server, ok := serverVersion(c, r)
	if !ok {
		return
	}
	minor, why := server.Minor(), ""
	known, ok := kubernetesMinors[minor]
	switch {
	case server.Major() == 1 && minor < oldestMinor:
		why = fmt.Sprintf("the Kubernetes project does not support 1.%d any more", minor)
	case server.Major() != 1 || !ok:
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("Kubernetes %q is newer than all that this version of kubersafe knows", c.ServerVersion))
		return
	case c.Today.After(day(known.end)):
		why = fmt.Sprintf("the Kubernetes project has not supported 1.%d since %s", minor, known.end)
	default:
		return
	}
	if provided(c) {
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("%s, and whether the provider of %q does is not known", why, c.ServerVersion))
		return
	}
	r.Find(versionFinding(fmt.Sprintf("Kubernetes %q must be updated: %s", c.ServerVersion, why)))
}

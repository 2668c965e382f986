// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the API server's version. Allowed: the newest minor in its newest patch, by the table of kubernetesMinors. Where a
// provider numbers its own builds, its patches count as the project's.
var _ = register(audit.Check{
	ID:          "kubernetes-outdated",
	Title:       "Kubernetes is up to date",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "What later versions mend, flaws in security among it, is still open here.",
	Remediation: "Update the cluster to the newest patch of its minor version, and plan to update to the newest minor.",
	Before:      "# kubectl version\nServer Version: v1.37.0",
	After:       "# kubectl version\nServer Version: v1.37.2",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Upgrading and application security practices"},
		{Framework: audit.FrameworkOWASP, ID: "K10"},
	},
	References: []string{
		"https://kubernetes.io/releases/",
	},
	ControlPlane: kubernetesOutdated,
})

func kubernetesOutdated(c *audit.Cluster, r *audit.Reporter) {
	server, ok := serverVersion(c, r)
	if !ok {
		return
	}
	known, ok := kubernetesMinors[server.Minor()]
	var newer []string
	if ok && server.Patch() < known.patch {
		newer = append(newer, fmt.Sprintf("1.%d.%d", server.Minor(), known.patch))
	}
	if server.Major() == 1 && server.Minor() < newestMinor {
		newer = append(newer, fmt.Sprintf("1.%d.%d", newestMinor, kubernetesMinors[newestMinor].patch))
	}
	switch {
	case len(newer) > 0 && provided(c):
		r.Find(versionFinding(fmt.Sprintf("Kubernetes %q must be updated as its provider has newer: the project has %s", c.ServerVersion, strings.Join(newer, " and "))))
	case len(newer) > 0:
		r.Find(versionFinding(fmt.Sprintf("Kubernetes %q must be updated: there is %s", c.ServerVersion, strings.Join(newer, " and "))))
	case stale(c) || !ok || server.Patch() > known.patch:
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("the versions that this version of kubersafe knows are of %s: it may have missed newer ones", versionsOf))
	}
}

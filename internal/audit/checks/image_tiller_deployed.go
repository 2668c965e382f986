// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"path"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.containers[*].image, init and ephemeral containers likewise. Allowed: images whose repository does not end in
// tiller, the server of Helm 2.
var _ = register(audit.Check{
	ID:          "tiller-deployed",
	Title:       "The server of Helm 2 is gone",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryAccess,
	Rationale:   "Tiller obeys whoever reaches its port in the cluster, without a password, and mostly as cluster-admin.",
	Remediation: "Move releases to Helm 3 or later, which has no server, and delete the Deployment tiller-deploy.",
	Before:      "image: ghcr.io/helm/tiller:v2.17.0",
	After:       "# no tiller",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Upgrading and application security practices"},
		{Framework: audit.FrameworkOWASP, ID: "K10"},
		{Framework: audit.FrameworkMITRE, ID: "T1610"},
	},
	References: []string{
		"https://helm.sh/docs/topics/v2_v3_migration/",
	},
	Image: tillerDeployed,
})

func tillerDeployed(image audit.Image, r *audit.Reporter) {
	if path.Base(image.Repository) == "tiller" {
		r.Find(audit.Finding{
			Message: fmt.Sprintf("container %q must not run Tiller: its image is %q", image.Name, image.Image), Container: image.Name, Path: image.Path("image"),
		})
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the addresses in the EndpointSlices of the Service kubernetes, which API servers write themselves. Allowed: private
// ones, where the API servers' own Pods are seen. Elsewhere, as on managed clusters, private ones prove nothing.
var _ = register(audit.Check{
	ID:          "api-server-public",
	Title:       "The API server has no public address",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryNetwork,
	Rationale:   "The whole internet can try stolen credentials, and the next flaw in the API server, on it.",
	Remediation: "Give the API server a private address, and reach it through a VPN or a bastion host.",
	Before:      "endpoints:\n- addresses: [203.0.113.10]",
	After:       "endpoints:\n- addresses: [10.0.0.10]",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Control plane hardening"},
		{Framework: audit.FrameworkMITRE, ID: "T1133"},
		{Framework: audit.FrameworkMITRE, ID: "T1190"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/security/controlling-access/",
	},
	Needs:        []audit.Resource{audit.EndpointSlices, audit.Pods},
	ControlPlane: apiServerPublic,
})

func apiServerPublic(c *audit.Cluster, r *audit.Reporter) {
	known := false
	for _, e := range c.Endpoints {
		for _, address := range slices.Compact(slices.Clone(e.Addresses)) {
			known = true
			if audit.IsPublic(address) {
				r.Find(audit.Finding{
					Message: fmt.Sprintf("the API server must not have the public address %q", address),
					Object:  &v1alpha1.ObjectReference{Kind: "EndpointSlice", Name: e.Name},
					Path:    fmt.Sprintf("endpoints[addresses=%s]", address),
				})
			}
		}
	}
	switch {
	case !known:
		r.Skip(v1alpha1.SkipDataMissing, "the addresses of the API server are not known")
	case len(c.Programs(audit.APIServer)) == 0:
		r.Skip(v1alpha1.SkipDataMissing, "the API server is reached at private addresses from within, which does not tell whether it has public ones too")
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at what the ImageReport on the version of a node's kubelet tells. Allowed: no known vulnerability but those of the API server
// alone, and those that the AuditConfiguration has do not count. The finding is as severe as that of image-vulnerabilities. Whether a
// provider has mended its own build of that version cannot be seen.
var _ = register(audit.Check{
	ID:          "kubelet-known-vulnerabilities",
	Title:       "Kubelets have no known vulnerabilities",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Whoever may run a Pod on the node can use what is published about its kubelet's version, often to become root on the node.",
	Remediation: "Update the node's kubelet to the newest patch of its minor version, or to a newer minor where none of that mends them.",
	Before:      "# kubectl get nodes\nVERSION\nv1.37.0 # which CVE-2026-12345 affects",
	After:       "# kubectl get nodes\nVERSION\nv1.37.2 # in which it is mended",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Upgrading and application security practices"},
		{Framework: audit.FrameworkOWASP, ID: "K10"},
		{Framework: audit.FrameworkMITRE, ID: "T1611"},
	},
	References: []string{
		"https://kubernetes.io/docs/reference/issues-security/official-cve-feed/",
		"https://kubernetes.io/releases/patch-releases/",
	},
	Needs: []audit.Resource{audit.ImageReports},
	Node:  kubeletKnownVulnerabilities,
})

func kubeletKnownVulnerabilities(n *audit.Node, r *audit.Reporter) {
	if _, ok := kubeletVersion(n, r); !ok {
		return
	}
	known := vulnerabilitiesOfKubernetes(n.Cluster, n.KubeletVersion, v1alpha1.KubernetesAPIServer, isBuild(n.KubeletVersion) || provided(n.Cluster), r)
	if known == nil {
		return
	}
	r.Find(audit.Finding{
		Severity: severityOf(&known.all, &known.fixable),
		Message:  fmt.Sprintf("node %q must not have a kubelet with known vulnerabilities: %q has %s", n.Name, n.KubeletVersion, known),
		Path:     "status.nodeInfo.kubeletVersion",
	})
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/version"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the container runtimes of nodes. Allowed: containerd and CRI-O in versions that are supported on the day, by the
// tables of containerdMinors and, because CRI-O follows Kubernetes, kubernetesMinors. Of others nothing is known, and nothing of
// whether the providers of nodes support older ones.
var _ = register(audit.Check{
	ID:          "node-runtime-outdated",
	Title:       "Container runtimes are supported",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "Flaws that let containers out onto the node are not mended in this version any more.",
	Remediation: "Update the node's container runtime to a supported version.",
	Before:      "# kubectl get nodes -o wide\nCONTAINER-RUNTIME\ncontainerd://1.6.8",
	After:       "# kubectl get nodes -o wide\nCONTAINER-RUNTIME\ncontainerd://2.3.7",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Upgrading and application security practices"},
		{Framework: audit.FrameworkOWASP, ID: "K10"},
		{Framework: audit.FrameworkMITRE, ID: "T1611"},
	},
	References: []string{
		"https://containerd.io/releases/",
		"https://github.com/cri-o/cri-o#compatibility-matrix-cri-o--kubernetes",
	},
	Node: nodeRuntimeOutdated,
})

func nodeRuntimeOutdated(n *audit.Node, r *audit.Reporter) {
	name, text, _ := strings.Cut(n.Runtime, "://")
	v, err := version.ParseGeneric(text)
	if err != nil {
		r.Skip(v1alpha1.SkipDataMissing, "the node does not tell its container runtime's version")
		return
	}
	end, known := "", false
	switch name {
	case "containerd":
		end, known = containerdEnd(v)
	case "cri-o":
		end, known = crioEnd(v)
	}
	switch {
	case !known || end == "" && stale(n.Cluster):
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("this version of kubersafe does not know until when %s %d.%d is supported", name, v.Major(), v.Minor()))
	case end == "" || !n.Cluster.Today.After(day(end)):
	case isBuild(text) || isBuild(n.KubeletVersion) || provided(n.Cluster):
		r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf(
			"the %s project does not support %d.%d any more, and whether the provider of %q does is not known", name, v.Major(), v.Minor(), n.Runtime))
	default:
		r.Find(audit.Finding{
			Message: fmt.Sprintf("node %q must update its container runtime %q: the %s project does not support %d.%d any more", n.Name, n.Runtime, name, v.Major(), v.Minor()),
			Path:    "status.nodeInfo.containerRuntimeVersion",
		})
	}
}

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

// Looks at the versions of kubelets and of the API server. Allowed: the API server's minor and the three before, or the two
// before where the kubelet is older than 1.25.
var _ = register(audit.Check{
	ID:          "node-version-skew",
	Title:       "Kubelets are of a version that works with the API server",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryInfrastructure,
	Rationale:   "A kubelet that old has missed what was mended since, and may ignore fields that are there to restrict Pods.",
	Remediation: "Update the node's kubelet to the API server's minor version.",
	Before:      "# kubectl get nodes\nVERSION\nv1.32.1",
	After:       "# kubectl get nodes\nVERSION\nv1.37.2",
	Controls: []audit.Control{
		{Framework: audit.FrameworkNSA, ID: "Upgrading and application security practices"},
		{Framework: audit.FrameworkOWASP, ID: "K10"},
	},
	References: []string{
		"https://kubernetes.io/releases/version-skew-policy/#kubelet",
	},
	Node: nodeVersionSkew,
})

func nodeVersionSkew(n *audit.Node, r *audit.Reporter) {
	server, ok := serverVersion(n.Cluster, r)
	if !ok {
		return
	}
	kubelet, ok := kubeletVersion(n, r)
	if !ok {
		return
	}
	oldest := uint(3)
	if kubelet.Minor() < 25 {
		oldest = 2
	}
	f := audit.Finding{Path: "status.nodeInfo.kubeletVersion"}
	switch {
	case kubelet.Major() != server.Major() || kubelet.Minor()+oldest < server.Minor():
		f.Message = fmt.Sprintf("node %q must update its kubelet %q: it is too old for the API server %q", n.Name, n.KubeletVersion, n.Cluster.ServerVersion)
	case kubelet.Minor() > server.Minor():
		f.Message = fmt.Sprintf("node %q must not have a kubelet %q that is newer than the API server %q", n.Name, n.KubeletVersion, n.Cluster.ServerVersion)
	default:
		return
	}
	r.Find(f)
}

// kubeletVersion returns the version of a node's kubelet. If it is not known, it skips the check.
func kubeletVersion(n *audit.Node, r *audit.Reporter) (*version.Version, bool) {
	v, err := version.ParseGeneric(n.KubeletVersion)
	switch {
	case err != nil:
		r.Skip(v1alpha1.SkipDataMissing, "the node does not tell its kubelet's version")
	case strings.Contains(n.KubeletVersion, "-vk-"):
		r.Skip(v1alpha1.SkipDataMissing, "the node is not run by a kubelet, but by a virtual one with versions of its own")
	default:
		return v, true
	}
	return nil, false
}

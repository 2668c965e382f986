// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Looks at which Pods and templates policies select. Allowed: all of a namespace, or none. Pods with the network of their
// node are apart, for no policy can isolate them.
var _ = register(audit.Check{
	ID:          "workload-not-isolated",
	Title:       "Where some workloads are isolated, all are",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryNetwork,
	Rationale:   "The one workload that was forgotten is open to everybody, and a way to those that trust it.",
	Remediation: "Create a NetworkPolicy that selects the Pods, best one with podSelector {} that denies everything by default.",
	Before:      "# policies select app=web, and there is app=cache too",
	After: `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress, Egress]`,
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation",
	},
	Needs:     []audit.Resource{audit.NetworkPolicies, audit.ClusterNetworkPolicies},
	Connected: workloadNotIsolated,
})

func workloadNotIsolated(pod *audit.ConnectedPod, r *audit.Reporter) {
	var open []string
	for _, d := range []netpol.Direction{netpol.Ingress, netpol.Egress} {
		if pod.Network.View.Isolation(pod.Pod, d) == netpol.Open && pod.Network.Isolated[d] > 0 {
			open = append(open, strings.ToLower(string(d)))
		}
	}
	if len(open) > 0 {
		r.Find(audit.Finding{
			Message: fmt.Sprintf("\"metadata.labels\" must be selected by a NetworkPolicy for %s, as others of the namespace are", strings.Join(open, " and ")),
			Path:    "metadata.labels",
		})
	}
}

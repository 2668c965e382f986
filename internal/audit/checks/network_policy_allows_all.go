// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Looks at the rules without ports of every NetworkPolicy, in the directions that it covers. Allowed: peers that are
// fewer than all Pods of all namespaces and all addresses of IPv4 or IPv6.
var _ = register(audit.Check{
	ID:          "network-policy-allows-all",
	Title:       "NetworkPolicies restrict something",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryNetwork,
	Rationale:   "Policies add up, so such a rule undoes every other one on the Pods that it selects, a default deny included.",
	Remediation: "Name the Pods, namespaces or address ranges in from or to that are meant, and the ports.",
	Before:      "ingress:\n- {}",
	After:       "ingress:\n- from:\n  - podSelector: {matchLabels: {app: web}}\n  ports:\n  - port: 8080",
	Controls: []audit.Control{
		{Framework: audit.FrameworkOWASP, ID: "K07"},
	},
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/network-policies/#behavior-of-to-and-from-selectors",
		"https://kubernetes.io/docs/concepts/services-networking/network-policies/#allow-all-ingress-traffic",
	},
	Needs:     []audit.Resource{audit.NetworkPolicies},
	Namespace: networkPolicyAllowsAll,
})

func networkPolicyAllowsAll(ns *audit.Namespace, r *audit.Reporter) {
	for _, p := range ns.Policies {
		for _, d := range []netpol.Direction{netpol.Ingress, netpol.Egress} {
			for _, rule := range netpol.Rules(p.Spec, d) {
				findOpen(p, rule, r)
			}
		}
	}
}

func findOpen(p *netpol.Policy, rule netpol.Rule, r *audit.Reporter) {
	if len(rule.Ports) > 0 {
		return
	}
	find := func(path, allowed string) {
		r.Find(audit.Finding{
			Message: fmt.Sprintf("network policy %q must not allow %s on all ports: restrict %q or set \"ports\"", p.Name, allowed, rule.PeersField),
			Object:  &v1alpha1.ObjectReference{Kind: "NetworkPolicy", Name: p.Name},
			Path:    path,
		})
	}
	if len(rule.Peers) == 0 {
		find(rule.Path, "everything")
	}
	for i := range rule.Peers {
		switch peer := &rule.Peers[i]; {
		case netpol.EveryPod(peer):
			find(rule.PeerPath(i), "all Pods of all namespaces")
		case netpol.EveryAddress(peer):
			find(rule.PeerPath(i), "all addresses of "+peer.IPBlock.CIDR)
		}
	}
}

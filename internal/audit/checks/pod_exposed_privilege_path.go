// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// Looks at the ways into a Pod from outside of the cluster (Services of type LoadBalancer and NodePort, Ingresses and HTTPRoutes that
// lead to it, hostPort), as far as network policies leave them open, and at what the token in it may do. Allowed: any of the
// two without the other. docs/risk.md says how it is put together.
var _ = register(audit.Check{
	ID:          "exposed-privilege-path",
	Title:       "No way leads from outside to cluster-admin",
	Severity:    v1alpha1.SeverityCritical,
	Category:    audit.CategoryAccess,
	Rationale:   "One fault in what the workload serves is all that stands between anybody outside and the whole cluster.",
	Remediation: "Break the chain at one of its steps: take the power from the ServiceAccount, or its token from the Pods, or let only known addresses in.",
	Before:      "kind: Service\nspec:\n  type: LoadBalancer\n---\nkind: Deployment # its ServiceAccount is bound to cluster-admin",
	After:       "kind: Service\nspec:\n  type: LoadBalancer\n---\nkind: Deployment\nspec:\n  template:\n    spec:\n      automountServiceAccountToken: false",
	Controls: []audit.Control{
		{Framework: audit.FrameworkOWASP, ID: "K03"},
		{Framework: audit.FrameworkMITRE, ID: "T1078"},
	},
	References: []string{
		"https://github.com/kubersafe/kubersafe/blob/main/docs/risk.md",
		"https://kubernetes.io/docs/concepts/security/rbac-good-practices/#privilege-escalation-risks",
	},
	Needs: append([]audit.Resource{
		audit.ServiceAccounts, audit.Services, audit.Ingresses, audit.HTTPRoutes, audit.NetworkPolicies, audit.ClusterNetworkPolicies,
	}, audit.PowerResources...),
	Exposed: exposedPrivilegePath,
})

func exposedPrivilegePath(pod *audit.ExposedPod, r *audit.Reporter) {
	if len(pod.Ways) == 0 {
		return
	}
	power, known := mountedPower(pod.PlacedPod, r)
	if !known {
		return
	}
	end := ""
	switch {
	case power.Steps == 1:
		end = "cluster-admin"
	case power.Steps > 1:
		end = fmt.Sprintf("cluster-admin in %d steps", power.Steps)
	case power.Secrets == rbac.AllSecrets:
		end = "all Secrets"
	default:
		skipUnknownWays(pod.PlacedPod, &power, r)
		return
	}
	from, entry := entryOf(pod.Ways[0])
	if n := len(pod.Ways) - 1; n > 0 {
		entry += fmt.Sprintf(" and %d more", n)
	}
	workload := pod.Subject.Kind + " " + pod.Subject.Name
	if n := min(len(pod.Weaknesses), maxWeaknesses); n > 0 {
		workload += " (" + strings.Join(pod.Weaknesses[:n], ", ") + ")"
	}
	message := fmt.Sprintf("%q must not be a way from outside to %s: %s → %s → %s → ServiceAccount %s → %s",
		pod.Subject.Name, end, from, entry, workload, audit.AccountOf(&pod.Spec), end)
	if pod.Connections.Network.View.Isolation(pod.Connections.Pod, netpol.Egress) != netpol.Isolated {
		message += "; no policy limits whom it connects to"
	}
	r.Find(audit.Finding{Message: message, Path: "spec.serviceAccountName"})
}

// maxWeaknesses are told of a workload.
const maxWeaknesses = 3

// entryOf tells where a way into a workload comes from, and what lets it in.
func entryOf(w audit.Way) (from, entry string) {
	switch w.Entry {
	case audit.EntryLoadBalancer:
		return "internet", "Service " + w.Name + " (LoadBalancer)"
	case audit.EntryIngress:
		return "internet", "Ingress " + w.Name
	case audit.EntryHTTPRoute:
		return "internet", "HTTPRoute " + w.Name
	case audit.EntryNodePort:
		return "network of the nodes", "Service " + w.Name + " (NodePort)"
	case audit.EntryHostPort:
	}
	return "network of the nodes", "hostPort"
}

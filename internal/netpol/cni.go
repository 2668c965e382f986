// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import "cmp"

// Enforcement says whether the network of a cluster enforces NetworkPolicies, as far as can be seen.
type Enforcement string

// What can be seen of enforcement.
const (
	// Enforced: a network that enforces them runs.
	Enforced Enforcement = "Enforced"
	// NotEnforced: a network runs that does not, and nothing else that would.
	NotEnforced Enforcement = "NotEnforced"
	// UnknownEnforcement: none is known, or whether it does is a setting of its own.
	UnknownEnforcement Enforcement = "Unknown"
)

// CNI is the network of a cluster. The zero value says that none is known.
type CNI struct {
	Name     string
	Enforces Enforcement
}

// Agent is a DaemonSet that a network runs.
type Agent struct{ Namespace, Name string }

// agents are known by name in namespaces where only administrators may create anything: a DaemonSet elsewhere may be called
// what its owner likes. From the manifests of their projects and of the clouds.
var agents = map[Agent]CNI{
	{"kube-system", "calico-node"}:               {"Calico", Enforced},
	{"calico-system", "calico-node"}:             {"Calico", Enforced},
	{"kube-system", "canal"}:                     {"Canal", Enforced},
	{"kube-system", "rke2-canal"}:                {"Canal", Enforced},
	{"kube-system", "cilium"}:                    {"Cilium", Enforced},
	{"cilium", "cilium"}:                         {"Cilium", Enforced},
	{"kube-system", "anetd"}:                     {"GKE Dataplane V2", Enforced},
	{"kube-system", "antrea-agent"}:              {"Antrea", Enforced},
	{"kube-system", "weave-net"}:                 {"Weave Net", Enforced},
	{"kube-system", "kube-router"}:               {"kube-router", Enforced},
	{"kube-system", "kube-ovn-cni"}:              {"Kube-OVN", Enforced},
	{"openshift-ovn-kubernetes", "ovnkube-node"}: {"OVN-Kubernetes", Enforced},
	{"ovn-kubernetes", "ovnkube-node"}:           {"OVN-Kubernetes", Enforced},
	{"kube-system", "kube-network-policies"}:     {"kube-network-policies", Enforced},
	{"kube-system", "azure-npm"}:                 {"Azure Network Policy Manager", Enforced},
	{"kube-flannel", "kube-flannel-ds"}:          {"Flannel", NotEnforced},
	{"kube-system", "kube-flannel-ds"}:           {"Flannel", NotEnforced},
	{"kube-system", "aws-node"}:                  {"Amazon VPC CNI", UnknownEnforcement}, // a setting of its own
	{"kube-system", "kindnet"}:                   {"kindnet", UnknownEnforcement},        // since kind v0.24
}

// SeeCNI returns the network whose agents are there. Of several the one that enforces counts.
func SeeCNI(exists func(Agent) bool) CNI {
	seen := CNI{Enforces: UnknownEnforcement}
	order := map[Enforcement]int{Enforced: 2, NotEnforced: 1, UnknownEnforcement: 0}
	for agent, cni := range agents {
		if exists(agent) && cmp.Or(cmp.Compare(order[cni.Enforces], order[seen.Enforces]), cmp.Compare(cni.Name, seen.Name)) > 0 {
			seen = cni
		}
	}
	return seen
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"cmp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Enforcement says whether the network of a cluster enforces NetworkPolicies, as far as can be seen.
type Enforcement string

// What can be seen of enforcement.
const (
	// Enforced: a network that enforces them runs.
	Enforced Enforcement = "Enforced"
	// NotEnforced: a network runs that does not, and nothing else that would.
	NotEnforced Enforcement = "NotEnforced"
	// UnknownEnforcement: none is known, or whether it does is a setting that cannot be seen.
	UnknownEnforcement Enforcement = "Unknown"
)

// CNI is the network of a cluster, or of a node. The zero value says that none is known.
type CNI struct {
	Name     string
	Enforces Enforcement
}

// Agent is a DaemonSet that a network runs.
type Agent struct{ Namespace, Name string }

// agents are known by name in namespaces where only administrators may create anything: a DaemonSet elsewhere may be called
// what its owner likes. From the manifests of their projects and of the clouds. Custom resources tell nothing: they stay
// when what they were for is gone.
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
	{"openshift-sdn", "sdn"}:                     {"OpenShift SDN", Enforced},
	{"kube-system", "kube-network-policies"}:     {"kube-network-policies", Enforced},
	{"kube-system", "azure-npm"}:                 {"Azure Network Policy Manager", Enforced},
	{"kube-system", "azure-cns"}:                 {"Azure CNI", NotEnforced}, // by itself; azure-npm, Cilium or Calico do
	{"kube-flannel", "kube-flannel-ds"}:          {"Flannel", NotEnforced},
	{"kube-system", "kube-flannel-ds"}:           {"Flannel", NotEnforced},
	{"kube-system", "kube-flannel"}:              {"Flannel", NotEnforced}, // of Talos
	{"kube-system", "aws-node"}:                  {"Amazon VPC CNI", UnknownEnforcement},
	{"kube-system", "kindnet"}:                   {"kindnet", UnknownEnforcement},
	{"kube-system", "terway-eniip"}:              {"Terway", UnknownEnforcement},
}

// settings tell from the Pods of a DaemonSet whether a network enforces policies for which that is no matter of its name.
var settings = map[string]func(*corev1.PodSpec) Enforcement{
	"Amazon VPC CNI": func(spec *corev1.PodSpec) Enforcement {
		for i := range spec.Containers {
			switch args := spec.Containers[i].Args; {
			case slices.Contains(args, "--enable-network-policy=true"):
				return Enforced
			case slices.Contains(args, "--enable-network-policy=false"):
				return NotEnforced
			}
		}
		return UnknownEnforcement
	},
	// Helm values netpol.enabled put it beside flanneld.
	"Flannel": func(spec *corev1.PodSpec) Enforcement {
		if runs(spec, "kube-network-policies", "") {
			return Enforced
		}
		return NotEnforced
	},
	"kindnet": func(spec *corev1.PodSpec) Enforcement {
		if runs(spec, "kindnetd", "v20240813") { // of kind v0.24.0; its versions are dates
			return Enforced
		}
		return UnknownEnforcement
	},
}

// runs says whether a container has an image of that name, and a tag that does not sort before since.
func runs(spec *corev1.PodSpec, name, since string) bool {
	return slices.ContainsFunc(spec.Containers, func(c corev1.Container) bool {
		image, _, _ := strings.Cut(c.Image[strings.LastIndex(c.Image, "/")+1:], "@")
		image, tag, _ := strings.Cut(image, ":")
		return image == name && tag >= since
	})
}

// k3sArgs is the annotation with the command line of k3s on a node, as JSON.
const k3sArgs = "k3s.io/node-args"

// annotations of nodes, by the beginning of their keys, that networks write.
var annotations = map[string]CNI{
	"projectcalico.org/":        {"Calico", Enforced},
	"network.cilium.io/":        {"Cilium", Enforced},
	"k8s.ovn.org/":              {"OVN-Kubernetes", Enforced},
	"node.antrea.io/":           {"Antrea", Enforced},
	"kube-router.io/":           {"kube-router", Enforced},
	"flannel.alpha.coreos.com/": {"Flannel", NotEnforced},
	k3sArgs:                     {"k3s", Enforced}, // unless it is told not to
}

// SeeNode returns the network that has annotated a node. Of several the one that enforces counts.
func SeeNode(of map[string]string) CNI {
	seen := CNI{Enforces: UnknownEnforcement}
	for key, value := range of {
		if key == k3sArgs && strings.Contains(value, `"--disable-network-policy`) {
			continue
		}
		for prefix, cni := range annotations {
			if strings.HasPrefix(key, prefix) {
				seen = stronger(seen, cni)
			}
		}
	}
	return seen
}

// SeeNodes returns the network of nodes from those of each. One that does not enforce leaves a hole, so the weakest counts.
func SeeNodes(each []CNI) CNI {
	weakest := CNI{Enforces: UnknownEnforcement}
	for _, cni := range each {
		if cni.Name != "" && (weakest.Name == "" || stronger(weakest, cni) == weakest) {
			weakest = cni
		}
	}
	return weakest
}

// SeeCNI returns the network of a cluster: the one whose agents are there or, if there are none, the one that has annotated
// the nodes. It comes second because annotations may be left over.
func SeeCNI(ofAgents, ofNodes CNI) CNI {
	seen := ofAgents
	if seen.Name == "" {
		seen = ofNodes
	}
	seen.Enforces = cmp.Or(seen.Enforces, UnknownEnforcement)
	return seen
}

// SeeAgents returns the network whose agents are there. template returns the Pods of a DaemonSet, or nil if it is not. Of
// several agents the one that enforces counts.
func SeeAgents(template func(Agent) *corev1.PodSpec) CNI {
	seen := CNI{Enforces: UnknownEnforcement}
	for agent, cni := range agents {
		spec := template(agent)
		if spec == nil {
			continue
		}
		if tell := settings[cni.Name]; tell != nil {
			cni.Enforces = tell(spec)
		}
		seen = stronger(seen, cni)
	}
	return seen
}

var strength = map[Enforcement]int{Enforced: 2, NotEnforced: 1, UnknownEnforcement: 0}

// stronger returns the one of two networks that enforces more. Of equals it is the same one, whichever comes first.
func stronger(a, b CNI) CNI {
	if cmp.Or(cmp.Compare(strength[a.Enforces], strength[b.Enforces]), cmp.Compare(a.Name, b.Name)) < 0 {
		return b
	}
	return a
}

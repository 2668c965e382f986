// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

// agentPods returns the Pods of a network's agent.
func agentPods(image string, args ...string) corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "setup", Image: "example.com/setup:1"}, {Name: "agent", Image: image, Args: args}}}
}

func TestSeeAgents(t *testing.T) {
	var (
		plain    = agentPods("example.com/agent:1")
		aws      = netpol.Agent{Namespace: "kube-system", Name: "aws-node"}
		flannel  = netpol.Agent{Namespace: "kube-flannel", Name: "kube-flannel-ds"}
		kindnet  = netpol.Agent{Namespace: "kube-system", Name: "kindnet"}
		calico   = netpol.CNI{Name: "Calico", Enforces: netpol.Enforced}
		policies = netpol.Agent{Namespace: "kube-system", Name: "kube-network-policies"}
	)
	type agents map[netpol.Agent]corev1.PodSpec
	for name, tc := range map[string]struct {
		agents agents
		want   netpol.CNI
	}{
		"nothing is known":                    {want: netpol.CNI{Enforces: netpol.UnknownEnforcement}},
		"one that enforces":                   {agents{{Namespace: "calico-system", Name: "calico-node"}: plain}, calico},
		"one that does not":                   {agents{flannel: plain}, netpol.CNI{Name: "Flannel", Enforces: netpol.NotEnforced}},
		"one that does beside one that not":   {agents{flannel: plain, policies: plain}, netpol.CNI{Name: "kube-network-policies", Enforces: netpol.Enforced}},
		"anybody's namespace":                 {agents{{Namespace: "shop", Name: "calico-node"}: plain}, netpol.CNI{Enforces: netpol.UnknownEnforcement}},
		"a setting that is not there":         {agents{aws: plain}, netpol.CNI{Name: "Amazon VPC CNI", Enforces: netpol.UnknownEnforcement}},
		"a setting that is on":                {agents{aws: agentPods("agent", "--enable-ipv6=false", "--enable-network-policy=true")}, netpol.CNI{Name: "Amazon VPC CNI", Enforces: netpol.Enforced}},
		"a setting that is off":               {agents{aws: agentPods("agent", "--enable-network-policy=false")}, netpol.CNI{Name: "Amazon VPC CNI", Enforces: netpol.NotEnforced}},
		"off, but another enforces":           {agents{aws: agentPods("agent", "--enable-network-policy=false"), {Namespace: "kube-system", Name: "calico-node"}: plain}, calico},
		"a container beside it":               {agents{flannel: agentPods("registry.k8s.io/networking/kube-network-policies:v0.7.0")}, netpol.CNI{Name: "Flannel", Enforces: netpol.Enforced}},
		"a version that enforces":             {agents{kindnet: agentPods("docker.io/kindest/kindnetd:v20250512-df8de77b")}, netpol.CNI{Name: "kindnet", Enforces: netpol.Enforced}},
		"a version that enforces, pinned":     {agents{kindnet: agentPods("kindest/kindnetd:v20240813-c6f155d6@sha256:00")}, netpol.CNI{Name: "kindnet", Enforces: netpol.Enforced}},
		"a version from before":               {agents{kindnet: agentPods("docker.io/kindest/kindnetd:v20240513-cd2ac642")}, netpol.CNI{Name: "kindnet", Enforces: netpol.UnknownEnforcement}},
		"a version that is not told":          {agents{kindnet: agentPods("kindest/kindnetd")}, netpol.CNI{Name: "kindnet", Enforces: netpol.UnknownEnforcement}},
		"an image that is called differently": {agents{kindnet: agentPods("example.com:5000/mykindnetd:v20250512")}, netpol.CNI{Name: "kindnet", Enforces: netpol.UnknownEnforcement}},
	} {
		t.Run(name, func(t *testing.T) {
			got := netpol.SeeAgents(func(a netpol.Agent) *corev1.PodSpec {
				if spec, ok := tc.agents[a]; ok {
					return &spec
				}
				return nil
			})
			if got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestSeeNodes(t *testing.T) {
	var (
		unknown   = netpol.CNI{Enforces: netpol.UnknownEnforcement}
		calico    = netpol.CNI{Name: "Calico", Enforces: netpol.Enforced}
		flannel   = netpol.CNI{Name: "Flannel", Enforces: netpol.NotEnforced}
		k3s       = netpol.CNI{Name: "k3s", Enforces: netpol.Enforced}
		byFlannel = map[string]string{"flannel.alpha.coreos.com/backend-type": "vxlan"}
		byCalico  = map[string]string{"projectcalico.org/IPv4Address": "10.0.0.1/24", "node.alpha.kubernetes.io/ttl": "0"}
		server    = map[string]string{"k3s.io/node-args": `["server","--tls-san","a"]`, "flannel.alpha.coreos.com/backend-type": "vxlan"}
		without   = map[string]string{"k3s.io/node-args": `["server","--disable-network-policy"]`, "flannel.alpha.coreos.com/backend-type": "vxlan"}
		agent     = map[string]string{"k3s.io/node-args": `["agent"]`, "flannel.alpha.coreos.com/backend-type": "vxlan"}
	)
	for name, tc := range map[string]struct {
		nodes []map[string]string
		want  netpol.CNI
	}{
		"no nodes":                              {nil, unknown},
		"nodes that no network has annotated":   {[]map[string]string{{"a": "b"}, nil}, unknown},
		"one that does not enforce":             {[]map[string]string{byFlannel, byFlannel}, flannel},
		"one that does":                         {[]map[string]string{byCalico, byCalico}, calico},
		"some nodes are not annotated yet":      {[]map[string]string{byCalico, nil}, calico},
		"some nodes are without enforcement":    {[]map[string]string{byCalico, byFlannel}, flannel},
		"k3s brings its own":                    {[]map[string]string{server, agent}, k3s},
		"unless its servers are told otherwise": {[]map[string]string{without, agent}, flannel},
	} {
		t.Run(name, func(t *testing.T) {
			var each []netpol.CNI
			for _, annotations := range tc.nodes {
				each = append(each, netpol.SeeNode(annotations))
			}
			if got := netpol.SeeNodes(each); got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
			slices.Reverse(each)
			if got := netpol.SeeNodes(each); got != tc.want {
				t.Errorf("in another order %+v, want %+v", got, tc.want)
			}
		})
	}
}

// TestSeeCNI: what runs counts more than what was written to nodes at some time.
func TestSeeCNI(t *testing.T) {
	calico, flannel := netpol.CNI{Name: "Calico", Enforces: netpol.Enforced}, netpol.CNI{Name: "Flannel", Enforces: netpol.NotEnforced}
	for name, tc := range map[string]struct{ agents, nodes, want netpol.CNI }{
		"nothing is known": {want: netpol.CNI{Enforces: netpol.UnknownEnforcement}},
		"agents alone":     {calico, netpol.CNI{}, calico},
		"nodes alone":      {netpol.CNI{Enforces: netpol.UnknownEnforcement}, flannel, flannel},
		"both":             {flannel, calico, flannel},
	} {
		if got := netpol.SeeCNI(tc.agents, tc.nodes); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

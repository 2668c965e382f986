// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

// Names of the policies that are suggested.
const (
	denyPolicy = "default-deny"
	dnsPolicy  = "allow-dns"
)

// A cache on each node may stand before the cluster's DNS, at an address of its own.
const (
	nodeLocalDNS        = metav1.NamespaceSystem + "/DaemonSet/node-local-dns"
	nodeLocalDNSAddress = "169.254.20.10/32"
)

// suggest returns policies that isolate the Pods of a namespace and keep them from the metadata endpoint: those to add, and
// those of the namespace that have to be other ones.
func (n *network) suggest(namespace string) []*networkingv1.NetworkPolicy {
	policy := func(name string, spec networkingv1.NetworkPolicySpec) *networkingv1.NetworkPolicy {
		return &networkingv1.NetworkPolicy{
			TypeMeta:   metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "NetworkPolicy"},
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec:       spec,
		}
	}
	const dnsPort = 53
	dns := []networkingv1.NetworkPolicyPeer{{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: metav1.NamespaceSystem}},
		PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"k8s-app": "kube-dns"}},
	}}
	if slices.ContainsFunc(n.rows, func(r row) bool { return r.name == nodeLocalDNS }) {
		dns = append(dns, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: nodeLocalDNSAddress}})
	}
	suggested := []*networkingv1.NetworkPolicy{
		policy(n.freeName(namespace, denyPolicy), networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{netpol.Ingress, netpol.Egress}}),
		policy(n.freeName(namespace, dnsPolicy), networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{netpol.Egress},
			Egress: []networkingv1.NetworkPolicyEgressRule{{
				To: dns,
				Ports: []networkingv1.NetworkPolicyPort{
					{Protocol: new(corev1.ProtocolUDP), Port: new(intstr.FromInt32(dnsPort))},
					{Protocol: new(corev1.ProtocolTCP), Port: new(intstr.FromInt32(dnsPort))},
				},
			}},
		}),
	}
	for _, p := range n.policies[namespace] {
		if spec := n.withoutMetadata(namespace, p.Spec); spec != nil {
			suggested = append(suggested, policy(p.Name, *spec))
		}
	}
	return suggested
}

// freeName returns a name that no policy of the namespace has: what is suggested must not take the place of another.
func (n *network) freeName(namespace, name string) string {
	for slices.ContainsFunc(n.policies[namespace], func(p netpol.Named) bool { return p.Name == name }) {
		name = "kubersafe-" + name
	}
	return name
}

// withoutMetadata returns a policy that allows the same but the metadata endpoints, or nil if it does not allow them.
func (n *network) withoutMetadata(namespace string, spec *networkingv1.NetworkPolicySpec) *networkingv1.NetworkPolicySpec {
	changed := false
	out := spec.DeepCopy()
	for i := range out.Egress {
		rule := &out.Egress[i]
		if !n.reachesMetadata(namespace, *rule) {
			continue
		}
		changed = true
		if len(rule.To) == 0 { // everybody: all Pods, and all addresses
			rule.To = []networkingv1.NetworkPolicyPeer{
				{NamespaceSelector: &metav1.LabelSelector{}},
				{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0"}},
				{IPBlock: &networkingv1.IPBlock{CIDR: "::/0"}},
			}
		}
		peers := rule.To[:0]
		for _, p := range rule.To {
			if p.IPBlock == nil || n.exceptMetadata(p.IPBlock) {
				peers = append(peers, p)
			}
		}
		rule.To = peers
	}
	// A rule without peers would allow everybody.
	rules := out.Egress[:0]
	for i := range out.Egress {
		if len(out.Egress[i].To) > 0 || len(spec.Egress[i].To) == 0 {
			rules = append(rules, out.Egress[i])
		}
	}
	out.Egress = rules
	if !changed {
		return nil
	}
	if len(out.PolicyTypes) == 0 { // as it was before its rules became fewer
		out.PolicyTypes = []networkingv1.PolicyType{netpol.Ingress, netpol.Egress}
	}
	return out
}

func (n *network) reachesMetadata(namespace string, rule networkingv1.NetworkPolicyEgressRule) bool {
	p := netpol.Compile(namespace, netpol.Named{Spec: &networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{netpol.Egress}, Egress: []networkingv1.NetworkPolicyEgressRule{rule},
	}})
	v := netpol.NewView(namespace, nil, []*netpol.Policy{p}, nil)
	return len(v.Reached(&netpol.Pod{Namespace: namespace}, n.endpoints)) > 0
}

// exceptMetadata makes exceptions of a block, and returns false if nothing would be left of it.
func (n *network) exceptMetadata(b *networkingv1.IPBlock) bool {
	cidr, err := netip.ParsePrefix(b.CIDR)
	if err != nil {
		return true // it matches nothing
	}
	for _, m := range n.endpoints {
		excepted := slices.ContainsFunc(b.Except, func(text string) bool {
			except, err := netip.ParsePrefix(text)
			return err == nil && except.Contains(m.Address)
		})
		if !cidr.Contains(m.Address) || excepted {
			continue
		}
		if cidr.IsSingleIP() {
			return false
		}
		b.Except = append(b.Except, netip.PrefixFrom(m.Address, m.Address.BitLen()).String())
	}
	return true
}

func printSuggestions(out io.Writer, policies []*networkingv1.NetworkPolicy) error {
	for i, p := range policies {
		encoded, err := yaml.Marshal(p)
		if err != nil {
			return err
		}
		if i > 0 {
			fmt.Fprintln(out, "---")
		}
		if _, err := out.Write(encoded); err != nil {
			return err
		}
	}
	return nil
}

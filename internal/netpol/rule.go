// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"fmt"
	"net/netip"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Rule is an ingress or egress rule of a policy.
type Rule struct {
	Ports []networkingv1.NetworkPolicyPort
	// Peers may connect, or be connected to. None of them means everybody.
	Peers []networkingv1.NetworkPolicyPeer
	// Path of the rule from the root of its policy.
	Path string
	// PeersField is what the field with the peers is called.
	PeersField string
}

// Rules returns the rules of a policy that count in a direction: none if the policy does not cover it.
func Rules(spec *networkingv1.NetworkPolicySpec, d Direction) []Rule {
	if !covers(spec, d) {
		return nil
	}
	var rules []Rule
	if d == Ingress {
		for i, r := range spec.Ingress {
			rules = append(rules, Rule{r.Ports, r.From, fmt.Sprintf("spec.ingress[%d]", i), "from"})
		}
		return rules
	}
	for i, r := range spec.Egress {
		rules = append(rules, Rule{r.Ports, r.To, fmt.Sprintf("spec.egress[%d]", i), "to"})
	}
	return rules
}

// PeerPath returns the path of one of the rule's peers from the root of the policy.
func (r Rule) PeerPath(i int) string {
	return fmt.Sprintf("%s.%s[%d]", r.Path, r.PeersField, i)
}

// EveryPod says whether a peer stands for all Pods of all namespaces, those to come included.
func EveryPod(p *networkingv1.NetworkPolicyPeer) bool {
	if p.NamespaceSelector == nil || p.IPBlock != nil || p.PodSelector != nil && !selectsAll(p.PodSelector) {
		return false
	}
	s, err := newSelector(p.NamespaceSelector)
	return err == nil && s.everyNamespace("") // whatever the policy's own is called
}

// EveryAddress says whether a peer stands for all addresses of IPv4 or of IPv6.
func EveryAddress(p *networkingv1.NetworkPolicyPeer) bool {
	if p.IPBlock == nil || len(p.IPBlock.Except) > 0 {
		return false
	}
	prefix, err := netip.ParsePrefix(p.IPBlock.CIDR)
	return err == nil && prefix.Bits() == 0
}

func selectsAll(s *metav1.LabelSelector) bool {
	return len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0
}

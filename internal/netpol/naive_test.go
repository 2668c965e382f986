// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol_test

import (
	"net/netip"
	"regexp"
	"slices"
	"sort"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

// world is a cluster as plain objects. Its verdicts are written from the comments of the API alone, one connection at a
// time, and as naively as can be: they share no code with the package, not even selectors.
type world struct {
	namespaces      map[string]map[string]string
	pods            map[podKey]*netpol.Pod
	policies        map[podKey]*networkingv1.NetworkPolicySpec
	clusterPolicies map[string]*v1alpha2.ClusterNetworkPolicySpec
}

type podKey struct{ namespace, name string }

func newWorld() *world {
	return &world{
		namespaces: make(map[string]map[string]string), pods: make(map[podKey]*netpol.Pod),
		policies: make(map[podKey]*networkingv1.NetworkPolicySpec), clusterPolicies: make(map[string]*v1alpha2.ClusterNetworkPolicySpec),
	}
}

// connection is one connection that is asked about.
type connection struct {
	from, to netpol.End
	protocol corev1.Protocol
	port     int32
}

func (w *world) allows(c connection) bool {
	if c.from.Pod != nil && c.from.Pod == c.to.Pod {
		return true
	}
	return (c.from.Pod == nil || w.allowsOnSide(c, c.from, c.to, false)) &&
		(c.to.Pod == nil || w.allowsOnSide(c, c.to, c.from, true))
}

func (w *world) allowsOnSide(c connection, subject, peer netpol.End, ingress bool) bool {
	if subject.Pod.HostNetwork {
		return true
	}
	switch w.tierSays(v1alpha2.AdminTier, c, subject, peer, ingress) {
	case v1alpha2.ClusterNetworkPolicyRuleActionAccept:
		return true
	case v1alpha2.ClusterNetworkPolicyRuleActionDeny:
		return false
	}
	if peer.Pod != nil && peer.Pod.HostNetwork && peer.Pod.Node != "" && peer.Pod.Node == subject.Pod.Node {
		return true
	}
	isolated := false
	for key, spec := range w.policies {
		if key.namespace != subject.Pod.Namespace || !selects(&spec.PodSelector, subject.Pod.Labels) {
			continue
		}
		affectsIngress := slices.Contains(spec.PolicyTypes, networkingv1.PolicyTypeIngress) || len(spec.PolicyTypes) == 0
		affectsEgress := slices.Contains(spec.PolicyTypes, networkingv1.PolicyTypeEgress) || len(spec.PolicyTypes) == 0 && len(spec.Egress) > 0
		if ingress && affectsIngress {
			isolated = true
			for _, r := range spec.Ingress {
				if w.portsMatch(r.Ports, c) && (len(r.From) == 0 || w.anyPeerMatches(r.From, key.namespace, peer)) {
					return true
				}
			}
		}
		if !ingress && affectsEgress {
			isolated = true
			for _, r := range spec.Egress {
				if w.portsMatch(r.Ports, c) && (len(r.To) == 0 || w.anyPeerMatches(r.To, key.namespace, peer)) {
					return true
				}
			}
		}
	}
	if isolated {
		return false
	}
	return w.tierSays(v1alpha2.BaselineTier, c, subject, peer, ingress) != v1alpha2.ClusterNetworkPolicyRuleActionDeny
}

func (w *world) portsMatch(ports []networkingv1.NetworkPolicyPort, c connection) bool {
	if len(ports) == 0 {
		return true
	}
	for _, p := range ports {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		if protocol != c.protocol {
			continue
		}
		if p.Port == nil {
			if p.EndPort == nil { // "cannot be defined if the port field is not defined"
				return true
			}
			continue
		}
		if p.Port.Type == intstr.String {
			if p.EndPort == nil && w.hasPort(c.to.Pod, p.Port.StrVal, c.protocol, c.port) {
				return true
			}
			continue
		}
		last := p.Port.IntVal
		if p.EndPort != nil {
			last = *p.EndPort
		}
		if p.Port.IntVal >= 1 && last <= 65535 && p.Port.IntVal <= c.port && c.port <= last {
			return true
		}
	}
	return false
}

func (w *world) hasPort(pod *netpol.Pod, name string, protocol corev1.Protocol, port int32) bool {
	if pod == nil || name == "" {
		return false
	}
	for _, p := range pod.Ports {
		if p.Name == name && p.Port == port && p.Protocol == protocol {
			return true
		}
	}
	return false
}

func (w *world) anyPeerMatches(peers []networkingv1.NetworkPolicyPeer, own string, end netpol.End) bool {
	for _, p := range peers {
		if p.IPBlock != nil {
			if p.PodSelector == nil && p.NamespaceSelector == nil && blockMatches(p.IPBlock.CIDR, p.IPBlock.Except, end) {
				return true
			}
			continue
		}
		if end.Pod == nil || end.Pod.HostNetwork || p.PodSelector == nil && p.NamespaceSelector == nil {
			continue
		}
		if p.NamespaceSelector == nil && end.Pod.Namespace != own {
			continue
		}
		if p.NamespaceSelector != nil && !selects(p.NamespaceSelector, w.labelsOf(end.Pod.Namespace)) {
			continue
		}
		if p.PodSelector != nil && !selects(p.PodSelector, end.Pod.Labels) {
			continue
		}
		return true
	}
	return false
}

func (w *world) labelsOf(namespace string) map[string]string {
	labels := map[string]string{"kubernetes.io/metadata.name": namespace}
	for k, v := range w.namespaces[namespace] {
		if k != "kubernetes.io/metadata.name" {
			labels[k] = v
		}
	}
	return labels
}

// tierSays returns the action of the first rule of a tier that matches; Pass if that says so, and "" if none does.
func (w *world) tierSays(
	tier v1alpha2.Tier, c connection, subject, peer netpol.End, ingress bool,
) v1alpha2.ClusterNetworkPolicyRuleAction {
	var names []string
	for name, spec := range w.clusterPolicies {
		if spec.Tier == tier {
			names = append(names, name)
		}
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := w.clusterPolicies[names[i]], w.clusterPolicies[names[j]]
		return a.Priority < b.Priority || a.Priority == b.Priority && names[i] < names[j]
	})
	for _, name := range names {
		spec := w.clusterPolicies[name]
		if !w.podsMatch(spec.Subject.Namespaces, spec.Subject.Pods, subject.Pod) {
			continue
		}
		if ingress {
			for _, r := range spec.Ingress {
				var peers []v1alpha2.ClusterNetworkPolicyEgressPeer
				for _, p := range r.From {
					peers = append(peers, v1alpha2.ClusterNetworkPolicyEgressPeer{Namespaces: p.Namespaces, Pods: p.Pods})
				}
				if says := w.ruleSays(r.Action, peers, r.Protocols, c, peer); says != "" {
					return says
				}
			}
			continue
		}
		for _, r := range spec.Egress {
			if says := w.ruleSays(r.Action, r.To, r.Protocols, c, peer); says != "" {
				return says
			}
		}
	}
	return ""
}

func (w *world) ruleSays(
	action v1alpha2.ClusterNetworkPolicyRuleAction, peers []v1alpha2.ClusterNetworkPolicyEgressPeer,
	protocols []v1alpha2.ClusterNetworkPolicyProtocol, c connection, end netpol.End,
) v1alpha2.ClusterNetworkPolicyRuleAction {
	broken, peerMatches, portMatches := false, false, len(protocols) == 0
	for _, p := range peers {
		switch {
		case p.Namespaces != nil:
			broken = broken || !valid(p.Namespaces)
			peerMatches = peerMatches || w.podsMatch(p.Namespaces, nil, end.Pod)
		case p.Pods != nil:
			broken = broken || !valid(&p.Pods.NamespaceSelector) || !valid(&p.Pods.PodSelector)
			peerMatches = peerMatches || w.podsMatch(nil, p.Pods, end.Pod)
		case len(p.Networks) > 0:
			for _, n := range p.Networks {
				if _, ok := prefixOf(string(n)); !ok {
					broken = true
				}
				peerMatches = peerMatches || blockMatches(string(n), nil, end)
			}
		default:
			broken = true
		}
	}
	for _, p := range protocols {
		var port *v1alpha2.Port
		var protocol corev1.Protocol
		switch {
		case p.TCP != nil:
			protocol, port = corev1.ProtocolTCP, p.TCP.DestinationPort
		case p.UDP != nil:
			protocol, port = corev1.ProtocolUDP, p.UDP.DestinationPort
		case p.SCTP != nil:
			protocol, port = corev1.ProtocolSCTP, p.SCTP.DestinationPort
		case p.DestinationNamedPort != "":
			portMatches = portMatches || w.hasPort(c.to.Pod, p.DestinationNamedPort, c.protocol, c.port)
			continue
		default:
			broken = true
			continue
		}
		if port == nil {
			broken = true
			continue
		}
		first, last := port.Number, port.Number
		if port.Range != nil {
			first, last = port.Range.Start, port.Range.End
		}
		portMatches = portMatches || protocol == c.protocol && first <= c.port && c.port <= last
	}
	switch {
	case broken && action == v1alpha2.ClusterNetworkPolicyRuleActionAccept:
		return ""
	case broken:
		return v1alpha2.ClusterNetworkPolicyRuleActionDeny
	case peerMatches && portMatches:
		return action
	}
	return ""
}

func (w *world) podsMatch(namespaces *metav1.LabelSelector, pods *v1alpha2.NamespacedPod, pod *netpol.Pod) bool {
	if pod == nil || pod.HostNetwork {
		return false
	}
	if namespaces != nil {
		return selects(namespaces, w.labelsOf(pod.Namespace))
	}
	return pods != nil && selects(&pods.NamespaceSelector, w.labelsOf(pod.Namespace)) && selects(&pods.PodSelector, pod.Labels)
}

var labelKey = regexp.MustCompile(`^([a-z0-9.-]+/)?[A-Za-z0-9._-]+$`)

func valid(s *metav1.LabelSelector) bool {
	for k := range s.MatchLabels {
		if !labelKey.MatchString(k) {
			return false
		}
	}
	for _, e := range s.MatchExpressions {
		switch e.Operator {
		case "In", "NotIn":
			if len(e.Values) == 0 {
				return false
			}
		case "Exists", "DoesNotExist":
			if len(e.Values) > 0 {
				return false
			}
		default:
			return false
		}
		if !labelKey.MatchString(e.Key) {
			return false
		}
	}
	return true
}

func selects(s *metav1.LabelSelector, labels map[string]string) bool {
	if !valid(s) {
		return false
	}
	for k, v := range s.MatchLabels {
		if has, ok := labels[k]; !ok || has != v {
			return false
		}
	}
	for _, e := range s.MatchExpressions {
		value, ok := labels[e.Key]
		in := ok && slices.Contains(e.Values, value)
		if e.Operator == "In" && !in || e.Operator == "NotIn" && in || e.Operator == "Exists" && !ok || e.Operator == "DoesNotExist" && ok {
			return false
		}
	}
	return true
}

func prefixOf(cidr string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(cidr)
	return p, err == nil && !p.Addr().Is4In6()
}

func blockMatches(cidr string, except []string, end netpol.End) bool {
	within, ok := prefixOf(cidr)
	var without []netip.Prefix
	for _, e := range except {
		p, fine := prefixOf(e)
		ok = ok && fine
		without = append(without, p)
	}
	if !ok {
		return false
	}
	addresses := []netip.Addr{end.Address}
	if end.Pod != nil {
		addresses = end.Pod.Addresses
	}
	for _, a := range addresses {
		excepted := false
		for _, p := range without {
			excepted = excepted || p.Contains(a)
		}
		if within.Contains(a) && !excepted {
			return true
		}
	}
	return false
}

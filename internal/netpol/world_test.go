// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

// chooser makes worlds: each choice is one of n.
type chooser interface{ choose(n int) int }

type random struct{ *rand.Rand }

func (r random) choose(n int) int { return r.IntN(n) }

// bytes are the choices of a fuzzer. When they are used up, it is always the first.
type bytes struct{ left []byte }

func (b *bytes) choose(n int) int {
	if len(b.left) == 0 {
		return 0
	}
	c := int(b.left[0]) % n
	b.left = b.left[1:]
	return c
}

// maker makes the parts of a world. Names and values are few, so that things meet.
type maker struct {
	chooser
	// unique numbers the priorities of cluster policies, so that no two are the same.
	unique int32
}

func one[T any](m *maker, of ...T) T { return of[m.choose(len(of))] }

func (m *maker) oneIn(n int) bool { return m.choose(n) == n-1 }

func some[T any](m *maker, most int, fresh func() T) []T {
	var list []T
	for range m.choose(most + 1) {
		list = append(list, fresh())
	}
	return list
}

func (m *maker) namespace() string { return one(m, "x", "y", "z") }

func (m *maker) labels() map[string]string {
	labels := make(map[string]string)
	for _, key := range []string{"app", "tier", "env"} {
		if value := one(m, "", "-", "a", "b"); value != "-" {
			labels[key] = value
		}
	}
	return labels
}

func (m *maker) selector() metav1.LabelSelector {
	var s metav1.LabelSelector
	if m.oneIn(4) {
		return s
	}
	key := func() string { return one(m, "app", "tier", "env", "other") }
	value := func() string { return one(m, "a", "b", "c", "") }
	if m.oneIn(2) {
		s.MatchLabels = map[string]string{key(): value()}
	}
	s.MatchExpressions = some(m, 2, func() metav1.LabelSelectorRequirement {
		e := metav1.LabelSelectorRequirement{Key: key(), Operator: one(m,
			metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist)}
		if e.Operator == metav1.LabelSelectorOpIn || e.Operator == metav1.LabelSelectorOpNotIn {
			e.Values = append(some(m, 1, value), value())
		}
		return e
	})
	if m.oneIn(20) {
		s.MatchExpressions = append(s.MatchExpressions, one(m,
			metav1.LabelSelectorRequirement{Key: "app", Operator: "Near"},
			metav1.LabelSelectorRequirement{Key: "app", Operator: metav1.LabelSelectorOpIn},
			metav1.LabelSelectorRequirement{Key: "app", Operator: metav1.LabelSelectorOpExists, Values: []string{"a"}},
			metav1.LabelSelectorRequirement{Key: "no key", Operator: metav1.LabelSelectorOpDoesNotExist}))
	}
	return s
}

func (m *maker) namespaceSelector() metav1.LabelSelector {
	if !m.oneIn(3) {
		return m.selector()
	}
	return metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{one(m,
		metav1.LabelSelectorRequirement{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpIn, Values: []string{m.namespace()}},
		metav1.LabelSelectorRequirement{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpNotIn, Values: []string{m.namespace()}},
		metav1.LabelSelectorRequirement{Key: corev1.LabelMetadataName, Operator: metav1.LabelSelectorOpExists})}}
}

func (m *maker) address() netip.Addr {
	return netip.MustParseAddr(one(m,
		"10.0.0.1", "10.0.0.2", "10.0.1.1", "10.1.0.1", "192.168.0.1", "169.254.169.254", "8.8.8.8", "fd00::1", "fd00::2", "2001:db8::1", "2a00::1"))
}

func (m *maker) cidr() string {
	if m.oneIn(20) {
		return one(m, "", "10.0.0.0", "10.0.0.0/33", "010.0.0.0/8", "::ffff:10.0.0.0/104", "cluster")
	}
	return one(m, "10.0.0.0/8", "10.0.0.0/24", "10.0.0.1/32", "10.0.0.2/31", "0.0.0.0/0", "8.0.0.0/5", "169.254.169.254/32", "::/0", "fd00::/8", "fd00::1/128")
}

func (m *maker) pod(namespace string) *netpol.Pod {
	p := &netpol.Pod{Namespace: namespace, Labels: m.labels(), HostNetwork: m.oneIn(8), Node: one(m, "", "node-1", "node-2")}
	p.Addresses = append(some(m, 1, m.address), m.address())
	for _, port := range []int32{80, 81} {
		if m.oneIn(2) {
			p.Ports = append(p.Ports, netpol.NamedPort{Name: one(m, "web", "dns"), Protocol: m.protocol(), Port: port})
		}
	}
	return p
}

func (m *maker) protocol() corev1.Protocol {
	return one(m, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
}

func (m *maker) policyPort() networkingv1.NetworkPolicyPort {
	var p networkingv1.NetworkPolicyPort
	if m.oneIn(2) {
		p.Protocol = new(m.protocol())
	}
	switch m.choose(5) {
	case 0:
	case 1:
		p.Port = new(intstr.FromString(one(m, "web", "dns", "")))
	case 2:
		p.Port = new(intstr.FromInt32(one(m, int32(79), 80)))
		p.EndPort = new(one(m, int32(80), 81, 78))
	default:
		p.Port = new(intstr.FromInt32(one(m, int32(80), 81)))
	}
	if m.oneIn(20) {
		p.EndPort = new(one(m, int32(0), 82, 70000))
	}
	if m.oneIn(20) {
		p.Protocol = new(corev1.Protocol("ICMP"))
	}
	return p
}

func (m *maker) peer() networkingv1.NetworkPolicyPeer {
	var p networkingv1.NetworkPolicyPeer
	if m.oneIn(2) {
		p.PodSelector = new(m.selector())
	}
	if m.oneIn(2) {
		p.NamespaceSelector = new(m.namespaceSelector())
	}
	if m.oneIn(4) {
		p.IPBlock = &networkingv1.IPBlock{CIDR: m.cidr(), Except: some(m, 1, m.cidr)}
		if !m.oneIn(8) {
			p.PodSelector, p.NamespaceSelector = nil, nil
		}
	}
	return p
}

func (m *maker) policy() *networkingv1.NetworkPolicySpec {
	spec := &networkingv1.NetworkPolicySpec{PodSelector: m.selector()}
	spec.PolicyTypes = one(m, nil, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}, []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
		[]networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}, []networkingv1.PolicyType{"Sideways"})
	spec.Ingress = some(m, 2, func() networkingv1.NetworkPolicyIngressRule {
		return networkingv1.NetworkPolicyIngressRule{Ports: some(m, 2, m.policyPort), From: some(m, 2, m.peer)}
	})
	spec.Egress = some(m, 2, func() networkingv1.NetworkPolicyEgressRule {
		return networkingv1.NetworkPolicyEgressRule{Ports: some(m, 2, m.policyPort), To: some(m, 2, m.peer)}
	})
	return spec
}

func (m *maker) pods() (*metav1.LabelSelector, *v1alpha2.NamespacedPod) {
	switch m.choose(12) {
	case 11:
		return nil, nil
	case 0, 1, 2, 3, 4:
		return new(m.namespaceSelector()), nil
	}
	return nil, &v1alpha2.NamespacedPod{NamespaceSelector: m.namespaceSelector(), PodSelector: m.selector()}
}

func (m *maker) clusterProtocol() v1alpha2.ClusterNetworkPolicyProtocol {
	if m.oneIn(4) {
		return v1alpha2.ClusterNetworkPolicyProtocol{DestinationNamedPort: one(m, "web", "dns", "")}
	}
	port := &v1alpha2.Port{Number: one(m, int32(80), 81)}
	switch m.choose(8) {
	case 0:
		port = &v1alpha2.Port{Range: &v1alpha2.PortRange{Start: 79, End: 80}}
	case 1:
		port = nil
	}
	switch m.choose(3) {
	case 0:
		return v1alpha2.ClusterNetworkPolicyProtocol{UDP: &v1alpha2.ClusterNetworkPolicyProtocolUDP{DestinationPort: port}}
	case 1:
		return v1alpha2.ClusterNetworkPolicyProtocol{SCTP: &v1alpha2.ClusterNetworkPolicyProtocolSCTP{DestinationPort: port}}
	}
	return v1alpha2.ClusterNetworkPolicyProtocol{TCP: &v1alpha2.ClusterNetworkPolicyProtocolTCP{DestinationPort: port}}
}

func (m *maker) clusterPolicy() *v1alpha2.ClusterNetworkPolicySpec {
	m.unique++
	spec := &v1alpha2.ClusterNetworkPolicySpec{Tier: one(m, v1alpha2.AdminTier, v1alpha2.BaselineTier), Priority: (m.unique * 37) % 1000}
	spec.Subject.Namespaces, spec.Subject.Pods = m.pods()
	action := func() v1alpha2.ClusterNetworkPolicyRuleAction {
		return one(m, v1alpha2.ClusterNetworkPolicyRuleActionAccept, v1alpha2.ClusterNetworkPolicyRuleActionDeny, v1alpha2.ClusterNetworkPolicyRuleActionPass)
	}
	spec.Ingress = some(m, 2, func() v1alpha2.ClusterNetworkPolicyIngressRule {
		return v1alpha2.ClusterNetworkPolicyIngressRule{Action: action(), Protocols: some(m, 2, m.clusterProtocol),
			From: some(m, 2, func() (p v1alpha2.ClusterNetworkPolicyIngressPeer) {
				p.Namespaces, p.Pods = m.pods()
				return p
			})}
	})
	spec.Egress = some(m, 2, func() v1alpha2.ClusterNetworkPolicyEgressRule {
		return v1alpha2.ClusterNetworkPolicyEgressRule{Action: action(), Protocols: some(m, 2, m.clusterProtocol),
			To: some(m, 2, func() (p v1alpha2.ClusterNetworkPolicyEgressPeer) {
				if m.oneIn(3) {
					p.Networks = append(p.Networks, v1alpha2.CIDR(m.cidr()))
					return p
				}
				p.Namespaces, p.Pods = m.pods()
				return p
			})}
	})
	return spec
}

// world makes a whole one.
func (m *maker) world() *world {
	w := newWorld()
	for _, name := range []string{"x", "y", "z"} {
		if !m.oneIn(4) {
			w.namespaces[name] = m.labels()
		}
	}
	for i := range 2 + m.choose(5) {
		ns := m.namespace()
		w.pods[podKey{ns, fmt.Sprint("pod-", i)}] = m.pod(ns)
	}
	for i := range m.choose(5) {
		w.policies[podKey{m.namespace(), fmt.Sprint("policy-", i)}] = m.policy()
	}
	if m.oneIn(2) {
		for i := range m.choose(4) {
			w.clusterPolicies[fmt.Sprint("cluster-", i)] = m.clusterPolicy()
		}
	}
	return w
}

// cluster enters a world into a cluster, in the order that Go's maps happen to have.
func (w *world) cluster() *netpol.Cluster {
	c := netpol.NewCluster()
	for key, p := range w.pods {
		c.SetPod(key.name, p)
	}
	for key, spec := range w.policies {
		c.SetPolicy(key.namespace, key.name, spec)
	}
	for name, labels := range w.namespaces {
		c.SetNamespace(name, labels)
	}
	for name, spec := range w.clusterPolicies {
		c.SetClusterPolicy(name, spec)
	}
	return c
}

// ends are the Pods and some addresses.
func (w *world) ends() []netpol.End {
	var ends []netpol.End
	for _, p := range w.pods {
		ends = append(ends, netpol.End{Pod: p})
	}
	for _, a := range []string{"10.0.0.1", "8.8.8.8", "169.254.169.254", "2a00::1"} {
		ends = append(ends, netpol.End{Address: netip.MustParseAddr(a)})
	}
	return ends
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol_test

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

// The truth tables of Kubernetes' own end-to-end tests of network policies, all 48 cases with their 65 tables, from
// test/e2e/network/netpol/network_policy.go of Kubernetes 1.36.3. Names of cases are theirs. As there, a Pod's connections
// to itself are left out.

// upstreamCase has steps: changes, and then tables.
type upstreamCase struct {
	// pods, such as "x/a y/b". Each has the label pod with its name, and serves the ports that are probed under the names
	// serve-80-tcp and so on. Namespaces are x, y and z.
	pods  string
	steps []step
}

type step struct {
	// policies by name of those in namespace x, or of any with "y/" before the name; nothing for one that is deleted.
	policies map[string]string
	// labels of a Pod ("x/b") or namespace ("y") that are added.
	labels map[string]map[string]string
	tables []table
}

type table struct {
	protocol corev1.Protocol
	port     int32
	// expects are applied one after the other to a table in which all is allowed.
	expects []expect
}

// expect is about the connections from and to "" (all), a namespace, or a Pod.
type expect struct {
	from, to string
	allowed  bool
}

func tcp(port int32, expects ...expect) table  { return table{corev1.ProtocolTCP, port, expects} }
func udp(port int32, expects ...expect) table  { return table{corev1.ProtocolUDP, port, expects} }
func sctp(port int32, expects ...expect) table { return table{corev1.ProtocolSCTP, port, expects} }

func no(from, to string) expect  { return expect{from, to, false} }
func yes(from, to string) expect { return expect{from, to, true} }

// policies is a step that makes policies in namespace x; then tables.
func policies(of map[string]string, tables ...table) step { return step{policies: of, tables: tables} }

func policyOf(spec string, tables ...table) step {
	return policies(map[string]string{"policy": spec}, tables...)
}

const (
	denyIngress   = "{podSelector: {}, policyTypes: [Ingress], ingress: []}"
	denyAll       = "{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [], egress: []}"
	denyEgress    = "{podSelector: {}, policyTypes: [Egress], egress: []}"
	allowIngress  = "{podSelector: {}, policyTypes: [Ingress], ingress: [{}]}"
	toA           = "{podSelector: {matchLabels: {pod: a}}, policyTypes: [Ingress], ingress: [%s]}"
	fromA         = "{podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: [%s]}"
	nsY           = "{matchLabels: {kubernetes.io/metadata.name: 'y'}}"
	notNsX        = "{matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [x]}]}"
	onlyFromNsY   = "{from: [{namespaceSelector: " + nsY + "}]}"
	port81FromNsY = "{from: [{namespaceSelector: " + nsY + "}], ports: [{port: 81, protocol: %s}]}"
)

var upstream = map[string]upstreamCase{
	"should support a 'default-deny-ingress' policy": {"x/a x/b y/a y/b", []step{policyOf(denyIngress, tcp(80, no("", "x")))}},
	"should support a 'default-deny-all' policy":     {"x/a x/b y/a", []step{policyOf(denyAll, tcp(80, no("", "x"), no("x", "")))}},
	"should enforce policy to allow traffic from pods within server namespace based on PodSelector": {"x/a x/b x/c y/a", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{podSelector: {matchLabels: {pod: b}}}]}"), tcp(80, no("", "x/a"), yes("x/b", "x/a")))}},
	"should enforce policy to allow ingress traffic for a target": {"x/a x/b y/a", []step{policies(map[string]string{
		"deny-all": denyIngress, "allow-all-to-a": fmt.Sprintf(toA, "{from: [{podSelector: {}, namespaceSelector: {}}]}"),
	}, tcp(80, yes("", "x/a"), no("", "x/b")))}},
	"should enforce policy to allow ingress traffic from pods in all namespaces": {"x/a x/b y/a z/a", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{namespaceSelector: {matchLabels: {}}}]}"), tcp(80))}},
	"should enforce policy to allow traffic only from a different namespace, based on NamespaceSelector": {"x/a x/b y/a z/a", []step{
		policyOf(fmt.Sprintf(toA, onlyFromNsY), tcp(80, no("x", "x/a"), no("z", "x/a")))}},
	"should enforce policy based on PodSelector with MatchExpressions": {"x/a x/b y/a", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{podSelector: {matchExpressions: [{key: pod, operator: In, values: [b]}]}}]}"),
			tcp(80, no("", "x/a"), yes("x/b", "x/a")))}},
	"should enforce policy based on NamespaceSelector with MatchExpressions": {"x/a x/b y/a z/a", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: ['y']}]}}]}"),
			tcp(80, no("x", "x/a"), no("z", "x/a")))}},
	"should enforce policy based on PodSelector or NamespaceSelector": {"x/a x/b x/c y/a", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{namespaceSelector: "+notNsX+"}, {podSelector: {matchLabels: {pod: b}}}]}"),
			tcp(80, no("x/a", "x/a"), no("x/c", "x/a")))}},
	"should enforce policy based on PodSelector and NamespaceSelector": {"x/a x/b y/a y/b z/b", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{namespaceSelector: "+notNsX+", podSelector: {matchLabels: {pod: b}}}]}"),
			tcp(80, no("", "x/a"), yes("y/b", "x/a"), yes("z/b", "x/a")))}},
	"should enforce policy based on Multiple PodSelectors and NamespaceSelectors": {"x/a x/b y/a y/b y/c", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{namespaceSelector: "+notNsX+", podSelector: {matchExpressions: [{key: pod, operator: In, values: [b, c]}]}}]}"),
			tcp(80, no("x", "x/a"), no("y/a", "x/a")))}},
	"should enforce policy based on any PodSelectors": {"x/a x/b x/c", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{podSelector: {matchLabels: {pod: b}}}, {podSelector: {matchLabels: {pod: c}}}]}"),
			tcp(80, no("", "x/a"), yes("x/b", "x/a"), yes("x/c", "x/a")))}},
	"should enforce policy to allow traffic only from a pod in a different namespace based on PodSelector and NamespaceSelector": {"x/a x/b y/a y/b z/a", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{namespaceSelector: "+nsY+", podSelector: {matchLabels: {pod: a}}}]}"), tcp(80, no("", "x/a"), yes("y/a", "x/a")))}},
	"should enforce policy based on Ports": {"x/a x/b y/a y/b z/a", []step{
		policyOf(fmt.Sprintf(toA, fmt.Sprintf(port81FromNsY, "TCP")), tcp(81, no("x", "x/a"), yes("y", "x/a"), no("z", "x/a")))}},
	"should enforce multiple, stacked policies with overlapping podSelectors": {"x/a x/b y/a y/b z/a", []step{
		policies(map[string]string{"81": fmt.Sprintf(toA, fmt.Sprintf(port81FromNsY, "TCP"))},
			tcp(81, no("x", "x/a"), yes("y", "x/a"), no("z", "x/a")), tcp(80, no("", "x/a"))),
		policies(map[string]string{"80": fmt.Sprintf(toA, "{from: [{namespaceSelector: "+nsY+"}], ports: [{port: 80, protocol: TCP}]}")},
			tcp(80, no("x", "x/a"), yes("y", "x/a"), no("z", "x/a")))}},
	"should support allow-all policy": {"x/a x/b y/a", []step{policyOf(allowIngress, tcp(80), tcp(81))}},
	"should allow ingress access on one named port": {"x/a x/b y/a", []step{
		policyOf("{podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{port: serve-81-tcp}]}]}", tcp(81), tcp(80, no("", "x")))}},
	"should allow ingress access from namespace on one named port": {"x/a x/b y/a z/a", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{namespaceSelector: "+nsY+"}], ports: [{port: serve-80-tcp, protocol: TCP}]}"),
			tcp(80, no("x", "x/a"), no("z", "x/a")), tcp(81, no("", "x/a")))}},
	"should allow egress access on one named port": {"x/a y/a", []step{
		policyOf("{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: serve-80-tcp}]}]}", tcp(80), tcp(81, no("x", "")))}},
	"should enforce updated policy": {"x/a y/a", []step{policyOf(allowIngress, tcp(81)), policyOf(denyIngress, tcp(81, no("", "x")))}},
	"should allow ingress access from updated namespace": {"x/a y/a", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{namespaceSelector: {matchLabels: {ns2: updated}}}]}"), tcp(80, no("", "x/a"))),
		{labels: map[string]map[string]string{"y": {"ns2": "updated"}}, tables: []table{tcp(80, no("", "x/a"), yes("y", ""))}}}},
	"should allow ingress access from updated pod": {"x/a x/b", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{podSelector: {matchLabels: {pod: b, pod2: updated}}}]}"), tcp(80, no("", "x/a"))),
		{labels: map[string]map[string]string{"x/b": {"pod2": "updated"}}, tables: []table{tcp(80, no("", "x/a"), yes("x/b", "x/a"))}}}},
	"should deny ingress from pods on other namespaces": {"x/a x/b y/a z/a", []step{
		policyOf("{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {}}}]}]}", tcp(80, no("y", "x"), no("z", "x")))}},
	"should deny ingress access to updated pod": {"x/a y/a", []step{
		policyOf("{podSelector: {matchLabels: {target: isolated}}, policyTypes: [Ingress], ingress: []}", tcp(80)),
		{labels: map[string]map[string]string{"x/a": {"target": "isolated"}}, tables: []table{tcp(80, no("", "x/a"))}}}},
	"should deny egress from pods based on PodSelector": {"x/a x/b y/a", []step{
		policyOf("{podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: []}", tcp(80, no("x/a", "")))}},
	"should deny egress from all pods in a namespace": {"x/a x/b y/a", []step{policyOf(denyEgress, tcp(80, no("x", "")))}},
	"should work with Ingress, Egress specified together": {"x/a x/b x/c y/a", []step{
		policyOf("{podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress, Ingress], ingress: [{from: [{podSelector: {matchLabels: {pod: b}}}]}], egress: [{ports: [{port: 80}]}]}",
			tcp(80, no("", "x/a"), yes("x/b", "x/a")), tcp(81, no("", "x/a"), no("x/a", ""), yes("x/b", "x/a")))}},
	"should support denying of egress traffic on the client side (even if the server explicitly allows this traffic)": {"x/a y/a y/b", []step{
		policies(map[string]string{
			"egress":  fmt.Sprintf(fromA, "{to: [{namespaceSelector: "+nsY+", podSelector: {matchLabels: {pod: a}}}]}"),
			"y/pod-a": fmt.Sprintf(toA, "{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: x}}, podSelector: {matchLabels: {pod: a}}}]}"),
			"y/pod-b": "{podSelector: {matchLabels: {pod: b}}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: x}}, podSelector: {matchLabels: {pod: a}}}]}]}",
		}, tcp(80, no("x/a", ""), no("", "y/a"), yes("x/a", "y/a"), no("", "y/b")))}},
	"should enforce egress policy allowing traffic to a server in a different namespace based on PodSelector and NamespaceSelector": {"x/a y/a y/b", []step{
		policyOf(fmt.Sprintf(fromA, "{to: [{namespaceSelector: "+nsY+", podSelector: {matchLabels: {pod: a}}}]}"), tcp(80, no("x/a", ""), yes("x/a", "y/a")))}},
	"should enforce ingress policy allowing any port traffic to a server on a specific protocol": {"x/a y/a", []step{
		policyOf(fmt.Sprintf(toA, "{ports: [{protocol: TCP}]}"), tcp(80), udp(80, no("", "x/a")))}},
	"should enforce multiple ingress policies with ingress allow-all policy taking precedence": {"x/a y/a", []step{
		policies(map[string]string{"80": "{podSelector: {}, policyTypes: [Ingress], ingress: [{ports: [{port: 80}]}]}"}, tcp(81, no("", "x"))),
		policies(map[string]string{"all": allowIngress}, tcp(81))}},
	"should enforce multiple egress policies with egress allow-all policy taking precedence": {"x/a y/a", []step{
		policies(map[string]string{"80": "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]}"}, tcp(81, no("x", ""))),
		policies(map[string]string{"all": "{podSelector: {}, policyTypes: [Egress], egress: [{}]}"}, tcp(81))}},
	"should stop enforcing policies after they are deleted": {"x/a y/a", []step{
		policyOf(denyAll, tcp(80, no("x", ""), no("", "x"))), policyOf("", tcp(80))}},
	"should allow egress access to server in CIDR block": {"x/a y/a y/b", []step{
		policyOf(fmt.Sprintf(fromA, "{to: [{ipBlock: {cidr: "+addressOf("y/b")+"/32}}]}"), tcp(80, no("x/a", ""), yes("x/a", "y/b")))}},
	"should enforce except clause while egress access to server in CIDR block": {"x/a x/b x/c", []step{
		policyOf(fmt.Sprintf(fromA, "{to: [{ipBlock: {cidr: 0.0.0.0/4, except: ["+addressOf("x/b")+"/32]}}]}"), tcp(80, no("x/a", "x/b")))}},
	"should ensure an IP overlapping both IPBlock.CIDR and IPBlock.Except is allowed": {"x/a x/b x/c", []step{
		policyOf(fmt.Sprintf(fromA, "{to: [{ipBlock: {cidr: 0.0.0.0/4, except: ["+addressOf("x/b")+"/32]}}]}"), tcp(80, no("x/a", "x/b"))),
		policyOf(fmt.Sprintf(fromA, "{to: [{ipBlock: {cidr: "+addressOf("x/b")+"/32}}]}"), tcp(80, no("x/a", ""), yes("x/a", "x/b")))}},
	"should enforce policies to check ingress and egress policies can be controlled independently based on PodSelector": {"x/a x/b y/a", []step{
		policies(map[string]string{"egress": fmt.Sprintf(fromA, "{}")}, tcp(80)),
		policies(map[string]string{"ingress": "{podSelector: {matchLabels: {pod: a}}, policyTypes: [Ingress], ingress: []}"}, tcp(80, no("", "x/a")))}},
	"should not mistakenly treat 'protocol: SCTP' as 'protocol: TCP', even if the plugin doesn't support SCTP": {"x/a y/a", []step{
		policies(map[string]string{"deny": denyIngress, "sctp": fmt.Sprintf(toA, "{ports: [{port: 81, protocol: SCTP}]}")}, tcp(81, no("", "x")))}},
	"should properly isolate pods that are selected by a policy allowing SCTP, even if the plugin doesn't support SCTP": {"x/a y/a", []step{
		policyOf(fmt.Sprintf(toA, "{ports: [{port: 80, protocol: SCTP}]}"), tcp(81, no("", "x/a")))}},
	"should not allow access by TCP when a policy specifies only UDP": {"x/a y/a", []step{
		policyOf(fmt.Sprintf(toA, "{ports: [{port: 81, protocol: UDP}]}"), tcp(81, no("", "x/a")))}},
	"should enforce policy to allow traffic based on NamespaceSelector with MatchLabels using default ns label": {"x/a x/b y/a z/a", []step{
		policyOf(fmt.Sprintf(toA, onlyFromNsY), tcp(80, no("x", "x/a"), no("z", "x/a")))}},
	"should enforce policy based on NamespaceSelector with MatchExpressions using default ns label": {"x/a x/b y/a z/a", []step{
		policyOf(fmt.Sprintf(fromA, "{to: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: ['y']}]}}]}"),
			tcp(80, no("x/a", "y")))}},

	"UDP: should support a 'default-deny-ingress' policy": {"x/a x/b y/a y/b", []step{policyOf(denyIngress, udp(80, no("", "x")))}},
	"UDP: should enforce policy based on Ports": {"x/a x/b y/a z/a", []step{
		policyOf(fmt.Sprintf(toA, fmt.Sprintf(port81FromNsY, "UDP")), udp(81, no("x", "x/a"), no("z", "x/a")))}},
	"UDP: should enforce policy to allow traffic only from a pod in a different namespace based on PodSelector and NamespaceSelector": {"x/a x/b y/a", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{namespaceSelector: "+nsY+", podSelector: {matchLabels: {pod: a}}}]}"), udp(80, no("", "x/a"), yes("y/a", "x/a")))}},
	"SCTP: should support a 'default-deny-ingress' policy": {"x/a x/b y/a y/b", []step{policyOf(denyIngress, sctp(80, no("", "x")))}},
	"SCTP: should enforce policy based on Ports": {"x/a x/b y/a z/a", []step{
		policyOf(fmt.Sprintf(toA, fmt.Sprintf(port81FromNsY, "SCTP")), sctp(81, no("x", "x/a"), no("z", "x/a")))}},
	"SCTP: should enforce policy to allow traffic only from a pod in a different namespace based on PodSelector and NamespaceSelector": {"x/a x/b y/a", []step{
		policyOf(fmt.Sprintf(toA, "{from: [{namespaceSelector: "+nsY+", podSelector: {matchLabels: {pod: a}}}]}"), sctp(80, no("", "x/a"), yes("y/a", "x/a")))}},
}

// addressOf returns the address of a Pod: 10.24.1.1 for x/a, 10.25.2.1 for y/b.
func addressOf(pod string) string {
	ns, name, _ := strings.Cut(pod, "/")
	return fmt.Sprintf("10.%d.%d.1", ns[0]-'a'+1, name[0]-'a'+1)
}

func TestUpstreamTruthTables(t *testing.T) {
	const wantCases, wantTables = 48, 65
	tables := 0
	for name, tc := range upstream {
		t.Run(name, func(t *testing.T) {
			c := netpol.NewCluster()
			for _, ns := range []string{"x", "y", "z"} {
				c.SetNamespace(ns, nil)
			}
			pods := make(map[string]*netpol.Pod)
			for _, p := range strings.Fields(tc.pods) {
				pods[p] = upstreamPod(p)
				c.SetPod(p, pods[p])
			}
			for i, s := range tc.steps {
				s.apply(t, c, pods)
				for _, table := range s.tables {
					tables++
					table.compare(t, i, c, pods)
				}
			}
		})
	}
	if len(upstream) != wantCases || tables != wantTables {
		t.Errorf("%d cases with %d tables, want %d with %d", len(upstream), tables, wantCases, wantTables)
	}
}

func upstreamPod(name string) *netpol.Pod {
	ns, short, _ := strings.Cut(name, "/")
	p := &netpol.Pod{Namespace: ns, Labels: map[string]string{"pod": short}, Addresses: []netip.Addr{netip.MustParseAddr(addressOf(name))}}
	for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
		for _, port := range []int32{80, 81} {
			p.Ports = append(p.Ports, netpol.NamedPort{
				Name: fmt.Sprintf("serve-%d-%s", port, strings.ToLower(string(protocol))), Protocol: protocol, Port: port})
		}
	}
	return p
}

func (s *step) apply(t *testing.T, c *netpol.Cluster, pods map[string]*netpol.Pod) {
	t.Helper()
	for name, text := range s.policies {
		ns, short, found := strings.Cut(name, "/")
		if !found {
			ns, short = "x", name
		}
		if text == "" {
			c.DeletePolicy(ns, short)
			continue
		}
		var spec networkingv1.NetworkPolicySpec
		if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if problems := netpol.Problems(&spec); len(problems) > 0 {
			t.Errorf("problems with what upstream uses: %v", problems)
		}
		c.SetPolicy(ns, short, &spec)
	}
	for name, labels := range s.labels {
		if !strings.Contains(name, "/") {
			c.SetNamespace(name, labels)
			continue
		}
		labelled := *pods[name]
		labelled.Labels = maps.Clone(labelled.Labels)
		maps.Copy(labelled.Labels, labels)
		pods[name] = &labelled
		c.SetPod(name, &labelled)
	}
}

func (tb *table) compare(t *testing.T, at int, c *netpol.Cluster, pods map[string]*netpol.Pod) {
	t.Helper()
	matches := func(pattern, pod string) bool {
		return pattern == "" || pattern == pod || strings.HasPrefix(pod, pattern+"/")
	}
	for from := range pods {
		for to := range pods {
			if from == to {
				continue
			}
			want := true
			for _, e := range tb.expects {
				if matches(e.from, from) && matches(e.to, to) {
					want = e.allowed
				}
			}
			verdict := c.Connect(netpol.End{Pod: pods[from]}, netpol.End{Pod: pods[to]}, netpol.AllPorts(), false)
			if got := verdict.Allowed.Contains(tb.protocol, tb.port); got != want {
				t.Errorf("step %d: %s %d from %s to %s: %v, want %v", at, tb.protocol, tb.port, from, to, got, want)
			}
		}
	}
}

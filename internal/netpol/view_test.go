// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"
	"sigs.k8s.io/yaml"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

func parse[T any](t *testing.T, text string) *T {
	t.Helper()
	var spec T
	if err := yaml.UnmarshalStrict([]byte(text), &spec); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return &spec
}

// shop is a cluster with those policies in namespace shop, and those of the whole cluster.
func shop(t *testing.T, policies, clusterPolicies map[string]string) *netpol.Cluster {
	t.Helper()
	c := netpol.NewCluster()
	c.SetNamespace("shop", map[string]string{"team": "shop"})
	for name, text := range policies {
		c.SetPolicy("shop", name, parse[networkingv1.NetworkPolicySpec](t, text))
	}
	for name, text := range clusterPolicies {
		c.SetClusterPolicy(name, parse[v1alpha2.ClusterNetworkPolicySpec](t, text))
	}
	return c
}

func TestIsolation(t *testing.T) {
	web := &netpol.Pod{Namespace: "shop", Labels: map[string]string{"app": "web"}}
	for name, tc := range map[string]struct {
		pod                 *netpol.Pod
		policy, cluster     string
		wantIn, wantOut     netpol.Isolation
		wantDenyIn, denyOut bool
	}{
		"nothing isolates without policies": {wantIn: netpol.Open, wantOut: netpol.Open},
		"a policy without types covers ingress": {policy: "{podSelector: {}}",
			wantIn: netpol.Isolated, wantOut: netpol.Open, wantDenyIn: true},
		"and egress if it has rules for it": {policy: "{podSelector: {}, egress: [{}]}",
			wantIn: netpol.Isolated, wantOut: netpol.Isolated, wantDenyIn: true},
		"allowing everything isolates on paper": {policy: "{podSelector: {}, ingress: [{}]}", wantIn: netpol.Isolated, wantOut: netpol.Open},
		"only the Pods that are selected": {policy: "{podSelector: {matchLabels: {app: db}}, policyTypes: [Ingress, Egress]}",
			wantIn: netpol.Open, wantOut: netpol.Open},
		"an invalid selector isolates nobody": {policy: "{podSelector: {matchExpressions: [{key: app, operator: Near}]}}",
			wantIn: netpol.Open, wantOut: netpol.Open},
		"an unknown type covers nothing": {policy: "{podSelector: {}, policyTypes: [Sideways]}", wantIn: netpol.Open, wantOut: netpol.Open},
		"the node's network is unprotected": {pod: &netpol.Pod{Namespace: "shop", HostNetwork: true},
			policy: "{podSelector: {}, policyTypes: [Ingress, Egress]}",
			wantIn: netpol.Unprotected, wantOut: netpol.Unprotected, wantDenyIn: true, denyOut: true},
		"a baseline for the cluster denies by default": {
			cluster: "{tier: Baseline, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]," +
				" egress: [{action: Deny, to: [{networks: [0.0.0.0/0]}]}]}",
			wantIn: netpol.Isolated, wantOut: netpol.Isolated, wantDenyIn: true, denyOut: true},
		"denying all Pods leaves everything outside": {
			cluster: "{tier: Baseline, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]," +
				" egress: [{action: Deny, to: [{namespaces: {}}]}]}",
			wantIn: netpol.Isolated, wantOut: netpol.Open, wantDenyIn: true},
		"a baseline for some Pods isolates them": {
			cluster: "{tier: Baseline, priority: 1, subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}," +
				" ingress: [{action: Deny, from: [{namespaces: {}}]}]}",
			wantIn: netpol.Isolated, wantOut: netpol.Open},
		"denying some is not denying by default": {
			cluster: "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {matchLabels: {team: x}}}]}]}",
			wantIn:  netpol.Open, wantOut: netpol.Open},
		"denying some ports is not either": {
			cluster: "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]," +
				" protocols: [{tcp: {destinationPort: {number: 80}}}]}]}",
			wantIn: netpol.Open, wantOut: netpol.Open},
	} {
		t.Run(name, func(t *testing.T) {
			var policies, clusterPolicies map[string]string
			if tc.policy != "" {
				policies = map[string]string{"policy": tc.policy}
			}
			if tc.cluster != "" {
				clusterPolicies = map[string]string{"cluster": tc.cluster}
			}
			if tc.pod == nil {
				tc.pod = web
			}
			v := shop(t, policies, clusterPolicies).View("shop")
			if in, out := v.Isolation(tc.pod, netpol.Ingress), v.Isolation(tc.pod, netpol.Egress); in != tc.wantIn || out != tc.wantOut {
				t.Errorf("ingress %s, egress %s, want %s, %s", in, out, tc.wantIn, tc.wantOut)
			}
			if in, out := v.DefaultDenies(netpol.Ingress), v.DefaultDenies(netpol.Egress); in != tc.wantDenyIn || out != tc.denyOut {
				t.Errorf("denies ingress by default: %v, egress: %v, want %v, %v", in, out, tc.wantDenyIn, tc.denyOut)
			}
		})
	}
}

func TestFromEverywhere(t *testing.T) {
	web := &netpol.Pod{Namespace: "shop", Labels: map[string]string{"app": "web"},
		Ports: []netpol.NamedPort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 8080}}}
	for name, tc := range map[string]struct {
		policies []string
		cluster  []string
		want     string
	}{
		"without policies":                  {want: "all ports"},
		"of the own namespace":              {policies: []string{"{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"}, want: "no port"},
		"a rule without peers":              {policies: []string{"{podSelector: {}, ingress: [{ports: [{port: 80}, {port: 443, endPort: 445}]}]}"}, want: "TCP 80, TCP 443-445"},
		"all namespaces":                    {policies: []string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}], ports: [{port: http}]}]}"}, want: "TCP 8080"},
		"all namespaces, by their name":     {policies: []string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]}}]}]}"}, want: "all ports"},
		"all others":                        {policies: []string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [shop]}]}}]}]}"}, want: "all ports"},
		"all but one":                       {policies: []string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [x]}]}}]}]}"}, want: "no port"},
		"some Pods of all namespaces":       {policies: []string{"{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: x}}}]}]}"}, want: "no port"},
		"all addresses":                     {policies: []string{"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}]}]}"}, want: "all ports"},
		"all addresses but those of a Pod":  {policies: []string{"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}]}"}, want: "no port"},
		"all addresses of IPv6":             {policies: []string{"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: '::/0'}}]}]}"}, want: "no port"},
		"policies add up":                   {policies: []string{"{podSelector: {}}", "{podSelector: {}, ingress: [{ports: [{protocol: UDP}]}]}", "{podSelector: {}, ingress: [{ports: [{port: 80}]}]}"}, want: "TCP 80, all of UDP"},
		"an administrator accepts":          {policies: []string{"{podSelector: {}}"}, cluster: []string{"{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Accept, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {number: 80}}}]}]}"}, want: "TCP 80"},
		"an administrator denies one":       {cluster: []string{"{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {matchLabels: {a: b}}}], protocols: [{udp: {destinationPort: {range: {start: 1, end: 65535}}}}]}]}"}, want: "all of TCP, all of SCTP"},
		"some are passed to what denies":    {policies: []string{"{podSelector: {}}"}, cluster: []string{"{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Pass, from: [{namespaces: {matchLabels: {a: b}}}]}, {action: Accept, from: [{namespaces: {}}]}]}"}, want: "no port"},
		"some are passed to what allows":    {cluster: []string{"{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Pass, from: [{namespaces: {matchLabels: {a: b}}}]}, {action: Accept, from: [{namespaces: {}}]}]}"}, want: "all ports"},
		"all are passed past a denial":      {cluster: []string{"{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Pass, from: [{namespaces: {}}]}, {action: Deny, from: [{namespaces: {}}]}]}"}, want: "all ports"},
		"a baseline counts for the open":    {cluster: []string{"{tier: Baseline, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}"}, want: "no port"},
		"a baseline gives way":              {policies: []string{"{podSelector: {}, ingress: [{}]}"}, cluster: []string{"{tier: Baseline, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}"}, want: "all ports"},
		"what is unknown fails closed":      {cluster: []string{"{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{}]}]}"}, want: "no port"},
		"and accepts nothing":               {policies: []string{"{podSelector: {}}"}, cluster: []string{"{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Accept, from: [{namespaces: {}}], protocols: [{}]}]}"}, want: "no port"},
		"without rules nothing is affected": {cluster: []string{"{tier: Admin, priority: 1, subject: {namespaces: {}}}"}, want: "all ports"},
	} {
		t.Run(name, func(t *testing.T) {
			policies, clusterPolicies := make(map[string]string), make(map[string]string)
			for i, p := range tc.policies {
				policies[string(rune('a'+i))] = p
			}
			for i, p := range tc.cluster {
				clusterPolicies[string(rune('a'+i))] = p
			}
			if got := shop(t, policies, clusterPolicies).View("shop").FromEverywhere(web).String(); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

// TestFromEverywhereHolds: what is said to hold for every Pod of every other namespace does, for Pods and namespaces with
// all labels that selectors can tell apart.
func TestFromEverywhereHolds(t *testing.T) {
	var labels []map[string]string
	values := []string{"", "a", "b", "c", "-"}
	for _, app := range values {
		for _, tier := range values {
			set := map[string]string{"app": app, "tier": tier, "env": "a"}
			for key, value := range set {
				if value == "-" {
					delete(set, key)
				}
			}
			labels = append(labels, set)
		}
	}
	compared := 0
	for seed := range uint64(100) {
		w := (&maker{chooser: random{rand.New(rand.NewPCG(seed, 4))}}).world()
		c := w.cluster()
		for _, set := range labels {
			w.namespaces["other"] = set
			for _, p := range w.pods {
				open := c.View(p.Namespace).FromEverywhere(p)
				if open.Empty() || p.HostNetwork {
					continue
				}
				for _, podLabels := range labels {
					from := netpol.End{Pod: &netpol.Pod{Namespace: "other", Labels: podLabels, Addresses: []netip.Addr{netip.MustParseAddr("172.20.0.1")}}}
					for _, port := range []int32{1, 80, 81} {
						compared++
						q := connection{from, netpol.End{Pod: p}, corev1.ProtocolTCP, port}
						if open.Contains(q.protocol, port) && !w.allowsOnSide(q, q.to, q.from, true) {
							t.Fatalf("seed %d: %d of %s is not open to %v of %v\n%s", seed, port, describe(p), podLabels, set, describe(w))
						}
					}
				}
			}
		}
	}
	if compared < 10_000 {
		t.Errorf("compared only %d", compared)
	}
}

// TestSourcesHold: a namespace with a Pod that may connect is among the sources.
func TestSourcesHold(t *testing.T) {
	compared := 0
	for seed := range uint64(2000) {
		w := (&maker{chooser: random{rand.New(rand.NewPCG(seed, 5))}}).world()
		for _, p := range w.pods {
			p.Addresses, p.Node = nil, "" // sources are about selectors
		}
		c := w.cluster()
		for _, to := range w.pods {
			sources := c.Sources(to)
			for _, from := range w.pods {
				if from.HostNetwork || from == to {
					continue
				}
				for _, port := range []int32{1, 79, 80, 81, 82} {
					for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
						compared++
						named := strings.Contains(strings.Join(sources.Names(), " "), from.Namespace)
						q := connection{netpol.End{Pod: from}, netpol.End{Pod: to}, protocol, port}
						if w.allowsOnSide(q, q.to, q.from, true) && named == sources.Every {
							t.Fatalf("seed %d: %s is no source of %s: every %v, %v\n%s",
								seed, describe(from), describe(to), sources.Every, sources.Names(), describe(w))
						}
					}
				}
			}
		}
	}
	if compared < 10_000 {
		t.Errorf("compared only %d", compared)
	}
}

func TestConnections(t *testing.T) {
	pod := func(app, address string) *netpol.Pod {
		p := &netpol.Pod{Namespace: "shop", Labels: map[string]string{"app": app}}
		if address != "" {
			p.Addresses = []netip.Addr{netip.MustParseAddr(address)}
		}
		return p
	}
	web, api := pod("web", "10.0.0.1"), pod("api", "10.0.0.2")
	unknown := pod("unknown", "")
	host := &netpol.Pod{Namespace: "shop", Labels: map[string]string{"app": "host"}, HostNetwork: true, Node: "n",
		Addresses: []netip.Addr{netip.MustParseAddr("192.168.0.1")}}
	onNode := &netpol.Pod{Namespace: "shop", Labels: map[string]string{"app": "web"}, Node: "n"}
	for name, tc := range map[string]struct {
		policies, cluster map[string]string
		from, to          *netpol.Pod
		want              string
		wantAmbiguous     string
		wantOnAddresses   bool
	}{
		"both sides must agree, on a port of both": {policies: map[string]string{
			"out": "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 80, endPort: 90}]}]}",
			"in":  "{podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 85, endPort: 99}, {port: 80, protocol: UDP}]}]}",
		}, from: web, to: api, want: "TCP 85-90"},
		"egress and ingress without a common port": {policies: map[string]string{
			"out": "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 80}]}]}",
			"in":  "{podSelector: {matchLabels: {app: api}}, ingress: [{ports: [{port: 81}]}]}",
		}, from: web, to: api, want: "no port"},
		"a Pod reaches itself": {policies: map[string]string{"deny": "{podSelector: {}, policyTypes: [Ingress, Egress]}"}, from: web, to: web, want: "all ports"},
		"its replica does not": {policies: map[string]string{"deny": "{podSelector: {}, policyTypes: [Ingress, Egress]}"}, from: web, to: pod("web", ""), want: "no port"},
		"a block matches Pods, which not every network does": {policies: map[string]string{"in": "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}"},
			from: web, to: api, want: "all ports", wantOnAddresses: true},
		"a block that makes no difference": {policies: map[string]string{"in": "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}, {podSelector: {}}]}]}"},
			from: web, to: api, want: "all ports"},
		"an unknown address is in the block of all": {policies: map[string]string{"in": "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}"},
			from: unknown, to: api, want: "all ports", wantOnAddresses: true},
		"an unknown address is in no other": {policies: map[string]string{"in": "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/1}}, {ipBlock: {cidr: 128.0.0.0/1}}]}]}"},
			from: unknown, to: api, want: "no port"},
		"an exception that cannot be read allows nothing": {policies: map[string]string{"in": "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0]}}]}]}"},
			from: web, to: api, want: "no port"},
		"selectors do not match the node's network": {policies: map[string]string{"in": "{podSelector: {}, ingress: [{from: [{podSelector: {}}, {namespaceSelector: {}}]}]}"},
			from: host, to: api, want: "no port"},
		"a block does": {policies: map[string]string{"in": "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.168.0.0/24}}]}]}"},
			from: host, to: api, want: "all ports", wantOnAddresses: true},
		"its own node reaches a Pod": {policies: map[string]string{"deny": "{podSelector: {}, policyTypes: [Ingress, Egress]}"}, from: host, to: onNode, want: "all ports"},
		"and a Pod its own node":     {policies: map[string]string{"deny": "{podSelector: {}, policyTypes: [Ingress, Egress]}"}, from: onNode, to: host, want: "all ports"},
		"policies of the same priority that disagree": {cluster: map[string]string{
			"a": "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Accept, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {range: {start: 1, end: 100}}}}]}]}",
			"b": "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}], protocols: [{tcp: {destinationPort: {range: {start: 50, end: 200}}}}]}]}",
		}, from: web, to: api, want: "TCP 1-100, TCP 201-65535, all of UDP, all of SCTP", wantAmbiguous: "TCP 50-100"},
		"a lower number counts first": {cluster: map[string]string{
			"a": "{tier: Admin, priority: 2, subject: {namespaces: {}}, ingress: [{action: Accept, from: [{namespaces: {}}]}]}",
			"b": "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}",
		}, from: web, to: api, want: "no port"},
	} {
		t.Run(name, func(t *testing.T) {
			c := shop(t, tc.policies, tc.cluster)
			v := c.Connect(netpol.End{Pod: tc.from}, netpol.End{Pod: tc.to}, netpol.AllPorts(), false)
			if tc.wantAmbiguous == "" {
				tc.wantAmbiguous = "no port"
			}
			if v.Allowed.String() != tc.want || v.Ambiguous.String() != tc.wantAmbiguous || v.OnPodAddresses != tc.wantOnAddresses {
				t.Errorf("%s, ambiguous %s, on addresses %v; want %s, %s, %v",
					v.Allowed, v.Ambiguous, v.OnPodAddresses, tc.want, tc.wantAmbiguous, tc.wantOnAddresses)
			}
		})
	}
}

func TestConnectExplains(t *testing.T) {
	c := shop(t, map[string]string{
		"deny":    "{podSelector: {}, policyTypes: [Ingress, Egress]}",
		"web-out": "{podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 53}]}, {to: [{podSelector: {matchLabels: {app: api}}}]}]}",
	}, nil)
	web := &netpol.Pod{Namespace: "shop", Labels: map[string]string{"app": "web"}}
	api := &netpol.Pod{Namespace: "shop", Labels: map[string]string{"app": "api"}}
	port := netpol.PortsOf(netpol.PortRange{Protocol: corev1.ProtocolTCP, First: 8080, Last: 8080})
	got := c.Connect(netpol.End{Pod: web}, netpol.End{Pod: api}, port, true).Decisions
	policy := func(name, path string) netpol.Reference {
		return netpol.Reference{Kind: "NetworkPolicy", Namespace: "shop", Name: name, Path: path}
	}
	want := []netpol.Decision{
		{Direction: netpol.Egress, Allowed: true, Reason: "the Pod is isolated, and a rule allows it", By: []netpol.Reference{policy("web-out", "spec.egress[1]")}},
		{Direction: netpol.Ingress, Reason: "the Pod is isolated, and no rule allows it", By: []netpol.Reference{policy("deny", "")}},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMetadataAndInternet(t *testing.T) {
	web := &netpol.Pod{Namespace: "shop"}
	for name, tc := range map[string]struct {
		egress       string
		want4, want6 bool
		wantInternet string
	}{
		"nothing is allowed":            {"[]", false, false, "no port"},
		"all is":                        {"[{}]", true, true, "all ports"},
		"443 alone":                     {"[{ports: [{port: 443}]}]", false, false, "TCP 443"},
		"all of IPv4":                   {"[{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]", true, false, "all ports"},
		"all of IPv4 but the endpoint":  {"[{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.169.254/32]}}]}]", false, false, "all ports"},
		"allowed again by another peer": {"[{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [169.254.0.0/16]}}, {ipBlock: {cidr: 169.254.169.254/31}}], ports: [{port: 80}]}]", true, false, "TCP 80"},
		"private addresses":             {"[{to: [{ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: 192.168.0.0/16}}]}]", false, false, "no port"},
		"one address of the internet":   {"[{to: [{ipBlock: {cidr: 8.8.8.8/32}}], ports: [{port: 53, protocol: UDP}]}]", false, false, "UDP 53"},
		"one that is excepted":          {"[{to: [{ipBlock: {cidr: 8.8.8.8/31, except: [8.8.8.8/32]}}], ports: [{port: 53}]}]", false, false, "TCP 53"},
		"none is left":                  {"[{to: [{ipBlock: {cidr: 8.8.8.8/31, except: [8.8.8.8/32, 8.8.8.9/32]}}]}]", false, false, "no port"},
		"all of IPv6":                   {"[{to: [{ipBlock: {cidr: '::/0'}}]}]", false, true, "all ports"},
		"Pods of all namespaces":        {"[{to: [{namespaceSelector: {}}]}]", false, false, "no port"},
		"a named port is on no address": {"[{ports: [{port: http}]}]", false, false, "no port"},
		"UDP is not TCP":                {"[{ports: [{protocol: UDP}]}]", false, false, "all of UDP"},
		"a block that cannot be read":   {"[{to: [{ipBlock: {cidr: 0.0.0.0}}]}]", false, false, "no port"},
	} {
		t.Run(name, func(t *testing.T) {
			v := shop(t, map[string]string{"out": "{podSelector: {}, policyTypes: [Egress], egress: " + tc.egress + "}"}, nil).View("shop")
			if got4, got6 := v.Reaches(web, netpol.MetadataIPv4), v.Reaches(web, netpol.MetadataIPv6); got4 != tc.want4 || got6 != tc.want6 {
				t.Errorf("metadata %v, over IPv6 %v, want %v, %v", got4, got6, tc.want4, tc.want6)
			}
			if got := v.Internet(web, netpol.Egress).String(); got != tc.wantInternet {
				t.Errorf("internet: %s, want %s", got, tc.wantInternet)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	for name, tc := range map[string]struct {
		spec string
		want []netpol.Problem
	}{
		"none": {"{podSelector: {}, ingress: [{}], egress: [{to: [{ipBlock: {cidr: 10.0.0.1/8, except: [10.1.0.0/16]}}], ports: [{port: 1, endPort: 2}, {port: http}, {protocol: SCTP}]}]}", nil},
		"selectors": {"{podSelector: {matchExpressions: [{key: a, operator: Near}]}, ingress: [{from: [{podSelector: {matchLabels: {a: b}, matchExpressions: [{key: a, operator: NotIn, values: [b]}]}}]}]}", []netpol.Problem{
			{Path: "spec.podSelector", Message: `must be a valid selector: "Near" is not a valid label selector operator`},
			{Path: "spec.ingress[0].from[0].podSelector", Message: "must be a selector that can match: nothing is a notin (b) and a=b"},
		}},
		"peers": {"{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{}, {podSelector: {}, ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: 10.0.0.0/40}}, {ipBlock: {cidr: 10.0.0.0/8, except: [x, 11.0.0.0/8]}}]}], egress: [{to: [{}]}]}", []netpol.Problem{
			{Path: "spec.ingress[0].from[0]", Message: "must have a selector or an ipBlock: it matches nobody"},
			{Path: "spec.ingress[0].from[1]", Message: "must not have both an ipBlock and a selector: it matches nobody"},
			{Path: "spec.ingress[0].from[2].ipBlock.cidr", Message: `must be a CIDR, not "10.0.0.0/40": prefix length out of range`},
			{Path: "spec.ingress[0].from[3].ipBlock.except[0]", Message: `must be a CIDR, not "x": no '/'`},
			{Path: "spec.ingress[0].from[3].ipBlock.except[1]", Message: `must be a part of "10.0.0.0/8", not "11.0.0.0/8"`},
		}},
		"ports": {"{podSelector: {}, policyTypes: [Egress, Up], egress: [{ports: [{protocol: ICMP}, {endPort: 5}, {port: http, endPort: 5}, {port: 0}, {port: 5, endPort: 4}, {port: ''}]}]}", []netpol.Problem{
			{Path: "spec.policyTypes[1]", Message: `must be "Ingress" or "Egress", not "Up"`},
			{Path: "spec.egress[0].ports[0].protocol", Message: `must be TCP, UDP or SCTP, not "ICMP"`},
			{Path: "spec.egress[0].ports[1].endPort", Message: "must not be set without a port"},
			{Path: "spec.egress[0].ports[2].endPort", Message: "must not be set with a port that is a name"},
			{Path: "spec.egress[0].ports[3]", Message: "must be ports from 1 to 65535 in ascending order, not 0 to 0"},
			{Path: "spec.egress[0].ports[4]", Message: "must be ports from 1 to 65535 in ascending order, not 5 to 4"},
			{Path: "spec.egress[0].ports[5].port", Message: "must be a port or its name, not empty"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := gocmp.Diff(tc.want, netpol.Problems(parse[networkingv1.NetworkPolicySpec](t, tc.spec))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestClusterProblems(t *testing.T) {
	const subject = "tier: Admin, priority: 1, subject: {namespaces: {}}"
	for name, tc := range map[string]struct {
		spec string
		// none: the policy has no effect.
		none bool
		want []netpol.Problem
	}{
		"none": {spec: "{" + subject + ", ingress: [{action: Accept, from: [{namespaces: {}}, {pods: {namespaceSelector: {}, podSelector: {}}}], protocols: [{tcp: {destinationPort: {number: 80}}}, {udp: {destinationPort: {range: {start: 1, end: 9}}}}, {destinationNamedPort: web}]}]," +
			" egress: [{action: Pass, to: [{networks: [10.0.0.0/8, '::/0']}]}]}"},
		"a tier of another version": {spec: "{tier: Middle, priority: 1, subject: {namespaces: {}}}", none: true, want: []netpol.Problem{
			{Path: "spec.tier", Message: `must be "Admin" or "Baseline", not "Middle"`}}},
		"subjects": {spec: "{tier: Baseline, priority: 1, subject: {}}", want: []netpol.Problem{
			{Path: "spec.subject", Message: "must have exactly one field that is known"}}},
		"selectors, which the API server does not look at": {spec: "{tier: Baseline, priority: 1, subject: {pods: {namespaceSelector: {matchExpressions: [{key: a, operator: Near}]}, podSelector: {matchExpressions: [{key: a, operator: In}]}}}," +
			" ingress: [{action: Deny, from: [{namespaces: {matchLabels: {a: b}, matchExpressions: [{key: a, operator: DoesNotExist}]}}]}]}", want: []netpol.Problem{
			{Path: "spec.subject.pods.namespaceSelector", Message: `must be a valid selector: "Near" is not a valid label selector operator`},
			{Path: "spec.subject.pods.podSelector", Message: "must be a valid selector: values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty"},
			{Path: "spec.ingress[0].from[0].namespaces", Message: "must be a selector that can match: nothing is !a and a=b"}}},
		"rules": {spec: "{" + subject + ", ingress: [{action: Log, from: [{namespaces: {}}]}, {action: Accept, from: []}, {action: Accept, from: [{}]}, {action: Accept, from: [{namespaces: {}, pods: {namespaceSelector: {}, podSelector: {}}}]}]," +
			" egress: [{action: Accept, to: [{networks: [10.0.0.0/33]}]}]}", want: []netpol.Problem{
			{Path: "spec.ingress[0].action", Message: `must be "Accept", "Deny" or "Pass", not "Log"`},
			{Path: "spec.ingress[1].from", Message: "must name a peer: the rule matches nobody"},
			{Path: "spec.ingress[2].from[0]", Message: "must have exactly one field that is known"},
			{Path: "spec.ingress[3].from[0]", Message: "must have exactly one field that is known"},
			{Path: "spec.egress[0].to[0].networks[0]", Message: `must be a CIDR, not "10.0.0.0/33": prefix length out of range`}}},
		"protocols": {spec: "{" + subject + ", ingress: [{action: Accept, from: [{namespaces: {}}], protocols: [{}, {tcp: {}}, {tcp: {destinationPort: {number: 70000}}}, {udp: {destinationPort: {range: {start: 9, end: 1}}}}, {tcp: {destinationPort: {number: 1}}, destinationNamedPort: web}]}]}", want: []netpol.Problem{
			{Path: "spec.ingress[0].protocols[0]", Message: "must have exactly one field that is known"},
			{Path: "spec.ingress[0].protocols[1]", Message: "must have a destination port: a number or a range"},
			{Path: "spec.ingress[0].protocols[2]", Message: "must be ports from 1 to 65535 in ascending order, not 70000 to 70000"},
			{Path: "spec.ingress[0].protocols[3]", Message: "must be ports from 1 to 65535 in ascending order, not 9 to 1"},
			{Path: "spec.ingress[0].protocols[4]", Message: "must have exactly one field that is known"}}},
		"what cannot be judged": {spec: "{" + subject + ", egress: [{action: Accept, to: [{nodes: {}}, {domainNames: [example.com]}]}]}", want: []netpol.Problem{
			{Path: "spec.egress[0].to[0].nodes", Message: "cannot be judged: addresses of nodes are not read", Unjudged: true},
			{Path: "spec.egress[0].to[1].domainNames", Message: "cannot be judged: names are not resolved", Unjudged: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			p, problems := netpol.CompileClusterPolicy("p", parse[v1alpha2.ClusterNetworkPolicySpec](t, tc.spec))
			if diff := gocmp.Diff(tc.want, problems); diff != "" || (p == nil) != tc.none {
				t.Errorf("no effect: %v\n%s", p == nil, diff)
			}
		})
	}
}

// TestDisagreementIsNotIsolation: where policies of the cluster with the same priority disagree, whichever comes first by name,
// nothing is taken to be denied.
func TestDisagreementIsNotIsolation(t *testing.T) {
	const spec = "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: %[1]s, from: [{namespaces: {}}]}]," +
		" egress: [{action: %[1]s, to: [{networks: [0.0.0.0/0]}]}]}"
	web := &netpol.Pod{Namespace: "shop"}
	for first, second := range map[string]string{"Accept": "Deny", "Deny": "Accept"} {
		v := shop(t, nil, map[string]string{"a": fmt.Sprintf(spec, first), "b": fmt.Sprintf(spec, second)}).View("shop")
		if v.Isolation(web, netpol.Ingress) != netpol.Open || v.DefaultDenies(netpol.Egress) || !v.FromEverywhere(web).All() || !v.Reaches(web, netpol.MetadataIPv4) {
			t.Errorf("%s before %s: taken to be denied", first, second)
		}
	}
}

func TestSelectorThatMatchesNothing(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                          "",
		"{matchLabels: {a: b, c: d}}": "",
		"{matchExpressions: [{key: a, operator: In, values: [b, c]}, {key: a, operator: NotIn, values: [b]}]}": "",
		"{matchExpressions: [{key: a, operator: DoesNotExist}, {key: a, operator: NotIn, values: [b]}]}":       "",
		"{matchExpressions: [{key: a, operator: DoesNotExist}, {key: a, operator: Exists}]}":                   "nothing is !a and a",
		"{matchExpressions: [{key: a, operator: In, values: [b]}, {key: a, operator: In, values: [c]}]}":       "nothing is a in (b) and a in (c)",
		"{matchLabels: {x: z, a: b}, matchExpressions: [{key: a, operator: DoesNotExist}]}":                    "nothing is !a and a=b",
	} {
		var got string
		for _, p := range netpol.Problems(&networkingv1.NetworkPolicySpec{PodSelector: *parse[metav1.LabelSelector](t, text)}) {
			got = strings.TrimPrefix(p.Message, "must be a selector that can match: ")
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

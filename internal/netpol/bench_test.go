// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol_test

import (
	"fmt"
	"runtime"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

// The size of cluster that Kubernetes is tested for: 150,000 Pods in 10,000 namespaces, here with two policies each.
const (
	benchNamespaces = 10_000
	benchPods       = 15 // in each namespace, of three workloads with five replicas
	benchPolicies   = 2  // in each namespace
)

func benchNamespace(i int) string { return fmt.Sprintf("namespace-%d", i) }

// largePods are the Pods as an audit holds them anyway: replicas share their labels.
func largePods() []*netpol.Pod {
	pods := make([]*netpol.Pod, 0, benchNamespaces*benchPods)
	for ns := range benchNamespaces {
		for w := range 3 {
			app := []string{"web", "api", "db"}[w]
			labels := map[string]string{
				"app": fmt.Sprintf("%s-%d", app, ns%500), "app.kubernetes.io/component": app, "pod-template-hash": fmt.Sprintf("%x", ns*3+w),
			}
			ports := []netpol.NamedPort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 8080}}
			for range benchPods / 3 {
				pods = append(pods, &netpol.Pod{Namespace: benchNamespace(ns), Labels: labels, Ports: ports})
			}
		}
	}
	return pods
}

func benchPolicy(ns, i int) *networkingv1.NetworkPolicySpec {
	match := func(key, value string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
	}
	if i == 0 {
		return &networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Egress: []networkingv1.NetworkPolicyEgressRule{{
				To: []networkingv1.NetworkPolicyPeer{{NamespaceSelector: match(corev1.LabelMetadataName, "kube-system"), PodSelector: match("k8s-app", "kube-dns")}},
				Ports: []networkingv1.NetworkPolicyPort{
					{Protocol: new(corev1.ProtocolUDP), Port: new(intstr.FromInt32(53))}, {Port: new(intstr.FromInt32(53))}},
			}},
		}
	}
	return &networkingv1.NetworkPolicySpec{
		PodSelector: *match("app.kubernetes.io/component", "web"),
		Ingress: []networkingv1.NetworkPolicyIngressRule{{
			From: []networkingv1.NetworkPolicyPeer{
				{PodSelector: match("app", fmt.Sprintf("api-%d", ns%500))},
				{NamespaceSelector: match("team", fmt.Sprintf("team-%d", ns%100))},
				{NamespaceSelector: &metav1.LabelSelector{}, PodSelector: match("app", fmt.Sprintf("web-%d", (ns+1)%500))},
			},
			Ports: []networkingv1.NetworkPolicyPort{{Port: new(intstr.FromString("http"))}},
		}},
	}
}

func compileLarge(pods []*netpol.Pod) *netpol.Cluster {
	c := netpol.NewCluster()
	for ns := range benchNamespaces {
		c.SetNamespace(benchNamespace(ns), map[string]string{"team": fmt.Sprintf("team-%d", ns%100), "env": "prod"})
	}
	for i, p := range pods {
		c.SetPod(fmt.Sprintf("pod-%d", i%benchPods), p)
	}
	for ns := range benchNamespaces {
		for i := range benchPolicies {
			c.SetPolicy(benchNamespace(ns), fmt.Sprintf("policy-%d", i), benchPolicy(ns, i))
		}
	}
	return c
}

func judgeAll(c *netpol.Cluster) (classes int) {
	for ns := range benchNamespaces {
		classes += len(c.Judge(benchNamespace(ns)))
	}
	return classes
}

func liveHeap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkLargeCluster compiles and judges everything. The budget is 10 s on one core and 100 MiB on top of the Pods.
func BenchmarkLargeCluster(b *testing.B) {
	pods := largePods()
	before := liveHeap()
	var c *netpol.Cluster
	for b.Loop() {
		c = compileLarge(pods)
		if classes := judgeAll(c); classes < benchNamespaces*3 {
			b.Fatalf("%d classes", classes)
		}
	}
	b.ReportMetric(float64(liveHeap()-before)/(1<<20), "MiB")
	runtime.KeepAlive(c)
	runtime.KeepAlive(pods)
}

// BenchmarkPolicyChange changes one policy and judges anew what depends on it. The budget is 1 ms.
func BenchmarkPolicyChange(b *testing.B) {
	c := compileLarge(largePods())
	named, changes := 0, 0
	for b.Loop() {
		ns := changes % benchNamespaces
		for _, name := range c.SetPolicy(benchNamespace(ns), "policy-1", benchPolicy(ns+changes, 1)) {
			c.Judge(name)
			named++
		}
		changes++
	}
	b.ReportMetric(float64(named)/float64(changes), "namespaces/op")
}

// BenchmarkNamespaceChange relabels a namespace that policies of a hundred others name, and judges anew what depends on it.
func BenchmarkNamespaceChange(b *testing.B) {
	c := compileLarge(largePods())
	named, changes := 0, 0
	for b.Loop() {
		labels := map[string]string{"team": fmt.Sprintf("team-%d", (changes+1)%100), "env": fmt.Sprint(changes)}
		for _, name := range c.SetNamespace(benchNamespace(changes%benchNamespaces), labels) {
			c.Judge(name)
			named++
		}
		changes++
	}
	b.ReportMetric(float64(named)/float64(changes), "namespaces/op")
}

// BenchmarkPodChange replaces a Pod by one of the same workload, as a rollout does.
func BenchmarkPodChange(b *testing.B) {
	pods := largePods()
	c := compileLarge(pods)
	i := 0
	for b.Loop() {
		p := *pods[i%len(pods)]
		c.SetPod(fmt.Sprintf("pod-%d", i%benchPods), &p)
		i++
	}
}

func BenchmarkConnect(b *testing.B) {
	pods := largePods()
	c := compileLarge(pods)
	i := 0
	for b.Loop() {
		c.Connect(netpol.End{Pod: pods[i%len(pods)]}, netpol.End{Pod: pods[(i*7)%len(pods)]}, netpol.AllPorts(), false)
		i++
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

// compare asks for every connection of a world on all protocols and the ports that count, and returns how many verdicts it
// compared.
func compare(t *testing.T, w *world, c *netpol.Cluster) int {
	t.Helper()
	verdicts := 0
	ends := w.ends()
	for _, from := range ends {
		for _, to := range ends {
			if from.Pod == nil && to.Pod == nil {
				continue
			}
			allowed := c.Connect(from, to, netpol.AllPorts(), false).Allowed
			for _, protocol := range []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP} {
				for _, port := range []int32{1, 79, 80, 81, 82, 65535} {
					verdicts++
					want := w.allows(connection{from, to, protocol, port})
					if got := allowed.Contains(protocol, port); got != want {
						t.Fatalf("%s %d from %s to %s: %v, want %v\n%s", protocol, port, describe(from), describe(to), got, want, describe(w))
					}
				}
			}
		}
	}
	return verdicts
}

func describe(v any) string {
	if w, ok := v.(*world); ok {
		return fmt.Sprintf("namespaces %v\npods %s\npolicies %s\ncluster policies %s",
			w.namespaces, describeMap(w.pods), describeMap(w.policies), describeMap(w.clusterPolicies))
	}
	encoded, _ := json.Marshal(v)
	return string(encoded)
}

func describeMap[K comparable, V any](m map[K]V) string {
	text := ""
	for k, v := range m {
		text += fmt.Sprintf("\n  %v: %s", k, describe(v))
	}
	return text
}

// TestVerdictsAgainstTheNaive compares a million verdicts with those of an evaluator that shares no code.
func TestVerdictsAgainstTheNaive(t *testing.T) {
	want := 1_000_000
	if testing.Short() {
		want /= 20
	}
	verdicts, worlds := 0, 0
	for seed := uint64(0); verdicts < want; seed++ {
		m := &maker{chooser: random{rand.New(rand.NewPCG(seed, 1))}}
		w := m.world()
		verdicts += compare(t, w, w.cluster())
		worlds++
	}
	t.Logf("%d verdicts in %d worlds", verdicts, worlds)
}

// FuzzVerdicts does the same with worlds that the fuzzer finds.
func FuzzVerdicts(f *testing.F) {
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 2))
		choices := make([]byte, 256)
		for i := range choices {
			choices[i] = byte(r.Uint32())
		}
		f.Add(choices)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		w := (&maker{chooser: &bytes{choices}}).world()
		compare(t, w, w.cluster())
	})
}

// verdictsOn returns all that is said of the Pods of a namespace, by Pod.
func (w *world) verdictsOn(c *netpol.Cluster, namespace string) map[string]string {
	verdicts := make(map[string]string)
	v := c.View(namespace)
	for key, p := range w.pods {
		if key.namespace == namespace {
			verdicts[key.name] = verdictOn(v, p, c.Sources(p))
		}
	}
	return verdicts
}

func verdictOn(v *netpol.View, p *netpol.Pod, sources netpol.Sources) string {
	return fmt.Sprint(v.Isolation(p, netpol.Ingress), v.Isolation(p, netpol.Egress), v.FromEverywhere(p), v.Reaches(p, netpol.MetadataIPv4),
		sources.Every, sources.Names())
}

// change makes one random change in a world and in a cluster, and returns what the cluster says of it.
func (m *maker) change(w *world, c *netpol.Cluster) []string {
	name := func(prefix string) string { return fmt.Sprint(prefix, m.choose(4)) }
	switch m.choose(9) {
	case 0:
		ns := m.namespace()
		w.namespaces[ns] = m.labels()
		return c.SetNamespace(ns, w.namespaces[ns])
	case 1:
		ns := m.namespace()
		delete(w.namespaces, ns)
		return c.DeleteNamespace(ns)
	case 2, 3:
		key := podKey{m.namespace(), name("policy-")}
		w.policies[key] = m.policy()
		return c.SetPolicy(key.namespace, key.name, w.policies[key])
	case 4:
		key := podKey{m.namespace(), name("policy-")}
		delete(w.policies, key)
		return c.DeletePolicy(key.namespace, key.name)
	case 5, 6:
		key := podKey{m.namespace(), name("pod-")}
		w.pods[key] = m.pod(key.namespace)
		return c.SetPod(key.name, w.pods[key])
	case 7:
		key := podKey{m.namespace(), name("pod-")}
		delete(w.pods, key)
		return c.DeletePod(key.namespace, key.name)
	}
	key := name("cluster-")
	if m.oneIn(3) {
		delete(w.clusterPolicies, key)
		return c.DeleteClusterPolicy(key)
	}
	w.clusterPolicies[key] = m.clusterPolicy()
	return c.SetClusterPolicy(key, w.clusterPolicies[key])
}

// TestChangesOneByOne: after any changes a cluster says the same as one that is made anew, and it has named every namespace
// whose verdicts became others.
func TestChangesOneByOne(t *testing.T) {
	sequences := 300
	if testing.Short() {
		sequences /= 10
	}
	named, changes := 0, 0
	for seed := range uint64(sequences) {
		m := &maker{chooser: random{rand.New(rand.NewPCG(seed, 3))}}
		w, c := newWorld(), netpol.NewCluster()
		before := make(map[string][]string)
		for i := range 60 {
			dirty := m.change(w, c)
			named += len(dirty)
			changes++
			fresh := w.cluster()
			for _, ns := range []string{"x", "y", "z"} {
				got := w.verdictsOn(c, ns)
				if diff := gocmp.Diff(w.verdictsOn(fresh, ns), got); diff != "" {
					t.Fatalf("seed %d, change %d: verdicts on %s (-made anew +changed):\n%s\n%s", seed, i, ns, diff, describe(w))
				}
				distinct := slices.Sorted(maps.Values(got))
				distinct = slices.Compact(distinct)
				if !slices.Contains(dirty, ns) && !slices.Equal(before[ns], distinct) {
					t.Fatalf("seed %d, change %d: %v were named, but the verdicts on %s became others:\n%s",
						seed, i, dirty, ns, gocmp.Diff(before[ns], distinct))
				}
				before[ns] = distinct
				compareJudgements(t, w, c, ns)
			}
			if i%20 == 19 {
				compare(t, w, c)
			}
		}
		for key := range w.pods {
			c.DeletePod(key.namespace, key.name)
		}
		for key := range w.policies {
			c.DeletePolicy(key.namespace, key.name)
		}
		for name := range w.clusterPolicies {
			c.DeleteClusterPolicy(name)
		}
		for name := range w.namespaces {
			c.DeleteNamespace(name)
		}
		if left := netpol.Left(c); left != 0 {
			t.Fatalf("seed %d: %d entries are left in an empty cluster", seed, left)
		}
	}
	if named > 2*changes {
		t.Errorf("%d changes named %d of 3 namespaces each: that is nearly all of them", changes, named)
	}
}

// compareJudgements: what is said of classes is what is said of each Pod.
func compareJudgements(t *testing.T, w *world, c *netpol.Cluster, ns string) {
	t.Helper()
	want, got := make(map[string]int), make(map[string]int)
	for _, verdict := range w.verdictsOn(c, ns) {
		want[verdict]++
	}
	for _, j := range c.Judge(ns) {
		got[fmt.Sprint(j.Ingress, j.Egress, j.FromEverywhere, j.Metadata, j.Sources.Every, j.Sources.Names())] += j.Size
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatalf("judgements of %s (-of Pods +of classes):\n%s", ns, diff)
	}
}

// TestPodsAreToldApartAnew: a policy that looks at a label again tells Pods apart that came while none did.
func TestPodsAreToldApartAnew(t *testing.T) {
	byApp, byTier := "{podSelector: {matchLabels: {app: x}}}", "{podSelector: {matchExpressions: [{key: tier, operator: Exists}]}}"
	c := shop(t, map[string]string{"app": byApp, "tier": byTier}, nil)
	add := func(name string, labels map[string]string) {
		c.SetPod(name, &netpol.Pod{Namespace: "shop", Labels: labels})
	}
	add("a", map[string]string{"app": "a", "tier": "b"})
	c.DeletePolicy("shop", "tier")
	add("b", map[string]string{"app": "a", "tier": "c"})
	add("c", map[string]string{"app": "a"})
	c.SetPolicy("shop", "tier", parse[networkingv1.NetworkPolicySpec](t, byTier))
	got := make(map[netpol.Isolation]int)
	for _, j := range c.Judge("shop") {
		got[j.Ingress] += j.Size
	}
	if diff := gocmp.Diff(map[netpol.Isolation]int{netpol.Isolated: 2, netpol.Open: 1}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSources(t *testing.T) {
	others := "{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [shop]}]}}]}]}"
	cluster := map[string]string{"egress": "{tier: Admin, priority: 1, subject: {namespaces: {}}, egress: [{action: Accept, to: [{namespaces: {}}]}]}"}
	denied := map[string]string{"x": "{tier: Admin, priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {matchLabels: {team: x}}}]}]}"}
	for name, tc := range map[string]struct {
		policies, cluster map[string]string
		wantEvery         bool
		wantNames         []string
	}{
		"without policies":                    {wantEvery: true},
		"nobody":                              {policies: map[string]string{"deny": "{podSelector: {}}"}},
		"all others, one by one":              {policies: map[string]string{"others": others}, wantNames: []string{"x", "y"}},
		"all others, with cluster policies":   {policies: map[string]string{"others": others}, cluster: cluster, wantEvery: true, wantNames: []string{"shop"}},
		"all but one that the cluster denies": {cluster: denied, wantEvery: true, wantNames: []string{"x"}},
		"those with a Pod that is named":      {policies: map[string]string{"in": "{podSelector: {}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: probe}}}]}]}"}, wantNames: []string{"y"}},
		"no port is left":                     {policies: map[string]string{"in": "{podSelector: {}, ingress: [{ports: [{port: nobodys}]}]}"}},
	} {
		t.Run(name, func(t *testing.T) {
			c := shop(t, tc.policies, tc.cluster)
			c.SetNamespace("x", map[string]string{"team": "x"})
			c.SetPod("probe", &netpol.Pod{Namespace: "y", Labels: map[string]string{"app": "probe"}})
			got := c.Sources(&netpol.Pod{Namespace: "shop"})
			if names := got.Names(); got.Every != tc.wantEvery || !slices.Equal(names, tc.wantNames) || got.Len() != len(names) {
				t.Errorf("every %v, %v; want %v, %v", got.Every, names, tc.wantEvery, tc.wantNames)
			}
		})
	}
}

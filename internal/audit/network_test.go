// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/netpol"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// ignoreNetwork is for tests of everything else.
var ignoreNetwork = cmpopts.IgnoreFields(Result{}, "Network")

func TestNetworkSummary(t *testing.T) {
	both := []networkingv1.PolicyType{netpol.Ingress, netpol.Egress}
	deny := networkingv1.NetworkPolicySpec{PolicyTypes: both}
	web := networkingv1.NetworkPolicySpec{
		PolicyTypes: both, PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
		Egress: []networkingv1.NetworkPolicyEgressRule{{}},
	}
	webIngress := networkingv1.NetworkPolicySpec{PodSelector: web.PodSelector}
	calico := netpol.CNI{Name: "Calico", Enforces: netpol.Enforced}
	type numbers struct{ ingress, egress, metadata int }
	for name, tc := range map[string]struct {
		policies    []networkingv1.NetworkPolicySpec
		pods        []string
		host        bool
		cni         netpol.CNI
		want        v1alpha1.Network
		wantNumbers numbers
	}{
		"nothing at all": {want: v1alpha1.Network{
			Ingress: v1alpha1.NetworkOpen, Egress: v1alpha1.NetworkOpen, MetadataEndpoint: v1alpha1.MetadataReachable, Enforcement: v1alpha1.NetworkEnforcementUnknown,
		}},
		"nothing denied": {pods: []string{"web", "api"}, cni: calico, wantNumbers: numbers{2, 2, 2}, want: v1alpha1.Network{
			Ingress: v1alpha1.NetworkOpen, Egress: v1alpha1.NetworkOpen, MetadataEndpoint: v1alpha1.MetadataReachable, Enforcement: v1alpha1.NetworkEnforced,
		}},
		"some isolated": {policies: []networkingv1.NetworkPolicySpec{webIngress}, pods: []string{"web", "api"}, wantNumbers: numbers{1, 2, 2}, want: v1alpha1.Network{
			Ingress: v1alpha1.NetworkPartial, Egress: v1alpha1.NetworkOpen, MetadataEndpoint: v1alpha1.MetadataReachable, Enforcement: v1alpha1.NetworkEnforcementUnknown,
		}},
		"all denied": {policies: []networkingv1.NetworkPolicySpec{deny}, pods: []string{"web", "api"}, want: v1alpha1.Network{
			Ingress: v1alpha1.NetworkDefaultDeny, Egress: v1alpha1.NetworkDefaultDeny, MetadataEndpoint: v1alpha1.MetadataBlocked, Enforcement: v1alpha1.NetworkEnforcementUnknown,
		}},
		"denied, but one allowed": {policies: []networkingv1.NetworkPolicySpec{deny, web}, pods: []string{"web", "api"}, wantNumbers: numbers{metadata: 1}, want: v1alpha1.Network{
			Ingress: v1alpha1.NetworkDefaultDeny, Egress: v1alpha1.NetworkDefaultDeny, MetadataEndpoint: v1alpha1.MetadataReachable, Enforcement: v1alpha1.NetworkEnforcementUnknown,
		}},
		"denied, but one with the network of its node": {policies: []networkingv1.NetworkPolicySpec{deny}, pods: []string{"web"}, host: true, wantNumbers: numbers{1, 1, 1}, want: v1alpha1.Network{
			Ingress: v1alpha1.NetworkDefaultDeny, Egress: v1alpha1.NetworkDefaultDeny, MetadataEndpoint: v1alpha1.MetadataReachable, Enforcement: v1alpha1.NetworkEnforcementUnknown,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			i := Inventory{Surroundings: Surroundings{Name: "shop"}, CNI: tc.cni}
			for n, spec := range tc.policies {
				i.NetworkPolicies = append(i.NetworkPolicies, NewNetworkPolicyRecord(Object{Name: string(rune('a' + n))}, &spec))
			}
			for _, p := range tc.pods {
				i.Pods = append(i.Pods, &PodRecord{
					Object: Object{Name: p, UID: UID(p)}, Labels: NewLabels(map[string]string{"app": p}),
					Shape: NewShape(&Pod{Spec: corev1.PodSpec{HostNetwork: tc.host}}),
				})
			}
			n := Fold(i, time.Now()).Network
			if diff := cmp.Diff(&tc.want, n.Summary()); diff != "" {
				t.Error(diff)
			}
			got := numbers{n.Unisolated[netpol.Ingress], n.Unisolated[netpol.Egress], n.ReachMetadata}
			if got != tc.wantNumbers {
				t.Errorf("workloads that are open: %+v, want %+v", got, tc.wantNumbers)
			}
		})
	}
}

func TestNetworkIsUnknownWithoutPolicies(t *testing.T) {
	for _, r := range []Resource{NetworkPolicies, Pods} {
		ns := Fold(Inventory{Surroundings: Surroundings{Name: "shop"}, Unavailable: map[Resource]*Unavailable{r: {Resource: r}}}, time.Now())
		if n := newSet(t).EvaluateNamespace(ns).Network; n != nil {
			t.Errorf("without %s: %+v", r, n)
		}
	}
}

// TestInputsOfTheNetwork: what may change a verdict on a workload's connections changes its inputs, and nothing else does.
func TestInputsOfTheNetwork(t *testing.T) {
	set := newSet(t)
	policy := func(generation int64, version string) []*ClusterPolicyRecord {
		spec := v1alpha2.ClusterNetworkPolicySpec{Tier: v1alpha2.AdminTier, Subject: v1alpha2.ClusterNetworkPolicySubject{Namespaces: &metav1.LabelSelector{}}}
		compiled, _ := netpol.CompileClusterPolicy("p", &spec)
		return []*ClusterPolicyRecord{{Object: Object{Name: "p", UID: "p", ResourceVersion: version}, Generation: generation, Policy: compiled}}
	}
	inputsOf := func(change func(*Inventory)) Inputs {
		i := Inventory{
			Surroundings:    Surroundings{Name: "shop"},
			ClusterPolicies: policy(1, "1"),
			Nodes:           Infrastructure{Clouds: []string{"aws"}},
		}
		i.Pods = []*PodRecord{{Object: Object{Name: "web", UID: "web"}, Labels: NewLabels(nil), Shape: webShape}}
		change(&i)
		ns := Fold(i, time.Now())
		return set.InputsOf(ns, ns.Workloads[0])
	}
	before := inputsOf(func(*Inventory) {})
	for name, tc := range map[string]struct {
		change func(*Inventory)
		want   bool
	}{
		"nothing":                          {func(*Inventory) {}, true},
		"a policy's status":                {func(i *Inventory) { i.ClusterPolicies = policy(1, "2") }, true},
		"a policy's spec":                  {func(i *Inventory) { i.ClusterPolicies = policy(2, "2") }, false},
		"no policy":                        {func(i *Inventory) { i.ClusterPolicies = nil }, false},
		"labels that no policy is about":   {func(i *Inventory) { i.Namespace = &NamespaceRecord{Labels: map[string]string{"a": "b"}} }, true},
		"another cloud":                    {func(i *Inventory) { i.Nodes.Clouds = []string{"azure"} }, false},
		"no cloud":                         {func(i *Inventory) { i.Nodes.Clouds = nil }, false},
		"IPv6":                             {func(i *Inventory) { i.Nodes.IPv6 = true }, false},
		"another network":                  {func(i *Inventory) { i.CNI = netpol.CNI{Name: "Calico", Enforces: netpol.Enforced} }, true},
		"nodes that can no longer be read": {func(i *Inventory) { i.Unavailable = map[Resource]*Unavailable{Nodes: {Resource: Nodes}} }, false},
		"policies that can't be read":      {func(i *Inventory) { i.Unavailable = map[Resource]*Unavailable{ClusterNetworkPolicies: {}} }, false},
		"a policy that comes beside it": {func(i *Inventory) {
			i.ClusterPolicies = append(i.ClusterPolicies, &ClusterPolicyRecord{Object: Object{UID: "q"}})
		}, false},
		"what its ServiceAccount may do": {func(i *Inventory) { i.Powers.Others.Steps = 1 }, false},
		"what another one may do": {func(i *Inventory) {
			i.Powers.Named = map[string]rbac.Power{"other": {Granted: true, Steps: 1}}
		}, true},
		"the same policy under another UID": {func(i *Inventory) { i.ClusterPolicies[0].UID = "other" }, false},
	} {
		after := inputsOf(tc.change)
		if got := after.Equal(&before); got != tc.want {
			t.Errorf("%s: equal %v, want %v", name, got, tc.want)
		}
	}
}

var webShape = NewShape(&Pod{})

// TestNetworkIsNotOpenWithoutAnybody: what only a Pod that is not there could do is not found.
func TestNetworkIsNotOpenWithoutAnybody(t *testing.T) {
	host, web := NewShape(&Pod{Spec: corev1.PodSpec{HostNetwork: true}}), webShape
	selected := map[string]string{"app": "web"}
	deny := networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{netpol.Ingress, netpol.Egress}, PodSelector: metav1.LabelSelector{MatchLabels: selected},
	}
	for name, tc := range map[string]struct {
		shape               *Shape
		labels              map[string]string
		wantOpen, wantReach bool
	}{
		"a Pod that no policy selects":        {web, nil, true, true},
		"one that is selected":                {web, selected, false, false},
		"one with the network of its node":    {host, nil, false, true},
		"one with it that a policy would see": {host, selected, false, true},
	} {
		n := Fold(Inventory{
			Surroundings:    Surroundings{Name: "shop"},
			NetworkPolicies: []*NetworkPolicyRecord{NewNetworkPolicyRecord(Object{Name: "deny"}, &deny)},
			Pods:            []*PodRecord{{Object: Object{Name: "web", UID: "web"}, Labels: NewLabels(tc.labels), Shape: tc.shape}},
		}, time.Now()).Network
		if got := !n.FromEverywhere.Empty(); got != tc.wantOpen {
			t.Errorf("%s: open to everybody %v, want %v", name, got, tc.wantOpen)
		}
		if got := len(n.Metadata) > 0; got != tc.wantReach {
			t.Errorf("%s: reaches metadata %v, want %v", name, got, tc.wantReach)
		}
	}
}

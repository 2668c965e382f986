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
	"k8s.io/apimachinery/pkg/types"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/netpol"
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
					Object: Object{Name: p, UID: types.UID(p)}, Labels: NewLabels(map[string]string{"app": p}),
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

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// TestMetadataWhereNodesAreUnknown: without nodes nobody knows whether the cloud has more endpoints than all have. That makes
// a difference only to Pods that would reach them.
func TestMetadataWhereNodesAreUnknown(t *testing.T) {
	except := func(addresses ...string) []networkingv1.NetworkPolicyEgressRule {
		return []networkingv1.NetworkPolicyEgressRule{{To: []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: addresses}}}}}
	}
	set, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		// egress of all Pods, and of this one.
		egress, web []networkingv1.NetworkPolicyEgressRule
		// want are what is said of the workload and of the namespace.
		want []string
	}{
		"nothing is allowed":                  {nil, nil, []string{"passed", "passed"}},
		"everything is":                       {except(), nil, []string{"passed", "found"}},
		"all but the endpoint of every cloud": {except("169.254.169.254/32"), nil, []string{"passed", "skipped"}},
		"that, to some Pods":                  {nil, except("169.254.169.254/32"), []string{"skipped", "passed"}},
		"all but those of every cloud there is": {
			except("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32"), nil, []string{"passed", "passed"}},
	} {
		t.Run(name, func(t *testing.T) {
			labels := map[string]string{"app": "web"}
			deny := networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{netpol.Ingress, netpol.Egress}, Egress: tc.egress}
			web := networkingv1.NetworkPolicySpec{PolicyTypes: deny.PolicyTypes, PodSelector: metav1.LabelSelector{MatchLabels: labels}, Egress: tc.web}
			ns := audit.Fold(audit.Inventory{
				Surroundings: audit.Surroundings{Name: "shop"},
				NetworkPolicies: []*audit.NetworkPolicyRecord{
					audit.NewNetworkPolicyRecord(audit.Object{Name: "deny"}, &deny), audit.NewNetworkPolicyRecord(audit.Object{Name: "web"}, &web),
				},
				Pods: []*audit.PodRecord{{
					Object: audit.Object{Name: "web", UID: "web"}, Labels: audit.NewLabels(labels), Shape: audit.NewShape(&audit.Pod{}),
				}},
				Unavailable: map[audit.Resource]*audit.Unavailable{audit.Nodes: {Resource: audit.Nodes, Reason: v1alpha1.SkipSourceForbidden}},
			}, time.Now())
			var got []string
			for _, result := range set.Evaluate(ns) {
				said := "passed"
				for _, s := range result.Skips {
					if s.Check == "metadata-endpoint-reachable" {
						said = "skipped"
					}
				}
				for _, f := range result.Findings {
					if f.Check == "metadata-endpoint-reachable" {
						said = "found"
					}
				}
				got = append(got, said)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("said of the workload and the namespace (-want +got):\n%s", diff)
			}
		})
	}
}

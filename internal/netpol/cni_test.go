// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol_test

import (
	"slices"
	"testing"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

func TestSeeCNI(t *testing.T) {
	for name, tc := range map[string]struct {
		agents []netpol.Agent
		want   netpol.CNI
	}{
		"nothing is known":                  {want: netpol.CNI{Enforces: netpol.UnknownEnforcement}},
		"one that enforces":                 {[]netpol.Agent{{"calico-system", "calico-node"}}, netpol.CNI{Name: "Calico", Enforces: netpol.Enforced}},
		"one that does not":                 {[]netpol.Agent{{"kube-flannel", "kube-flannel-ds"}}, netpol.CNI{Name: "Flannel", Enforces: netpol.NotEnforced}},
		"one that does beside one that not": {[]netpol.Agent{{"kube-flannel", "kube-flannel-ds"}, {"kube-system", "kube-network-policies"}}, netpol.CNI{Name: "kube-network-policies", Enforces: netpol.Enforced}},
		"one that may":                      {[]netpol.Agent{{"kube-system", "aws-node"}}, netpol.CNI{Name: "Amazon VPC CNI", Enforces: netpol.UnknownEnforcement}},
		"anybody's namespace":               {[]netpol.Agent{{"shop", "calico-node"}}, netpol.CNI{Enforces: netpol.UnknownEnforcement}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := netpol.SeeCNI(func(a netpol.Agent) bool { return slices.Contains(tc.agents, a) }); got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

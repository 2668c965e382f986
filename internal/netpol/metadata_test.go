// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol_test

import (
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

func TestCloudOf(t *testing.T) {
	for id, want := range map[string]string{
		"aws:///eu-west-1a/i-0123456789abcdef0":                       "aws",
		"gce://project/europe-west1-b/node":                           "gce",
		"azure:///subscriptions/s/resourceGroups/r/providers/M/v/n-0": "azure",
		"openstack:///a-b-c":                                          "openstack",
		"ocid1.instance.oc1.iad.abc":                                  "oci",
		"cn-hangzhou.i-bp1abc":                                        "alicloud",
		"alicloud://cn-hangzhou.i-bp1abc":                             "alicloud",
		"kind://docker/kind/kind-control-plane":                       "",
		"k3s://node":                                                  "",
		"vsphere://4230":                                              "",
		"aws":                                                         "",
		"":                                                            "",
	} {
		if got := netpol.CloudOf(id); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}

func TestMetadataOf(t *testing.T) {
	for name, tc := range map[string]struct {
		clouds []string
		ipv6   bool
		want   []string
	}{
		"a cloud that is not known":       {nil, false, []string{"169.254.169.254"}},
		"over IPv6 too":                   {nil, true, []string{"169.254.169.254", "fd00:ec2::254"}},
		"one with the same as all":        {[]string{"openstack"}, false, []string{"169.254.169.254"}},
		"Amazon's":                        {[]string{"aws"}, false, []string{"169.254.169.254", "169.254.170.23"}},
		"Amazon's, over IPv6 too":         {[]string{"aws"}, true, []string{"169.254.169.254", "fd00:ec2::254", "169.254.170.23", "fd00:ec2::23"}},
		"nodes in several, and in no one": {[]string{"alicloud", "azure", ""}, false, []string{"169.254.169.254", "100.100.100.200", "168.63.129.16"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, m := range netpol.MetadataOf(tc.clouds, tc.ipv6) {
				if m.Port != 80 {
					t.Errorf("port %d", m.Port)
				}
				got = append(got, m.Address.String())
			}
			if diff := gocmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	const every = 7
	if got := len(netpol.AllMetadata()); got != every {
		t.Errorf("%d endpoints of all clouds, want %d", got, every)
	}
}

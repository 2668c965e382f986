// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import "testing"

func TestIsPublic(t *testing.T) {
	for address, want := range map[string]bool{
		"3.120.0.1": true, "198.20.0.1": true, "192.0.1.1": true, "239.255.255.255": false, "2a01:4f8::1": true, "2600:1f14::1": true,
		"::ffff:3.120.0.1": true, "::ffff:10.0.0.1": false,
		"0.1.2.3": false, "10.0.0.1": false, "100.64.0.1": false, "127.0.0.1": false, "169.254.169.254": false, "172.31.0.1": false,
		"192.0.0.1": false, "192.0.2.1": false, "192.88.99.1": false, "192.168.0.1": false, "198.18.0.1": false, "198.19.255.255": false,
		"198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "64:ff9b::1": false, "100::1": false, "2001:0:1::1": false, "2001:db8::1": false, "2002::1": false,
		"3fff::1": false, "5f00::1": false, "fd00::1": false, "fe80::1": false, "ff02::1": false, "": false, "example.com": false,
	} {
		if got := IsPublic(address); got != want {
			t.Errorf("%q: public is %v", address, got)
		}
	}
}

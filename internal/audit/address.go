// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import "net/netip"

// shared is what RFC 6598 sets apart for providers' own networks.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// IsPublic says whether a text is an IP address that the internet may route to.
func IsPublic(address string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && ip.IsGlobalUnicast() && !ip.IsPrivate() && !shared.Contains(ip)
}

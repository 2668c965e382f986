// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"net/netip"

	"github.com/kubersafe/kubersafe/internal/netpol"
)

// IsPublic says whether a text is an IP address that the internet may route to. Addresses for documentation are not.
func IsPublic(address string) bool {
	ip, err := netip.ParseAddr(address)
	return err == nil && netpol.OnInternet(ip.Unmap())
}

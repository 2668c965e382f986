// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// block is an ipBlock, or a network of a ClusterNetworkPolicy.
type block struct {
	cidr   netip.Prefix
	except []netip.Prefix
}

// parseCIDR takes what cannot be read in two ways: neither leading zeros nor IPv4 addresses in IPv6.
func parseCIDR(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errors.New(strings.TrimPrefix(err.Error(), fmt.Sprintf("netip.ParsePrefix(%q): ", text)))
	}
	if prefix.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("an IPv4 address in IPv6")
	}
	return prefix.Masked(), nil
}

func (b *block) contains(a netip.Addr) bool {
	a = a.Unmap()
	return b.cidr.Contains(a) && !slices.ContainsFunc(b.except, func(p netip.Prefix) bool { return p.Contains(a) })
}

// linkLocal addresses are never those of Pods.
var linkLocal = netip.MustParsePrefix("169.254.0.0/16")

// containsUnknown says whether the address of a Pod is in the block whatever it is. Where nothing is known it is IPv4.
func (b *block) containsUnknown() bool {
	return b.cidr.Bits() == 0 && b.cidr.Addr().Is4() && !slices.ContainsFunc(b.except, func(p netip.Prefix) bool {
		return p.Addr().Is4() && (p.Bits() < linkLocal.Bits() || !linkLocal.Contains(p.Addr()))
	})
}

// edges returns where the block begins and what comes after its end, of all its prefixes: between two of all edges next to
// each other, all addresses are alike.
func (b *block) edges() []netip.Addr {
	edges := edgesOf(b.cidr)
	for _, p := range b.except {
		edges = append(edges, edgesOf(p)...)
	}
	return edges
}

func edgesOf(p netip.Prefix) []netip.Addr {
	edges := []netip.Addr{p.Addr()}
	if after := lastOf(p).Next(); after.IsValid() {
		edges = append(edges, after)
	}
	return edges
}

// lastOf returns the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for i := p.Bits(); i < p.Addr().BitLen(); i++ {
		bytes[i/8] |= 0x80 >> (i % 8)
	}
	last, _ := netip.AddrFromSlice(bytes) // it has the length of an address
	return last
}

// special are the addresses that are not on the internet: private, local, reserved, documentation, benchmarks, multicast. Anycast
// addresses of protocols are among them.
var special = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)

// internet6 is what is handed out of IPv6; special6 is what is not on the internet of it.
var (
	internet6 = netip.MustParsePrefix("2000::/3")
	special6  = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// OnInternet says whether an address is one that the internet routes to, by IANA's registries of special purposes. One of version 4
// must not be mapped into version 6.
func OnInternet(a netip.Addr) bool {
	within := func(p netip.Prefix) bool { return p.Contains(a) }
	if a.Is4() {
		return !slices.ContainsFunc(special, within)
	}
	return internet6.Contains(a) && !slices.ContainsFunc(special6, within)
}

var internetEdges = func() []netip.Addr {
	edges := edgesOf(internet6)
	for _, p := range slices.Concat(special, special6) {
		edges = append(edges, edgesOf(p)...)
	}
	return slices.DeleteFunc(edges, func(a netip.Addr) bool { return !OnInternet(a) })
}()

// samples returns addresses of the internet of which one is in every part of it that those blocks tell apart.
func samples(blocks []*block) []netip.Addr {
	addresses := slices.Clone(internetEdges)
	for _, b := range blocks {
		for _, a := range b.edges() {
			if OnInternet(a) {
				addresses = append(addresses, a)
			}
		}
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	return slices.Compact(addresses)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// Metadata is an address where clouds tell Pods about their node, credentials included.
type Metadata struct {
	Address netip.Addr
	Port    int32
}

// Where nearly all clouds have it, over IPv4 and over IPv6.
var (
	MetadataIPv4 = Metadata{netip.MustParseAddr("169.254.169.254"), 80}
	MetadataIPv6 = Metadata{netip.MustParseAddr("fd00:ec2::254"), 80}
)

// clouds have a metadata endpoint. They are called what the providerID of their nodes begins with; with what they have beside
// the endpoint of all, or in its place.
var clouds = map[string][]Metadata{
	"alicloud": {endpoint("100.100.100.200")},
	"aws":      {endpoint("169.254.170.23"), endpoint("fd00:ec2::23")}, // for the identities of Pods
	"azure":    {endpoint("168.63.129.16")},                            // the wire server
	"gce":      {endpoint("fd20:ce::254")},
	"civo":     nil, "digitalocean": nil, "equinixmetal": nil, "exoscale": nil, "hcloud": nil, "huaweicloud": nil, "ibm": nil,
	"linode": nil, "oci": nil, "openstack": nil, "qcloud": nil, "scaleway": nil, "upcloud": nil, "vultr": nil, "yandex": nil,
}

func endpoint(address string) Metadata {
	return Metadata{netip.MustParseAddr(address), MetadataIPv4.Port}
}

// CloudOf returns the cloud that a node's providerID names, or "" if none with a metadata endpoint is known by that name.
func CloudOf(providerID string) string {
	scheme, _, found := strings.Cut(providerID, "://")
	_, known := clouds[scheme]
	switch {
	case found && known:
		return scheme
	case strings.HasPrefix(providerID, "ocid1.instance."):
		return "oci"
	case !found && strings.Contains(providerID, ".i-"): // cn-hangzhou.i-2ze...
		return "alicloud"
	}
	return ""
}

// MetadataOf returns the endpoints that Pods may find in those clouds, or in one that is not known. Those over IPv6 exist
// only where Pods have it.
func MetadataOf(in []string, ipv6 bool) []Metadata {
	endpoints := []Metadata{MetadataIPv4, MetadataIPv6}
	for _, cloud := range in {
		endpoints = append(endpoints, clouds[cloud]...)
	}
	return slices.DeleteFunc(endpoints, func(m Metadata) bool { return m.Address.Is6() && !ipv6 })
}

// AllMetadata returns the endpoints of all clouds, sorted.
func AllMetadata() []Metadata {
	endpoints := MetadataOf(slices.Collect(maps.Keys(clouds)), true)
	slices.SortFunc(endpoints, func(a, b Metadata) int { return a.Address.Compare(b.Address) })
	return endpoints
}

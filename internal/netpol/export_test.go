// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

// Left counts what a cluster holds.
func Left(c *Cluster) int {
	return len(c.namespaces) + len(c.clusterPolicies) + len(c.tiers[admin]) + len(c.tiers[baseline]) + len(c.selectors) +
		len(c.namespaceStates) + len(c.podStates) + len(c.namespacesByLabel) + len(c.namespaceSelectors.byAnchor) +
		len(c.namespaceSelectors.rest) + len(c.classesByLabel) + len(c.podSelectors.byAnchor) + len(c.podSelectors.rest) +
		len(c.keys) + len(c.byID) - len(c.free)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

// Derived returns how often it was found out where a subject gets in one step.
func (c *Cluster) Derived() int { return c.derived }

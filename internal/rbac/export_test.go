// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

// RuleSets returns how many lists of rules are kept.
func (c *Cluster) RuleSets() int { return len(c.sets) }

// Derived returns how often it was found out where a subject gets in one step.
func (c *Cluster) Derived() int { return c.derived }

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"maps"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// aggregationChanged notes whom it concerns that a ClusterRole is another one than before, or is not there, in what aggregated
// ones collect.
func (c *Cluster) aggregationChanged(old, fresh *role) {
	c.noteAggregation(old)
	if old != nil && old.selectors != nil {
		c.aggregating = slices.DeleteFunc(c.aggregating, func(r *role) bool { return r == old })
	}
	if fresh != nil && fresh.selectors != nil {
		c.aggregating = append(c.aggregating, fresh)
	}
	c.noteAggregation(fresh)
}

// noteAggregation notes a ClusterRole, all that have its rules, and those whose rules it has. Those that they have in turn follow when
// they are reviewed.
func (c *Cluster) noteAggregation(r *role) {
	if r == nil || r.Namespace != "" {
		return
	}
	c.unreviewedRoles[r.Name] = true
	for a := range c.above(r) {
		c.unreviewedRoles[a.Name] = true
	}
	if r.selectors != nil {
		c.eachCollected(r, func(piece *role) { c.unreviewedRoles[piece.Name] = true })
	}
}

// settle puts the rules of aggregated ClusterRoles together, if any may have changed.
func (c *Cluster) settle() {
	if !c.stale {
		return
	}
	c.stale = false
	names := slices.Sorted(maps.Keys(c.roles[""]))
	for _, name := range names {
		r := c.roles[""][name]
		if r.aggregation == nil {
			continue
		}
		rules := c.intern(c.aggregated(r, names)) // before the old ones go, which may be the same
		old := r.rules
		r.rules = rules
		c.release(old)
		if old != rules {
			c.roleChanged(r.RoleKey, old.powers, rules.powers)
		}
	}
}

// aggregated returns the rules that the controller manager gives a ClusterRole in the end: those of all that it selects, each
// once. An aggregated role among them adds those that it selects. A role with a selector that is not valid stays as it is.
func (c *Cluster) aggregated(r *role, names []string) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	seen := make(map[*role]bool)
	var collect func(r *role)
	collect = func(r *role) {
		seen[r] = true
		if r.selectors == nil {
			rules = add(rules, r.stored.list)
			return
		}
		for _, selector := range r.selectors {
			for _, name := range names {
				if other := c.roles[""][name]; !seen[other] && selector.Matches(labels.Set(other.labels)) {
					collect(other)
				}
			}
		}
	}
	collect(r)
	return rules
}

// selectorsOf returns nil if a ClusterRole's rules are its own, or one of its selectors is not valid.
func selectorsOf(aggregation []metav1.LabelSelector) []labels.Selector {
	if aggregation == nil {
		return nil
	}
	selectors := make([]labels.Selector, 0, len(aggregation))
	for i := range aggregation {
		s, err := metav1.LabelSelectorAsSelector(&aggregation[i])
		if err != nil {
			return nil
		}
		selectors = append(selectors, s)
	}
	return selectors
}

// add adds rules that are not there yet.
func add(rules, more []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	for i := range more {
		if !slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool { return equality.Semantic.DeepEqual(r, more[i]) }) {
			rules = append(rules, more[i])
		}
	}
	return rules
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"iter"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// hasWorkloads says whether a namespace has workloads. If that cannot be known, it skips the check.
func hasWorkloads(ns *audit.Namespace, r *audit.Reporter) bool {
	if len(ns.Workloads) > 0 {
		return true
	}
	if u := ns.MissingWorkloads(); u != nil {
		r.SkipUnavailable(u)
	}
	return false
}

// selectsAny says whether a selector matches a live Pod or a Pod template.
func selectsAny(ns *audit.Namespace, selector labels.Selector) bool {
	for range shapesOf(ns, selector) {
		return true
	}
	return false
}

// shapesOf returns the shapes of the Pods and templates that a selector matches, one maybe several times.
func shapesOf(ns *audit.Namespace, selector labels.Selector) iter.Seq[*audit.Shape] {
	return func(yield func(*audit.Shape) bool) {
		for _, s := range ns.Selectable {
			if selector.Matches(s.Labels) && !yield(s.Shape) {
				return
			}
		}
	}
}

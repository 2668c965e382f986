// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import "github.com/kubersafe/kubersafe/internal/audit"

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

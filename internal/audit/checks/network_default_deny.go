// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// noDefaultDeny returns the function of a check that wants a policy which denies a direction to all Pods. covered is the
// severity while every Pod happens to be isolated by other policies.
func noDefaultDeny(d netpol.Direction, denies string, covered v1alpha1.Severity) func(*audit.Namespace, *audit.Reporter) {
	return func(ns *audit.Namespace, r *audit.Reporter) {
		if ns.Network.View.DefaultDenies(d) || !hasWorkloads(ns, r) {
			return
		}
		f := audit.Finding{
			Message: fmt.Sprintf("namespace %q must have a NetworkPolicy that denies %s all Pods by default", ns.Name, denies),
			Path:    "metadata.name",
		}
		if ns.MissingWorkloads() == nil && ns.Network.Unisolated[d] == 0 {
			f.Severity = covered
		}
		r.Find(f)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
	"github.com/kubersafe/kubersafe/internal/report"
)

// ClusterVerdict is what was decided about one subject that belongs to no namespace.
type ClusterVerdict struct {
	*Entry
	// Report is the name of its report.
	Report string
	// Build makes the report; nil if it has none.
	Build func() *v1alpha1.ClusterSecurityReport
}

// JudgeCluster decides about all that belongs to no namespace. ClusterRoles and ClusterRoleBindings of which every check has
// passed are left out. Those that are as they were are not judged again, if kept is that of the last time; it may be nil.
func JudgeCluster(set *audit.Set, c *audit.Cluster, previous Previous, kept *Kept, now time.Time) []ClusterVerdict {
	results := set.EvaluateCluster(c)
	verdicts := make([]ClusterVerdict, 0, len(results))
	for i := range results {
		verdicts = append(verdicts, judgeResult(set, &results[i], &previous, now))
	}
	if kept == nil {
		kept = new(Kept)
	}
	kept.begin(set.AccessInputs(c), len(c.Roles), len(c.RoleBindings))
	judge := func(result *audit.Result) ClusterVerdict { return judgeResult(set, result, &previous, now) }
	for _, view := range c.Roles {
		verdicts = take(verdicts, kept.roles, view, func() (audit.Result, bool) { return set.EvaluateClusterRole(c, view) }, judge)
	}
	for _, view := range c.RoleBindings {
		verdicts = take(verdicts, kept.bindings, view, func() (audit.Result, bool) { return set.EvaluateClusterRoleBinding(c, view) }, judge)
	}
	return verdicts
}

// take adds the verdict on a view, which is kept, to others, unless every check has passed.
func take[V comparable](
	verdicts []ClusterVerdict, kept map[V]*ClusterVerdict, view V, evaluate func() (audit.Result, bool), judge func(*audit.Result) ClusterVerdict,
) []ClusterVerdict {
	v, known := kept[view]
	if !known {
		if result, tells := evaluate(); tells {
			v = new(judge(&result))
		}
		kept[view] = v
	}
	if v == nil {
		return verdicts
	}
	return append(verdicts, *v)
}

// Kept are verdicts on what a cluster may have by the thousand, by what each depends on alone.
type Kept struct {
	// inputs are what all of them depend on.
	inputs audit.Inputs
	// Verdicts by view; nil where every check has passed.
	roles    map[*rbac.RoleView]*ClusterVerdict
	bindings map[*rbac.BindingView]*ClusterVerdict
}

// begin forgets what does not hold any more, and, where much is kept on views that are replaced, all.
func (k *Kept) begin(inputs audit.Inputs, roles, bindings int) {
	const spare = 64 // views that are replaced before all others are judged anew
	if k.roles == nil || !k.inputs.Equal(&inputs) || len(k.roles) > 2*roles+spare || len(k.bindings) > 2*bindings+spare {
		k.inputs = inputs
		k.roles, k.bindings = make(map[*rbac.RoleView]*ClusterVerdict, roles), make(map[*rbac.BindingView]*ClusterVerdict, bindings)
	}
}

func judgeResult(set *audit.Set, result *audit.Result, previous *Previous, now time.Time) ClusterVerdict {
	inputs := set.InputsOfResult(result)
	v := ClusterVerdict{Entry: previous.Entries[result.Report], Report: result.Report}
	if v.Entry == nil || !v.Inputs.Equal(&inputs) {
		v.Entry = EntryOf(result)
		v.Inputs = inputs
		if result.HasReport() {
			r, remembered := report.BuildOfCluster(result, previous.remembered(result.Report), now)
			v.Remembered, v.Hash = remembered, report.HashOfCluster(r)
		}
	}
	if result.HasReport() {
		v.Build = func() *v1alpha1.ClusterSecurityReport { // seldom needed: mostly the cluster holds it already
			r, _ := report.BuildOfCluster(result, v.Remembered, now)
			return r
		}
	}
	return v
}

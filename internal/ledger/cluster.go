// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
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

// JudgeCluster decides about all that belongs to no namespace.
func JudgeCluster(set *audit.Set, c *audit.Cluster, previous Previous, now time.Time) []ClusterVerdict {
	results := set.EvaluateCluster(c)
	verdicts := make([]ClusterVerdict, 0, len(results))
	for i := range results {
		result := &results[i]
		verdicts = append(verdicts, judgeResult(result, set.InputsOfResult(result), &previous, now))
	}
	return verdicts
}

func judgeResult(result *audit.Result, inputs audit.Inputs, previous *Previous, now time.Time) ClusterVerdict {
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

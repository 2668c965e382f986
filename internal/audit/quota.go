// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"
	"unique"

	"gopkg.in/inf.v0"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// QuotaLevel is how many percent of a bound are used, at least: a multiple of 5. Only levels are kept, so that Pods coming and
// going change nothing until a verdict could change.
type QuotaLevel int8

const (
	// QuotaUnknown says that the quota controller has not counted the resource yet.
	QuotaUnknown QuotaLevel = -1
	// QuotaLow is so little that nobody asks how much it is.
	QuotaLow QuotaLevel = 0
	// QuotaFull is the bound itself, or more.
	QuotaFull QuotaLevel = 100

	// quotaLeast is the lowest level that is told from QuotaLow, and quotaStep what is between two.
	quotaLeast QuotaLevel = 45
	quotaStep  QuotaLevel = 5
)

// QuotaUsage is how far one resource of a quota is used.
type QuotaUsage struct {
	Resource string
	// Hard is the bound, as a quantity.
	Hard  string
	Level QuotaLevel
}

// QuotaUsages returns the usage of every resource that a quota bounds, sorted by resource. A resource bounded to nothing
// is a prohibition, which cannot be used up, and is always at the lowest level.
func QuotaUsages(q *corev1.ResourceQuota) []QuotaUsage {
	usages := make([]QuotaUsage, 0, len(q.Spec.Hard))
	for name, hard := range q.Spec.Hard {
		usage := QuotaUsage{Resource: string(name), Hard: unique.Make(hard.String()).Value(), Level: QuotaUnknown}
		if used, ok := q.Status.Used[name]; ok {
			usage.Level = quotaLevel(used, hard)
		}
		usages = append(usages, usage)
	}
	slices.SortFunc(usages, func(a, b QuotaUsage) int {
		if a.Resource < b.Resource {
			return -1
		}
		return 1
	})
	return usages
}

func quotaLevel(used, hard resource.Quantity) QuotaLevel {
	if hard.Sign() <= 0 {
		return QuotaLow
	}
	hundredfold := times(used, 100)
	for level := QuotaFull; level >= quotaLeast; level -= quotaStep {
		if hundredfold.Cmp(times(hard, int64(level))) >= 0 {
			return level
		}
	}
	return QuotaLow
}

// times multiplies exactly: quantities reach from nano-CPUs to exabytes, which no machine number holds.
func times(q resource.Quantity, factor int64) *inf.Dec {
	return new(inf.Dec).Mul(q.AsDec(), inf.NewDec(factor, 0))
}

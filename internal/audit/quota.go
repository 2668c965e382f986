// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"

	"gopkg.in/inf.v0"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// QuotaBand is a range of used ÷ hard. Only bands are kept, so that Pods coming and going change nothing until the
// verdict could change.
type QuotaBand uint8

// The bands, by the lower bound of what is used. Findings rise at 90 % and 100 % and fall below 85 % and 95 %: the
// bands between keep what was said before, so that a quota that hovers at a bound does not flap.
const (
	// QuotaUnknown: the quota controller has not counted the resource yet.
	QuotaUnknown QuotaBand = iota
	QuotaBelow85
	QuotaFrom85
	QuotaFrom90
	QuotaFrom95
	QuotaFull
)

// QuotaUsage is how far one resource of a quota is used.
type QuotaUsage struct {
	Resource string
	Band     QuotaBand
}

// QuotaUsages returns the usage of every resource that a quota bounds, sorted by resource. A resource bounded to nothing
// is a prohibition, which cannot be used up, and is always in the lowest band.
func QuotaUsages(q *corev1.ResourceQuota) []QuotaUsage {
	usages := make([]QuotaUsage, 0, len(q.Spec.Hard))
	for name, hard := range q.Spec.Hard {
		usage := QuotaUsage{Resource: string(name)}
		if used, ok := q.Status.Used[name]; ok {
			usage.Band = quotaBand(used, hard)
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

func quotaBand(used, hard resource.Quantity) QuotaBand {
	if hard.Sign() <= 0 {
		return QuotaBelow85
	}
	for _, bound := range [...]struct {
		percent int64
		band    QuotaBand
	}{{100, QuotaFull}, {95, QuotaFrom95}, {90, QuotaFrom90}, {85, QuotaFrom85}} {
		if times(used, 100).Cmp(times(hard, bound.percent)) >= 0 {
			return bound.band
		}
	}
	return QuotaBelow85
}

// times multiplies exactly: quantities reach from nano-CPUs to exabytes, which no machine number holds.
func times(q resource.Quantity, factor int64) *inf.Dec {
	return new(inf.Dec).Mul(q.AsDec(), inf.NewDec(factor, 0))
}

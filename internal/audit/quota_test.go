// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestQuotaBand(t *testing.T) {
	for name, tc := range map[string]struct {
		used, hard string
		want       QuotaBand
	}{
		"nothing used":                         {"0", "10", QuotaBelow85},
		"just below 85 %":                      {"8499m", "10", QuotaBelow85},
		"85 %":                                 {"8500m", "10", QuotaFrom85},
		"just below 90 %":                      {"8999m", "10", QuotaFrom85},
		"90 %":                                 {"9", "10", QuotaFrom90},
		"just below 95 %":                      {"9499m", "10", QuotaFrom90},
		"95 %":                                 {"9500m", "10", QuotaFrom95},
		"just below 100 %":                     {"9999m", "10", QuotaFrom95},
		"100 %":                                {"10", "10", QuotaFull},
		"more than 100 %, after a bound fell":  {"11", "10", QuotaFull},
		"the same in other units":              {"10240Mi", "10Gi", QuotaFull},
		"binary against decimal units":         {"1G", "1Gi", QuotaFrom90},
		"the least CPU that there is":          {"1n", "1n", QuotaFull},
		"nano-CPUs below 85 %":                 {"849999999n", "1", QuotaBelow85},
		"nano-CPUs at 85 %":                    {"850000000n", "1", QuotaFrom85},
		"exabytes, one byte below 90 %":        {"7199999999999999999", "8E", QuotaFrom85},
		"exabytes at 90 %":                     {"7200000000000000000", "8E", QuotaFrom90},
		"exabytes, one byte below 100 %":       {"7999999999999999999", "8E", QuotaFrom95},
		"the most bytes that there are, full":  {"7Ei", "7Ei", QuotaFull},
		"the most bytes that there are, least": {"1", "7Ei", QuotaBelow85},
		"more than a machine number holds":     {"95000000000000000000", "100000000000000000000", QuotaFrom95},
		"a nano-CPU of exabytes":               {"1n", "7Ei", QuotaBelow85},
		"a bound of nothing":                   {"0", "0", QuotaBelow85},
		"a bound of nothing that is exceeded":  {"5", "0", QuotaBelow85},
		"a bound below nothing":                {"5", "-1", QuotaBelow85},
	} {
		t.Run(name, func(t *testing.T) {
			if got := quotaBand(resource.MustParse(tc.used), resource.MustParse(tc.hard)); got != tc.want {
				t.Errorf("quotaBand(%s, %s) = %d, want %d", tc.used, tc.hard, got, tc.want)
			}
		})
	}
}

func TestQuotaUsages(t *testing.T) {
	quota := &corev1.ResourceQuota{
		Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
			"pods": resource.MustParse("10"), "limits.cpu": resource.MustParse("2"), "secrets": resource.MustParse("1"), "count/jobs.batch": resource.MustParse("0"),
		}},
		Status: corev1.ResourceQuotaStatus{
			Hard: corev1.ResourceList{"pods": resource.MustParse("5")}, // from before the bound was raised
			Used: corev1.ResourceList{
				"pods": resource.MustParse("5"), "limits.cpu": resource.MustParse("1900m"), "count/jobs.batch": resource.MustParse("0"),
				"services": resource.MustParse("3"), // no longer bounded
			},
		},
	}
	want := []QuotaUsage{
		{Resource: "count/jobs.batch", Band: QuotaBelow85},
		{Resource: "limits.cpu", Band: QuotaFrom95},
		{Resource: "pods", Band: QuotaBelow85},
		{Resource: "secrets", Band: QuotaUnknown},
	}
	before := quota.DeepCopy()
	if diff := cmp.Diff(want, QuotaUsages(quota)); diff != "" {
		t.Errorf("usages (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, quota); diff != "" {
		t.Errorf("the quota has been changed:\n%s", diff)
	}
	if got := QuotaUsages(&corev1.ResourceQuota{}); len(got) != 0 {
		t.Errorf("usages of a quota without bounds: %v", got)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func TestQuotaLevel(t *testing.T) {
	for name, tc := range map[string]struct {
		used, hard string
		want       QuotaLevel
	}{
		"nothing used":                         {"0", "10", QuotaLow},
		"just below 85 %":                      {"8499m", "10", 80},
		"85 %":                                 {"8500m", "10", 85},
		"45 %, the lowest that is told":        {"45", "100", 45},
		"just below 45 %":                      {"44999m", "100", QuotaLow},
		"just below 90 %":                      {"8999m", "10", 85},
		"90 %":                                 {"9", "10", 90},
		"just below 95 %":                      {"9499m", "10", 90},
		"95 %":                                 {"9500m", "10", 95},
		"just below 100 %":                     {"9999m", "10", 95},
		"100 %":                                {"10", "10", QuotaFull},
		"more than 100 %, after a bound fell":  {"11", "10", QuotaFull},
		"the same in other units":              {"10240Mi", "10Gi", QuotaFull},
		"binary against decimal units":         {"1G", "1Gi", 90},
		"the least CPU that there is":          {"1n", "1n", QuotaFull},
		"nano-CPUs below 85 %":                 {"849999999n", "1", 80},
		"nano-CPUs at 85 %":                    {"850000000n", "1", 85},
		"exabytes, one byte below 90 %":        {"7199999999999999999", "8E", 85},
		"exabytes at 90 %":                     {"7200000000000000000", "8E", 90},
		"exabytes, one byte below 100 %":       {"7999999999999999999", "8E", 95},
		"the most bytes that there are, full":  {"7Ei", "7Ei", QuotaFull},
		"the most bytes that there are, least": {"1", "7Ei", QuotaLow},
		"more than a machine number holds":     {"95000000000000000000", "100000000000000000000", 95},
		"a nano-CPU of exabytes":               {"1n", "7Ei", QuotaLow},
		"a bound of nothing":                   {"0", "0", QuotaLow},
		"a bound of nothing that is exceeded":  {"5", "0", QuotaLow},
		"a bound below nothing":                {"5", "-1", QuotaLow},
	} {
		t.Run(name, func(t *testing.T) {
			if got := quotaLevel(resource.MustParse(tc.used), resource.MustParse(tc.hard)); got != tc.want {
				t.Errorf("quotaLevel(%s, %s) = %d, want %d", tc.used, tc.hard, got, tc.want)
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
		{Resource: "count/jobs.batch", Hard: "0", Level: QuotaLow},
		{Resource: "limits.cpu", Hard: "2", Level: 95},
		{Resource: "pods", Hard: "10", Level: 50},
		{Resource: "secrets", Hard: "1", Level: QuotaUnknown},
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

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"testing"
	"time"
)

// TestTablesOfVersions: what is not a day would count as one long ago.
func TestTablesOfVersions(t *testing.T) {
	days := []string{versionsOf, longAgo}
	for m := uint(oldestMinor); m <= newestMinor; m++ {
		known, ok := kubernetesMinors[m]
		if !ok {
			t.Errorf("Kubernetes 1.%d is not in the table", m)
		}
		if before := kubernetesMinors[m-1]; before.end >= known.end {
			t.Errorf("Kubernetes 1.%d ends at %s, and 1.%d at %s", m-1, before.end, m, known.end)
		}
		days = append(days, known.end)
	}
	if n := newestMinor - oldestMinor + 1; len(kubernetesMinors) != n {
		t.Errorf("%d minors of Kubernetes, want %d", len(kubernetesMinors), n)
	}
	for v, end := range containerdMinors {
		if end != "" {
			days = append(days, end)
		}
		if end != "" && end < longAgo {
			t.Errorf("containerd %v ends at %s, before all that is older", v, end)
		}
	}
	for _, text := range days {
		if d := day(text); d.Format(time.DateOnly) != text {
			t.Errorf("%q is no day", text)
		}
	}
}

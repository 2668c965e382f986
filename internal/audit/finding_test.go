// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// TestNobodyMakesFindingsWithoutBound: a thousand containers, and all that is told of them is the first and the worst.
func TestNobodyMakesFindingsWithoutBound(t *testing.T) {
	find := func(r *Reporter, check string, object *v1alpha1.ObjectReference, n int, worst int) {
		r.run([]*Check{{ID: check, Severity: v1alpha1.SeverityLow}}, func(_ *Check, r *Reporter) {
			for i := range n {
				f := Finding{Message: fmt.Sprint("m", i), Container: "c", Path: fmt.Sprint("p", i), Suggested: "false", Object: object}
				if i == worst {
					f.Severity = v1alpha1.SeverityCritical
				}
				r.Find(f)
			}
		})
	}
	service := &v1alpha1.ObjectReference{Kind: "Service", Name: "web"}
	for name, tc := range map[string]struct {
		n, worst, want int
		wantLast       Finding
	}{
		"as many as may be": {maxAlike, -1, maxAlike, Finding{
			Check: "a", Severity: v1alpha1.SeverityLow, Message: "m99", Container: "c", Path: "p99", Suggested: "false",
		}},
		"one more": {
			maxAlike + 1, -1, maxAlike, Finding{Check: "a", Severity: v1alpha1.SeverityLow, Message: "m99; more findings of this check: 1", Path: "p99"},
		},
		"the worst is behind": {
			1000, 500, maxAlike, Finding{Check: "a", Severity: v1alpha1.SeverityCritical, Message: "m500; more findings of this check: 900", Path: "p500"},
		},
		"the worst is before": {
			1000, 5, maxAlike, Finding{Check: "a", Severity: v1alpha1.SeverityLow, Message: "m99; more findings of this check: 900", Path: "p99"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var r Reporter
			for range 2 { // it is used again
				find(&r, "a", nil, tc.n, tc.worst)
				if len(r.findings) != tc.want {
					t.Fatalf("%d findings, want %d", len(r.findings), tc.want)
				}
				if diff := cmp.Diff(tc.wantLast, r.findings[tc.want-1]); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				find(&r, "b", nil, 3, -1)
				find(&r, "a", service, 3, -1)
				if got := len(r.findings) - tc.want; got != 6 || r.findings[tc.want].Container != "c" {
					t.Errorf("%d findings of another check and on another object, want 6", got)
				}
				r.reset()
			}
		})
	}
	var r Reporter
	r.run([]*Check{{ID: "a"}, {ID: "b"}}, func(_ *Check, r *Reporter) {
		for i := range 1000 {
			r.Skip(v1alpha1.SkipDataMissing, fmt.Sprintf("m%03d", 999-i))
		}
	})
	if n := len(r.skips); n != maxAlike+1 || r.skips[0].Message != "m000" || r.skips[n-1].Message != "m000" {
		t.Errorf("%d skips: %+v", n, r.skips)
	}
}

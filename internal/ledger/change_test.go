// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

func TestChangeOf(t *testing.T) {
	const critical, high, medium = v1alpha1.SeverityCritical, v1alpha1.SeverityHigh, v1alpha1.SeverityMedium
	found := func(check, path string, severity v1alpha1.Severity) audit.Finding {
		return audit.Finding{Check: check, Severity: severity, Message: "m", Path: path}
	}
	of := func(findings ...audit.Finding) *audit.Result { return &audit.Result{Findings: findings} }
	exempt := func(r *audit.Result, f audit.Finding) *audit.Result {
		by := &audit.ExceptionRecord{Object: audit.Object{Name: "known"}}
		r.Exempted = append(r.Exempted, audit.Exempted{Finding: f, By: by})
		r.Uses = append(r.Uses, audit.Use{By: by, Matches: 1})
		return r
	}
	skip := func(r *audit.Result, check string) *audit.Result {
		r.Skips = append(r.Skips, audit.Skip{Check: check, Reason: v1alpha1.SkipSourceForbidden, Message: "no"})
		return r
	}
	a, b := found("privileged", "containers[a]", critical), found("privileged", "containers[b]", critical)
	low := found("limits", "containers[a]", medium)
	service := func(name string) audit.Finding {
		f := found("open", "spec.type", high)
		f.Object = &v1alpha1.ObjectReference{Kind: "Service", Name: name}
		return f
	}
	for sentence, tc := range map[string]struct {
		from, to *audit.Result
		wantNew  []string
		wantGone map[string]int32
	}{
		"nothing":                                        {of(), of(), nil, nil},
		"nothing new":                                    {of(a), of(a), nil, nil},
		"a new one":                                      {of(), of(a), []string{"privileged containers[a]"}, nil},
		"one more":                                       {of(a), of(a, b), []string{"privileged containers[b]"}, nil},
		"all gone":                                       {of(a, b), of(), nil, map[string]int32{"privileged": 2}},
		"one of two gone":                                {of(a, b), of(b), nil, map[string]int32{"privileged": 1}},
		"one in place of another":                        {of(a), of(b), []string{"privileged containers[b]"}, map[string]int32{"privileged": 1}},
		"less severe ones do not count":                  {of(low), of(), nil, nil},
		"less severe ones are not new":                   {of(), of(low), nil, nil},
		"one that becomes severe is new":                 {of(low), of(found("limits", "containers[a]", high)), []string{"limits containers[a]"}, nil},
		"one that becomes less so is there":              {of(found("limits", "containers[a]", high)), of(low), nil, nil},
		"one that becomes worse was severe":              {of(found("limits", "containers[a]", high)), of(found("limits", "containers[a]", critical)), nil, nil},
		"the same of another object is new":              {of(service("a")), of(service("a"), service("b")), []string{"open spec.type"}, nil},
		"an exempted one is not gone":                    {of(a, b), exempt(of(b), a), nil, nil},
		"an exempted one of an object":                   {of(service("a")), exempt(of(), service("a")), nil, nil},
		"one exempted and one gone":                      {of(a, b), exempt(of(), a), nil, map[string]int32{"privileged": 1}},
		"one that was exempted is new":                   {exempt(of(), a), of(a), []string{"privileged containers[a]"}, nil},
		"one that was exempted and goes":                 {exempt(of(), a), of(), nil, nil},
		"what could not be looked at is not gone":        {of(a), skip(of(), "privileged"), nil, nil},
		"what could not be looked at before is not new":  {skip(of(), "privileged"), of(a), nil, nil},
		"another check that could not look is not asked": {skip(of(), "x"), skip(of(a), "x"), []string{"privileged containers[a]"}, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
			from := verdictOf("shop", tc.from, nil, nil, at)
			to := verdictOf("shop", tc.to, from.Remembered, nil, at)
			got := ChangeOf(from.Entry, to.Entry, to.Build(), high)
			var gotNew []string
			for _, f := range got.New {
				gotNew = append(gotNew, f.Check+" "+f.Path)
			}
			if diff := cmp.Diff(tc.wantNew, gotNew); diff != "" {
				t.Errorf("new (-want +got):\n%s", diff)
			}
			if tc.wantGone == nil {
				tc.wantGone = map[string]int32{}
			}
			if diff := cmp.Diff(tc.wantGone, got.Gone); diff != "" {
				t.Errorf("gone (-want +got):\n%s", diff)
			}
		})
	}
}

// TestChangeOfReportsThatAreCut: what a report leaves out was there before all the same.
func TestChangeOfReportsThatAreCut(t *testing.T) {
	var many []audit.Finding
	for i := range v1alpha1.MaxFindings + 10 {
		many = append(many, audit.Finding{Check: "privileged", Severity: v1alpha1.SeverityCritical, Message: "m", Path: fmt.Sprint("p", i)})
	}
	at := time.Now()
	all := verdictOf("shop", &audit.Result{Findings: many}, nil, nil, at)
	fewer := verdictOf("shop", &audit.Result{Findings: many[10:]}, all.Remembered, nil, at)
	got := ChangeOf(all.Entry, fewer.Entry, fewer.Build(), v1alpha1.SeverityHigh)
	if len(got.New) != 0 || got.Gone["privileged"] != 10 {
		t.Errorf("%d new and %v gone, want 10 gone", len(got.New), got.Gone)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

func TestStateOf(t *testing.T) {
	check := func(id string) *audit.Check {
		if id == "known" {
			return &audit.Check{}
		}
		return nil
	}
	badSelector := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Is"}}}
	exception := func(change func(*v1alpha1.SecurityException)) *audit.ExceptionRecord {
		e := &v1alpha1.SecurityException{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "e", CreationTimestamp: metav1.NewTime(now)},
			Spec: v1alpha1.SecurityExceptionSpec{
				Checks: []string{"known"}, Reason: "r", Subjects: []v1alpha1.ExceptionSubject{{Name: "*"}}, ExpirationTime: &metav1.Time{Time: now.Add(time.Hour)},
			},
		}
		change(e)
		return audit.ExceptionFrom(e)
	}
	plain := exception(func(*v1alpha1.SecurityException) {})
	limits := audit.DefaultSettings().Exceptions
	for name, tc := range map[string]struct {
		exception *audit.ExceptionRecord
		use       Use
		later     time.Duration
		want      ExceptionState
	}{
		"matched": {plain, Use{Matches: 2}, 0, ExceptionState{Holds: true, Reason: "Matched", Matches: 2}},
		"matched in part": {plain, Use{Matches: 2, Denied: 1}, 0, ExceptionState{
			Holds: true, Reason: "Matched", Matches: 2,
			Message: "some findings that it is about are of severities that the AuditConfiguration does not let SecurityExceptions exempt",
		}},
		"too severe": {plain, Use{Denied: 1}, 0, ExceptionState{
			Reason:  "NotPermitted",
			Message: "the findings that it is about are of severities that the AuditConfiguration does not let SecurityExceptions exempt",
		}},
		"unused":  {plain, Use{}, 0, ExceptionState{Holds: true, Reason: "Unused"}},
		"expired": {plain, Use{Matches: 2}, time.Hour, ExceptionState{Reason: "Expired", Message: "it ended at 2026-11-21T13:00:00Z"}},
		"not permitted": {
			exception(func(e *v1alpha1.SecurityException) { e.Spec.ExpirationTime = nil }), Use{}, 0, ExceptionState{
				Reason: "NotPermitted", Message: "it must have an expirationTime: the AuditConfiguration does not set exceptions.namespaced.allowUnlimited",
			},
		},
		"of an unknown check": {
			exception(func(e *v1alpha1.SecurityException) { e.Spec.Checks = []string{"a", "b"} }), Use{}, 0,
			ExceptionState{Reason: "Invalid", Message: `spec.checks[0]: no check is called "a"; spec.checks[1]: no check is called "b"`},
		},
		"of an unknown check and a known one": {
			exception(func(e *v1alpha1.SecurityException) { e.Spec.Checks = []string{"a", "known"} }), Use{Matches: 1}, 0,
			ExceptionState{Holds: true, Reason: "Matched", Matches: 1, Message: `spec.checks[0]: no check is called "a"`},
		},
		"of all checks": {
			exception(func(e *v1alpha1.SecurityException) { e.Spec.Checks = []string{"*"} }), Use{}, 0, ExceptionState{Holds: true, Reason: "Unused"},
		},
		"for nobody": {
			exception(func(e *v1alpha1.SecurityException) { e.Spec.Subjects[0].Selector = badSelector }), Use{}, 0,
			ExceptionState{Reason: "Invalid", Message: `spec.subjects[0].selector: "Is" is not a valid label selector operator`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, stateOf(tc.exception, &limits, tc.use, check, now.Add(tc.later))); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTooManyExceptions: the first hold, those that do not say so, and those that have ended count for nothing.
func TestTooManyExceptions(t *testing.T) {
	var exceptions []*audit.ExceptionRecord
	add := func(i int, ends time.Time) {
		exceptions = append(exceptions, audit.ExceptionFrom(&v1alpha1.SecurityException{
			// The later ones have names that come first.
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: fmt.Sprint("e-", 9999-i), CreationTimestamp: metav1.NewTime(now.Add(time.Duration(i) * time.Second))},
			Spec: v1alpha1.SecurityExceptionSpec{
				Checks: []string{"*"}, Reason: "r", ExpirationTime: &metav1.Time{Time: ends},
				Subjects: []v1alpha1.ExceptionSubject{{Name: "*"}, {Name: "*"}},
			},
		}))
	}
	const holding = audit.MaxExceptionSubjects / 2
	for i := range holding {
		add(i, now) // ended
	}
	for i := range holding + 2 {
		add(holding+i, now.Add(time.Hour))
	}
	limits := audit.DefaultSettings().Exceptions
	states := StatesOf(exceptions, &limits, nil, func(string) *audit.Check { return nil }, now)
	for i, s := range states {
		want := v1alpha1.ReasonUnused
		switch {
		case i < holding:
			want = v1alpha1.ReasonExpired
		case i >= 2*holding:
			want = v1alpha1.ReasonNotPermitted
		}
		if s.Reason != want || s.Holds != (want == v1alpha1.ReasonUnused) {
			t.Errorf("exception %d: %+v, want %s", i, s, want)
		}
	}
}

// TestExemptedUntil: the first end counts of what exempts anything.
func TestExemptedUntil(t *testing.T) {
	until := func(days int) *audit.ExceptionRecord {
		return &audit.ExceptionRecord{Expires: new(audit.MomentOf(now.AddDate(0, 0, days)))}
	}
	for name, tc := range map[string]struct {
		uses []audit.Use
		want audit.Moment
	}{
		"one":                           {[]audit.Use{{By: until(3), Matches: 1}}, *until(3).Expires},
		"the first of several":          {[]audit.Use{{By: until(3), Matches: 1}, {By: until(2), Matches: 1}, {By: until(4), Matches: 1}}, *until(2).Expires},
		"one that never ends":           {[]audit.Use{{By: &audit.ExceptionRecord{}, Matches: 1}}, 0},
		"one that never ends and one":   {[]audit.Use{{By: &audit.ExceptionRecord{}, Matches: 1}, {By: until(1), Matches: 1}}, *until(1).Expires},
		"one that is not permitted any": {[]audit.Use{{By: until(1), Denied: 1}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := EntryOf(&audit.Result{Uses: tc.uses}).Exempted.Until; got != tc.want {
				t.Errorf("until %v, want %v", got.Time(), tc.want.Time())
			}
		})
	}
}

// TestUses: what exceptions do is counted for each of them, however often a namespace is judged and wherever.
func TestUses(t *testing.T) {
	l := New()
	use := func(uses ...Use) *Entry { return &Entry{Kind: "Pod", Exempted: &Exempted{Uses: uses}} }
	all := func(m, d int32) Use { return Use{Cluster: true, Name: "e", Matches: m, Denied: d} }
	mine := func(m, d int32) Use { return Use{Name: "e", Matches: m, Denied: d} }
	l.Put("shop", nil, Entries{"x": use(all(1, 0), mine(5, 1)), "y": use(mine(2, 0)), "z": {Kind: "Pod"}})
	l.Put("shop", nil, Entries{"x": use(all(1, 0), mine(3, 1)), "y": use(mine(2, 0))})
	l.Put("blog", nil, Entries{"x": use(all(4, 0))})
	l.PutElsewhere("other", nil, []*Entry{use(all(10, 0))})
	if diff := cmp.Diff(map[string]Use{"e": mine(5, 1)}, l.Uses("shop")); diff != "" {
		t.Errorf("of shop (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]Use{"e": all(15, 0)}, l.Uses("")); diff != "" {
		t.Errorf("of the cluster (-want +got):\n%s", diff)
	}
	l.Drop("blog")
	l.PutElsewhere("other", nil, nil)
	l.Put("shop", nil, nil)
	if uses := len(l.Uses("")) + len(l.Uses("shop")); uses > 0 {
		t.Errorf("%d uses of what is gone", uses)
	}
}

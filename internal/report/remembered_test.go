// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

func TestRemember(t *testing.T) {
	at := func(hours int) metav1.Time { return metav1.NewTime(now.Add(time.Duration(hours) * time.Hour)) }
	r := Remember([]v1alpha1.Finding{
		{Check: "a", Path: "p", Severity: high, Since: at(3)},
		{Check: "a", Path: "q", Severity: high, Since: at(1)},
		{Check: "a", Path: "q", Severity: high, Since: at(2), Object: &v1alpha1.ObjectReference{Kind: "Service", Name: "web"}},
		{Check: "b", Path: "p", Severity: low, Since: at(0)},
		{Check: "odd", Path: "p", Severity: "Odd", Since: at(-9)}, // somebody edited the report
	})
	for name, tc := range map[string]struct {
		key  audit.Key
		want Standing
		ok   bool
	}{
		"a finding":                           {audit.Key{Check: "a", Path: "p"}, Standing{high, at(3).Time}, true},
		"another at another path":             {audit.Key{Check: "a", Path: "q"}, Standing{high, at(1).Time}, true},
		"another about another object":        {audit.Key{Check: "a", Path: "q", ObjectKind: "Service", ObjectName: "web"}, Standing{high, at(2).Time}, true},
		"another of another check":            {audit.Key{Check: "b", Path: "p"}, Standing{low, at(0).Time}, true},
		"a severity that is none":             {audit.Key{Check: "odd", Path: "p"}, Standing{"", at(-9).Time}, true},
		"nothing at that path":                {audit.Key{Check: "b", Path: "q"}, Standing{}, false},
		"nothing, where parts could be mixed": {audit.Key{Check: "ap"}, Standing{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := r.Get(tc.key); got != tc.want || ok != tc.ok {
				t.Errorf("Get = %v %v, want %v %v", got, ok, tc.want, tc.ok)
			}
		})
	}
	for severity, want := range map[v1alpha1.Severity]time.Time{high: at(1).Time, low: at(0).Time, critical: {}} {
		if got := r.Oldest(severity); !got.Equal(want) {
			t.Errorf("Oldest(%s) = %v, want %v", severity, got, want)
		}
	}
	if _, ok := Remembered(nil).Get(audit.Key{}); ok || !Remembered(nil).Oldest(high).IsZero() || Remember(nil) != nil {
		t.Error("nothing is remembered as something")
	}
}

func TestAgrees(t *testing.T) {
	at := func(check string, hours int) v1alpha1.Finding {
		return v1alpha1.Finding{Check: check, Severity: high, Since: metav1.NewTime(now.Add(time.Duration(hours) * time.Hour))}
	}
	all := Remember([]v1alpha1.Finding{at("a", 1), at("b", 2), at("c", 3)})
	for name, tc := range map[string]struct {
		stored []v1alpha1.Finding
		want   bool
	}{
		"all of it":                   {[]v1alpha1.Finding{at("c", 3), at("b", 2), at("a", 1)}, true},
		"what fits into the report":   {[]v1alpha1.Finding{at("a", 1), at("c", 3)}, true},
		"nothing":                     {nil, true},
		"another time":                {[]v1alpha1.Finding{at("a", 1), at("b", 9), at("c", 3)}, false},
		"what is not remembered":      {[]v1alpha1.Finding{at("a", 1), at("d", 2)}, false},
		"the time of another finding": {[]v1alpha1.Finding{at("a", 2)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := all.Agrees(Remember(tc.stored)); got != tc.want {
				t.Errorf("Agrees = %v, want %v", got, tc.want)
			}
		})
	}
	if Remembered(nil).Agrees(all) {
		t.Error("nothing agrees with something")
	}
}

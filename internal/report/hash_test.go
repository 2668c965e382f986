// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// full has a value in every field that the operator decides.
func full() *v1alpha1.SecurityReport {
	return &v1alpha1.SecurityReport{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "deployment-web",
			Labels:          map[string]string{v1alpha1.LabelSubjectKind: "Deployment", v1alpha1.LabelWorst: "High"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "u"}},
		},
		Subject: v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "u", TemplateHash: "h"},
		Summary: v1alpha1.Summary{
			Score: 50, Worst: high, Critical: 1, High: 2, Medium: 3, Low: 4, Passed: 5, Exempted: 6, Skipped: 7, WorstCheck: "a",
		},
		Findings: []v1alpha1.Finding{{
			Check: "a", Severity: high, Message: "m", Container: "c", Object: &v1alpha1.ObjectReference{Kind: "Service", Name: "s"}, Path: "p",
			SuggestedValue: &v1alpha1.Value{Raw: json.RawMessage(`"<v>"`)}, SeenIn: v1alpha1.SeenInPods, Since: metav1.NewTime(now),
		}, {Check: "b", Severity: low, Message: "n", Path: "q", Since: metav1.NewTime(now)}},
		Exemptions: []v1alpha1.Exemption{{
			Check: "e", Severity: low, Message: "m", Container: "c", Object: &v1alpha1.ObjectReference{Kind: "Service", Name: "s"}, Path: "p",
			ExceptionKind: v1alpha1.KindSecurityException, Exception: "x", Reason: "r", ExpirationTime: ptr.To(metav1.NewTime(now)),
		}},
		Skips:           []v1alpha1.Skip{{Check: "s", Reason: v1alpha1.SkipDataMissing, Message: "m"}},
		OmittedFindings: 8,
		Workloads:       &v1alpha1.RollUp{Score: 9, Worst: low, Critical: 1, High: 2, Medium: 3, Low: 4, Exempted: 5},
		Network: &v1alpha1.Network{
			Ingress: v1alpha1.NetworkDefaultDeny, Egress: v1alpha1.NetworkPartial, MetadataEndpoint: v1alpha1.MetadataBlocked,
			Enforcement: v1alpha1.NetworkEnforced,
		},
	}
}

func fullCluster() *v1alpha1.ClusterSecurityReport {
	r := full()
	return &v1alpha1.ClusterSecurityReport{
		ObjectMeta: r.ObjectMeta, Subject: r.Subject, Summary: r.Summary, Findings: r.Findings, Exemptions: r.Exemptions, Skips: r.Skips,
		OmittedFindings: 8,
		Sources:         []v1alpha1.SourceStatus{{Resource: "pods", State: v1alpha1.SourceForbidden, Message: "m"}},
		Compliance: []v1alpha1.FrameworkCompliance{{
			Framework: "f", Title: "t", Passed: []string{"1"}, Failed: []string{"2"}, Exempted: []string{"3"},
			NotAssessed: []v1alpha1.NotAssessed{{Reason: "r", Controls: []string{"4", "5"}}},
		}},
		ConfigurationGeneration: 3, NamespacesExcluded: true, Version: "v1",
	}
}

// mutate changes every value below, one at a time, and calls try with the path of each.
func mutate(v reflect.Value, path string, try func(path string)) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		mutate(v.Elem(), path, try)
		changed(v, reflect.Zero(v.Type()), path+"=nil", try)
	case reflect.Struct:
		if t, ok := v.Interface().(metav1.Time); ok {
			changed(v, reflect.ValueOf(metav1.NewTime(t.Add(time.Hour))), path, try)
			return
		}
		for i := range v.NumField() {
			mutate(v.Field(i), path+"."+v.Type().Field(i).Name, try)
		}
	case reflect.Slice:
		if raw, ok := v.Interface().(json.RawMessage); ok {
			changed(v, reflect.ValueOf(json.RawMessage(strings.Replace(string(raw), "v", "w", 1))), path, try)
			return
		}
		for i := range v.Len() {
			mutate(v.Index(i), path+"[]", try)
		}
		changed(v, reflect.Zero(v.Type()), path+"=nil", try)
		changed(v, reflect.AppendSlice(v, v), path+"+", try)
		if v.Len() > 1 {
			changed(v, v.Slice(1, v.Len()), path+"-", try)
		}
	case reflect.String:
		changed(v, reflect.ValueOf(v.String()+"x").Convert(v.Type()), path, try)
	case reflect.Int32:
		changed(v, reflect.ValueOf(int32(v.Int()+1)), path, try)
	case reflect.Bool:
		changed(v, reflect.ValueOf(!v.Bool()), path, try)
	}
}

func changed(v, to reflect.Value, path string, try func(path string)) {
	before := reflect.New(v.Type()).Elem()
	before.Set(v)
	v.Set(to)
	try(path)
	v.Set(before)
}

func TestHashTellsEveryDifference(t *testing.T) {
	const since = ".Findings[].Since"
	for name, tc := range map[string]struct {
		report any
		hash   func() Hash
		fields []string
	}{
		"a report": func() (c struct {
			report any
			hash   func() Hash
			fields []string
		}) {
			r := full()
			c.report, c.hash = r, func() Hash { return HashOf(r) }
			c.fields = []string{"Subject", "Summary", "Findings", "Exemptions", "Skips", "OmittedFindings", "Workloads", "Network"}
			return c
		}(),
		"a cluster report": func() (c struct {
			report any
			hash   func() Hash
			fields []string
		}) {
			r := fullCluster()
			c.report, c.hash = r, func() Hash { return HashOfCluster(r) }
			c.fields = []string{"Subject", "Summary", "Findings", "Exemptions", "Skips", "OmittedFindings", "Sources", "Compliance", "ConfigurationGeneration", "NamespacesExcluded", "Version"}
			return c
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			v := reflect.ValueOf(tc.report).Elem()
			var fields []string
			for i := range v.NumField() {
				if f := v.Type().Field(i).Name; f != "TypeMeta" && f != "ObjectMeta" {
					fields = append(fields, f)
				}
			}
			if diff := cmp.Diff(tc.fields, fields); diff != "" {
				t.Fatalf("fields that this test does not know (-known +there):\n%s", diff)
			}
			before, tried := tc.hash(), 0
			for _, f := range fields {
				if v.FieldByName(f).IsZero() {
					t.Errorf("%s has no value to change", f)
				}
				mutate(v.FieldByName(f), "."+f, func(path string) {
					tried++
					if same := tc.hash() == before; same != (path == since) {
						t.Errorf("the hash is the same with another %s: %v", path, same)
					}
				})
			}
			if tc.hash() != before || tried < 50 {
				t.Errorf("tried %d changes", tried)
			}
		})
	}
}

func TestHashOfMetadata(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*metav1.ObjectMeta)
		same   bool
	}{
		"what the API server adds": {func(m *metav1.ObjectMeta) {
			m.UID, m.ResourceVersion, m.Generation, m.CreationTimestamp = "r", "1", 2, metav1.NewTime(now)
			m.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubersafe"}}
		}, true},
		"somebody's label":      {func(m *metav1.ObjectMeta) { m.Labels["team"] = "a" }, true},
		"somebody's annotation": {func(m *metav1.ObjectMeta) { m.Annotations = map[string]string{"a": "b"} }, true},
		"our label changed":     {func(m *metav1.ObjectMeta) { m.Labels[v1alpha1.LabelWorst] = "None" }, false},
		"our label gone":        {func(m *metav1.ObjectMeta) { delete(m.Labels, v1alpha1.LabelSubjectKind) }, false},
		"all labels gone":       {func(m *metav1.ObjectMeta) { m.Labels = nil }, false},
		"a finalizer, which would keep a deleted report": {func(m *metav1.ObjectMeta) { m.Finalizers = []string{"x/y"} }, false},
		"no owner":         {func(m *metav1.ObjectMeta) { m.OwnerReferences = nil }, false},
		"another owner":    {func(m *metav1.ObjectMeta) { m.OwnerReferences[0].UID = "v" }, false},
		"a second owner":   {func(m *metav1.ObjectMeta) { m.OwnerReferences = append(m.OwnerReferences, m.OwnerReferences[0]) }, false},
		"an owner blocked": {func(m *metav1.ObjectMeta) { m.OwnerReferences[0].BlockOwnerDeletion = ptr.To(true) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, c := full(), fullCluster()
			tc.change(&r.ObjectMeta)
			tc.change(&c.ObjectMeta)
			if same := HashOf(r) == HashOf(full()); same != tc.same {
				t.Errorf("the report's hash is the same: %v", same)
			}
			if same := HashOfCluster(c) == HashOfCluster(fullCluster()); same != tc.same {
				t.Errorf("the cluster report's hash is the same: %v", same)
			}
		})
	}
}

func TestHashOfWhatIsReadBack(t *testing.T) {
	for name, r := range map[string]*v1alpha1.SecurityReport{
		"a full report":   full(),
		"an empty report": {},
		"a report of empty lists": {
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{}, OwnerReferences: []metav1.OwnerReference{}},
			Findings:   []v1alpha1.Finding{}, Exemptions: []v1alpha1.Exemption{}, Skips: []v1alpha1.Skip{},
		},
		"a report of spaced JSON": {Findings: []v1alpha1.Finding{{SuggestedValue: &v1alpha1.Value{Raw: json.RawMessage("{ \"a\" : [ 1 ] }")}}}},
		"a report with an expiration in fractions": {Exemptions: []v1alpha1.Exemption{
			{ExpirationTime: ptr.To(metav1.NewTime(now.Add(time.Millisecond).In(time.FixedZone("", 3600))))},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			before := r.DeepCopy()
			h := HashOf(r)
			if (h == Hash{}) {
				t.Fatal("no hash")
			}
			if diff := cmp.Diff(before, r); diff != "" {
				t.Errorf("HashOf changed the report:\n%s", diff)
			}
			var back v1alpha1.SecurityReport
			roundTrip(t, r, &back)
			back.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "SecurityReport"}
			if HashOf(&back) != h {
				t.Error("the hash differs after a round trip")
			}
		})
	}
	var back v1alpha1.ClusterSecurityReport
	roundTrip(t, fullCluster(), &back)
	if HashOfCluster(&back) != HashOfCluster(fullCluster()) {
		t.Error("the cluster report's hash differs after a round trip")
	}
}

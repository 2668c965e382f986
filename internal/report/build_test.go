// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/compliance"
)

var now = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func TestBuild(t *testing.T) {
	since := metav1.NewTime(now)
	result := audit.Result{
		Subject: audit.Subject{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "u-1"},
		Report:  "deployment-web", TemplateHash: "0123456789",
		Findings: []audit.Finding{
			{
				Check: "privileged-container", Severity: v1alpha1.SeverityCritical, Message: `container "api" must not run privileged`,
				Container: "api", Path: "spec.template.spec.containers[name=api].securityContext.privileged", Suggested: "false", SeenIn: v1alpha1.SeenInPods,
			},
			{Check: "b", Severity: v1alpha1.SeverityHigh, Message: "m", Path: "p", Object: &v1alpha1.ObjectReference{Kind: "Service", Name: "web"}},
			{Check: "b", Severity: v1alpha1.SeverityLow, Message: "m", Path: "q"},
		},
		Exempted: []audit.Exempted{
			{
				Finding: audit.Finding{Check: "e", Severity: v1alpha1.SeverityMedium, Message: "m", Container: "api", Path: "p"},
				By: &audit.ExceptionRecord{
					Object: audit.Object{Namespace: "shop", Name: "x"}, Reason: "r", Expires: new(audit.MomentOf(now)),
				},
			},
			{
				Finding: audit.Finding{Check: "f", Severity: v1alpha1.SeverityHigh, Message: "m", Path: "q", Object: &v1alpha1.ObjectReference{Kind: "Service", Name: "web"}},
				By:      &audit.ExceptionRecord{Object: audit.Object{Name: "y"}, Reason: "s"},
			},
		},
		Skips:  []audit.Skip{{Check: "s", Reason: v1alpha1.SkipDataMissing, Message: "m"}},
		Passed: 2,
	}
	want := &v1alpha1.SecurityReport{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "deployment-web",
			Labels:          map[string]string{v1alpha1.LabelSubjectKind: "Deployment", v1alpha1.LabelWorst: "Critical"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "u-1"}},
		},
		Subject: v1alpha1.Subject{APIVersion: "apps/v1", Kind: "Deployment", Name: "web", UID: "u-1", TemplateHash: "0123456789"},
		Summary: v1alpha1.Summary{
			Score: 51, Worst: v1alpha1.SeverityCritical, WorstCheck: "privileged-container",
			Critical: 1, High: 1, Low: 1, Passed: 2, Exempted: 2, Skipped: 1,
		},
		Findings: []v1alpha1.Finding{
			{
				Check: "privileged-container", Severity: v1alpha1.SeverityCritical, Message: `container "api" must not run privileged`,
				Container: "api", Path: "spec.template.spec.containers[name=api].securityContext.privileged",
				SuggestedValue: &v1alpha1.Value{Raw: json.RawMessage("false")}, SeenIn: v1alpha1.SeenInPods, Since: since,
			},
			{Check: "b", Severity: v1alpha1.SeverityHigh, Message: "m", Path: "p", Object: &v1alpha1.ObjectReference{Kind: "Service", Name: "web"}, Since: since},
			{Check: "b", Severity: v1alpha1.SeverityLow, Message: "m", Path: "q", Since: since},
		},
		Exemptions: []v1alpha1.Exemption{
			{
				Check: "e", Severity: v1alpha1.SeverityMedium, Message: "m", Container: "api", Path: "p",
				ExceptionKind: v1alpha1.KindSecurityException, Exception: "x", Reason: "r", ExpirationTime: &since,
			},
			{
				Check: "f", Severity: v1alpha1.SeverityHigh, Message: "m", Object: &v1alpha1.ObjectReference{Kind: "Service", Name: "web"}, Path: "q",
				ExceptionKind: v1alpha1.KindClusterSecurityException, Exception: "y", Reason: "s",
			},
		},
		Skips: []v1alpha1.Skip{{Check: "s", Reason: v1alpha1.SkipDataMissing, Message: "m"}},
	}
	got, remembered := Build("shop", &result, nil, now)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Remember(got.Findings), remembered, cmp.AllowUnexported(rememberedFinding{})); diff != "" {
		t.Errorf("remembered (-of the report +of the build):\n%s", diff)
	}
}

func TestBuildOwners(t *testing.T) {
	for name, tc := range map[string]struct {
		subject audit.Subject
		want    []metav1.OwnerReference
	}{
		"a subject that has been seen owns its report, and blocks no deletion": {
			audit.Subject{APIVersion: "batch/v1", Kind: "Job", Name: "run", UID: "u"},
			[]metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "run", UID: "u"}},
		},
		"a subject known from references owns nothing": {audit.Subject{APIVersion: "argoproj.io/v1", Kind: "Rollout", Name: "web"}, nil},
		"a namespace owns nothing":                     {audit.Subject{APIVersion: "v1", Kind: "Namespace", Name: "shop", UID: "u"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, _ := Build("shop", &audit.Result{Subject: tc.subject}, nil, now)
			if diff := cmp.Diff(tc.want, r.OwnerReferences); diff != "" {
				t.Errorf("owners (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBuildKeepsSince(t *testing.T) {
	finding := func(path string, severity v1alpha1.Severity, message string) audit.Finding {
		return audit.Finding{Check: "c", Severity: severity, Path: path, Message: message}
	}
	long := strings.Repeat("x", 2000)
	day := 24 * time.Hour
	var remembered Remembered
	var r *v1alpha1.SecurityReport
	for i, tc := range []struct {
		name     string
		findings []audit.Finding
		want     map[string]time.Time // by message
	}{
		{
			"what is new stands since now",
			[]audit.Finding{finding("a", v1alpha1.SeverityLow, "a"), finding(long, v1alpha1.SeverityLow, "long"), finding("odd\x00", v1alpha1.SeverityLow, "odd")},
			map[string]time.Time{"a": now, "long": now, "odd": now},
		},
		{
			"what stood keeps its time, whatever is said of it and however bad it is; the rest is new",
			[]audit.Finding{
				finding("a", v1alpha1.SeverityHigh, "A"), finding("b", v1alpha1.SeverityLow, "b"), finding(long, v1alpha1.SeverityLow, "long"),
				finding("odd\x00", v1alpha1.SeverityLow, "odd"), finding("odd\x01", v1alpha1.SeverityLow, "even"),
			},
			map[string]time.Time{"A": now, "b": now.Add(day), "long": now, "odd": now, "even": now.Add(day)},
		},
		{"what is mended is forgotten", []audit.Finding{finding("b", v1alpha1.SeverityLow, "b")}, map[string]time.Time{"b": now.Add(day)}},
		{
			"what comes back is new",
			[]audit.Finding{finding("a", v1alpha1.SeverityLow, "a"), finding("b", v1alpha1.SeverityLow, "b")},
			map[string]time.Time{"a": now.Add(3 * day), "b": now.Add(day)},
		},
	} {
		moment := now.Add(time.Duration(i)*day + 123*time.Millisecond).In(time.FixedZone("", 3600))
		r, remembered = Build("shop", &audit.Result{Findings: tc.findings}, remembered, moment)
		got := make(map[string]time.Time)
		for _, f := range r.Findings {
			got[f.Message] = f.Since.Time
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
		// After a restart all that is known is what the API server stored.
		var stored v1alpha1.SecurityReport
		roundTrip(t, r, &stored)
		if diff := cmp.Diff(remembered, Remember(stored.Findings), cmp.AllowUnexported(rememberedFinding{})); diff != "" {
			t.Errorf("%s: remembered (-kept +stored):\n%s", tc.name, diff)
		}
	}
}

func roundTrip(t *testing.T, from, to any) {
	t.Helper()
	encoded, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(encoded, to); err != nil {
		t.Fatal(err)
	}
}

func TestBuildOmitsTheLeastSevere(t *testing.T) {
	var findings []audit.Finding
	for i := range 300 {
		severity := v1alpha1.SeverityHigh
		if i >= 250 {
			severity = v1alpha1.SeverityLow
		}
		findings = append(findings, audit.Finding{Check: "c", Severity: severity, Path: fmt.Sprint(i), Message: "m"})
	}
	var remembered Remembered
	for n, wantOmitted := range map[int]int32{0: 0, 1: 0, 255: 0, 256: 0, 257: 1, 300: 44} {
		var r *v1alpha1.SecurityReport
		r, remembered = Build("shop", &audit.Result{Findings: findings[:n]}, remembered, now)
		if Truncated(r) != (wantOmitted > 0) {
			t.Errorf("of %d findings, %d omitted: Truncated is %t", n, wantOmitted, Truncated(r))
		}
		if r.OmittedFindings != wantOmitted || len(r.Findings) != n-int(wantOmitted) || len(remembered) != n {
			t.Errorf("of %d findings %d are listed, %d omitted and %d remembered; want %d omitted", n, len(r.Findings), r.OmittedFindings, len(remembered), wantOmitted)
		}
		if got := r.Summary.High + r.Summary.Low; int(got) != n {
			t.Errorf("of %d findings %d are counted", n, got)
		}
		for i, f := range r.Findings {
			if f.Path != fmt.Sprint(i) {
				t.Fatalf("finding %d has path %q", i, f.Path)
			}
		}
	}
}

// hostile makes the worst result that a cluster's contents could lead to: everything that comes from objects is text of
// any sort, in any number.
func hostile(seed uint64, text string, count int) audit.Result {
	random := rand.New(rand.NewPCG(seed, 3))
	texts := []string{
		"", text, "web", "�", "\xff\xfe", "a\x00b\x1b[31m\n", "\u202e\u2028\ufeff", "<script>&\"\\", strings.Repeat("\x01", 3000),
		strings.Repeat("a", 4000), strings.Repeat("𝔘", 3000), strings.Repeat("é", 1024), strings.Repeat("<", 1024), strings.Repeat("\"", 512),
		strings.Repeat("\xf0\x9f", 2000), strings.Repeat(text, 50),
	}
	one := func() string { return texts[random.IntN(len(texts))] }
	same := one() // so that some results are bad all over
	some := func() string {
		if seed%2 == 0 {
			return same
		}
		return one()
	}
	name := func() string { // never empty in the API
		if s := some(); s != "" {
			return s
		}
		return "x"
	}
	result := audit.Result{
		Subject:      audit.Subject{APIVersion: some(), Kind: name(), Name: name()},
		TemplateHash: "0123456789",
	}
	if seed%3 == 0 {
		result.Subject = audit.Subject{APIVersion: "apps/v1", Kind: "Deployment", Name: strings.Repeat("a", 253), UID: "u"}
	}
	result.Report = result.ReportName()
	for range count {
		f := audit.Finding{
			Check: fmt.Sprint("check-", random.IntN(9)), Severity: audit.Severities[random.IntN(4)], Message: some(), Container: some(), Path: some(),
		}
		if random.IntN(2) == 0 {
			f.Object = &v1alpha1.ObjectReference{Kind: some(), Name: some()}
		}
		if random.IntN(3) == 0 {
			value, _ := json.Marshal(some())
			f.Suggested = string(value)
		}
		result.Findings = append(result.Findings, f)
		if random.IntN(2) == 0 {
			result.Exempted = append(result.Exempted, audit.Exempted{
				Finding: f, By: &audit.ExceptionRecord{Object: audit.Object{Name: some()}, Reason: some()},
			})
			result.Skips = append(result.Skips, audit.Skip{Check: f.Check, Reason: v1alpha1.SkipCheckFailed, Message: some()})
		}
	}
	return result
}

// checkStorable checks what the API server and etcd would.
func checkStorable(t *testing.T, bounds *schema, result *audit.Result, r *v1alpha1.SecurityReport) {
	t.Helper()
	encoded, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if len(encoded) > 1<<20 {
		t.Errorf("%d bytes of JSON", len(encoded))
	}
	var value any
	if err := json.Unmarshal(encoded, &value); err != nil {
		t.Fatal(err)
	}
	bounds.check(t, "", value)

	s := &r.Summary
	if n := s.Critical + s.High + s.Medium + s.Low; int(n) != len(result.Findings) || int(n) != len(r.Findings)+int(r.OmittedFindings) {
		t.Errorf("%d findings, %d counted, %d listed and %d omitted", len(result.Findings), n, len(r.Findings), r.OmittedFindings)
	}
	for severity, counted := range map[v1alpha1.Severity]int32{
		v1alpha1.SeverityCritical: s.Critical, v1alpha1.SeverityHigh: s.High, v1alpha1.SeverityMedium: s.Medium, v1alpha1.SeverityLow: s.Low,
	} {
		want := int32(0)
		for _, f := range result.Findings {
			if f.Severity == severity {
				want++
			}
		}
		if counted != want {
			t.Errorf("%d %s findings are counted, want %d", counted, severity, want)
		}
	}
	if int(s.Exempted) != len(result.Exempted) || int(s.Skipped) != len(result.Skips) || int(s.Passed) != result.Passed {
		t.Errorf("summary %+v does not count %d exemptions, %d skips, %d passed", s, len(result.Exempted), len(result.Skips), result.Passed)
	}

	var stored v1alpha1.SecurityReport
	roundTrip(t, r, &stored)
	if HashOf(&stored) != HashOf(r) {
		t.Error("the report read back has another hash")
	}
}

// check checks a value against the schema, as far as that bounds it, and that people can print it.
func (s *schema) check(t *testing.T, path string, value any) {
	t.Helper()
	switch v := value.(type) {
	case string:
		if s.MaxLength != nil && utf8.RuneCountInString(v) > int(*s.MaxLength) {
			t.Errorf("%s has %d characters, at most %d are allowed", path, utf8.RuneCountInString(v), *s.MaxLength)
		}
		if bad := strings.IndexFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }); s.Type == "string" && bad >= 0 {
			t.Errorf("%s = %q cannot be printed", path, v)
		}
	case []any:
		if s.MaxItems == nil || len(v) > int(*s.MaxItems) {
			t.Errorf("%s has %d items", path, len(v))
		}
		for _, item := range v {
			s.Items.check(t, path+"[]", item)
		}
	case map[string]any:
		for name, field := range v {
			if p, ok := s.Properties[name]; ok && name != "metadata" {
				p.check(t, path+"."+name, field)
			} else if !ok {
				t.Errorf("%s.%s is not in the schema", path, name)
			}
		}
	}
}

func TestNoResultMakesAReportTooLarge(t *testing.T) {
	bounds := crds(t)["SecurityReport"]
	for _, count := range []int{0, 1, 10, 255, 256, 257, 1500} {
		for seed := range uint64(12) {
			if count > 1000 && seed > 2 {
				break
			}
			result := hostile(seed, "é\x7f𝔘", count)
			r, remembered := Build("shop", &result, nil, now)
			checkStorable(t, bounds, &result, r)
			again, _ := Build("shop", &result, remembered, now.Add(time.Hour))
			if !reflect.DeepEqual(r, again) {
				t.Error("built again an hour later it differs")
			}
			if t.Failed() {
				t.Fatalf("count %d, seed %d", count, seed)
			}
		}
	}
}

func FuzzBuild(f *testing.F) {
	bounds := crds(f)["SecurityReport"]
	f.Add(uint64(0), "web", uint16(3))
	f.Add(uint64(1), "\xff\x00", uint16(300))
	f.Add(uint64(2), strings.Repeat("𝔘", 300), uint16(260))
	f.Fuzz(func(t *testing.T, seed uint64, text string, count uint16) {
		result := hostile(seed, text, int(count%400))
		r, _ := Build("shop", &result, nil, now)
		checkStorable(t, bounds, &result, r)
	})
}

func TestBuildKeepsOddPathsApart(t *testing.T) {
	long := strings.Repeat("x", 600)
	paths := []string{"a\x00", "a\x01", "a�", long + "a", long + "b", long[:512], long[:511], ""}
	seen := make(map[string]string)
	for _, path := range paths {
		cleaned := cleanUnique(path, v1alpha1.MaxPath)
		if other, ok := seen[cleaned]; ok {
			t.Errorf("%q and %q are both %q", path, other, cleaned)
		}
		if seen[cleaned] = path; utf8.RuneCountInString(cleaned) > v1alpha1.MaxPath {
			t.Errorf("%q has %d characters", cleaned, utf8.RuneCountInString(cleaned))
		}
	}
}

func TestFit(t *testing.T) {
	for name, tc := range map[string]struct {
		items         []string
		limit, budget int
		want          int
	}{
		"nothing":                        {nil, 3, 100, 0},
		"all":                            {[]string{"a", "b", "c"}, 3, 100, 3},
		"one too many":                   {[]string{"a", "b", "c"}, 2, 100, 2},
		"just enough bytes":              {[]string{"a", "b"}, 9, 8, 2},
		"a byte too few":                 {[]string{"a", "b"}, 9, 7, 1},
		"bytes as JSON escapes them":     {[]string{"<", "b"}, 9, 8, 0},
		"nothing behind what is too big": {[]string{"a", "bbbbbbbbb", "c"}, 9, 8, 1},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fit(tc.items, tc.limit, tc.budget); got != tc.want {
				t.Errorf("fit = %d, want %d", got, tc.want)
			}
		})
	}
	if got := fit([]any{1, func() {}, 2}, 9, 99); got != 1 {
		t.Errorf("fit of what has no JSON = %d, want 1", got)
	}
}

func TestBuildCluster(t *testing.T) {
	var many []audit.Check // on one control, which bounds no list
	for i := range 50 {
		many = append(many, audit.Check{
			ID: fmt.Sprintf("check-with-a-rather-long-id-%02d", i), Title: "Title", Severity: v1alpha1.SeverityLow, Category: audit.CategoryImages,
			Rationale: "R.", Remediation: "R.", Before: "b", After: "a", Controls: []audit.Control{{Framework: audit.FrameworkOWASP, ID: "K01"}},
			Pod: func(*audit.Pod, *audit.Reporter) {},
		})
	}
	many[0].Controls[0].ID = "K02"
	totals := Totals{
		Tally:    tallyFrom(counts{{"a", v1alpha1.SeverityHigh}: 7, {"b", v1alpha1.SeverityLow}: 2}),
		Exempted: 5, Passed: 3, Skipped: 1, Excludes: true,
		Evidence: map[string]compliance.Evidence{many[0].ID: {Judged: true, Failed: true}},
	}
	sources := []v1alpha1.SourceStatus{
		{Resource: "pods", State: v1alpha1.SourceSynced},
		{Resource: "services", State: v1alpha1.SourceForbidden, Message: strings.Repeat("x", 2000)},
	}
	want := &v1alpha1.ClusterSecurityReport{
		ObjectMeta: metav1.ObjectMeta{
			Name: "cluster", Labels: map[string]string{v1alpha1.LabelSubjectKind: "Cluster", v1alpha1.LabelWorst: "High"},
		},
		Subject: v1alpha1.Subject{Kind: "Cluster", Name: "cluster"},
		Summary: v1alpha1.Summary{Score: 84, Worst: v1alpha1.SeverityHigh, WorstCheck: "a", High: 7, Low: 2, Passed: 3, Exempted: 5, Skipped: 1},
		Sources: []v1alpha1.SourceStatus{
			{Resource: "pods", State: v1alpha1.SourceSynced},
			{Resource: "services", State: v1alpha1.SourceForbidden, Message: strings.Repeat("x", 1023) + "…"},
		},
		ConfigurationGeneration: 3, NamespacesExcluded: true, Version: "v1",
	}
	whole := Cluster{Totals: totals, Checks: many, Sources: sources, Generation: 3, Version: "v1"}
	got := whole.Build()
	want.Compliance = compliance.Assess(many, totals.Evidence, sources)
	i := slices.IndexFunc(want.Compliance, func(f v1alpha1.FrameworkCompliance) bool { return f.Framework == "owasp" })
	owasp := &want.Compliance[i]
	reason := &owasp.NotAssessed[0].Reason
	if !slices.Equal(owasp.Failed, []string{"K02"}) || len(*reason) <= v1alpha1.MaxMessage {
		t.Fatalf("compliance %+v", owasp)
	}
	*reason = (*reason)[:v1alpha1.MaxMessage-1] + "…"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	large := Cluster{Checks: many, Sources: make([]v1alpha1.SourceStatus, 100), Version: strings.Repeat("v", 100)}
	over := large.Build()
	if len(over.Sources) != v1alpha1.MaxSources || len(over.Version) > v1alpha1.MaxKind+2 {
		t.Errorf("%d sources, version %q", len(over.Sources), over.Version)
	}
	if over.Summary.Worst != v1alpha1.SeverityNone || over.Summary.Score != 100 {
		t.Errorf("summary of nothing %+v", over.Summary)
	}
}

func TestRollUp(t *testing.T) {
	for name, tc := range map[string]struct {
		tally    Tally
		exempted int32
		want     *v1alpha1.RollUp
	}{
		"nothing":       {nil, 0, &v1alpha1.RollUp{Score: 100, Worst: v1alpha1.SeverityNone}},
		"exempted only": {Tally(nil), 4, &v1alpha1.RollUp{Score: 100, Worst: v1alpha1.SeverityNone, Exempted: 4}},
		"some of everything": {
			tallyFrom(counts{
				{"a", v1alpha1.SeverityCritical}: 1, {"a", v1alpha1.SeverityHigh}: 2, {"b", v1alpha1.SeverityHigh}: 3,
				{"c", v1alpha1.SeverityMedium}: 4, {"d", v1alpha1.SeverityLow}: 5,
			}),
			6,
			&v1alpha1.RollUp{Score: 47, Worst: v1alpha1.SeverityCritical, Critical: 1, High: 5, Medium: 4, Low: 5, Exempted: 6},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, RollUp(tc.tally, tc.exempted)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

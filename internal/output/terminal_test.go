// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output_test

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/output"
)

func details(t *testing.T, terminal output.Terminal, a *output.Audit) string {
	t.Helper()
	var out bytes.Buffer
	if err := output.Details(&out, terminal, a); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestDetails(t *testing.T) {
	a := sample()
	a.Reports = a.Reports[:1]
	a.Reports[0].Findings = a.Reports[0].Findings[:1]
	a.Reports[0].Exemptions[0].Reason, a.Reports[0].Skips[0].Message = "nobody knows how to do without it", "nobody says how much is used"
	const want = `shop/Deployment/web   score 40   1 critical, 3 medium

  Critical   privileged
             container "app" must
             not run privileged
         at  spec.containers[name=
             app].privileged
        fix  set it to false
  and 1 more that are counted but not listed
  exempted   host-port
             must not
         by  SecurityException/leg
             acy until
             2027-01-02T03:04:05Z:
             nobody knows how to
             do without it
  skipped    quota
             nobody says how much
             is used

`
	if diff := cmp.Diff(want, details(t, output.Terminal{Width: 34}, a)); diff != "" {
		t.Errorf("34 wide (-want +got):\n%s", diff)
	}
	if text := details(t, output.Terminal{}, a); !strings.Contains(text, "at  spec.containers[name=app].privileged\n") || strings.Contains(text, "\x1b") {
		t.Errorf("where there is no terminal nothing is wrapped or coloured:\n%s", text)
	}
	colored := details(t, output.Terminal{Color: true}, a)
	for _, want := range []string{"  \x1b[1;31mCritical\x1b[0m   \x1b[1mprivileged\x1b[0m\n", "\x1b[1;31m1 critical\x1b[0m, \x1b[33m3 medium\x1b[0m\n"} {
		if !strings.Contains(colored, want) {
			t.Errorf("no %q in %q", want, colored)
		}
	}
	for _, width := range []int{1, 5, 13, 14} { // narrower than anybody has it
		if text := details(t, output.Terminal{Width: width}, a); !strings.Contains(text, "quota") {
			t.Errorf("%d wide:\n%s", width, text)
		}
	}
}

func TestDetailsOfMany(t *testing.T) {
	for _, width := range []int{20, 60, 100} {
		text := details(t, output.Terminal{Width: width}, sample())
		const want = `NAMESPACE   SUBJECT            SCORE   CRITICAL   HIGH   MEDIUM   LOW   SKIPPED
shop        Deployment/web     40      1          0      3        0     1
shop        Namespace/shop     99      0          0      0        1     0
system      Namespace/system   100     0          0      0        0     2`
		if table, _, _ := strings.Cut(text, "\n\n"); table != want {
			t.Errorf("names and numbers must not be cut:\n%s", table)
		}
		if !strings.HasSuffix(text, "\n1 workload in 1 namespace: 1 critical, 0 high, 3 medium, 1 low; 1 exempted; 1 namespace left out; 1 check skipped\n") {
			t.Errorf("no sum at the end of\n%s", text)
		}
	}
}

// reported makes a report of a Deployment.
func reported(namespace, name string, change func(*v1alpha1.SecurityReport)) *v1alpha1.SecurityReport {
	r := &v1alpha1.SecurityReport{Subject: v1alpha1.Subject{Kind: "Deployment", Name: name}}
	r.Namespace = namespace
	change(r)
	return r
}

func TestCompare(t *testing.T) {
	finding := func(check string, s v1alpha1.Severity, message string) v1alpha1.Finding {
		return v1alpha1.Finding{Check: check, Severity: s, Message: message, Path: "spec.x"}
	}
	low, high := finding("c", v1alpha1.SeverityLow, "m"), finding("c", v1alpha1.SeverityHigh, "m")
	with := func(findings ...v1alpha1.Finding) []*v1alpha1.SecurityReport {
		return []*v1alpha1.SecurityReport{reported("shop", "web", func(r *v1alpha1.SecurityReport) { r.Findings = findings })}
	}
	but := func(reports []*v1alpha1.SecurityReport, change func(*v1alpha1.SecurityReport)) []*v1alpha1.SecurityReport {
		change(reports[0])
		return reports
	}
	leftOut := []*v1alpha1.SecurityReport{reported("shop", "shop", func(r *v1alpha1.SecurityReport) {
		r.Subject.Kind, r.Skips = "Namespace", []v1alpha1.Skip{{Check: "a", Reason: v1alpha1.SkipNamespaceExcluded}}
	})}
	of := func(apiVersion string, findings ...v1alpha1.Finding) []*v1alpha1.SecurityReport {
		return but(with(findings...), func(r *v1alpha1.SecurityReport) { r.Subject.APIVersion = apiVersion })
	}
	elsewhere := low
	elsewhere.Object = &v1alpha1.ObjectReference{Kind: "Service", Name: "s"}
	for name, tc := range map[string]struct {
		before, after []*v1alpha1.SecurityReport
		want          string // states and severities
		worse         int
		unchanged     int
	}{
		"nothing":                    {},
		"the same":                   {before: with(low), after: with(low), unchanged: 1},
		"a new finding":              {before: with(), after: with(low), want: "New Low", worse: 1},
		"a new subject":              {after: with(high), want: "New High", worse: 1},
		"of another object":          {before: with(low), after: with(low, elsewhere), want: "New Low", worse: 1, unchanged: 1},
		"a fixed one":                {before: with(low), after: with(), want: "Fixed Low"},
		"a subject that is gone":     {before: with(low), want: "Gone Low"},
		"one that is worse":          {before: with(low), after: with(high), want: "Changed High was Low", worse: 1},
		"one that is better":         {before: with(high), after: with(low), want: "Changed Low was High"},
		"another message":            {before: with(low), after: with(finding("c", v1alpha1.SeverityLow, "n")), want: "Changed Low"},
		"the worst first":            {before: with(), after: with(low, finding("d", v1alpha1.SeverityCritical, "m")), want: "New Critical, New Low", worse: 2},
		"new ones before fixed ones": {before: with(high), after: with(finding("d", v1alpha1.SeverityLow, "m")), want: "New Low, Fixed High", worse: 1},
		"what is exempted is not fixed": {before: with(low), want: "Exempted Low", after: but(with(), func(r *v1alpha1.SecurityReport) {
			r.Exemptions = []v1alpha1.Exemption{{Check: "c", Path: "spec.x", Severity: v1alpha1.SeverityLow}}
		})},
		"what could not be looked at before is not new": {after: with(high), want: "Unknown High", before: but(with(), func(r *v1alpha1.SecurityReport) {
			r.Skips = []v1alpha1.Skip{{Check: "c", Reason: v1alpha1.SkipSourceForbidden}}
		})},
		"nor is what was left out": {after: with(high), want: "Unknown High", before: but(with(), func(r *v1alpha1.SecurityReport) {
			r.Skips = []v1alpha1.Skip{{Check: "a", Reason: v1alpha1.SkipNamespaceExcluded}}
		})},
		"nor are workloads of a namespace that was": {after: with(high), want: "Unknown High", before: leftOut},
		"and those of one that is now are not gone": {before: with(high), want: "Unknown High", after: leftOut},
		"nor what a report did not list": {after: with(high, finding("d", v1alpha1.SeverityHigh, "m")), want: "Unknown High", unchanged: 1, before: but(with(finding("d", v1alpha1.SeverityHigh, "m")), func(r *v1alpha1.SecurityReport) {
			r.OmittedFindings = 1
		})},
		"but what it would have listed then is": {after: with(high), want: "New High, Fixed Low", worse: 1, before: but(with(finding("d", v1alpha1.SeverityLow, "m")), func(r *v1alpha1.SecurityReport) {
			r.OmittedFindings = 1
		})},
		"a check that could not look and an exemption": {after: with(high), want: "New High", worse: 1, before: but(with(), func(r *v1alpha1.SecurityReport) {
			r.Exemptions = []v1alpha1.Exemption{{Check: "c", Path: "spec.x", Severity: v1alpha1.SeverityLow}}
			r.Skips = []v1alpha1.Skip{{Check: "c", Reason: v1alpha1.SkipSourceForbidden}}
		})},
		"subjects of one kind in two groups": {
			before: append(with(high), of("foo.io/v1", low)...), after: append(with(high), of("foo.io/v2", low)...), unchanged: 2,
		},
		"what is exempted no more is new": {after: with(low), want: "New Low", worse: 1, before: but(with(), func(r *v1alpha1.SecurityReport) {
			r.Exemptions = []v1alpha1.Exemption{{Check: "c", Path: "spec.x", Severity: v1alpha1.SeverityLow}}
		})},
		"what could not be looked at is not fixed": {before: with(low), want: "Unknown Low", after: but(with(), func(r *v1alpha1.SecurityReport) {
			r.Skips = []v1alpha1.Skip{{Check: "c", Reason: v1alpha1.SkipSourceForbidden}}
		})},
		"nor is what is left out": {before: with(low), want: "Unknown Low", after: but(with(), func(r *v1alpha1.SecurityReport) {
			r.Skips = []v1alpha1.Skip{{Check: "a", Reason: v1alpha1.SkipNamespaceExcluded}}
		})},
		"nor what a report does not list": {before: with(low), want: "New High, Unknown Low", worse: 1, after: but(with(finding("d", v1alpha1.SeverityHigh, "m")), func(r *v1alpha1.SecurityReport) {
			r.OmittedFindings = 1
		})},
		"but what it would have listed is": {before: with(high), want: "New Low, Fixed High", worse: 1, after: but(with(finding("d", v1alpha1.SeverityLow, "m")), func(r *v1alpha1.SecurityReport) {
			r.OmittedFindings = 1
		})},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := output.Compare(tc.before, tc.after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, change := range c.Changes {
				text := string(change.State) + " " + string(change.Severity)
				if change.Was != "" {
					text += " was " + string(change.Was)
				}
				got = append(got, text)
			}
			if text := strings.Join(got, ", "); text != tc.want || c.Unchanged != tc.unchanged || len(c.Worse()) != tc.worse {
				t.Errorf("%s; %d worse, %d unchanged; want %s; %d, %d", text, len(c.Worse()), c.Unchanged, tc.want, tc.worse, tc.unchanged)
			}
			var out bytes.Buffer
			if err := c.Table(&out, output.Terminal{Width: 80}); err != nil || !strings.Contains(out.String(), "unchanged\n") {
				t.Errorf("%v\n%s", err, out.String())
			}
		})
	}
}

func TestCompareTellsWhichReportsAreThereTwice(t *testing.T) {
	one := []*v1alpha1.SecurityReport{reported("shop", "web", func(*v1alpha1.SecurityReport) {})}
	two := slices.Concat(one, one)
	if _, err := output.Compare(two, one); err == nil || err.Error() != "before: there are two reports on shop/Deployment/web" {
		t.Error(err)
	}
	if _, err := output.Compare(one, two); err == nil || err.Error() != "after: there are two reports on shop/Deployment/web" {
		t.Error(err)
	}
}

func TestRank(t *testing.T) {
	counted := func(namespace, name string, critical, high int32, checks ...string) *v1alpha1.SecurityReport {
		return reported(namespace, name, func(r *v1alpha1.SecurityReport) {
			r.Summary.Critical, r.Summary.High = critical, high
			for _, c := range checks {
				r.Findings = append(r.Findings, v1alpha1.Finding{Check: c, Severity: v1alpha1.SeverityHigh})
			}
		})
	}
	a := &output.Audit{Reports: []*v1alpha1.SecurityReport{
		counted("", "node", 9, 0), counted("a", "one", 0, 5, "x", "x", "y"), counted("a", "two", 0, 5, "x"), counted("b", "three", 1, 0, "y"), counted("c", "clean", 0, 0),
	}}
	a.Reports[1].OmittedFindings = 2
	names := func(list []output.Ranked) (names []string) {
		for _, r := range list {
			names = append(names, r.Namespace+"/"+r.Name)
		}
		return names
	}
	worst, unlisted := output.Rank(a, 3)
	got := [][]string{names(worst.Namespaces), names(worst.Workloads), names(worst.Checks)}
	want := [][]string{{"/b", "/a"}, {"b/Deployment/three", "a/Deployment/one", "a/Deployment/two"}, {"/x", "/y"}}
	if diff := cmp.Diff(want, got); diff != "" || unlisted != 2 {
		t.Errorf("%d not listed (-want +got):\n%s", unlisted, diff)
	}
	if x := worst.Checks[0]; x.High != 3 || x.Subjects != 2 {
		t.Errorf("%+v, want 3 findings on 2 subjects", x)
	}
	if none, _ := output.Rank(&output.Audit{}, 3); len(none.Namespaces)+len(none.Workloads)+len(none.Checks) > 0 {
		t.Errorf("%+v", none)
	}
}

func TestOverview(t *testing.T) {
	own := func(namespace string, high int32, workloads *v1alpha1.RollUp) *v1alpha1.SecurityReport {
		return reported(namespace, namespace, func(r *v1alpha1.SecurityReport) { r.Summary.High, r.Workloads = high, workloads })
	}
	cluster := &v1alpha1.ClusterSecurityReport{
		Summary: v1alpha1.Summary{Score: 12, Critical: 3, High: 2, Passed: 40, Skipped: 2, Exempted: 1}, Compliance: sample().Compliance,
		Sources: []v1alpha1.SourceStatus{
			{Resource: "pods", State: v1alpha1.SourceSynced}, {Resource: "nodes", State: v1alpha1.SourceForbidden, Message: "no"},
			{Resource: "gateways.gateway.networking.k8s.io", State: v1alpha1.SourceNotServed},
		},
	}
	o := output.OverviewOf(cluster, []*v1alpha1.SecurityReport{own("a", 2, nil), own("b", 0, &v1alpha1.RollUp{Critical: 3}), own("c", 0, &v1alpha1.RollUp{})}, 5)
	var out bytes.Buffer
	if err := o.Table(&out, output.Terminal{Width: 79}); err != nil {
		t.Fatal(err)
	}
	const want = `Cluster   score 12   3 critical, 2 high
40 checks passed, 2 skipped; 1 finding exempted

NOT READ   STATE       MESSAGE
nodes      Forbidden   no

FRAMEWORK   PASSED   FAILED   EXEMPTED   NOT ASSESSED   TITLE
cis         2        1        1          2              CIS Kubernetes Benchma…

NAMESPACE   CRITICAL   HIGH   MEDIUM   LOW
b           3          0      0        0
a           0          2      0        0

`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNothingReachesTheTerminal: whatever is in reports, none of it is a command to a terminal.
func TestNothingReachesTheTerminal(t *testing.T) {
	const evil = "\x1b[2J\u009b31m\x07\u202e\n\r\t\x00 all is well"
	object := &v1alpha1.ObjectReference{Kind: evil, Name: evil}
	r := reported(evil, evil, func(r *v1alpha1.SecurityReport) {
		r.Subject.Kind, r.Subject.APIVersion, r.Summary = evil, evil, v1alpha1.Summary{Critical: 1}
		r.Findings = []v1alpha1.Finding{{Check: evil, Severity: v1alpha1.SeverityLow, Message: evil, Path: evil, Object: object}}
		r.Exemptions = []v1alpha1.Exemption{{Check: evil, Severity: evil, Message: evil, Object: object, ExceptionKind: evil, Exception: evil, Reason: evil}}
		r.Skips = []v1alpha1.Skip{{Check: evil, Reason: evil, Message: evil}}
	})
	a := &output.Audit{Reports: []*v1alpha1.SecurityReport{r, r}}
	overview := output.OverviewOf(&v1alpha1.ClusterSecurityReport{
		Version: evil, Sources: []v1alpha1.SourceStatus{{Resource: evil, State: evil, Message: evil}},
		Compliance: []v1alpha1.FrameworkCompliance{{Framework: evil, Title: evil, Failed: []string{evil}}},
	}, a.Reports, 5)
	comparison, err := output.Compare(nil, a.Reports[:1])
	if err != nil {
		t.Fatal(err)
	}
	worst, _ := output.Rank(a, 5)
	for name, print := range map[string]func(io.Writer, output.Terminal) error{
		"overview": overview.Table, "diff": comparison.Table, "top": worst.Table,
		"overview -o json": func(out io.Writer, _ output.Terminal) error { return output.JSON(out, overview) },
		"overview -o yaml": func(out io.Writer, _ output.Terminal) error { return output.YAML(out, overview) },
		"report":           func(out io.Writer, terminal output.Terminal) error { return output.Details(out, terminal, a) },
		"audit":            func(out io.Writer, terminal output.Terminal) error { return output.Write(out, terminal, "table", a) },
	} {
		for _, width := range []int{0, 40, 200} {
			var out bytes.Buffer
			if err := print(&out, output.Terminal{Width: width}); err != nil {
				t.Fatal(err)
			}
			if i := strings.IndexFunc(out.String(), func(c rune) bool { return c != '\n' && !unicode.IsPrint(c) }); i >= 0 {
				t.Errorf("%s, %d wide, prints %q", name, width, out.String()[i:])
			}
			if !strings.Contains(out.String(), "all is well") && width == 0 {
				t.Errorf("%s prints nothing of it: %q", name, out.String())
			}
		}
	}
}

// TestJSONIsWhatWasMeant: whatever is escaped in it.
func TestJSONIsWhatWasMeant(t *testing.T) {
	for _, want := range []string{"", "plain", "a\u009b\x7f\u202eb", "\U000e0041\ufffd日本\U0001f600", "\x1b\n\""} {
		var out bytes.Buffer
		if err := output.JSON(&out, want); err != nil {
			t.Fatal(err)
		}
		var got string
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || got != want {
			t.Errorf("%q is printed as %s: %v", want, out.String(), err)
		}
	}
}

// TestTablesKeepNamesWhole: at any width. What does not fit goes below, and of titles there may be the beginning.
func TestTablesKeepNamesWhole(t *testing.T) {
	const check, subject, message = "service-account-token-mounted", "StatefulSet/ledger-of-the-second-quarter", `container "application" must not mount the token of its ServiceAccount`
	const path = "spec.template.spec.automountServiceAccountToken"
	r := reported("payments", "ledger-of-the-second-quarter", func(r *v1alpha1.SecurityReport) {
		r.Subject.Kind, r.Summary.Critical = "StatefulSet", 1
		r.Findings = []v1alpha1.Finding{{Check: check, Severity: v1alpha1.SeverityCritical, Message: message, Path: path}}
	})
	a := &output.Audit{
		Reports: []*v1alpha1.SecurityReport{r},
		Check: func(id string) *audit.Check {
			return &audit.Check{ID: id, Title: "ServiceAccount tokens are mounted only where the API server is used"}
		},
	}
	comparison, err := output.Compare(nil, a.Reports)
	if err != nil {
		t.Fatal(err)
	}
	worst, _ := output.Rank(a, 5)
	top := output.Ranking{Checks: worst.Checks}
	for name, tc := range map[string]struct {
		print func(io.Writer, output.Terminal) error
		want  map[int]string // by width
	}{
		"diff": {comparison.Table, map[int]string{
			80: "STATE   SEVERITY   CHECK                           SUBJECT\n" +
				"New     Critical   service-account-token-mounted   payments/StatefulSet/ledger-of-the-second-quarter\n" +
				"  container \"application\" must not mount the token of its ServiceAccount\n",
			40: "STATE   SEVERITY   CHECK                           SUBJECT\n" +
				"New     Critical   service-account-token-mounted   payments/StatefulSet/ledger-of-the-second-quarter\n" +
				"  container \"application\" must not mount\n  the token of its ServiceAccount\n",
			200: "STATE   SEVERITY   CHECK                           SUBJECT                                             MESSAGE\n" +
				"New     Critical   service-account-token-mounted   payments/StatefulSet/ledger-of-the-second-quarter   " + message + "\n",
		}},
		"top": {top.Table, map[int]string{
			40: "CHECK                           CRITICAL   HIGH   MEDIUM   LOW   SUBJECTS\n" +
				"service-account-token-mounted   1          0      0        0     1\n" +
				"  ServiceAccount tokens are mounted only\n  where the API server is used\n",
			100: "CHECK                           CRITICAL   HIGH   MEDIUM   LOW   SUBJECTS   TITLE\n" +
				"service-account-token-mounted   1          0      0        0     1          ServiceAccount tokens a…\n",
			0: "CHECK                           CRITICAL   HIGH   MEDIUM   LOW   SUBJECTS   TITLE\n" +
				"service-account-token-mounted   1          0      0        0     1          ServiceAccount tokens are mounted only where the API server is used\n",
		}},
		"audit": {func(out io.Writer, terminal output.Terminal) error { return output.Table(out, terminal, a.Reports) }, map[int]string{
			80: "SEVERITY   CHECK                           SUBJECT\n" +
				"Critical   service-account-token-mounted   StatefulSet/ledger-of-the-second-quarter\n" +
				"  container \"application\" must not mount the token of its ServiceAccount\n" +
				"  spec.template.spec.automountServiceAccountToken\n",
			150: "SEVERITY   CHECK                           SUBJECT                                    PATH\n" +
				"Critical   service-account-token-mounted   StatefulSet/ledger-of-the-second-quarter   spec.template.spec.automountServiceAccountToken\n" +
				"  container \"application\" must not mount the token of its ServiceAccount\n",
		}},
	} {
		for width, want := range tc.want {
			var out bytes.Buffer
			if err := tc.print(&out, output.Terminal{Width: width}); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains("\n"+out.String(), "\n"+want+"\n") {
				t.Errorf("%s, %d wide:\n%s\nwant:\n%s", name, width, out.String(), want)
			}
		}
	}
}

// TestTablesCountColumns: of what takes two of them, or none.
func TestTablesCountColumns(t *testing.T) {
	var out bytes.Buffer
	rows := [][]string{{"TITLE", "B"}, {strings.Repeat("日本", 6), "1"}, {"e\u0301e\u0301", "2"}, {"plain", "3"}}
	if err := (output.Terminal{Width: 26}).Table(&out, rows); err != nil {
		t.Fatal(err)
	}
	const want = "TITLE                    B\n日本日本日本日本日本…    1\ne\u0301e\u0301                       2\nplain                    3\n\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTablesColorSeverities(t *testing.T) {
	var out bytes.Buffer
	if err := output.Write(&out, output.Terminal{Color: true}, "table", sample()); err != nil {
		t.Fatal(err)
	}
	if want := "\n\x1b[1;31mCritical\x1b[0m   privileged "; !strings.Contains(out.String(), want) {
		t.Errorf("no %q in %q", want, out.String())
	}
}

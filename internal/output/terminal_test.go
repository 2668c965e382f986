// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
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
		table, _, _ := strings.Cut(text, "\n\n")
		if lines := strings.Split(table, "\n"); len(lines) != 4 {
			t.Errorf("a head and three rows:\n%s", table)
		}
		for line := range strings.Lines(table) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
				t.Errorf("%d characters in %q, want %d", n, line, width)
			}
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
			c := output.Compare(tc.before, tc.after)
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
	want := [][]string{{"/b", "/a"}, {"/Deployment/node", "b/Deployment/three", "a/Deployment/one"}, {"/x", "/y"}}
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
	if err := o.Table(&out, output.Terminal{Width: 60}); err != nil {
		t.Fatal(err)
	}
	const want = `Cluster   score 12   3 critical, 2 high
40 checks passed, 2 skipped; 1 finding exempted

NOT READ   STATE       MESSAGE
nodes      Forbidden   no

FRAMEWO…   PASSED   FAILED   EXEMPTED   NOT ASS…   TITLE
cis        2        1        1          2          CIS Kube…

NAMESPACE   CRITICAL   HIGH   MEDIUM   LOW
b           3          0      0        0
a           0          2      0        0

`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

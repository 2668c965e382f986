// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/report"
)

const (
	critical = v1alpha1.SeverityCritical
	high     = v1alpha1.SeverityHigh
	low      = v1alpha1.SeverityLow
)

// since is 1700000000 in Unix time.
var since = time.Date(2023, 11, 14, 22, 13, 20, 0, time.UTC)

func standing(check string, severity v1alpha1.Severity, later time.Duration) v1alpha1.Finding {
	return v1alpha1.Finding{Check: check, Severity: severity, Since: metav1.NewTime(since.Add(later * time.Second))}
}

type counts = map[report.CheckSeverity]int32

func tallyFrom(c counts) report.Tally {
	var t report.Tally
	for k, n := range c {
		t.Add(report.Tally{report.CountOf(k, n)})
	}
	return t
}

func checks(t testing.TB) func() []audit.Check {
	t.Helper()
	check := func(id string, category audit.Category) audit.Check {
		return audit.Check{
			ID: id, Title: "Title", Severity: low, Category: category, Rationale: "R.", Remediation: "R.", Before: "b", After: "a",
			Pod: func(*audit.Pod, *audit.Reporter) {},
		}
	}
	s, err := audit.NewSet([]audit.Check{
		check("privileged-container", audit.CategoryPodSecurity), check("image-tag-latest", audit.CategoryImages), check("no-resource-quota", audit.CategoryResources),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.Checks
}

// twoNamespaces has everything that state metrics tell apart.
func twoNamespaces() *ledger.Ledger {
	shared := audit.VulnerableImage{Report: "1", Known: &audit.ImageVulnerabilities{
		All:     v1alpha1.VulnerabilityCounts{Total: 6, Critical: 2, High: 1, Low: 2, Unknown: 1},
		Fixable: v1alpha1.VulnerabilityCounts{Total: 3, Critical: 1, Low: 2},
	}}
	fixable := v1alpha1.VulnerabilityCounts{Total: 2, High: 2}
	l := ledger.New()
	l.Put("shop", nil, ledger.Entries{
		"deployment-web": {
			Kind: "Deployment", Name: "web", Images: []audit.VulnerableImage{shared},
			Findings:   tallyFrom(counts{{Check: "privileged-container", Severity: critical}: 2, {Check: "image-tag-latest", Severity: low}: 1}),
			Exempted:   &ledger.Exempted{Findings: tallyFrom(counts{{Check: "image-tag-latest", Severity: low}: 1}), Until: 1800000009},
			Remembered: report.Remember([]v1alpha1.Finding{standing("privileged-container", critical, 5), standing("image-tag-latest", low, 0)}),
		},
		"deployment-api": {
			Kind: "Deployment", Name: "api", Findings: tallyFrom(counts{{Check: "image-tag-latest", Severity: low}: 3}), Passed: 1,
			Remembered: report.Remember([]v1alpha1.Finding{standing("image-tag-latest", low, 9)}),
			Exempted:   &ledger.Exempted{Until: 1800000000}, Truncated: true,
			Images: []audit.VulnerableImage{shared, {Report: "2", Known: &audit.ImageVulnerabilities{All: fixable, Fixable: fixable}}},
		},
		// Two subjects with one kind label and one name, of different groups.
		"thing.a.example-x": {Kind: "Other", Name: "x", Findings: tallyFrom(counts{{Check: "image-tag-latest", Severity: low}: 1}), Passed: 1},
		"thing.b.example-x": {
			Kind: "Other", Name: "x", Findings: tallyFrom(counts{{Check: "image-tag-latest", Severity: low}: 1}),
			Skips: []audit.Skip{{Check: "privileged-container", Reason: v1alpha1.SkipCheckFailed}},
		},
		"namespace-shop": {
			Kind: "Namespace", Name: "shop", Passed: 1, Network: &ledger.Network{UnisolatedIngress: 1, UnisolatedEgress: 2, ReachMetadata: 3},
		},
	})
	l.Put("empty", nil, ledger.Entries{
		"namespace-empty": {Kind: "Namespace", Name: "empty", Skips: []audit.Skip{{Check: "no-resource-quota", Reason: v1alpha1.SkipSourceForbidden}}},
	})
	l.Put("left-out", nil, ledger.Entries{
		"namespace-left-out": {Kind: "Namespace", Name: "left-out", Excluded: true, Skips: []audit.Skip{{Check: "no-resource-quota", Reason: v1alpha1.SkipNamespaceExcluded}}},
	})
	l.Put("", nil, ledger.Entries{
		"node-a": {Kind: "Other", Name: "a", Findings: tallyFrom(counts{{Check: "privileged-container", Severity: high}: 1})},
		"node-b": {Kind: "Other", Name: "b", Findings: tallyFrom(counts{{Check: "privileged-container", Severity: high}: 1})},
	})
	return l
}

func state(t *testing.T, l *ledger.Ledger) *State {
	return &State{
		Ledger: l, Checks: checks(t), Workloads: true,
		Sources: func() []v1alpha1.SourceStatus {
			return []v1alpha1.SourceStatus{{Resource: "pods", State: v1alpha1.SourceSynced}, {Resource: "services", State: v1alpha1.SourceForbidden, Message: "m"}}
		},
		Complete: func() bool { return true }, LastComplete: func() time.Time { return since },
		Images: func() (audit.ImageTotals, bool) {
			return audit.ImageTotals{States: map[v1alpha1.ImageState]int{v1alpha1.ImageScanned: 7, v1alpha1.ImageFailed: 1}, Matched: 1700000001}, true
		},
		Compliance: func() []v1alpha1.FrameworkCompliance {
			return []v1alpha1.FrameworkCompliance{
				{Framework: "cis", Passed: []string{"1", "2", "3"}, Failed: []string{"4"}, Exempted: []string{"5", "6"}, NotAssessed: []v1alpha1.NotAssessed{
					{Reason: "r", Controls: []string{"7", "8"}}, {Reason: "s", Controls: []string{"9", "10", "11"}},
				}},
				{Framework: "pss", Passed: []string{"1"}},
			}
		},
	}
}

const compliance = `
# HELP kubersafe_compliance_controls Controls of a published standard by what has become of them in the whole cluster.
# TYPE kubersafe_compliance_controls gauge
kubersafe_compliance_controls{framework="cis",state="Exempted"} 2
kubersafe_compliance_controls{framework="cis",state="Failed"} 1
kubersafe_compliance_controls{framework="cis",state="NotAssessed"} 5
kubersafe_compliance_controls{framework="cis",state="Passed"} 3
kubersafe_compliance_controls{framework="pss",state="Exempted"} 0
kubersafe_compliance_controls{framework="pss",state="Failed"} 0
kubersafe_compliance_controls{framework="pss",state="NotAssessed"} 0
kubersafe_compliance_controls{framework="pss",state="Passed"} 1
`

const ofImages = `
# HELP kubersafe_images Images that the scanner knows, by the state of their ImageReport. No series without image scanning.
# TYPE kubersafe_images gauge
kubersafe_images{state="Failed"} 1
kubersafe_images{state="Pending"} 0
kubersafe_images{state="Scanned"} 7
kubersafe_images{state="Stale"} 0
kubersafe_images{state="Unsupported"} 0
# HELP kubersafe_vulnerability_database_timestamp_seconds Time of the newest change in the newest vulnerability database that images were judged by. No series without image scanning.
# TYPE kubersafe_vulnerability_database_timestamp_seconds gauge
kubersafe_vulnerability_database_timestamp_seconds 1.700000001e+09
`

const stateOfSources = `
# HELP kubersafe_source_state 1 for the state that the operator's view of a resource is in, 0 for the other states.
# TYPE kubersafe_source_state gauge
kubersafe_source_state{resource="pods",state="Forbidden"} 0
kubersafe_source_state{resource="pods",state="NotServed"} 0
kubersafe_source_state{resource="pods",state="Synced"} 1
kubersafe_source_state{resource="pods",state="Syncing"} 0
kubersafe_source_state{resource="services",state="Forbidden"} 1
kubersafe_source_state{resource="services",state="NotServed"} 0
kubersafe_source_state{resource="services",state="Synced"} 0
kubersafe_source_state{resource="services",state="Syncing"} 0
`

const workloads = `
# HELP kubersafe_workload_violations Current violations of a workload or namespace. Subjects without any have no series.
# TYPE kubersafe_workload_violations gauge
kubersafe_workload_violations{kind="Deployment",name="api",namespace="shop",severity="Low"} 3
kubersafe_workload_violations{kind="Deployment",name="web",namespace="shop",severity="Critical"} 2
kubersafe_workload_violations{kind="Deployment",name="web",namespace="shop",severity="Low"} 1
kubersafe_workload_violations{kind="Other",name="x",namespace="shop",severity="Low"} 2
`

const otherState = `
# HELP kubersafe_audited_checks Pairs of a subject and a check that were judged.
# TYPE kubersafe_audited_checks gauge
kubersafe_audited_checks{namespace="empty"} 0
kubersafe_audited_checks{namespace="shop"} 8
# HELP kubersafe_cluster_violations Current violations of subjects that belong to no namespace.
# TYPE kubersafe_cluster_violations gauge
kubersafe_cluster_violations{category="pod-security",check="privileged-container",severity="High"} 2
# HELP kubersafe_excluded_namespaces Namespaces that the AuditConfiguration leaves out.
# TYPE kubersafe_excluded_namespaces gauge
kubersafe_excluded_namespaces 1
# HELP kubersafe_exempted_violations Current violations that an exception exempts. They are not among the other violations.
# TYPE kubersafe_exempted_violations gauge
kubersafe_exempted_violations{category="images",check="image-tag-latest",kind="Deployment",namespace="shop",severity="Low"} 1
# HELP kubersafe_image_vulnerabilities Known vulnerabilities in the images of a namespace's workloads, each image counted once, ignored ones included.
# TYPE kubersafe_image_vulnerabilities gauge
kubersafe_image_vulnerabilities{fixable="false",namespace="shop",severity="Critical"} 1
kubersafe_image_vulnerabilities{fixable="false",namespace="shop",severity="High"} 1
kubersafe_image_vulnerabilities{fixable="false",namespace="shop",severity="Unknown"} 1
kubersafe_image_vulnerabilities{fixable="true",namespace="shop",severity="Critical"} 1
kubersafe_image_vulnerabilities{fixable="true",namespace="shop",severity="High"} 2
kubersafe_image_vulnerabilities{fixable="true",namespace="shop",severity="Low"} 2
# HELP kubersafe_last_complete_audit_timestamp_seconds Last moment at which every report said what the cluster was like.
# TYPE kubersafe_last_complete_audit_timestamp_seconds gauge
kubersafe_last_complete_audit_timestamp_seconds 1.7e+09
# HELP kubersafe_network_metadata_reachable_workloads Workloads with Pods that network policies let connect to the metadata endpoint of clouds.
# TYPE kubersafe_network_metadata_reachable_workloads gauge
kubersafe_network_metadata_reachable_workloads{namespace="shop"} 3
# HELP kubersafe_network_unisolated_workloads Workloads with Pods that no network policy isolates in a direction.
# TYPE kubersafe_network_unisolated_workloads gauge
kubersafe_network_unisolated_workloads{direction="egress",namespace="shop"} 2
kubersafe_network_unisolated_workloads{direction="ingress",namespace="shop"} 1
# HELP kubersafe_next_exception_expiry_timestamp_seconds When the first of the exceptions ends that exempt violations now. No series where none does.
# TYPE kubersafe_next_exception_expiry_timestamp_seconds gauge
kubersafe_next_exception_expiry_timestamp_seconds{namespace="shop"} 1.8e+09
# HELP kubersafe_oldest_violation_timestamp_seconds Time since when the oldest current violation of a severity stands.
# TYPE kubersafe_oldest_violation_timestamp_seconds gauge
kubersafe_oldest_violation_timestamp_seconds{namespace="shop",severity="Critical"} 1.700000005e+09
kubersafe_oldest_violation_timestamp_seconds{namespace="shop",severity="Low"} 1.7e+09
# HELP kubersafe_score Score of a namespace with all its workloads: 100 without violations, down to 0.
# TYPE kubersafe_score gauge
kubersafe_score{namespace="empty"} 100
kubersafe_score{namespace="shop"} 59
# HELP kubersafe_skipped_checks Pairs of a subject and a check that could not be judged, by reason.
# TYPE kubersafe_skipped_checks gauge
kubersafe_skipped_checks{check="no-resource-quota",namespace="empty",reason="SourceForbidden"} 1
kubersafe_skipped_checks{check="privileged-container",namespace="shop",reason="CheckFailed"} 1
# HELP kubersafe_subjects Subjects audited: workloads by kind, and the namespace itself.
# TYPE kubersafe_subjects gauge
kubersafe_subjects{kind="Deployment",namespace="shop"} 2
kubersafe_subjects{kind="Namespace",namespace="empty"} 1
kubersafe_subjects{kind="Namespace",namespace="shop"} 1
kubersafe_subjects{kind="Other",namespace="shop"} 2
# HELP kubersafe_truncated_reports Reports that do not list all that they count, because it is too much. No series where there are none.
# TYPE kubersafe_truncated_reports gauge
kubersafe_truncated_reports{namespace="shop"} 1
# HELP kubersafe_violations Current violations in a namespace, by kind of subject and check.
# TYPE kubersafe_violations gauge
kubersafe_violations{category="images",check="image-tag-latest",kind="Deployment",namespace="shop",severity="Low"} 4
kubersafe_violations{category="images",check="image-tag-latest",kind="Other",namespace="shop",severity="Low"} 2
kubersafe_violations{category="pod-security",check="privileged-container",kind="Deployment",namespace="shop",severity="Critical"} 2
`

// seriesCounts is what a scrape ends with.
func seriesCounts(series, bound int) string {
	return fmt.Sprintf(`
# HELP kubersafe_exported_series Series of state in this scrape, without those two that count them.
# TYPE kubersafe_exported_series gauge
kubersafe_exported_series %d
# HELP kubersafe_exported_series_bound Series of state that there may be at most, by the formula in docs/metrics.md.
# TYPE kubersafe_exported_series_bound gauge
kubersafe_exported_series_bound %d
`, series, bound)
}

func TestState(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*State)
		want   string
	}{
		"everything":                    {func(*State) {}, stateOfSources + workloads + compliance + ofImages + otherState + seriesCounts(56, 238)},
		"without workloads":             {func(s *State) { s.Workloads = false }, stateOfSources + compliance + ofImages + otherState + seriesCounts(52, 214)},
		"a shard that is not the first": {func(s *State) { s.Compliance, s.Images = nil, nil }, stateOfSources + workloads + otherState + seriesCounts(42, 230)},
		"before the cluster is summed up": {
			func(s *State) { s.Compliance = func() []v1alpha1.FrameworkCompliance { return nil } }, stateOfSources + workloads + ofImages + otherState + seriesCounts(48, 230),
		},
		"without image scanning": {
			func(s *State) { s.Images = func() (audit.ImageTotals, bool) { return audit.ImageTotals{}, false } },
			stateOfSources + workloads + compliance + otherState + seriesCounts(50, 238),
		},
		"before everything has been judged": {func(s *State) { s.Complete = func() bool { return false } }, stateOfSources},
		"a source that has not been read": {func(s *State) {
			s.Complete = func() bool { return false }
			s.Sources = func() []v1alpha1.SourceStatus {
				return []v1alpha1.SourceStatus{{Resource: "pods", State: v1alpha1.SourceSyncing}}
			}
		}, `
# HELP kubersafe_source_state 1 for the state that the operator's view of a resource is in, 0 for the other states.
# TYPE kubersafe_source_state gauge
kubersafe_source_state{resource="pods",state="Forbidden"} 0
kubersafe_source_state{resource="pods",state="NotServed"} 0
kubersafe_source_state{resource="pods",state="Synced"} 0
kubersafe_source_state{resource="pods",state="Syncing"} 1
`},
		"nothing to audit": {func(s *State) {
			s.Ledger, s.Compliance, s.Images = ledger.New(), nil, nil
			s.Sources = func() []v1alpha1.SourceStatus { return nil }
		}, `
# HELP kubersafe_excluded_namespaces Namespaces that the AuditConfiguration leaves out.
# TYPE kubersafe_excluded_namespaces gauge
kubersafe_excluded_namespaces 0
# HELP kubersafe_last_complete_audit_timestamp_seconds Last moment at which every report said what the cluster was like.
# TYPE kubersafe_last_complete_audit_timestamp_seconds gauge
kubersafe_last_complete_audit_timestamp_seconds 1.7e+09
` + seriesCounts(2, 20)},
		"a check that is no longer there": {func(s *State) {
			s.Ledger, s.Workloads, s.Compliance, s.Images = ledger.New(), false, nil, nil
			s.Sources = func() []v1alpha1.SourceStatus { return nil }
			s.Ledger.Put("", nil, ledger.Entries{"x": {Findings: tallyFrom(counts{{Check: "gone", Severity: low}: 1})}})
		}, `
# HELP kubersafe_cluster_violations Current violations of subjects that belong to no namespace.
# TYPE kubersafe_cluster_violations gauge
kubersafe_cluster_violations{category="",check="gone",severity="Low"} 1
# HELP kubersafe_excluded_namespaces Namespaces that the AuditConfiguration leaves out.
# TYPE kubersafe_excluded_namespaces gauge
kubersafe_excluded_namespaces 0
# HELP kubersafe_last_complete_audit_timestamp_seconds Last moment at which every report said what the cluster was like.
# TYPE kubersafe_last_complete_audit_timestamp_seconds gauge
kubersafe_last_complete_audit_timestamp_seconds 1.7e+09
` + seriesCounts(3, 20)},
	} {
		t.Run(name, func(t *testing.T) {
			s := state(t, twoNamespaces())
			tc.change(s)
			if err := testutil.ScrapeAndCompare(serve(t, s, prometheus.NewRegistry()), strings.NewReader(tc.want)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestDroppedLabels: what a label told apart is added up, or the least of it counts.
func TestDroppedLabels(t *testing.T) {
	two := func() *ledger.Ledger {
		l := twoNamespaces()
		l.Put("blog", nil, ledger.Entries{
			"deployment-web": {
				Kind: "Deployment", Name: "web", Passed: 3,
				Findings:   tallyFrom(counts{{Check: "image-tag-latest", Severity: low}: 10}),
				Exempted:   &ledger.Exempted{Findings: tallyFrom(counts{{Check: "image-tag-latest", Severity: low}: 10}), Until: 1900000000},
				Remembered: report.Remember([]v1alpha1.Finding{standing("image-tag-latest", low, -9)}),
			},
			"namespace-blog": {Kind: "Namespace", Name: "blog", Network: &ledger.Network{UnisolatedIngress: 10, UnisolatedEgress: 10, ReachMetadata: 10}, Truncated: true},
		})
		return l
	}
	for name, tc := range map[string]struct {
		drop []string
		want []string
		// gone are texts that no series has.
		gone []string
	}{
		"namespace": {
			[]string{"namespace"},
			[]string{
				"kubersafe_audited_checks 12",
				`kubersafe_exempted_violations{category="images",check="image-tag-latest",kind="Deployment",severity="Low"} 11`,
				"kubersafe_network_metadata_reachable_workloads 13",
				`kubersafe_network_unisolated_workloads{direction="egress"} 12`,
				"kubersafe_next_exception_expiry_timestamp_seconds 1.8e+09",
				`kubersafe_oldest_violation_timestamp_seconds{severity="Critical"} 1.700000005e+09`,
				`kubersafe_oldest_violation_timestamp_seconds{severity="Low"} 1.699999991e+09`,
				"kubersafe_score 59",
				`kubersafe_skipped_checks{check="no-resource-quota",reason="SourceForbidden"} 1`,
				`kubersafe_subjects{kind="Deployment"} 3`,
				`kubersafe_subjects{kind="Namespace"} 3`,
				"kubersafe_truncated_reports 2",
				`kubersafe_violations{category="images",check="image-tag-latest",kind="Deployment",severity="Low"} 14`,
				`kubersafe_violations{category="pod-security",check="privileged-container",kind="Deployment",severity="Critical"} 2`,
			},
			[]string{"namespace=", "kubersafe_workload_violations"},
		},
		"check": {
			[]string{"check"},
			[]string{
				`kubersafe_cluster_violations{category="pod-security",severity="High"} 2`,
				`kubersafe_exempted_violations{category="images",kind="Deployment",namespace="blog",severity="Low"} 10`,
				"kubersafe_score{namespace=\"shop\"} 59",
				`kubersafe_skipped_checks{namespace="empty",reason="SourceForbidden"} 1`,
				`kubersafe_violations{category="images",kind="Deployment",namespace="blog",severity="Low"} 10`,
				`kubersafe_workload_violations{kind="Deployment",name="web",namespace="blog",severity="Low"} 10`,
			},
			[]string{"check="},
		},
		"both": {
			[]string{"check", "namespace"},
			[]string{
				`kubersafe_violations{category="images",kind="Deployment",severity="Low"} 14`,
				`kubersafe_skipped_checks{reason="CheckFailed"} 1`,
			},
			[]string{"namespace=", "check=", "kubersafe_workload_violations"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := state(t, two())
			s.Drop = tc.drop
			body := answer(t, s.Handler(prometheus.NewRegistry()), "/metrics", nil).Body.String()
			for _, line := range tc.want {
				if !strings.Contains(body, "\n"+line+"\n") {
					t.Errorf("no %s", line)
				}
			}
			for _, text := range tc.gone {
				if strings.Contains(body, text) {
					t.Errorf("there is %q", text)
				}
			}
			if t.Failed() {
				t.Log(body)
			}
		})
	}
}

// TestBound: however much there is, there are not more series than the bound says, and where everything is found everywhere
// they are as many.
func TestBound(t *testing.T) {
	var findings report.Tally
	var skips []audit.Skip
	var since []v1alpha1.Finding
	for _, check := range checks(t)() {
		for _, severity := range audit.Severities {
			findings.Add(report.Tally{report.CountOf(report.CheckSeverity{Check: check.ID, Severity: severity}, 1)})
			since = append(since, standing(check.ID+string(severity), severity, 0))
		}
		for _, reason := range reasons {
			skips = append(skips, audit.Skip{Check: check.ID, Reason: v1alpha1.SkipReason(reason)})
		}
	}
	every := audit.ImageVulnerabilities{
		All:     v1alpha1.VulnerabilityCounts{Critical: 2, High: 2, Medium: 2, Low: 2, Unknown: 2},
		Fixable: v1alpha1.VulnerabilityCounts{Critical: 1, High: 1, Medium: 1, Low: 1, Unknown: 1},
	}
	l := ledger.New()
	for _, namespace := range []string{"a", "b", "c"} {
		entries := make(ledger.Entries)
		for _, kind := range []string{"Namespace", "Deployment", "Other"} {
			entries[kind] = &ledger.Entry{
				Kind: kind, Name: kind, Findings: findings, Skips: skips, Remembered: report.Remember(since), Truncated: true,
				Exempted: &ledger.Exempted{Findings: findings, Until: 1}, Network: &ledger.Network{},
				Images: []audit.VulnerableImage{{Report: "1", Known: &every}},
			}
		}
		l.Put(namespace, nil, entries)
	}
	l.Put("", nil, ledger.Entries{"x": {Kind: "Other", Name: "x", Findings: findings}})
	for _, drop := range [][]string{nil, {"namespace"}, {"check"}, {"check", "namespace"}} {
		for _, workloads := range []bool{true, false} {
			s := state(t, l)
			s.Drop, s.Workloads = drop, workloads
			body := answer(t, s.Handler(prometheus.NewRegistry()), "/metrics", nil).Body.String()
			series, bound := 0, 0
			for line := range strings.Lines(body) {
				if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "kubersafe_exported_series") {
					_, _ = fmt.Sscanf(line, "kubersafe_exported_series_bound %d", &bound)
					continue
				}
				series++
			}
			if series > bound || !slices.Contains(drop, "check") && series != bound {
				t.Errorf("without %v, workloads %t: %d series, the bound is %d", drop, workloads, series, bound)
			}
			if !strings.Contains(body, fmt.Sprintf("\nkubersafe_exported_series %d\n", series)) {
				t.Errorf("without %v, workloads %t: %d series are not counted right", drop, workloads, series)
			}
		}
	}
}

// TestReasonsAreAll: the bound counts on it.
func TestReasonsAreAll(t *testing.T) {
	source, err := os.ReadFile("../../api/v1alpha1/report_types.go")
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, m := range regexp.MustCompile(`SkipReason = "(\w+)"`).FindAllStringSubmatch(string(source), -1) {
		if m[1] != string(v1alpha1.SkipNamespaceExcluded) {
			want = append(want, m[1])
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Errorf("reasons (-API +metrics):\n%s", diff)
	}
}

// TestStateFollowsTheLedger: a scrape shows what is there at its moment, and nothing that was.
func TestStateFollowsTheLedger(t *testing.T) {
	l := twoNamespaces()
	handler := state(t, l).Handler(prometheus.NewRegistry())
	before := answer(t, handler, "/metrics", nil).Body.String()
	l.Drop("shop")
	l.Drop("")
	after := answer(t, handler, "/metrics", nil).Body.String()
	for _, gone := range []string{"kubersafe_violations", "kubersafe_workload_violations", "kubersafe_cluster_violations", `"shop"`} {
		if !strings.Contains(before, gone) || strings.Contains(after, gone) {
			t.Errorf("%s: there before is %t, after %t", gone, strings.Contains(before, gone), strings.Contains(after, gone))
		}
	}
	if !strings.Contains(after, `kubersafe_score{namespace="empty"} 100`) {
		t.Error("what stays is gone")
	}
}

// hostile has names as they come out of owner references: any bytes.
func hostile() *ledger.Ledger {
	entries := make(ledger.Entries)
	for i, name := range []string{"\xff", "\xfe", "�", "a\nb\"c\\", strings.Repeat("x", 1<<20), strings.Repeat("x", 1<<20) + "y", ""} {
		result := &audit.Result{
			Subject:  audit.Subject{APIVersion: "a.example/v1", Kind: "Thing\xff", Name: name},
			Findings: []audit.Finding{{Check: "image-tag-latest", Severity: low}},
		}
		entries[fmt.Sprint(i)] = ledger.EntryOf(result)
	}
	l := ledger.New()
	l.Put("shop", nil, entries)
	return l
}

func TestHostileNamesBreakNoScrape(t *testing.T) {
	want := `
# HELP kubersafe_workload_violations Current violations of a workload or namespace. Subjects without any have no series.
# TYPE kubersafe_workload_violations gauge
kubersafe_workload_violations{kind="Other",name="",namespace="shop",severity="Low"} 1
kubersafe_workload_violations{kind="Other",name="a�b\"c\\",namespace="shop",severity="Low"} 1
kubersafe_workload_violations{kind="Other",name="` + strings.Repeat("x", 252) + `…",namespace="shop",severity="Low"} 2
kubersafe_workload_violations{kind="Other",name="�",namespace="shop",severity="Low"} 3
`
	url := serve(t, state(t, hostile()), prometheus.NewRegistry())
	if err := testutil.ScrapeAndCompare(url, strings.NewReader(want), "kubersafe_workload_violations"); err != nil {
		t.Error(err)
	}
}

func TestOperations(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	o, err := NewOperations(registry, "v1", 2)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewOperations(registry, "v1", 2); err == nil {
		t.Error("registered twice without an error")
	}
	o.EvaluationSeconds.Observe(0.001)
	o.WriteSeconds.WithLabelValues(OperationUpdate).Observe(0.01)
	o.Writes.WithLabelValues(OperationCreate, ResultSuccess).Inc()
	o.Writes.WithLabelValues(OperationUpdate, ResultConflict).Add(2)
	o.QueueSeconds.Observe(0.005)
	o.Wrote("shop", 5*time.Second)
	want := `
# HELP kubersafe_build_info 1, labelled with the version.
# TYPE kubersafe_build_info gauge
kubersafe_build_info{version="v1"} 1
# HELP kubersafe_shards Number of shards that the namespaces are divided into; 1 if they are not.
# TYPE kubersafe_shards gauge
kubersafe_shards 2
# HELP kubersafe_report_writes_total Reports written, by operation and result.
# TYPE kubersafe_report_writes_total counter
kubersafe_report_writes_total{operation="create",result="conflict"} 0
kubersafe_report_writes_total{operation="create",result="error"} 0
kubersafe_report_writes_total{operation="create",result="success"} 1
kubersafe_report_writes_total{operation="delete",result="conflict"} 0
kubersafe_report_writes_total{operation="delete",result="error"} 0
kubersafe_report_writes_total{operation="delete",result="success"} 0
kubersafe_report_writes_total{operation="update",result="conflict"} 2
kubersafe_report_writes_total{operation="update",result="error"} 0
kubersafe_report_writes_total{operation="update",result="success"} 0
# HELP kubersafe_change_queue_duration_seconds Time from the first event of a change in a namespace until the namespace is judged.
# TYPE kubersafe_change_queue_duration_seconds histogram
kubersafe_change_queue_duration_seconds_bucket{le="0.001"} 0
kubersafe_change_queue_duration_seconds_bucket{le="0.004"} 0
kubersafe_change_queue_duration_seconds_bucket{le="0.016"} 1
kubersafe_change_queue_duration_seconds_bucket{le="0.064"} 1
kubersafe_change_queue_duration_seconds_bucket{le="0.256"} 1
kubersafe_change_queue_duration_seconds_bucket{le="1.024"} 1
kubersafe_change_queue_duration_seconds_bucket{le="4.096"} 1
kubersafe_change_queue_duration_seconds_bucket{le="16.384"} 1
kubersafe_change_queue_duration_seconds_bucket{le="+Inf"} 1
kubersafe_change_queue_duration_seconds_sum 0.005
kubersafe_change_queue_duration_seconds_count 1
# HELP kubersafe_change_to_report_duration_seconds Time from the first event of a change in a namespace until a report that tells of it is written.
# TYPE kubersafe_change_to_report_duration_seconds histogram
kubersafe_change_to_report_duration_seconds_bucket{le="0.001"} 0
kubersafe_change_to_report_duration_seconds_bucket{le="0.004"} 0
kubersafe_change_to_report_duration_seconds_bucket{le="0.016"} 0
kubersafe_change_to_report_duration_seconds_bucket{le="0.064"} 0
kubersafe_change_to_report_duration_seconds_bucket{le="0.256"} 0
kubersafe_change_to_report_duration_seconds_bucket{le="1.024"} 0
kubersafe_change_to_report_duration_seconds_bucket{le="4.096"} 0
kubersafe_change_to_report_duration_seconds_bucket{le="16.384"} 1
kubersafe_change_to_report_duration_seconds_bucket{le="65.536"} 1
kubersafe_change_to_report_duration_seconds_bucket{le="262.144"} 1
kubersafe_change_to_report_duration_seconds_bucket{le="+Inf"} 1
kubersafe_change_to_report_duration_seconds_sum 5
kubersafe_change_to_report_duration_seconds_count 1
# HELP kubersafe_evaluation_duration_seconds Time to judge one namespace, without writing its reports.
# TYPE kubersafe_evaluation_duration_seconds histogram
kubersafe_evaluation_duration_seconds_bucket{le="0.0001"} 0
kubersafe_evaluation_duration_seconds_bucket{le="0.0004"} 0
kubersafe_evaluation_duration_seconds_bucket{le="0.0016"} 1
kubersafe_evaluation_duration_seconds_bucket{le="0.0064"} 1
kubersafe_evaluation_duration_seconds_bucket{le="0.0256"} 1
kubersafe_evaluation_duration_seconds_bucket{le="0.1024"} 1
kubersafe_evaluation_duration_seconds_bucket{le="0.4096"} 1
kubersafe_evaluation_duration_seconds_bucket{le="1.6384"} 1
kubersafe_evaluation_duration_seconds_bucket{le="+Inf"} 1
kubersafe_evaluation_duration_seconds_sum 0.001
kubersafe_evaluation_duration_seconds_count 1
# HELP kubersafe_events_total Events on audited objects, by result. Of those that were dropped, reports and metrics tell.
# TYPE kubersafe_events_total counter
kubersafe_events_total{result="dropped"} 0
kubersafe_events_total{result="error"} 0
kubersafe_events_total{result="success"} 0
# HELP kubersafe_report_write_duration_seconds Time to write one report.
# TYPE kubersafe_report_write_duration_seconds histogram
kubersafe_report_write_duration_seconds_bucket{operation="update",le="0.001"} 0
kubersafe_report_write_duration_seconds_bucket{operation="update",le="0.004"} 0
kubersafe_report_write_duration_seconds_bucket{operation="update",le="0.016"} 1
kubersafe_report_write_duration_seconds_bucket{operation="update",le="0.064"} 1
kubersafe_report_write_duration_seconds_bucket{operation="update",le="0.256"} 1
kubersafe_report_write_duration_seconds_bucket{operation="update",le="1.024"} 1
kubersafe_report_write_duration_seconds_bucket{operation="update",le="4.096"} 1
kubersafe_report_write_duration_seconds_bucket{operation="update",le="16.384"} 1
kubersafe_report_write_duration_seconds_bucket{operation="update",le="+Inf"} 1
kubersafe_report_write_duration_seconds_sum{operation="update"} 0.01
kubersafe_report_write_duration_seconds_count{operation="update"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// TestExemplars are those of OpenMetrics, and only where they are asked for.
func TestExemplars(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		registry := prometheus.NewPedanticRegistry()
		o, err := NewOperations(registry, "v1", 1)
		if err != nil {
			t.Fatal(err)
		}
		o.Exemplars = wanted
		o.Wrote("shop", 30*time.Millisecond)
		handler := state(t, ledger.New()).Handler(registry)
		for format, has := range map[string]bool{"text/plain": false, "application/openmetrics-text;version=1.0.0": wanted} {
			body := answer(t, handler, "/metrics", http.Header{"Accept": {format}}).Body.String()
			if !strings.Contains(body, "kubersafe_change_to_report_duration_seconds_sum 0.03\n") {
				t.Errorf("not observed:\n%s", body)
			}
			if got := strings.Contains(body, `kubersafe_change_to_report_duration_seconds_bucket{le="0.064"} 1 # {namespace="shop"} 0.03 `); got != has {
				t.Errorf("%s, wanted %t: exemplar is %t, want %t\n%s", format, wanted, got, has, body)
			}
		}
	}
}

// TestLint runs promtool's linter over every family.
func TestLint(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	o, err := NewOperations(registry, "v1", 2)
	if err != nil {
		t.Fatal(err)
	}
	o.WriteSeconds.WithLabelValues(OperationCreate).Observe(1)
	o.Writes.WithLabelValues(OperationCreate, ResultSuccess).Inc()
	body := answer(t, state(t, twoNamespaces()).Handler(registry), "/metrics", nil).Body.String()
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	var names []string
	for line := range strings.Lines(body) {
		if header, ok := strings.CutPrefix(line, "# TYPE "); ok {
			name, _, _ := strings.Cut(header, " ")
			names = append(names, name)
		}
	}
	var want []string
	for _, f := range slices.Concat(families, counting) {
		want = append(want, f.name)
	}
	for _, o := range operations {
		want = append(want, o.name)
	}
	slices.Sort(want)
	slices.Sort(names)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("families that were linted (-want +got):\n%s", diff)
	}
}

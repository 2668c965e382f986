// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package compliance_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/compliance"
)

func TestEveryControlThatACheckMapsToIsKnown(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range set.Checks() {
		for _, control := range c.Controls {
			f := compliance.Find(control.Framework)
			if f == nil {
				t.Fatalf("%s: framework %q has no table", c.ID, control.Framework)
			}
			if !slices.ContainsFunc(f.Controls, func(c compliance.Control) bool { return c.ID == control.ID }) {
				t.Errorf("%s: %s has no control %q", c.ID, f.Title, control.ID)
			}
		}
	}
}

func TestTablesAreInOrderAndFitIntoAReport(t *testing.T) {
	if !slices.IsSortedFunc(compliance.Frameworks, func(a, b compliance.Framework) int { return strings.Compare(string(a.ID), string(b.ID)) }) {
		t.Error("frameworks are not sorted")
	}
	if n := len(compliance.Frameworks); n > v1alpha1.MaxFrameworks {
		t.Errorf("%d frameworks", n)
	}
	fits := func(text string, limit int) bool {
		return text != "" && strings.TrimSpace(text) == text && !strings.ContainsAny(text, "|\t\n") && utf8.RuneCountInString(text) <= limit
	}
	for _, f := range compliance.Frameworks {
		if !fits(string(f.ID), v1alpha1.MaxKind) || !fits(f.Title, v1alpha1.MaxName) || len(f.Controls) > v1alpha1.MaxControls {
			t.Errorf("framework %q, %q with %d controls", f.ID, f.Title, len(f.Controls))
		}
		ids, titled := make(map[string]bool), f.Controls[0].Title != ""
		for _, c := range f.Controls {
			if !fits(c.ID, v1alpha1.MaxKind) || ids[c.ID] || (c.Title != "") != titled || titled && !fits(c.Title, v1alpha1.MaxName) {
				t.Errorf("%s: control %q, %q", f.ID, c.ID, c.Title)
			}
			ids[c.ID] = true
		}
	}
}

// assessed has checks on OWASP's risks: two on K01, a and b; one on K02, on namespaces; one on K03 that is off.
func assessed(t *testing.T) *audit.Set {
	t.Helper()
	check := func(id, control string) audit.Check {
		return audit.Check{
			ID: id, Title: "Title", Severity: v1alpha1.SeverityLow, Category: audit.CategoryImages, Rationale: "R.", Remediation: "R.",
			Before: "b", After: "a", Controls: []audit.Control{{Framework: audit.FrameworkOWASP, ID: control}},
		}
	}
	a, b, ns, off := check("a", "K01"), check("b", "K01"), check("ns", "K02"), check("off", "K03")
	a.Pod, b.Pod, off.Pod, off.Off = func(*audit.Pod, *audit.Reporter) {}, func(*audit.Pod, *audit.Reporter) {}, func(*audit.Pod, *audit.Reporter) {}, true
	ns.Namespace = func(*audit.Namespace, *audit.Reporter) {}
	set, err := audit.NewSet([]audit.Check{a, b, ns, off})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestAssess(t *testing.T) {
	type evidence = map[string]compliance.Evidence
	judged := func(change func(evidence)) evidence {
		e := evidence{"a": {Judged: true}, "b": {Judged: true}, "ns": {Judged: true}, "off": {Off: true}}
		change(e)
		return e
	}
	nobody := v1alpha1.NotAssessed{Reason: "no check judges it", Controls: []string{"K04", "K05", "K06", "K07", "K08", "K09", "K10"}}
	off := v1alpha1.NotAssessed{Reason: "off: off", Controls: []string{"K03"}}
	k01 := func(reason string) v1alpha1.FrameworkCompliance {
		return v1alpha1.FrameworkCompliance{
			Passed: []string{"K02"}, NotAssessed: []v1alpha1.NotAssessed{{Reason: reason, Controls: []string{"K01"}}, off, nobody},
		}
	}
	for name, tc := range map[string]struct {
		evidence evidence
		unread   map[audit.Resource]v1alpha1.SourceState
		want     v1alpha1.FrameworkCompliance
	}{
		"what all checks have judged and found nothing in has passed": {
			evidence: judged(func(evidence) {}),
			want:     v1alpha1.FrameworkCompliance{Passed: []string{"K01", "K02"}, NotAssessed: []v1alpha1.NotAssessed{off, nobody}},
		},
		"what one check has findings on has failed, whatever the others say": {
			evidence: judged(func(e evidence) {
				e["a"] = compliance.Evidence{Judged: true, Failed: true, Exempted: true, Unlisted: true}
				e["b"] = compliance.Evidence{Skips: []v1alpha1.SkipReason{v1alpha1.SkipDataMissing}, Exempted: true}
			}),
			want: v1alpha1.FrameworkCompliance{Passed: []string{"K02"}, Failed: []string{"K01"}, NotAssessed: []v1alpha1.NotAssessed{off, nobody}},
		},
		"findings that are all exempted are no pass": {
			evidence: judged(func(e evidence) { e["b"] = compliance.Evidence{Judged: true, Exempted: true} }),
			want:     v1alpha1.FrameworkCompliance{Passed: []string{"K02"}, Exempted: []string{"K01"}, NotAssessed: []v1alpha1.NotAssessed{off, nobody}},
		},
		"exempted findings do not hide that a check could not look": {
			evidence: judged(func(e evidence) {
				e["a"] = compliance.Evidence{Judged: true, Exempted: true}
				e["b"] = compliance.Evidence{Judged: true, Skips: []v1alpha1.SkipReason{v1alpha1.SkipDataMissing}}
			}),
			want: k01("skipped (DataMissing): b"),
		},
		"a check that could not look here and there": {
			evidence: judged(func(e evidence) {
				e["a"] = compliance.Evidence{Judged: true, Skips: []v1alpha1.SkipReason{v1alpha1.SkipCheckFailed, v1alpha1.SkipDataMissing}}
			}),
			want: k01("skipped (CheckFailed, DataMissing): a"),
		},
		"a check that is off somewhere, and one that has nothing to judge": {
			evidence: judged(func(e evidence) {
				e["a"] = compliance.Evidence{Judged: true, Off: true}
				e["b"] = compliance.Evidence{}
			}),
			want: k01("off: a; there is nothing to judge: b"),
		},
		"a check that is off by default and run everywhere": {
			evidence: judged(func(e evidence) { e["off"] = compliance.Evidence{Judged: true} }),
			want:     v1alpha1.FrameworkCompliance{Passed: []string{"K01", "K02", "K03"}, NotAssessed: []v1alpha1.NotAssessed{nobody}},
		},
		"a check that nobody has configured asks for nothing, beside one that judges": {
			evidence: judged(func(e evidence) { e["b"] = compliance.Evidence{Unset: true} }),
			want:     v1alpha1.FrameworkCompliance{Passed: []string{"K01", "K02"}, NotAssessed: []v1alpha1.NotAssessed{off, nobody}},
		},
		"a check that is configured in some namespaces judges there": {
			evidence: judged(func(e evidence) { e["b"] = compliance.Evidence{Unset: true, Judged: true, Failed: true} }),
			want:     v1alpha1.FrameworkCompliance{Passed: []string{"K02"}, Failed: []string{"K01"}, NotAssessed: []v1alpha1.NotAssessed{off, nobody}},
		},
		"checks that nobody has configured alone judge nothing": {
			evidence: judged(func(e evidence) { e["a"], e["b"] = compliance.Evidence{Unset: true}, compliance.Evidence{Unset: true} }),
			want:     k01("not configured: a, b"),
		},
		"reports that leave findings out": {
			evidence: judged(func(e evidence) {
				e["a"], e["b"] = compliance.Evidence{Judged: true, Unlisted: true}, compliance.Evidence{Judged: true, Unlisted: true}
			}),
			want: k01("a report leaves findings out: a, b"),
		},
		"workloads that may not be seen": {
			evidence: judged(func(evidence) {}),
			unread:   map[audit.Resource]v1alpha1.SourceState{audit.CronJobs: v1alpha1.SourceForbidden, audit.Services: v1alpha1.SourceForbidden},
			want:     k01("not everything is seen (cronjobs.batch: Forbidden): a, b"),
		},
		"namespaces that may not be seen": {
			evidence: judged(func(evidence) {}),
			unread:   map[audit.Resource]v1alpha1.SourceState{audit.Namespaces: v1alpha1.SourceSyncing},
			want: v1alpha1.FrameworkCompliance{
				Passed:      []string{"K01"},
				NotAssessed: []v1alpha1.NotAssessed{{Reason: "not everything is seen (namespaces: Syncing): ns", Controls: []string{"K02"}}, off, nobody},
			},
		},
		"an empty cluster has passed nothing, and equal reasons stand together": {
			want: v1alpha1.FrameworkCompliance{NotAssessed: []v1alpha1.NotAssessed{
				{Reason: "there is nothing to judge: a, b", Controls: []string{"K01"}}, {Reason: "there is nothing to judge: ns", Controls: []string{"K02"}}, off, nobody,
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var sources []v1alpha1.SourceStatus
			for _, r := range []audit.Resource{audit.Pods, audit.CronJobs, audit.Namespaces, audit.Services} {
				s := v1alpha1.SourceStatus{Resource: string(r), State: v1alpha1.SourceSynced}
				if state, ok := tc.unread[r]; ok {
					s.State = state
				}
				sources = append(sources, s)
			}
			all := compliance.Assess(assessed(t).Checks(), tc.evidence, sources)
			if len(all) != len(compliance.Frameworks) {
				t.Fatalf("%d frameworks, want all %d", len(all), len(compliance.Frameworks))
			}
			tc.want.Framework, tc.want.Title = "owasp", "OWASP Kubernetes Top Ten 2022"
			i := slices.IndexFunc(all, func(f v1alpha1.FrameworkCompliance) bool { return f.Framework == "owasp" })
			if diff := cmp.Diff(tc.want, all[i]); diff != "" {
				t.Errorf("owasp (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAssessWithoutAScanner: who does not scan images has not failed to look at what else there is.
func TestAssessWithoutAScanner(t *testing.T) {
	check := func(id, control string) audit.Check {
		return audit.Check{ID: id, Severity: v1alpha1.SeverityLow, Controls: []audit.Control{{Framework: audit.FrameworkOWASP, ID: control}}}
	}
	pod, beside, alone := check("pod", "K01"), check("beside", "K01"), check("alone", "K02")
	pod.Pod = func(*audit.Pod, *audit.Reporter) {}
	beside.Scanned, alone.Scanned = func(*audit.ScannedImage, *audit.Reporter) {}, func(*audit.ScannedImage, *audit.Reporter) {}
	skips := compliance.Evidence{Judged: true, Skips: []v1alpha1.SkipReason{v1alpha1.SkipSourceNotServed}}
	evidence := map[string]compliance.Evidence{"pod": {Judged: true}, "beside": skips, "alone": skips}
	for state, want := range map[v1alpha1.SourceState][]string{
		v1alpha1.SourceNotServed: {"not configured: alone"},
		v1alpha1.SourceForbidden: {"skipped (SourceNotServed): beside", "skipped (SourceNotServed): alone"},
	} {
		all := compliance.Assess([]audit.Check{pod, beside, alone}, evidence, []v1alpha1.SourceStatus{{Resource: string(audit.ImageReports), State: state}})
		i := slices.IndexFunc(all, func(f v1alpha1.FrameworkCompliance) bool { return f.Framework == string(audit.FrameworkOWASP) })
		var got []string
		for _, n := range all[i].NotAssessed {
			if n.Reason != "no check judges it" {
				got = append(got, n.Reason)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: not assessed (-want +got):\n%s", state, diff)
		}
	}
}

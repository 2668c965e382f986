// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package compliance

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Evidence is what is known of one check over the whole cluster.
type Evidence struct {
	// Judged: there is something that it is run on.
	Judged bool
	// Off: it is not run on something that it could judge. Unset: the configuration gives it nothing to go by there.
	Off, Unset bool
	// Failed: it has findings. Exempted: it has findings that an exception exempts.
	Failed, Exempted bool
	// Skips are the reasons for which it could not look at something, sorted.
	Skips []v1alpha1.SkipReason
	// Unlisted: something that it judges has more findings than its report lists, and they may be this check's.
	Unlisted bool
}

const noCheck = "no check judges it"

// Assess tells what has become of the controls of every framework by all checks that there are. evidence is by check, and
// sources say what can be read.
// A control of which not everything is known has not passed.
func Assess(checks []audit.Check, evidence map[string]Evidence, sources []v1alpha1.SourceStatus) []v1alpha1.FrameworkCompliance {
	unread := make(map[audit.Resource]v1alpha1.SourceState)
	for _, s := range sources {
		if s.State != v1alpha1.SourceSynced {
			unread[audit.Resource(s.Resource)] = s.State
		}
	}
	all := make([]v1alpha1.FrameworkCompliance, 0, len(Frameworks))
	for i := range Frameworks {
		f := &Frameworks[i]
		mapping := f.Mapping(checks)
		out := v1alpha1.FrameworkCompliance{Framework: string(f.ID), Title: f.Title}
		for _, control := range f.Controls {
			var failed, exempted bool
			for _, c := range mapping[control.ID] {
				e := evidence[c.ID]
				failed, exempted = failed || e.Failed, exempted || e.Exempted
			}
			reason := notAssessed(mapping[control.ID], evidence, unread)
			switch {
			case failed:
				out.Failed = append(out.Failed, control.ID)
			case reason != "":
				addNotAssessed(&out, reason, control.ID)
			case exempted:
				out.Exempted = append(out.Exempted, control.ID)
			default:
				out.Passed = append(out.Passed, control.ID)
			}
		}
		all = append(all, out)
	}
	return all
}

// addNotAssessed puts a control beside those that are not assessed for the same reason.
func addNotAssessed(to *v1alpha1.FrameworkCompliance, reason, control string) {
	i := slices.IndexFunc(to.NotAssessed, func(n v1alpha1.NotAssessed) bool { return n.Reason == reason })
	if i < 0 {
		i = len(to.NotAssessed)
		to.NotAssessed = append(to.NotAssessed, v1alpha1.NotAssessed{Reason: reason})
	}
	to.NotAssessed[i].Controls = append(to.NotAssessed[i].Controls, control)
}

// notAssessed says why the checks that map to a control have not judged everything, or "".
func notAssessed(
	checks []*audit.Check, evidence map[string]Evidence, unread map[audit.Resource]v1alpha1.SourceState,
) string {
	if len(checks) == 0 {
		return noCheck
	}
	// What nobody has configured or installed asks for nothing, as long as something else judges the control.
	asked := slices.DeleteFunc(slices.Clone(checks), func(c *audit.Check) bool {
		e := evidence[c.ID]
		return e.Unset && !e.Judged && !e.Off || c.Scanned != nil && unread[audit.ImageReports] == v1alpha1.SourceNotServed
	})
	if len(asked) == 0 {
		return "not configured: " + ids(checks)
	}
	checks = asked
	var gaps []string
	with := make(map[string][]string)
	for _, c := range checks {
		gap := evidence[c.ID].gap(c, unread)
		if gap == "" {
			continue
		}
		if with[gap] == nil {
			gaps = append(gaps, gap)
		}
		with[gap] = append(with[gap], c.ID)
	}
	for i, gap := range gaps {
		gaps[i] = gap + ": " + strings.Join(with[gap], ", ")
	}
	return strings.Join(gaps, "; ")
}

// gap says why a check has not judged everything, or "".
func (e Evidence) gap(c *audit.Check, unread map[audit.Resource]v1alpha1.SourceState) string {
	if e.Off || c.Off && !e.Judged {
		return "off"
	}
	for _, r := range c.Subjects() {
		if state, ok := unread[r]; ok {
			return fmt.Sprintf("not everything is seen (%s: %s)", r, state)
		}
	}
	switch {
	case len(e.Skips) > 0:
		reasons := make([]string, 0, len(e.Skips))
		for _, r := range e.Skips {
			reasons = append(reasons, string(r))
		}
		return "skipped (" + strings.Join(reasons, ", ") + ")"
	case e.Unlisted:
		return "a report leaves findings out"
	case !e.Judged:
		return "there is nothing to judge"
	}
	return ""
}

func ids(checks []*audit.Check) string {
	names := make([]string, 0, len(checks))
	for _, c := range checks {
		names = append(names, c.ID)
	}
	return strings.Join(names, ", ")
}

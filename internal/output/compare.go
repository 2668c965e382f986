// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// State says what has become of a finding from one audit to another.
type State string

// The states.
const (
	// StateNew: it was not found before, or was exempted.
	StateNew State = "New"
	// StateChanged: it has another severity or message.
	StateChanged State = "Changed"
	// StateUnknown: it was found before, and now nobody can tell.
	StateUnknown State = "Unknown"
	// StateExempted: an exception exempts it now.
	StateExempted State = "Exempted"
	// StateFixed: the check has looked again, and it is not there any more.
	StateFixed State = "Fixed"
	// StateGone: what it is about is not there any more.
	StateGone State = "Gone"
)

var states = []State{StateNew, StateChanged, StateUnknown, StateExempted, StateFixed, StateGone}

// Change is a finding that is not what it was.
type Change struct {
	State     State                     `json:"state"`
	Namespace string                    `json:"namespace,omitempty"`
	Subject   v1alpha1.ObjectReference  `json:"subject"`
	Object    *v1alpha1.ObjectReference `json:"object,omitempty"`
	Check     string                    `json:"check"`
	// Severity is what it is now or, of what is not found any more, was.
	Severity v1alpha1.Severity `json:"severity"`
	// Was is the severity before, if it was another.
	Was     v1alpha1.Severity `json:"was,omitempty"`
	Message string            `json:"message"`
	Path    string            `json:"path"`
	// Reason why nobody can tell.
	Reason string `json:"reason,omitempty"`
}

// Comparison is the difference between two audits.
type Comparison struct {
	// Changes by state, then the worst first.
	Changes []Change `json:"changes"`
	// Unchanged is the number of findings that are what they were.
	Unchanged int `json:"unchanged"`
}

// Compare returns what has changed from one audit to another. Findings that reports do not list are not compared.
func Compare(before, after []*v1alpha1.SecurityReport) *Comparison {
	c := &Comparison{Changes: []Change{}} // null is no list
	was, is := bySubject(before), bySubject(after)
	for _, r := range after {
		old := was[qualified(r)]
		known := findingsOf(old)
		for i := range r.Findings {
			f := &r.Findings[i]
			change := changeOf(r, f)
			switch o := known[keyOf(f)]; {
			case o == nil:
				change.State = StateNew
			case o.Severity != f.Severity:
				change.State, change.Was = StateChanged, o.Severity
			case o.Message != f.Message:
				change.State = StateChanged
			default:
				c.Unchanged++
				continue
			}
			c.Changes = append(c.Changes, change)
		}
	}
	for _, r := range before {
		now := is[qualified(r)]
		known := findingsOf(now)
		for i := range r.Findings {
			f := &r.Findings[i]
			if known[keyOf(f)] != nil {
				continue
			}
			change := changeOf(r, f)
			change.State, change.Reason = becomeOf(f, now)
			c.Changes = append(c.Changes, change)
		}
	}
	slices.SortStableFunc(c.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(slices.Index(states, a.State), slices.Index(states, b.State)),
			cmp.Compare(audit.Rank(b.Severity), audit.Rank(a.Severity)), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Check, b.Check))
	})
	return c
}

func bySubject(reports []*v1alpha1.SecurityReport) map[string]*v1alpha1.SecurityReport {
	m := make(map[string]*v1alpha1.SecurityReport, len(reports))
	for _, r := range reports {
		m[qualified(r)] = r
	}
	return m
}

// key tells findings of a subject apart.
type key struct {
	check, path string
	object      v1alpha1.ObjectReference
}

func keyOf(f *v1alpha1.Finding) key {
	k := key{check: f.Check, path: f.Path}
	if f.Object != nil {
		k.object = *f.Object
	}
	return k
}

func findingsOf(r *v1alpha1.SecurityReport) map[key]*v1alpha1.Finding {
	if r == nil {
		return nil
	}
	m := make(map[key]*v1alpha1.Finding, len(r.Findings))
	for i := range r.Findings {
		m[keyOf(&r.Findings[i])] = &r.Findings[i]
	}
	return m
}

func changeOf(r *v1alpha1.SecurityReport, f *v1alpha1.Finding) Change {
	return Change{
		Namespace: r.Namespace, Subject: v1alpha1.ObjectReference{Kind: r.Subject.Kind, Name: r.Subject.Name}, Object: f.Object,
		Check: f.Check, Severity: f.Severity, Message: f.Message, Path: f.Path,
	}
}

// becomeOf says what has become of a finding that a report does not list any more. What could not be looked at is not fixed.
func becomeOf(f *v1alpha1.Finding, now *v1alpha1.SecurityReport) (state State, reason string) {
	if now == nil {
		return StateGone, ""
	}
	for i := range now.Exemptions {
		x := &now.Exemptions[i]
		if keyOf(&v1alpha1.Finding{Check: x.Check, Path: x.Path, Object: x.Object}) == keyOf(f) {
			return StateExempted, ""
		}
	}
	for i := range now.Skips {
		if s := &now.Skips[i]; s.Check == f.Check || isExcluded(now) {
			return StateUnknown, fmt.Sprintf("skipped (%s): %s", s.Reason, s.Message)
		}
	}
	// A report leaves out the least severe ones.
	if n := len(now.Findings); now.OmittedFindings > 0 && (n == 0 || audit.Rank(f.Severity) <= audit.Rank(now.Findings[n-1].Severity)) {
		return StateUnknown, "the report does not list all findings"
	}
	return StateFixed, ""
}

// Worse returns what is new, or more severe than before.
func (c *Comparison) Worse() []Change {
	var worse []Change
	for i := range c.Changes {
		if change := c.Changes[i]; change.State == StateNew || change.Was != "" && audit.Rank(change.Severity) > audit.Rank(change.Was) {
			worse = append(worse, change)
		}
	}
	return worse
}

// Table prints the changes, and then how many there are of each sort.
func (c *Comparison) Table(out io.Writer, t Terminal) error {
	rows := [][]string{{"STATE", "SEVERITY", "CHECK", "SUBJECT", "MESSAGE"}}
	numbers := make(map[State]int)
	for i := range c.Changes {
		change := &c.Changes[i]
		numbers[change.State]++
		r := v1alpha1.SecurityReport{Subject: v1alpha1.Subject{Kind: change.Subject.Kind, Name: change.Subject.Name}}
		r.Namespace = change.Namespace
		subject := qualified(&r)
		if change.Object != nil {
			subject = change.Namespace + "/" + about(&r, change.Object)
		}
		severity, message := string(change.Severity), change.Message
		if change.Was != "" {
			severity = string(change.Was) + " to " + severity
		}
		if change.Reason != "" {
			message = change.Reason
		}
		rows = append(rows, []string{string(change.State), severity, change.Check, subject, message})
	}
	if len(c.Changes) > 0 {
		if err := t.Table(out, rows); err != nil {
			return err
		}
	}
	var texts []string
	for _, s := range states {
		if n := numbers[s]; n > 0 || s == StateNew || s == StateFixed {
			texts = append(texts, fmt.Sprintf("%d %s", n, strings.ToLower(string(s))))
		}
	}
	_, err := fmt.Fprintf(out, "%s, %d unchanged\n", strings.Join(texts, ", "), c.Unchanged)
	return err
}

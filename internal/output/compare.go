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
	// StateUnknown: it is found in one of the two audits, and nobody can tell of the other.
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
	Subject   v1alpha1.Subject          `json:"subject"`
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

// Compare returns what has changed from one audit to another. Findings that reports do not list are not compared. Two reports on
// one subject in one audit are an error.
func Compare(before, after []*v1alpha1.SecurityReport) (*Comparison, error) {
	was, err := auditedBy(before)
	if err != nil {
		return nil, fmt.Errorf("before: %w", err)
	}
	is, err := auditedBy(after)
	if err != nil {
		return nil, fmt.Errorf("after: %w", err)
	}
	c := &Comparison{Changes: []Change{}} // null is no list
	for _, r := range after {
		old := was.reports[identityOf(r)]
		known := findingsOf(old)
		for i := range r.Findings {
			f := &r.Findings[i]
			change := changeOf(r, f)
			switch o := known[keyOf(f)]; {
			case o == nil:
				change.State = StateNew
				if reason := was.untold(r, f); reason != "" && !exempts(old, f) {
					change.State, change.Reason = StateUnknown, "before: "+reason
				}
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
		now := is.reports[identityOf(r)]
		known := findingsOf(now)
		for i := range r.Findings {
			f := &r.Findings[i]
			if known[keyOf(f)] != nil {
				continue
			}
			change := changeOf(r, f)
			switch reason := is.untold(r, f); {
			case exempts(now, f):
				change.State = StateExempted
			case reason != "":
				change.State, change.Reason = StateUnknown, "now: "+reason
			case now == nil:
				change.State = StateGone
			default:
				change.State = StateFixed
			}
			c.Changes = append(c.Changes, change)
		}
	}
	slices.SortStableFunc(c.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(slices.Index(states, a.State), slices.Index(states, b.State)),
			cmp.Compare(audit.Rank(b.Severity), audit.Rank(a.Severity)), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Check, b.Check))
	})
	return c, nil
}

// identity tells subjects apart, whatever version of their kind is in use.
type identity struct{ namespace, kind, name string }

func identityOf(r *v1alpha1.SecurityReport) identity {
	return identity{r.Namespace, kindOf(&r.Subject), r.Subject.Name}
}

// audited is what an audit has to say.
type audited struct {
	reports map[identity]*v1alpha1.SecurityReport
	// excluded are the reports of namespaces that are left out, by their names.
	excluded map[string]*v1alpha1.SecurityReport
}

func auditedBy(reports []*v1alpha1.SecurityReport) (*audited, error) {
	a := &audited{make(map[identity]*v1alpha1.SecurityReport, len(reports)), make(map[string]*v1alpha1.SecurityReport)}
	for _, r := range reports {
		if a.reports[identityOf(r)] != nil {
			return nil, fmt.Errorf("there are two reports on %s", qualified(r))
		}
		a.reports[identityOf(r)] = r
		if isExcluded(r) {
			a.excluded[r.Namespace] = r
		}
	}
	return a, nil
}

// untold returns why nobody can tell whether a finding, which is not listed, was there: the check could not look, or the report
// does not list all findings. It is "" if it was not there.
func (a *audited) untold(of *v1alpha1.SecurityReport, f *v1alpha1.Finding) string {
	r := a.reports[identityOf(of)]
	if r == nil {
		if r = a.excluded[of.Namespace]; r == nil { // what is left out has no report
			return ""
		}
	}
	for i := range r.Skips {
		if s := &r.Skips[i]; s.Check == f.Check || isExcluded(r) {
			return fmt.Sprintf("skipped (%s): %s", s.Reason, s.Message)
		}
	}
	// A report leaves out the least severe ones.
	if n := len(r.Findings); r.OmittedFindings > 0 && (n == 0 || audit.Rank(f.Severity) <= audit.Rank(r.Findings[n-1].Severity)) {
		return "the report does not list all findings"
	}
	return ""
}

// exempts says whether exceptions exempt a finding in a report, which may be nil.
func exempts(r *v1alpha1.SecurityReport, f *v1alpha1.Finding) bool {
	return r != nil && slices.ContainsFunc(r.Exemptions, func(x v1alpha1.Exemption) bool {
		return keyOf(&v1alpha1.Finding{Check: x.Check, Path: x.Path, Object: x.Object}) == keyOf(f)
	})
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
		Namespace: r.Namespace, Subject: v1alpha1.Subject{APIVersion: r.Subject.APIVersion, Kind: r.Subject.Kind, Name: r.Subject.Name}, Object: f.Object,
		Check: f.Check, Severity: f.Severity, Message: f.Message, Path: f.Path,
	}
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
		r := v1alpha1.SecurityReport{Subject: change.Subject}
		r.Namespace = change.Namespace
		subject := qualified(&r)
		if change.Object != nil {
			subject = strings.TrimPrefix(change.Namespace+"/"+about(&r, change.Object), "/")
		}
		severity, message := string(change.Severity), change.Message
		if change.Was != "" {
			severity = string(change.Was) + " to " + severity
		}
		if change.Reason != "" {
			message += " (" + change.Reason + ")"
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

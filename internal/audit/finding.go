// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"fmt"
	"sync"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// Finding is one violation of one check at one place.
type Finding struct {
	Check    string
	Severity v1alpha1.Severity
	// Message has a quoted subject, "must" or "must not", and the field.
	Message string
	// Container is the container's name, where it is about one.
	Container string
	// Object is set where the finding is not about the report's subject.
	Object *v1alpha1.ObjectReference
	// Path of the field. From a Pod check: from the root of the Pod; in a Result: from the root of the subject.
	Path string
	// Suggested is the JSON value that mends the field, or "".
	Suggested string
	// SeenIn is set by the evaluation, never by a check.
	SeenIn v1alpha1.SeenIn
}

// Key identifies a finding within a report over time, whatever its message and severity.
type Key struct {
	Check      string
	ObjectKind string
	ObjectName string
	Path       string
}

// Key returns what identifies the finding within its report.
func (f *Finding) Key() Key {
	k := Key{Check: f.Check, Path: f.Path}
	if f.Object != nil {
		k.ObjectKind, k.ObjectName = f.Object.Kind, f.Object.Name
	}
	return k
}

// compareFindings orders findings: worst first, then by check, object, path and message.
func compareFindings(a, b Finding) int {
	ka, kb := a.Key(), b.Key()
	return cmp.Or(
		cmp.Compare(Rank(b.Severity), Rank(a.Severity)),
		cmp.Compare(a.Check, b.Check),
		cmp.Compare(ka.ObjectKind, kb.ObjectKind),
		cmp.Compare(ka.ObjectName, kb.ObjectName),
		cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Message, b.Message),
	)
}

// Skip is a check that could not look.
type Skip struct {
	Check   string
	Reason  v1alpha1.SkipReason
	Message string
}

// Reporter takes what checks find in one subject, one after the other.
type Reporter struct {
	settings *Settings
	check    *Check
	// object is what findings are about that name no other; nil if it is the subject.
	object   *v1alpha1.ObjectReference
	findings []Finding
	skips    []Skip
	// alike are the findings by what they are alike in, once there are so many that any may be too many.
	alike map[Key]*alike
}

// maxAlike is how many findings one check has on one object, or on the subject itself. What whoever may create an object can put
// into it a thousand times, containers above all, must not take the memory of the operator.
const maxAlike = 100

// alike is how many findings one check has on one object.
type alike struct {
	n int
	// last is where the one is that stands for all that are too many, and message what it says by itself.
	last    int
	message string
}

// run calls the functions of checks. A check that breaks down on odd input has not looked; the others go on.
func (r *Reporter) run(checks []*Check, call func(*Check, *Reporter)) {
	for len(checks) > 0 {
		checks = checks[r.runSome(checks, call):]
	}
}

// runSome runs checks up to the first that breaks down, and returns how many. To be ready for it costs more than most checks.
func (r *Reporter) runSome(checks []*Check, call func(*Check, *Reporter)) (n int) {
	defer func() {
		if p := recover(); p != nil {
			r.Skip(v1alpha1.SkipCheckFailed, fmt.Sprintf("check %q broke down: %v", r.check.ID, p))
		}
	}()
	for _, r.check = range checks {
		n++
		call(r.check, r)
	}
	return n
}

// Settings returns what is set of how the subject is judged. It must not be changed.
func (r *Reporter) Settings() *Settings { return r.settings }

// Find reports a violation. An empty severity stands for the check's own.
func (r *Reporter) Find(f Finding) {
	f.Check = r.check.ID
	if f.Object == nil {
		f.Object = r.object
	}
	if f.Severity == "" || r.check.Regraded {
		f.Severity = r.check.Severity
	}
	if len(r.findings) < maxAlike-1 { // as nearly always
		r.findings = append(r.findings, f)
	} else {
		r.findMany(f)
	}
}

// findMany is Find where there may be too many. The last one that is reported stands for all further ones: it is as bad as the
// worst of them, whose field it names, and is about no container, so that no exception for one takes out the others.
func (r *Reporter) findMany(f Finding) {
	of := func(f *Finding) *alike {
		k := f.Key()
		k.Path = ""
		if r.alike[k] == nil {
			r.alike[k] = &alike{}
		}
		return r.alike[k]
	}
	if r.alike == nil {
		r.alike = make(map[Key]*alike)
		for i := range r.findings {
			of(&r.findings[i]).n++
		}
	}
	a := of(&f)
	if a.n++; a.n <= maxAlike {
		a.last, a.message = len(r.findings), f.Message
		r.findings = append(r.findings, f)
		return
	}
	last := &r.findings[a.last]
	if Rank(f.Severity) > Rank(last.Severity) {
		*last, a.message = f, f.Message
	}
	last.Container, last.Suggested = "", ""
	last.Message = fmt.Sprintf("%s; more findings of this check: %d", a.message, a.n-maxAlike)
}

// Skip reports that the check could not look, or not at everything. Not looked is not passed.
func (r *Reporter) Skip(reason v1alpha1.SkipReason, message string) {
	s := Skip{Check: r.check.ID, Reason: reason, Message: message}
	if len(r.skips) >= maxAlike { // of one check, the first is all that is told
		for i := range r.skips {
			if r.skips[i].Check == s.Check {
				if compareSkips(s, r.skips[i]) < 0 {
					r.skips[i] = s
				}
				return
			}
		}
	}
	r.skips = append(r.skips, s)
}

// SkipUnavailable reports that the check could not look because a resource cannot be read.
func (r *Reporter) SkipUnavailable(u *Unavailable) {
	r.Skip(u.Reason, u.Message)
}

func (r *Reporter) reset() {
	clear(r.findings)
	clear(r.skips)
	r.findings, r.skips, r.alike = r.findings[:0], r.skips[:0], nil
}

// reporters are those that are not at work.
var reporters = sync.Pool{New: func() any { return new(Reporter) }}

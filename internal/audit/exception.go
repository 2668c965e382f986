// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// ExceptionRecord is what is kept of a SecurityException or, without a namespace, of a ClusterSecurityException.
type ExceptionRecord struct {
	Object
	Generation int64
	Created    Moment
	// Checks whose findings it exempts.
	Checks []string
	// Reason that it gives.
	Reason string
	// Expires is when it ends; nil if it never does.
	Expires *Moment
	// Problems are what is wrong with it, and so matches nothing, in the order of its fields.
	Problems []string
	// Status as it is stored.
	Status v1alpha1.ExceptionStatus

	namespaces NamespaceSelector
	// everywhere: it is not limited to namespaces.
	everywhere bool
	subjects   []exceptionSubject
}

// exceptionSubject selects subjects and objects; what is unset selects all.
type exceptionSubject struct {
	kind       string
	name       pattern
	labels     labels.Selector
	containers []pattern
}

// ExceptionFrom returns the record of a SecurityException.
func ExceptionFrom(e *v1alpha1.SecurityException) *ExceptionRecord {
	return newException(&e.ObjectMeta, &e.Spec, nil, &e.Status)
}

// ClusterExceptionFrom returns the record of a ClusterSecurityException.
func ClusterExceptionFrom(e *v1alpha1.ClusterSecurityException) *ExceptionRecord {
	return newException(&e.ObjectMeta, &e.Spec.SecurityExceptionSpec, e.Spec.Namespaces, &e.Status)
}

func newException(
	meta *metav1.ObjectMeta, spec *v1alpha1.SecurityExceptionSpec, namespaces *v1alpha1.NamespaceSelector, status *v1alpha1.ExceptionStatus,
) *ExceptionRecord {
	e := &ExceptionRecord{
		Object: ObjectFrom(meta), Generation: meta.Generation, Created: MomentOf(meta.CreationTimestamp.Time),
		Checks: spec.Checks, Reason: strings.Join(strings.Fields(spec.Reason), " "), Status: *status,
		everywhere: namespaces == nil,
	}
	if e.Reason == "" {
		e.Problems = append(e.Problems, "spec.reason: it must not be empty")
	}
	if spec.ExpirationTime != nil {
		e.Expires = new(MomentOf(spec.ExpirationTime.Time))
	}
	var err error
	if e.namespaces, err = NewNamespaceSelector(namespaces); err != nil {
		e.Problems = append(e.Problems, fmt.Sprintf("spec.namespaces.selector: %v", err))
	}
	for i, s := range spec.Subjects {
		subject := exceptionSubject{kind: s.Kind, containers: patternsOf(s.Containers)}
		if s.Name != "" {
			subject.name = strings.Split(s.Name, "*")
		}
		if s.Kind == "" && s.Name == "" && s.Selector == nil && s.Containers == nil {
			e.Problems = append(e.Problems, fmt.Sprintf("spec.subjects[%d]: it must not be empty; for everything, set name to \"*\"", i))
			continue
		}
		if s.Selector != nil {
			if subject.labels, err = NewSelector(s.Selector); err != nil {
				e.Problems = append(e.Problems, fmt.Sprintf("spec.subjects[%d].selector: %v", i, err))
				continue
			}
		}
		e.subjects = append(e.subjects, subject)
	}
	return e
}

// Equal says whether both exempt the same, as far as is audited. Their status is not.
func (e *ExceptionRecord) Equal(f *ExceptionRecord) bool {
	return e.UID == f.UID && e.Generation == f.Generation
}

// Cluster says whether it is a ClusterSecurityException.
func (e *ExceptionRecord) Cluster() bool { return e.Namespace == "" }

// Expired says whether its time is over.
func (e *ExceptionRecord) Expired(now time.Time) bool {
	return e.Expires != nil && !e.Expires.Time().After(now)
}

// Void says whether nothing at all can match, because what selects is not valid, or there is no reason.
func (e *ExceptionRecord) Void() bool {
	return len(e.subjects) == 0 || e.namespaces.labels == nil || e.Reason == ""
}

// Refusal says why the limits do not let an exception hold in the namespace that they are of, or "".
func (l *ExceptionLimits) Refusal(e *ExceptionRecord) string {
	switch {
	case e.Cluster() && e.Expires == nil && !l.ClusterUnlimited:
		return "it must have an expirationTime: the AuditConfiguration does not set exceptions.cluster.allowUnlimited"
	case e.Cluster():
	case !l.Namespaced:
		return "the AuditConfiguration does not allow SecurityExceptions in this namespace"
	case l.MaxAge > 0 && e.Expires == nil:
		return "it must have an expirationTime: the AuditConfiguration does not set exceptions.namespaced.allowUnlimited"
	case l.MaxAge > 0 && e.Expires.Time().Sub(e.Created.Time()) > l.MaxAge:
		return fmt.Sprintf("it must end within %d days of its creation: the AuditConfiguration allows no longer", int(l.MaxAge.Hours()/24))
	}
	return ""
}

// permits says whether an exception that holds may exempt a finding.
func (l *ExceptionLimits) permits(e *ExceptionRecord, severity v1alpha1.Severity) bool {
	return e.Cluster() || l.Severities[severity]
}

// of says whether the exception is about a check.
func (e *ExceptionRecord) of(check string) bool {
	return slices.ContainsFunc(e.Checks, func(c string) bool { return c == check || c == "*" })
}

// candidate is a subject whose findings may be exempted: a workload, a namespace with the objects in it, or what belongs to none.
type candidate struct {
	// kind has its group behind a dot where it is none that the audit reads itself: anybody may have kinds of any name.
	kind, name string
	// labels of a workload's Pods, all of which must match; of a namespace: its own.
	labels []labels.Labels
	// objects says that findings may be about others than the subject.
	objects bool
}

// applicable is an exception with those of its subjects, by number, that select a candidate.
type applicable struct {
	*ExceptionRecord
	selecting []int
}

// on returns the exception as it applies to a candidate, and whether it may exempt any finding of it.
func (e *ExceptionRecord) on(c *candidate) (applicable, bool) {
	a := applicable{ExceptionRecord: e}
	objects := false
	for i := range e.subjects {
		s := &e.subjects[i]
		if s.selects(c) {
			a.selecting = append(a.selecting, i)
		}
		objects = objects || c.objects && s.labels == nil
	}
	return a, objects || len(a.selecting) > 0
}

// exempts says whether the exception is about a finding of the candidate.
func (a *applicable) exempts(f *Finding) bool {
	if !a.of(f.Check) {
		return false
	}
	for i := range a.subjects {
		s := &a.subjects[i]
		if s.containers != nil && (f.Container == "" || !matchesAny(s.containers, f.Container)) {
			continue
		}
		if slices.Contains(a.selecting, i) || f.Object != nil && s.labels == nil && s.names(f.Object.Kind, f.Object.Name) {
			return true
		}
	}
	return false
}

func (s *exceptionSubject) names(kind, name string) bool {
	return (s.kind == "" || s.kind == kind) && (s.name == nil || s.name.matches(name))
}

func (s *exceptionSubject) selects(c *candidate) bool {
	if !s.names(c.kind, c.name) {
		return false
	}
	if s.labels == nil {
		return true
	}
	return len(c.labels) > 0 && !slices.ContainsFunc(c.labels, func(l labels.Labels) bool { return !s.labels.Matches(l) })
}

// Exempted is a finding that an exception exempts.
type Exempted struct {
	Finding
	By *ExceptionRecord
}

// Use is what an exception does to the findings of one subject.
type Use struct {
	By *ExceptionRecord
	// Matches are the findings that it exempts, Denied those that it would if it might exempt their severity.
	Matches, Denied int32
}

// exempt sorts out the findings of a candidate that exceptions exempt. An exception that is about a finding counts it, even
// where another one exempts it already.
func exempt(findings []Finding, exceptions []applicable, limits *ExceptionLimits) (left []Finding, exempted []Exempted, uses []Use) {
	if len(exceptions) == 0 {
		return findings, nil, nil
	}
	uses = make([]Use, len(exceptions))
	for i := range exceptions {
		uses[i].By = exceptions[i].ExceptionRecord
	}
	for i := range findings {
		f := &findings[i]
		var by *ExceptionRecord
		for j := range exceptions {
			switch e := &exceptions[j]; {
			case !e.exempts(f):
			case !limits.permits(e.ExceptionRecord, f.Severity):
				uses[j].Denied++
			default:
				uses[j].Matches++
				by = cmp.Or(by, e.ExceptionRecord)
			}
		}
		if by == nil {
			left = append(left, *f)
		} else {
			exempted = append(exempted, Exempted{*f, by})
		}
	}
	uses = slices.DeleteFunc(uses, func(u Use) bool { return u.Matches+u.Denied == 0 })
	return left, exempted, uses
}

// exceptionsFor returns the exceptions that may exempt findings of a candidate, in the order in which they do.
func (s *Set) exceptionsFor(inForce []*ExceptionRecord, c *candidate) []applicable {
	var found []applicable
	for _, e := range inForce {
		if a, concerns := e.on(c); concerns && s.settings.Exceptions.Refusal(e) == "" {
			found = append(found, a)
		}
	}
	return found
}

// MaxExceptionSubjects is how many subjects the SecurityExceptions that hold in a namespace have together, so that nobody can
// make its evaluation as slow as they like: each is compared with each workload.
const MaxExceptionSubjects = 1024

// TooMany returns those of a namespace's SecurityExceptions that do not hold because there are too many: the latest of those
// that have not ended.
func TooMany(exceptions []*ExceptionRecord, now time.Time) map[*ExceptionRecord]bool {
	own := slices.DeleteFunc(slices.Clone(exceptions), func(e *ExceptionRecord) bool { return e.Cluster() || e.Expired(now) })
	slices.SortFunc(own, func(a, b *ExceptionRecord) int {
		return cmp.Or(cmp.Compare(a.Created, b.Created), cmp.Compare(a.Name, b.Name))
	})
	var excess map[*ExceptionRecord]bool
	subjects := 0
	for _, e := range own {
		if subjects += len(e.subjects); subjects > MaxExceptionSubjects {
			if excess == nil {
				excess = make(map[*ExceptionRecord]bool)
			}
			excess[e] = true
		}
	}
	return excess
}

// hold notes which exceptions are in force in a namespace at a time, and when to look again because one ends.
func (n *Namespace) hold(now time.Time) {
	labels := n.Namespace.GetLabels()
	excess := TooMany(n.Exceptions, now)
	n.inForce = inForce(n.Exceptions, now, func(e *ExceptionRecord) bool {
		return !excess[e] && (!e.Cluster() || e.namespaces.Matches(n.Name, labels))
	}, n.recheckAt)
}

// inForce returns which exceptions are in force at a time where they are to hold, in the order in which they do, and tells
// when any of them ends.
func inForce(exceptions []*ExceptionRecord, now time.Time, holds func(*ExceptionRecord) bool, ends func(time.Time)) []*ExceptionRecord {
	var found []*ExceptionRecord
	for _, e := range exceptions {
		if e.Void() || e.Expired(now) || !holds(e) {
			continue
		}
		found = append(found, e)
		if e.Expires != nil {
			ends(e.Expires.Time())
		}
	}
	slices.SortFunc(found, func(a, b *ExceptionRecord) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return found
}

// hashOf stands for exceptions, and for which of their subjects select.
func hashOf(exceptions []applicable) uint64 {
	if len(exceptions) == 0 {
		return 0
	}
	var hash maphash.Hash
	hash.SetSeed(seed)
	for _, e := range exceptions {
		maphash.WriteComparable(&hash, e.UID)
		maphash.WriteComparable(&hash, e.Generation)
		for _, i := range e.selecting {
			maphash.WriteComparable(&hash, i)
		}
	}
	return hash.Sum64()
}

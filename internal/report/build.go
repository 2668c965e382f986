// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/compliance"
	"github.com/kubersafe/kubersafe/internal/plain"
)

// Budgets of a report's lists in bytes of JSON. Together they stay far below etcd's request limit of 1.5 MiB; a report
// of ordinary findings is some kilobytes.
const (
	findingsBudget   = 256 << 10
	exemptionsBudget = 128 << 10
	skipsBudget      = 128 << 10
)

// Build makes the report of one subject in a namespace, and what the next one must know of it. Findings keep the time
// since when they stand; new ones get now.
func Build(
	namespace string, result *audit.Result, previous Remembered, now time.Time,
) (*v1alpha1.SecurityReport, Remembered) {
	tally := TallyOf(result.Findings)
	findings := findingsOf(result.Findings, previous, now)
	r := &v1alpha1.SecurityReport{
		ObjectMeta: metav1.ObjectMeta{
			Namespace:       namespace,
			Name:            result.Report,
			Labels:          labelsOf(result.Subject, tally),
			OwnerReferences: ownersOf(result.Subject),
		},
		Subject: subjectOf(result),
		Summary: summaryOf(tally, result.Passed, len(result.Exempted), len(result.Skips)),
	}
	n := len(findings)
	if n > v1alpha1.MaxFindings || atMost(findings) > findingsBudget {
		n = fit(findings, v1alpha1.MaxFindings, findingsBudget)
	}
	r.OmittedFindings = int32(len(findings) - n) //nolint:gosec // G115: both are counts of objects in memory
	if r.Findings = findings; n < len(findings) {
		r.Findings = slices.Clone(findings[:n]) // what is omitted takes memory
	}
	r.Exemptions = exemptionsOf(result.Exempted)
	r.Skips = skipsOf(result.Skips)
	if result.Network != nil {
		r.Network = result.Network.Summary()
	}
	return r, Remember(findings)
}

// Truncated says whether a report does not list all that it counts.
func Truncated(r *v1alpha1.SecurityReport) bool {
	return r.OmittedFindings > 0 || int(r.Summary.Exempted) > len(r.Exemptions) || int(r.Summary.Skipped) > len(r.Skips)
}

// BuildOfCluster makes the report of one subject that belongs to no namespace, as Build does.
func BuildOfCluster(result *audit.Result, previous Remembered, now time.Time) (*v1alpha1.ClusterSecurityReport, Remembered) {
	r, remembered := Build("", result, previous, now)
	return &v1alpha1.ClusterSecurityReport{
		ObjectMeta: r.ObjectMeta, Subject: r.Subject, Summary: r.Summary,
		Findings: r.Findings, Exemptions: r.Exemptions, Skips: r.Skips, OmittedFindings: r.OmittedFindings,
	}, remembered
}

// RollUp sums up the workloads of a namespace, for its own report.
func RollUp(workloads Tally, exempted int32) *v1alpha1.RollUp {
	return &v1alpha1.RollUp{
		Score:    workloads.Score(),
		Worst:    workloads.Worst().Severity,
		Critical: workloads.Count(v1alpha1.SeverityCritical),
		High:     workloads.Count(v1alpha1.SeverityHigh),
		Medium:   workloads.Count(v1alpha1.SeverityMedium),
		Low:      workloads.Count(v1alpha1.SeverityLow),
		Exempted: exempted,
	}
}

// Totals is what the cluster's report says of all others.
type Totals struct {
	Tally    Tally
	Exempted int32
	// Passed and Skipped are numbers of checks.
	Passed  int
	Skipped int
	// Evidence is what is known of each check, by id.
	Evidence map[string]compliance.Evidence
	// Excludes says that namespaces are left out.
	Excludes bool
}

// Cluster is what the report that sums up the cluster is made of.
type Cluster struct {
	Totals
	// Checks are all that there are.
	Checks  []audit.Check
	Sources []v1alpha1.SourceStatus
	// Generation of the AuditConfiguration in force; 0 if there is none.
	Generation int64
	// Version of the operator.
	Version string
}

// Build makes the report.
func (c *Cluster) Build() *v1alpha1.ClusterSecurityReport {
	subject := audit.Subject{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: audit.KindCluster, Name: v1alpha1.ClusterReportName,
	}
	r := &v1alpha1.ClusterSecurityReport{
		ObjectMeta:              metav1.ObjectMeta{Name: v1alpha1.ClusterReportName, Labels: labelsOf(subject, c.Tally)},
		Subject:                 v1alpha1.Subject{Kind: subject.Kind, Name: subject.Name},
		Summary:                 summaryOf(c.Tally, c.Passed, 0, c.Skipped),
		ConfigurationGeneration: c.Generation,
		NamespacesExcluded:      c.Excludes,
		Version:                 plain.Clean(c.Version, v1alpha1.MaxKind),
	}
	r.Summary.Exempted = c.Exempted
	for _, s := range c.Sources {
		r.Sources = append(r.Sources, v1alpha1.SourceStatus{
			Resource: s.Resource, State: s.State, Message: plain.Clean(s.Message, v1alpha1.MaxMessage),
		})
	}
	r.Sources = r.Sources[:fit(r.Sources, v1alpha1.MaxSources, skipsBudget)]
	// Controls are the frameworks' own, and a test says that they fit; how many checks a reason names is not known.
	r.Compliance = compliance.Assess(c.Checks, c.Evidence, c.Sources)
	for i := range r.Compliance {
		for j := range r.Compliance[i].NotAssessed {
			n := &r.Compliance[i].NotAssessed[j]
			n.Reason = plain.Clean(n.Reason, v1alpha1.MaxMessage)
		}
	}
	return r
}

func labelsOf(s audit.Subject, tally Tally) map[string]string {
	return map[string]string{
		v1alpha1.LabelSubjectKind: s.KindLabel(),
		v1alpha1.LabelWorst:       string(tally.Worst().Severity),
	}
}

// ownersOf makes the subject own its report, so that the garbage collector takes both, but only where the audit has seen
// the subject itself: a report owned by something that does not exist is deleted at once, and anyone can forge an owner
// reference. A namespace takes its reports with it anyway.
func ownersOf(s audit.Subject) []metav1.OwnerReference {
	if s.UID == "" || s.Kind == audit.KindNamespace {
		return nil
	}
	return []metav1.OwnerReference{{APIVersion: s.APIVersion, Kind: s.Kind, Name: s.Name, UID: s.UID.Text()}}
}

func subjectOf(r *audit.Result) v1alpha1.Subject {
	apiVersion := plain.Clean(r.APIVersion, v1alpha1.MaxAPIVersion)
	if apiVersion == v1alpha1.GroupVersion.String() {
		apiVersion = "" // no object of ours is a subject: these stand for what the API has no object for
	}
	return v1alpha1.Subject{
		APIVersion:   apiVersion,
		Kind:         plain.Clean(r.Kind, v1alpha1.MaxKind),
		Name:         CleanName(r.Name),
		UID:          plain.Clean(string(r.UID.Text()), v1alpha1.MaxKind),
		TemplateHash: r.TemplateHash,
	}
}

func summaryOf(t Tally, passed, exempted, skipped int) v1alpha1.Summary {
	worst := t.Worst()
	return v1alpha1.Summary{
		Score:      t.Score(),
		Worst:      worst.Severity,
		WorstCheck: worst.Check,
		Critical:   t.Count(v1alpha1.SeverityCritical),
		High:       t.Count(v1alpha1.SeverityHigh),
		Medium:     t.Count(v1alpha1.SeverityMedium),
		Low:        t.Count(v1alpha1.SeverityLow),
		Passed:     int32(passed),   //nolint:gosec // G115: a number of checks
		Exempted:   int32(exempted), //nolint:gosec // G115: a number of findings in memory
		Skipped:    int32(skipped),  //nolint:gosec // G115: a number of checks
	}
}

func findingsOf(findings []audit.Finding, previous Remembered, now time.Time) []v1alpha1.Finding {
	since := metav1.NewTime(now.UTC().Truncate(time.Second)) // as precise as the API stores it
	out := make([]v1alpha1.Finding, 0, len(findings))
	for _, f := range findings {
		v := v1alpha1.Finding{
			Check:     f.Check,
			Severity:  f.Severity,
			Message:   plain.Clean(f.Message, v1alpha1.MaxMessage),
			Container: plain.Clean(f.Container, v1alpha1.MaxName),
			Object:    objectOf(&f),
			Path:      cleanUnique(f.Path, v1alpha1.MaxPath),
			SeenIn:    f.SeenIn,
			Since:     since,
		}
		if f.Suggested != "" {
			v.SuggestedValue = &v1alpha1.Value{Raw: json.RawMessage(f.Suggested)}
		}
		if standing, ok := previous.Get(KeyOf(&v)); ok {
			v.Since = metav1.NewTime(standing.Since)
		}
		out = append(out, v)
	}
	return out
}

// objectOf returns the object that a finding is about, where that is not the report's subject.
func objectOf(f *audit.Finding) *v1alpha1.ObjectReference {
	if f.Object == nil {
		return nil
	}
	return &v1alpha1.ObjectReference{Kind: plain.Clean(f.Object.Kind, v1alpha1.MaxKind), Name: plain.Clean(f.Object.Name, v1alpha1.MaxName)}
}

// atMost returns a number of bytes that the JSON of findings does not exceed, without encoding them: nearly all reports are
// far from their budget.
func atMost(findings []v1alpha1.Finding) int {
	const (
		frame   = 512 // names of fields, punctuation, check, severities, time
		escaped = 6   // of one byte, as in \u003c
	)
	total := 0
	for i := range findings {
		f := &findings[i]
		total += frame + escaped*(len(f.Message)+len(f.Container)+len(f.Path))
		if f.Object != nil {
			total += escaped * (len(f.Object.Kind) + len(f.Object.Name))
		}
		if f.SuggestedValue != nil {
			total += escaped * len(f.SuggestedValue.Raw)
		}
	}
	return total
}

func exemptionsOf(exempted []audit.Exempted) []v1alpha1.Exemption {
	out := make([]v1alpha1.Exemption, 0, len(exempted))
	for i := range exempted {
		e := &exempted[i]
		x := v1alpha1.Exemption{
			Check:         e.Check,
			Severity:      e.Severity,
			Message:       plain.Clean(e.Message, v1alpha1.MaxMessage),
			Container:     plain.Clean(e.Container, v1alpha1.MaxName),
			Object:        objectOf(&e.Finding),
			Path:          cleanUnique(e.Path, v1alpha1.MaxPath),
			ExceptionKind: v1alpha1.KindSecurityException,
			Exception:     plain.Clean(e.By.Name, v1alpha1.MaxName),
			Reason:        plain.Clean(e.By.Reason, v1alpha1.MaxMessage),
		}
		if e.By.Cluster() {
			x.ExceptionKind = v1alpha1.KindClusterSecurityException
		}
		if e.By.Expires != nil {
			x.ExpirationTime = new(metav1.NewTime(e.By.Expires.Time()))
		}
		out = append(out, x)
	}
	return out[:fit(out, v1alpha1.MaxExemptions, exemptionsBudget)]
}

func skipsOf(skips []audit.Skip) []v1alpha1.Skip {
	out := make([]v1alpha1.Skip, 0, len(skips))
	for _, s := range skips {
		out = append(out, v1alpha1.Skip{Check: s.Check, Reason: s.Reason, Message: plain.Clean(s.Message, v1alpha1.MaxMessage)})
	}
	return out[:fit(out, v1alpha1.MaxSkips, skipsBudget)]
}

// KeyOf returns what identifies a finding within its report.
func KeyOf(f *v1alpha1.Finding) audit.Key {
	k := audit.Key{Check: f.Check, Path: f.Path}
	if f.Object != nil {
		k.ObjectKind, k.ObjectName = f.Object.Kind, f.Object.Name
	}
	return k
}

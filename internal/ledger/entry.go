// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
	"github.com/kubersafe/kubersafe/internal/report"
)

// Entry is what was decided about one subject.
type Entry struct {
	// Kind of the subject, from a closed set, and its name.
	Kind, Name string
	// Inputs of the verdict; of a workload only.
	Inputs audit.Inputs
	// Hash of what the report says.
	Hash     report.Hash
	Findings report.Tally
	// Exempted is nil where no exception is about any finding.
	Exempted *Exempted
	Skips    []audit.Skip
	// Images of a workload that have known vulnerabilities, each once.
	Images []audit.VulnerableImage
	// Network of a namespace; nil where it is not known.
	Network *Network
	// Passed is a number of checks.
	Passed     int
	Remembered report.Remembered
	// Unlisted is set if it is known from a stored report that does not list all that it counts.
	Unlisted bool
	// Excluded says that it is of a namespace that the configuration leaves out: it was not judged, and counts for nothing.
	Excluded bool
	// Truncated says that the report does not list all that it counts.
	Truncated bool
}

// Network is what is counted of a namespace's workloads.
type Network struct {
	// UnisolatedIngress and UnisolatedEgress have Pods that no policy isolates in that direction.
	UnisolatedIngress, UnisolatedEgress int
	// ReachMetadata have Pods that reach the metadata endpoint of clouds.
	ReachMetadata int
}

// Exempted is what exceptions do to the findings of one subject.
type Exempted struct {
	Findings report.Tally
	Uses     []Use
	// Until is the first end of an exception that exempts any of them; 0 if none ends.
	Until audit.Moment
}

// Use is what an exception does.
type Use struct {
	// Cluster says that it is a ClusterSecurityException.
	Cluster bool
	Name    string
	// Matches are the findings that it exempts, Denied those that it may not exempt for their severity.
	Matches, Denied int32
}

// EntryOf makes the entry of a verdict.
func EntryOf(result *audit.Result) *Entry {
	e := &Entry{
		Kind:     result.KindLabel(),
		Name:     report.CleanName(result.Name),
		Findings: report.TallyOf(result.Findings),
		Skips:    result.Skips,
		Images:   result.Images,
		Passed:   result.Passed,
		Excluded: result.Excluded,
	}
	if len(result.Uses) > 0 {
		e.Exempted = &Exempted{}
		for i := range result.Exempted {
			f := &result.Exempted[i]
			e.Exempted.Findings.Add(report.Tally{report.CountOf(report.CheckSeverity{Check: f.Check, Severity: f.Severity}, 1)})
		}
		for _, u := range result.Uses {
			e.Exempted.Uses = append(e.Exempted.Uses, Use{u.By.Cluster(), u.By.Name, u.Matches, u.Denied})
			if ends := u.By.Expires; u.Matches > 0 && ends != nil && (e.Exempted.Until == 0 || *ends < e.Exempted.Until) {
				e.Exempted.Until = *ends
			}
		}
	}
	if n := result.Network; n != nil {
		e.Network = &Network{n.Unisolated[netpol.Ingress], n.Unisolated[netpol.Egress], n.ReachMetadata}
	}
	return e
}

// ExemptedFindings returns the findings that exceptions exempt.
func (e *Entry) ExemptedFindings() report.Tally {
	if e.Exempted == nil {
		return nil
	}
	return e.Exempted.Findings
}

// Entries are the entries of one namespace by the name of their report. They are not changed once they are put.
type Entries map[string]*Entry

// Excluded says whether the configuration leaves the namespace out.
func (e Entries) Excluded() bool {
	for _, only := range e {
		return len(e) == 1 && only.Excluded
	}
	return false
}

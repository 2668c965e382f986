// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// The part of SARIF 2.1.0 that is used here, in the order in which it is printed:
// https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/sarif-v2.1.0-errata01-os-complete.html
// It is so small that a library for all of it would not make it any simpler.
type (
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version,omitempty"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string         `json:"id"`
		ShortDescription     sarifText      `json:"shortDescription"`
		FullDescription      *sarifText     `json:"fullDescription,omitempty"`
		Help                 *sarifText     `json:"help,omitempty"`
		DefaultConfiguration sarifLevel     `json:"defaultConfiguration"`
		Properties           sarifRuleProps `json:"properties"`
	}
	sarifRuleProps struct {
		Tags             []string `json:"tags"`
		SecuritySeverity string   `json:"security-severity"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifInvocation struct {
		ExecutionSuccessful bool                `json:"executionSuccessful"`
		Notifications       []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level          string          `json:"level"`
		Message        sarifText       `json:"message"`
		AssociatedRule *sarifRuleRef   `json:"associatedRule,omitempty"`
		Locations      []sarifLocation `json:"locations"`
	}
	sarifRuleRef struct {
		ID string `json:"id"`
	}
	sarifResult struct {
		RuleID              string             `json:"ruleId"`
		RuleIndex           int                `json:"ruleIndex"`
		Level               string             `json:"level"`
		Message             sarifText          `json:"message"`
		Locations           []sarifLocation    `json:"locations"`
		PartialFingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions        []sarifSuppression `json:"suppressions,omitempty"`
		Properties          sarifResultProps   `json:"properties"`
	}
	sarifLocation struct {
		Physical *sarifPhysical `json:"physicalLocation,omitempty"`
		Logical  []sarifLogical `json:"logicalLocations"`
	}
	sarifPhysical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region struct {
			StartLine int `json:"startLine"`
		} `json:"region"`
	}
	sarifLogical struct {
		Name               string `json:"name"`
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
	sarifResultProps struct {
		Severity       v1alpha1.Severity `json:"severity"`
		Path           string            `json:"path"`
		Container      string            `json:"container,omitempty"`
		SuggestedValue *v1alpha1.Value   `json:"suggestedValue,omitempty"`
	}
)

// sarifSeverity is what a severity is in SARIF, and the number by which GitHub grades it: critical above 9.0, high from 7.0,
// medium from 4.0.
func sarifSeverity(s v1alpha1.Severity) (level, security string) {
	switch s {
	case v1alpha1.SeverityCritical:
		return "error", "9.5"
	case v1alpha1.SeverityHigh:
		return "error", "8.0"
	case v1alpha1.SeverityMedium:
		return "warning", "5.5"
	case v1alpha1.SeverityLow:
		return "note", "2.0"
	case v1alpha1.SeverityNone:
	}
	return "none", "0.0"
}

// SARIF prints findings for tools that show the results of analyses beside the code: with the file and line of the manifest
// where there is one. Exempted findings are suppressed results, and checks that could not look are notifications.
func SARIF(out io.Writer, a *Audit) error {
	s := sarif{Audit: a, worst: make(map[string]v1alpha1.Severity), rules: make(map[string]int)}
	for _, r := range a.Reports {
		for i := range r.Findings {
			s.note(r.Findings[i].Check, r.Findings[i].Severity)
		}
		for i := range r.Exemptions {
			s.note(r.Exemptions[i].Check, r.Exemptions[i].Severity)
		}
		for i := 0; i < len(r.Skips) && !isExcluded(r); i++ {
			s.note(r.Skips[i].Check, v1alpha1.SeverityNone)
		}
	}
	w := sarifWriter{out: out}
	w.text(`{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[{` + "\n" + `"tool":`)
	w.value(sarifTool{s.driver()})
	w.text(",\n" + `"results":[`)
	invocation := sarifInvocation{ExecutionSuccessful: true}
	for _, r := range a.Reports {
		for i := range r.Findings {
			w.item(s.finding(r, &r.Findings[i]))
		}
		for i := range r.Exemptions {
			w.item(s.exemption(r, &r.Exemptions[i]))
		}
		invocation.Notifications = append(invocation.Notifications, s.notifications(r)...)
	}
	w.text("],\n" + `"invocations":[`)
	w.value(invocation)
	w.text("]}]}\n")
	return w.err
}

// sarifWriter writes JSON piece by piece, a result a line: all at once would take gigabytes.
type sarifWriter struct {
	out   io.Writer
	items int
	err   error
}

func (w *sarifWriter) text(text string) {
	if w.err == nil {
		_, w.err = io.WriteString(w.out, text)
	}
}

func (w *sarifWriter) value(v any) {
	if w.err != nil {
		return
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if w.err = encoder.Encode(v); w.err == nil {
		_, w.err = w.out.Write(bytes.TrimSpace(text.Bytes()))
	}
}

// item writes an item of a list.
func (w *sarifWriter) item(v any) {
	if w.items > 0 {
		w.text(",")
	}
	w.text("\n")
	w.items++
	w.value(v)
}

type sarif struct {
	*Audit
	// worst severity of the findings of each check that has anything to say, by id.
	worst map[string]v1alpha1.Severity
	rules map[string]int
}

func (s *sarif) note(id string, severity v1alpha1.Severity) {
	if worst, ok := s.worst[id]; !ok || audit.Rank(severity) > audit.Rank(worst) {
		s.worst[id] = severity
	}
}

// driver has the checks that have anything to say as rules.
func (s *sarif) driver() sarifDriver {
	d := sarifDriver{Name: "kubersafe", Version: s.Version, InformationURI: "https://github.com/kubersafe/kubersafe", Rules: []sarifRule{}}
	ids := make([]string, 0, len(s.worst))
	for id := range s.worst {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for i, id := range ids {
		s.rules[id] = i
		c := s.check(id)
		// A configuration may grade findings, and GitHub grades by the rule.
		severity := s.worst[id]
		if severity == v1alpha1.SeverityNone && c.Severity != "" {
			severity = c.Severity
		}
		level, security := sarifSeverity(severity)
		rule := sarifRule{
			ID: id, ShortDescription: sarifText{Text: c.Title}, DefaultConfiguration: sarifLevel{level},
			Properties: sarifRuleProps{Tags: []string{"security", "kubernetes", string(c.Category)}, SecuritySeverity: security},
		}
		for _, control := range c.Controls {
			rule.Properties.Tags = append(rule.Properties.Tags, string(control.Framework)+"/"+control.ID)
		}
		if c.Rationale != "" {
			rule.FullDescription = &sarifText{Text: c.Rationale}
			rule.Help = &sarifText{Text: "Why: " + c.Rationale + "\nHow to fix: " + c.Remediation, Markdown: helpOf(c)}
		}
		d.Rules = append(d.Rules, rule)
	}
	return d
}

// helpOf explains a check.
func helpOf(c *audit.Check) string {
	text := fmt.Sprintf("**Why:** %s\n\n**How to fix:** %s\n\nBefore:\n\n```yaml\n%s\n```\n\nAfter:\n\n```yaml\n%s\n```\n",
		c.Rationale, c.Remediation, c.Before, c.After)
	for i, r := range c.References {
		if i == 0 {
			text += "\nReferences:\n\n"
		}
		text += "- <" + r + ">\n"
	}
	return text
}

func (s *sarif) finding(r *v1alpha1.SecurityReport, f *v1alpha1.Finding) sarifResult {
	return s.result(r, f.Check, f.Object, f.Message, sarifResultProps{f.Severity, f.Path, f.Container, f.SuggestedValue})
}

func (s *sarif) exemption(r *v1alpha1.SecurityReport, x *v1alpha1.Exemption) sarifResult {
	result := s.result(r, x.Check, x.Object, x.Message, sarifResultProps{x.Severity, x.Path, x.Container, nil})
	result.Suppressions = []sarifSuppression{{"external", "accepted", fmt.Sprintf("%s/%s: %s", x.ExceptionKind, x.Exception, x.Reason)}}
	return result
}

func (s *sarif) result(r *v1alpha1.SecurityReport, check string, object *v1alpha1.ObjectReference, message string, props sarifResultProps) sarifResult {
	level, _ := sarifSeverity(props.Severity)
	return sarifResult{
		RuleID: check, RuleIndex: s.rules[check], Level: level, Message: sarifText{Text: message},
		Locations:           []sarifLocation{s.location(r, object, props.Path)},
		PartialFingerprints: fingerprints(r.Namespace, about(r, object), r.Subject.Kind, r.Subject.Name, check, props.Path), Properties: props,
	}
}

// fingerprints tell that a finding is the one of another run: not by lines, nor by anything else that moves with edits elsewhere.
func fingerprints(parts ...string) map[string]string {
	encoded, _ := json.Marshal(parts) // strings always can be
	sum := sha256.Sum256(encoded)
	fingerprint := hex.EncodeToString(sum[:16])
	return map[string]string{"kubersafe/v1": fingerprint, "primaryLocationLineHash": fingerprint} // GitHub goes by the latter alone
}

func (s *sarif) location(r *v1alpha1.SecurityReport, object *v1alpha1.ObjectReference, path string) sarifLocation {
	subject := about(r, object)
	full := subject
	if r.Namespace != "" {
		full = r.Namespace + "/" + subject
	}
	l := sarifLocation{Logical: []sarifLogical{{subject, full, "resource"}}}
	if place, ok := s.place(r, object, path); ok && place.File != "" {
		l.Physical = &sarifPhysical{}
		l.Physical.Artifact.URI, l.Physical.Region.StartLine = fileURI(place.File), place.Line
	}
	return l
}

// fileURI returns the relative reference of a path from the current folder, or the URI of an absolute one.
func fileURI(path string) string {
	slashed := filepath.ToSlash(filepath.Clean(path))
	switch {
	case strings.HasPrefix(slashed, "/"):
		return (&url.URL{Scheme: "file", Path: slashed}).String()
	case filepath.IsAbs(path): // with the letter of a drive
		return (&url.URL{Scheme: "file", Path: "/" + slashed}).String()
	}
	return (&url.URL{Path: slashed}).String()
}

// notifications tell of the checks that could not look at a subject, and of findings that its report does not list.
func (s *sarif) notifications(r *v1alpha1.SecurityReport) []sarifNotification {
	var out []sarifNotification
	tell := func(rule *sarifRuleRef, format string, args ...any) {
		message := sarifText{Text: fmt.Sprintf(format, args...)}
		out = append(out, sarifNotification{"warning", message, rule, []sarifLocation{s.location(r, nil, "")}})
	}
	for i := range r.Skips {
		skip := &r.Skips[i]
		if isExcluded(r) {
			tell(nil, "skipped (%s): %s", skip.Reason, skip.Message)
			break // one is enough
		}
		tell(&sarifRuleRef{skip.Check}, "skipped (%s): %s", skip.Reason, skip.Message)
	}
	if r.OmittedFindings > 0 {
		tell(nil, "and %d more findings that are counted but not listed", r.OmittedFindings)
	}
	return out
}

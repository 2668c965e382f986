// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package output

import (
	"bytes"
	"cmp"
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
		FullDescription      sarifText      `json:"fullDescription"`
		Help                 sarifText      `json:"help"`
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
		Locations      []sarifLocation `json:"locations,omitempty"`
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
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   struct {
			StartLine int `json:"startLine"`
		} `json:"region"`
	}
	sarifArtifact struct {
		URI       string `json:"uri"`
		URIBaseID string `json:"uriBaseId,omitempty"`
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

// maxCodeScanning is how many results GitHub takes of a run; it refuses the file if there are more, and shows the worst 5,000:
// https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
const maxCodeScanning = 25_000

// SARIFWarning tells that code scanning will not take an audit; "" if it will.
func SARIFWarning(a *Audit) string {
	results := 0
	for _, r := range a.Reports {
		results += len(r.Findings) + len(r.Exemptions)
	}
	if results <= maxCodeScanning {
		return ""
	}
	return fmt.Sprintf("these are %d results: code scanning on GitHub takes no more than %d in a file", results, maxCodeScanning)
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
	}
	invocation.Notifications = s.notifications()
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
	// worst severity of the findings of each check that has anything to say, by id: that of the check where nobody knows it.
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
		// GitHub grades by the rule, so that must not depend on what is found today. Of a check that is not known, nothing else is.
		severity := cmp.Or(c.Severity, s.worst[id])
		level, security := sarifSeverity(severity)
		rule := sarifRule{
			ID: id, ShortDescription: sarifText{Text: c.Title}, DefaultConfiguration: sarifLevel{level},
			FullDescription: sarifText{Text: c.Title}, Help: sarifText{Text: unknownHelp},
			Properties: sarifRuleProps{Tags: []string{"security", "kubernetes", string(c.Category)}, SecuritySeverity: security},
		}
		for _, control := range c.Controls {
			rule.Properties.Tags = append(rule.Properties.Tags, string(control.Framework)+"/"+control.ID)
		}
		if c.Rationale != "" {
			rule.FullDescription = sarifText{Text: c.Rationale}
			rule.Help = sarifText{Text: "Why: " + c.Rationale + "\nHow to fix: " + c.Remediation, Markdown: helpOf(c)}
		}
		d.Rules = append(d.Rules, rule)
	}
	return d
}

// unknownHelp explains a check that is not known, as one of users' own may be. Code scanning requires help of every rule.
const unknownHelp = "See the message of the finding, and the AuditConfiguration that has this check."

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
		RuleID: check, RuleIndex: s.rules[check], Level: level, Message: messageOf(message),
		Locations:           []sarifLocation{s.location(r, object, props.Path)},
		PartialFingerprints: fingerprints(r.Namespace, about(r, object), kindOf(&r.Subject), r.Subject.Name, check, props.Path), Properties: props,
	}
}

// notPlain are the characters that mean something in a message of SARIF: braces are of placeholders (§3.11.5) and brackets of
// links (§3.11.6).
var notPlain = strings.NewReplacer("{", "{{", "}", "}}", "[", `\[`, "]", `\]`, `\`, `\\`)

func messageOf(text string) sarifText { return sarifText{Text: notPlain.Replace(text)} }

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
		l.Physical = &sarifPhysical{Artifact: artifactOf(place.File)}
		l.Physical.Region.StartLine = place.Line
	}
	return l
}

// artifactOf returns where a file is: relative to the root of the sources, which is taken to be the current folder, or as the URI
// of a file outside of it.
func artifactOf(path string) sarifArtifact {
	path = filepath.Clean(path)
	if filepath.IsLocal(path) {
		return sarifArtifact{(&url.URL{Path: filepath.ToSlash(path)}).String(), "%SRCROOT%"}
	}
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") { // it begins with the letter of a drive
		slashed = "/" + slashed
	}
	return sarifArtifact{URI: (&url.URL{Scheme: "file", Path: slashed}).String()}
}

// notifications tell of the checks that could not look, once for each reason, and of findings that reports do not list.
func (s *sarif) notifications() []sarifNotification {
	var out []sarifNotification
	tell := func(rule *sarifRuleRef, at []sarifLocation, format string, args ...any) {
		out = append(out, sarifNotification{"warning", messageOf(fmt.Sprintf(format, args...)), rule, at})
	}
	for _, skip := range skippedIn(s.Reports) {
		var rule *sarifRuleRef
		if _, known := s.rules[skip.check]; known {
			rule = &sarifRuleRef{skip.check}
		}
		var at []sarifLocation
		if len(skip.reports) == 1 {
			at = []sarifLocation{s.location(skip.reports[0], nil, "")}
		}
		tell(rule, at, "skipped on %s (%s): %s", skip.on(), skip.reason, skip.message)
	}
	for _, r := range s.Reports {
		if r.OmittedFindings > 0 {
			tell(nil, []sarifLocation{s.location(r, nil, "")}, "%s", notListed(int(r.OmittedFindings)))
		}
	}
	return out
}

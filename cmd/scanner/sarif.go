// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/match"
	"github.com/kubersafe/kubersafe/internal/plain"
)

// What of SARIF 2.1.0 it takes to show vulnerabilities where code is reviewed.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		Version        string      `json:"version"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID               string            `json:"id"`
		ShortDescription sarifText         `json:"shortDescription"`
		HelpURI          string            `json:"helpUri"`
		Properties       map[string]string `json:"properties,omitempty"`
	}
	// sarifInvocation tells whether everything could be judged.
	sarifInvocation struct {
		ExecutionSuccessful        bool                `json:"executionSuccessful"`
		ToolExecutionNotifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level   string    `json:"level"`
		Message sarifText `json:"message"`
	}
	sarifResult struct {
		RuleID              string            `json:"ruleId"`
		RuleIndex           int               `json:"ruleIndex"`
		Level               string            `json:"level"`
		Message             sarifText         `json:"message"`
		Locations           []sarifLocation   `json:"locations"`
		PartialFingerprints map[string]string `json:"partialFingerprints"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifLocation struct {
		PhysicalLocation sarifPhysicalLocation `json:"physicalLocation"`
	}
	sarifPhysicalLocation struct {
		ArtifactLocation sarifArtifactLocation `json:"artifactLocation"`
	}
	sarifArtifactLocation struct {
		URI string `json:"uri"`
	}
)

func newSARIF(list []*scanned) *sarifLog {
	run := sarifRun{
		Tool: sarifTool{sarifDriver{
			Name: "kubersafe-scanner", Version: version, InformationURI: "https://github.com/kubersafe/kubersafe", Rules: []sarifRule{},
		}},
		Results: []sarifResult{},
	}
	invocation := sarifInvocation{ExecutionSuccessful: true}
	rules := make(map[string]int)
	for _, s := range list {
		if s.report.State != v1alpha1.ImageScanned {
			invocation.ExecutionSuccessful = false
			message := s.report.Message
			if len(list) > 1 {
				message = s.report.Image.Name + ": " + message
			}
			invocation.ToolExecutionNotifications = append(invocation.ToolExecutionNotifications, sarifNotification{"error", sarifText{message}})
		}
		for i := range s.result.Vulnerabilities {
			v := &s.result.Vulnerabilities[i]
			index, ok := rules[v.ID]
			if !ok {
				index = len(run.Tool.Driver.Rules)
				rules[v.ID] = index
				run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, ruleOf(v))
			}
			run.Results = append(run.Results, sarifResult{
				RuleID: v.ID, RuleIndex: index, Level: sarifLevel(v.Severity), Message: sarifText{sarifMessage(v)},
				Locations: []sarifLocation{{sarifPhysicalLocation{sarifArtifactLocation{uriOf(s.report.Image.Name, v.Path)}}}},
				// What makes it the same finding in the next image.
				PartialFingerprints: map[string]string{"vulnerability/v1": strings.Join([]string{v.ID, v.Ecosystem, v.Package}, " ")},
			})
		}
	}
	run.Invocations = []sarifInvocation{invocation}
	return &sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}
}

func ruleOf(v *match.Vulnerability) sarifRule {
	rule := sarifRule{
		ID: v.ID, ShortDescription: sarifText{plain.Clean(cmp.Or(v.Summary, v.ID), v1alpha1.MaxMessage)}, HelpURI: "https://osv.dev/vulnerability/" + v.ID,
	}
	if v.CVSS != nil {
		rule.Properties = map[string]string{"security-severity": v.CVSS.Score} // by which GitHub sorts
	}
	return rule
}

func sarifMessage(v *match.Vulnerability) string {
	message := fmt.Sprintf("package %q %s must not be used: %s (%s)", v.Package, v.InstalledVersion, v.ID, v.Severity)
	if v.FixedVersion != "" {
		message += fmt.Sprintf("; version %s mends it", v.FixedVersion)
	}
	return plain.Clean(message, v1alpha1.MaxMessage)
}

func sarifLevel(s v1alpha1.VulnerabilitySeverity) string {
	switch s {
	case v1alpha1.VulnerabilityCritical, v1alpha1.VulnerabilityHigh:
		return "error"
	case v1alpha1.VulnerabilityMedium:
		return "warning"
	default:
		return "note"
	}
}

// uriOf is the place of a finding. SARIF has no place for images, so it is a path in one.
func uriOf(image, path string) string {
	escape := strings.NewReplacer("%", "%25", " ", "%20", "#", "%23", "?", "%3F", "@", "/", ":", "/")
	return escape.Replace(plain.Printable(strings.Trim(image+"/"+path, "/")))
}

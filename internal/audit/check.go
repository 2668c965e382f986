// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audit judges: plain data in, findings out. It knows no client, no clock and no I/O, so that the operator, the
// command line, benchmarks and tests all run the same code.
package audit

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// Check is one security practice: what it is called, why it matters, how to follow it, and the function that finds
// where it is not followed. The function is pure: it sees plain data and a Reporter, and nothing else.
type Check struct {
	// ID names the check for ever: in reports, metrics, exceptions and docs. Kebab-case.
	ID string
	// Title is the practice in a few words, without a period.
	Title string
	// Severity of its findings where the function does not say otherwise.
	Severity v1alpha1.Severity
	// Category groups it with related checks.
	Category Category
	// Rationale is what an attacker gains, in one sentence. Custom checks have neither it nor the next three.
	Rationale string
	// Remediation is what to type, in one sentence.
	Remediation string
	// Before and After are a piece of a manifest that violates the check and the same piece mended.
	Before, After string
	// Controls of published standards that ask for the same.
	Controls []Control
	// References are addresses of the standards and documents behind the check.
	References []string
	// Needs are the resources without which the check cannot tell; it is skipped while one is unavailable. The resources
	// that the subject itself comes from need not be named.
	Needs []Resource
	// LiveOnly is what the check needs and only a cluster shows, to end "manifests do not show …"; "" if manifests show it all.
	// What it finds in manifests all the same, such as those of live Pods, counts; it is never passed there. Not for Namespace.
	LiveOnly string
	// Off leaves the check out of what runs. It is listed and explained like any other.
	Off bool
	// Setting says, in a few words, what must be set in the AuditConfiguration for the check to run; "" if nothing must.
	// Applies says whether it is.
	Setting string
	Applies func(*Settings) bool
	// Regraded says that all findings have the check's Severity, whatever the function says.
	Regraded bool

	// Pod judges what a Pod may do, in templates and live Pods alike. One of Pod, Image, Placed, Running, Connected, Scanned and Exposed is
	// set, or Namespace, or Namespace beside Connected: then workloads are judged by what sets them apart. In custom checks Namespace
	// may stand beside Pod or Placed too.
	Pod func(*Pod, *Reporter)
	// Image judges the image of each container of a Pod.
	Image func(Image, *Reporter)
	// Placed judges a Pod where what it may do depends on its namespace.
	Placed func(*PlacedPod, *Reporter)
	// Labelled says that Placed looks at the labels of the Pod or of its namespace.
	Labelled bool
	// Running judges how a workload runs: where its Pods are, what their containers do, how they come by a new template.
	Running func(*RunningWorkload, *Reporter)
	// Connected judges whom a Pod can connect to and who to it.
	Connected func(*ConnectedPod, *Reporter)
	// Scanned judges the image of each container of a Pod by what an ImageReport tells of it. It is skipped while ImageReports cannot
	// be read; Needs need not name them.
	Scanned func(*ScannedImage, *Reporter)
	// Exposed judges a Pod by all that is known of its workload: the ways into it, what the other checks find, and what it may do.
	Exposed func(*ExposedPod, *Reporter)
	// Namespace judges what belongs to a namespace as a whole.
	Namespace func(*Namespace, *Reporter)

	// Role judges a Role or ClusterRole, and Binding a RoleBinding or ClusterRoleBinding. One or both are set, and no other. Those of
	// a namespace are judged with it; findings in them need no Object.
	Role    func(*Role, *Reporter)
	Binding func(*Binding, *Reporter)

	// Node judges a node. Of this and the next two one function is set, and no other.
	Node func(*Node, *Reporter)
	// ControlPlane judges the control plane as a whole: its version, its programs and their flags.
	ControlPlane func(*Cluster, *Reporter)
	// Admission judges what the cluster lets in: admission policies, webhooks, plugins.
	Admission func(*Cluster, *Reporter)
}

// JudgesWorkloads says whether workloads are subjects of the check.
func (c *Check) JudgesWorkloads() bool {
	return c.Pod != nil || c.Image != nil || c.Placed != nil || c.Running != nil || c.Connected != nil || c.Scanned != nil || c.Exposed != nil
}

// JudgesNamespaces says whether namespaces are subjects of the check.
func (c *Check) JudgesNamespaces() bool { return c.Namespace != nil || c.judgesAccess() }

// judgesAccess says whether roles or bindings are subjects of the check, or parts of its subjects.
func (c *Check) judgesAccess() bool { return c.Role != nil || c.Binding != nil }

// Judges says whether subjects of that sort are subjects of the check.
func (c *Check) Judges(s Sort) bool {
	switch s {
	case SortWorkload:
		return c.JudgesWorkloads()
	case SortNamespace:
		return c.JudgesNamespaces()
	case SortNode:
		return c.Node != nil
	case SortControlPlane:
		return c.ControlPlane != nil
	case SortAdmission:
		return c.Admission != nil
	case SortClusterRole:
		return c.Role != nil
	case SortClusterRoleBinding:
		return c.Binding != nil
	}
	return false
}

// JudgesCluster says whether subjects that belong to no namespace are subjects of the check.
func (c *Check) JudgesCluster() bool {
	return c.Node != nil || c.ControlPlane != nil || c.Admission != nil || c.judgesAccess()
}

// Subjects returns the resources without which the check does not see all of its subjects. They must not be changed.
func (c *Check) Subjects() []Resource {
	switch {
	case c.Node != nil:
		return []Resource{Nodes}
	case c.judgesAccess():
		return append([]Resource{Namespaces}, PowerResources...)
	case c.JudgesCluster():
		return nil // they are always there
	case !c.JudgesNamespaces():
		return workloadResources
	case !c.JudgesWorkloads():
		return []Resource{Namespaces}
	}
	return append([]Resource{Namespaces}, workloadResources...)
}

// Control is a control of a published standard.
type Control struct {
	Framework Framework
	// ID is the control's number or name in the standard.
	ID string
}

// Framework is a published standard. It is a label value of metrics: a closed set.
type Framework string

// The frameworks.
const (
	// FrameworkPSS are the Pod Security Standards of Kubernetes. Their controls are "Baseline: …" and "Restricted: …", as
	// headed in the standard.
	FrameworkPSS Framework = "pss"
	// FrameworkCIS is the CIS Kubernetes Benchmark 1.12. Its controls are numbers such as "5.2.2".
	FrameworkCIS Framework = "cis"
	// FrameworkNSA is the Kubernetes Hardening Guide 1.2 of NSA and CISA. Its controls are the headings of its sections.
	FrameworkNSA Framework = "nsa"
	// FrameworkOWASP is the OWASP Kubernetes Top Ten of 2022. Its controls are numbers such as "K01".
	FrameworkOWASP Framework = "owasp"
	// FrameworkMITRE is the matrix for Containers of MITRE ATT&CK 15. Its controls are techniques such as "T1611".
	FrameworkMITRE Framework = "mitre"
)

var frameworks = map[Framework]bool{
	FrameworkPSS: true, FrameworkCIS: true, FrameworkNSA: true, FrameworkOWASP: true, FrameworkMITRE: true,
}

var validID = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// ValidateID says what is wrong with the id of a check.
func ValidateID(id string) error {
	if !validID.MatchString(id) || len(id) > v1alpha1.MaxKind {
		return fmt.Errorf("id must be kebab-case of at most %d characters", v1alpha1.MaxKind)
	}
	return nil
}

// Validate says everything that is not complete about the check.
func (c *Check) Validate() error {
	var errs []error
	if err := ValidateID(c.ID); err != nil {
		errs = append(errs, err)
	}
	if c.Title == "" || strings.HasSuffix(c.Title, ".") {
		errs = append(errs, errors.New("title must not be empty and must not end with a period"))
	}
	if Rank(c.Severity) == 0 {
		errs = append(errs, fmt.Errorf("severity %q is none of %v", c.Severity, Severities))
	}
	if !categories[c.Category] {
		errs = append(errs, fmt.Errorf("category %q is unknown", c.Category))
	}
	if (c.Setting == "") != (c.Applies == nil) {
		errs = append(errs, errors.New("setting and applies belong together"))
	}
	if c.Category != CategoryCustom {
		errs = append(errs, c.validateTexts()...)
	}
	for _, control := range c.Controls {
		if !frameworks[control.Framework] || control.ID == "" {
			errs = append(errs, fmt.Errorf("control %q of framework %q is unknown", control.ID, control.Framework))
		}
	}
	for _, r := range c.References {
		if !strings.HasPrefix(r, "https://") {
			errs = append(errs, fmt.Errorf("reference %q must start with https://", r))
		}
	}
	if strings.HasSuffix(c.LiveOnly, ".") || c.LiveOnly != "" && c.Namespace != nil {
		errs = append(errs, errors.New("what only a cluster shows must not end with a period, and must not be of a check on namespaces"))
	}
	if err := c.validateFunctions(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// validateTexts says what is missing for users of a check that is ours.
func (c *Check) validateTexts() []error {
	var errs []error
	for field, text := range map[string]string{"rationale": c.Rationale, "remediation": c.Remediation} {
		if !strings.HasSuffix(text, ".") {
			errs = append(errs, fmt.Errorf("%s must be a sentence that ends with a period", field))
		}
	}
	if c.Before == "" || c.After == "" {
		errs = append(errs, errors.New("before and after must show a piece of a manifest"))
	}
	return errs
}

func (c *Check) validateFunctions() error {
	functions := 0
	for _, set := range []bool{
		c.Pod != nil, c.Image != nil, c.Placed != nil, c.Running != nil, c.Connected != nil, c.Scanned != nil, c.Exposed != nil, c.Node != nil, c.ControlPlane != nil, c.Admission != nil,
		c.judgesAccess(),
	} {
		if set {
			functions++
		}
	}
	if c.Namespace != nil && c.Connected == nil && (c.Category != CategoryCustom || functions == 0) {
		functions++
	}
	if functions != 1 {
		return errors.New("exactly one function must be set, or Connected and Namespace together")
	}
	if c.Labelled && c.Placed == nil {
		return errors.New("what looks at labels must be Placed")
	}
	return nil
}

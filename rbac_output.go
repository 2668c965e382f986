// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/internal/output"
	"github.com/kubersafe/kubersafe/internal/rbac"
	"github.com/kubersafe/kubersafe/internal/report"
)

// covered is how far an answer is the whole one.
type covered struct {
	Coverage       rbac.Coverage `json:"coverage"`
	CoverageReason string        `json:"coverageReason,omitempty"`
	Warnings       []string      `json:"warnings,omitempty"`
}

func (p *permissions) covered() covered { return covered{p.coverage, p.whyNotAll, p.warnings} }

type objectRef struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// String returns RoleBinding/shop/ci, ClusterRole/edit.
func (o objectRef) String() string {
	if o.Namespace != "" {
		return report.CleanName(o.Kind + "/" + o.Namespace + "/" + o.Name)
	}
	return report.CleanName(o.Kind + "/" + o.Name)
}

// grant is a role that a binding gives.
type grant struct {
	Binding *objectRef `json:"binding,omitempty"`
	Role    objectRef  `json:"role"`
	// To is who is bound, if it is not the subject itself.
	To *rbac.Subject `json:"to,omitempty"`
	// Missing says that the role does not exist.
	Missing bool `json:"missing,omitempty"`
	// Default says that Kubernetes made both.
	Default bool                `json:"default,omitempty"`
	Rules   []rbacv1.PolicyRule `json:"rules,omitempty"`
}

// grantOf returns a grant without its rules.
func grantOf(g *rbac.Grant, subject rbac.Subject) grant {
	out := grant{Role: objectRef{g.Role.Kind(), g.Role.Namespace, g.Role.Name}, Missing: !g.Exists, Default: g.Default}
	if g.Binding != (rbac.BindingKey{}) {
		out.Binding = &objectRef{g.Binding.Kind(), g.Binding.Namespace, g.Binding.Name}
		if g.To != subject {
			out.To = &g.To
		}
	}
	return out
}

// String returns "RoleBinding/shop/ci to ClusterRole/edit".
func (g grant) String() string {
	if g.Binding == nil {
		return g.Role.String()
	}
	text := g.Binding.String() + " to " + g.Role.String()
	if g.To != nil {
		text += ", as " + objectRef(*g.To).String()
	}
	return text
}

func (p *permissions) printHolders(out io.Writer, request rbac.Request, holders []rbac.Holder, format string) error {
	type holder struct {
		rbac.Subject
		Everywhere bool     `json:"everywhere"`
		Namespaces []string `json:"namespaces,omitempty"`
		Through    []grant  `json:"through"`
	}
	list := []holder{}
	for _, h := range holders {
		one := holder{h.Subject, h.Everywhere, h.Namespaces, []grant{}}
		for i := range h.Through {
			one.Through = append(one.Through, grantOf(&h.Through[i], h.Subject))
		}
		list = append(list, one)
	}
	if format == "json" {
		return output.JSON(out, struct {
			Request rbac.Request `json:"request"`
			covered
			Subjects []holder `json:"subjects"`
		}{request, p.covered(), list})
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "Nobody, but for what Kubernetes made itself.")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "KIND\tNAME\tNAMESPACE\tWHERE\tTHROUGH")
	for _, h := range list {
		through := make([]string, 0, len(h.Through))
		for _, g := range h.Through {
			through = append(through, g.String())
		}
		if len(through) == 0 {
			through = []string{"it may do everything"}
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", h.Kind, report.CleanName(h.Name), report.CleanName(h.Namespace), where(h.Everywhere, h.Namespaces), through[0])
		for _, t := range through[1:] {
			fmt.Fprintf(table, "\t\t\t\t%s\n", t)
		}
	}
	return table.Flush()
}

func where(everywhere bool, namespaces []string) string {
	if everywhere {
		return "everywhere"
	}
	return sources{Namespaces: namespaces}.String()
}

type stepOutput struct {
	From        string             `json:"from"`
	To          string             `json:"to"`
	Text        string             `json:"text"`
	Permissions []permissionOutput `json:"permissions"`
}

type permissionOutput struct {
	rbac.Request
	By grant `json:"by"`
}

func stepsOf(path *rbac.Path) []stepOutput {
	steps := []stepOutput{}
	for i := range path.Steps {
		s := &path.Steps[i]
		one := stepOutput{s.From, s.To, s.Text, []permissionOutput{}}
		for j := range s.Permissions {
			permission := &s.Permissions[j]
			by := grantOf(&permission.By, rbac.Subject{})
			one.Permissions = append(one.Permissions, permissionOutput{permission.Request, by})
		}
		steps = append(steps, one)
	}
	return steps
}

func (p *permissions) printPaths(out io.Writer, paths []rbac.Path, format string) error {
	type reaching struct {
		rbac.Subject
		Steps []stepOutput `json:"steps"`
	}
	list := []reaching{}
	for i := range paths {
		list = append(list, reaching{paths[i].Subject, stepsOf(&paths[i])})
	}
	if format == "json" {
		return output.JSON(out, struct {
			covered
			Subjects []reaching `json:"subjects"`
		}{p.covered(), list})
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "Nobody is known to, but for what Kubernetes made itself.")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "KIND\tNAME\tNAMESPACE\tSTEPS\tHOW")
	for _, r := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", r.Kind, report.CleanName(r.Name), report.CleanName(r.Namespace), len(r.Steps), r.Steps[0].Text)
		for _, s := range r.Steps[1:] {
			fmt.Fprintf(table, "\t\t\t\t%s\n", s.Text)
		}
	}
	return table.Flush()
}

func (p *permissions) printSubject(out io.Writer, subject rbac.Subject, grants []rbac.Grant, format string) error {
	path, reaches := p.cluster.Path(subject)
	list := []grant{}
	for i := range grants {
		g := grantOf(&grants[i], subject)
		g.Rules = grants[i].Rules
		list = append(list, g)
	}
	if format == "json" {
		return output.JSON(out, struct {
			Subject rbac.Subject `json:"subject"`
			covered
			Grants      []grant      `json:"grants"`
			StepToAdmin []stepOutput `json:"stepsToAdmin"`
		}{subject, p.covered(), list, stepsOf(&path)})
	}
	if len(list) == 0 {
		fmt.Fprintf(out, "%s is bound to nothing.\n", subject)
	} else if err := printRules(out, list); err != nil {
		return err
	}
	if !reaches {
		_, err := fmt.Fprintln(out, "\nNo way to become cluster-admin is known.")
		return err
	}
	fmt.Fprintf(out, "\nIt becomes cluster-admin in %s:\n", output.Count(len(path.Steps), "step"))
	for i, s := range path.Steps {
		fmt.Fprintf(out, "  %d. %s.\n", i+1, s.Text)
	}
	return nil
}

// printRules prints the rules of grants, one a line.
func printRules(out io.Writer, grants []grant) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "WHERE\tVERBS\tNAMES\tTHROUGH\tRESOURCES")
	for _, g := range grants {
		scope := where(g.Binding.Namespace == "", []string{report.CleanName(g.Binding.Namespace)})
		if g.Missing {
			fmt.Fprintf(table, "%s\t\t\t%s\tnothing: the role is missing\n", scope, g)
		}
		for i := range g.Rules {
			r := &g.Rules[i]
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", scope, words(r.Verbs), words(r.ResourceNames), g, resourcesOf(r))
		}
	}
	return table.Flush()
}

func words(list []string) string {
	cleaned := make([]string, 0, len(list))
	for _, s := range list {
		cleaned = append(cleaned, report.CleanName(s))
	}
	return strings.Join(cleaned, ", ")
}

// resourcesOf returns "pods, deployments.apps, /metrics".
func resourcesOf(r *rbacv1.PolicyRule) string {
	var list []string
	for _, group := range r.APIGroups {
		for _, resource := range r.Resources {
			name, subresource, isSub := strings.Cut(resource, "/")
			if group != "" {
				name += "." + group
			}
			if isSub {
				name += "/" + subresource
			}
			list = append(list, name)
		}
	}
	return words(append(list, r.NonResourceURLs...))
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// A fault in access is told once. What a role allows is told of the role, where its rules are. Of a binding it is told only where
// the role is Kubernetes' own, which is as it should be, and then only the worst: that it gives everything, or leads to
// cluster-admin, or the first of these powers, or wildcards.

// power is something that rules can allow and that few should have.
type power struct {
	requests []rbac.Request
	// named says that rules which name single objects count too. Otherwise only rbac-privilege-path tells what these lead to.
	named bool
	// within is the severity where it reaches single namespaces only; "" if that makes no difference.
	within v1alpha1.Severity
	// worse says where that does not hold: it is as bad in such a namespace as anywhere. nil: nowhere.
	worse func(*audit.Namespace) bool
}

var worst = []*power{
	&nodeProxy, &escalates, &execsPods, &readsSecrets, &createsTokens, &approvesCSR, &editsWebhooks, &editsPersistentVolumes, &editsNodes, &createsPods,
	&editsNetworkPolicies,
}

// requestsFor returns the requests with each of the verbs on each of the resources of a group.
func requestsFor(group string, resources, verbs []string) []rbac.Request {
	var list []rbac.Request
	for _, resource := range resources {
		name, subresource, _ := strings.Cut(resource, "/")
		for _, verb := range verbs {
			list = append(list, rbac.Request{Verb: verb, Group: group, Resource: name, Subresource: subresource})
		}
	}
	return list
}

// role judges what a role allows.
func (p *power) role(role *audit.Role, r *audit.Reporter) {
	within := role.Namespace != "" || role.Bound == rbac.InNamespaces
	severity := v1alpha1.Severity("")
	if role.Bound == rbac.InNamespaces && (p.allowedBy(role.Rules, within) == "" || !p.worseIn(role.In)) {
		severity = p.within
	}
	findRules(role, r, severity, func(rules []rbacv1.PolicyRule) string {
		if what := p.allowedBy(rules, within); what != "" {
			return "allow " + what
		}
		return ""
	})
}

// binding judges what a binding gives of a role that is Kubernetes' own. Of others their role tells, but a ClusterRole does not tell
// where it is worse.
func (p *power) binding(b *audit.Binding, r *audit.Reporter) {
	if !b.RoleDefault && (p.worse == nil || b.In == nil || b.Role.Namespace != "") || !gives(b) {
		return
	}
	what := p.allowedBy(b.Rules, b.Namespace != "")
	if what == "" || b.RoleDefault && worstOf(b) != p {
		return
	}
	severity := v1alpha1.Severity("")
	switch {
	case p.worseIn(b.In):
	case !b.RoleDefault:
		if u := b.In.MissingWorkloads(); u != nil {
			r.SkipUnavailable(u)
		}
		return
	case b.Namespace != "":
		severity = p.within
	}
	findRoleRef(b, r, severity, "give "+what)
}

// worseIn says whether it is as bad in a namespace, which may be nil, as anywhere.
func (p *power) worseIn(ns *audit.Namespace) bool { return ns != nil && p.worse != nil && p.worse(ns) }

// worstOf returns the worst power that a binding gives, or nil.
func worstOf(b *audit.Binding) *power {
	for _, p := range worst {
		if p.allowedBy(b.Rules, b.Namespace != "") != "" {
			return p
		}
	}
	return nil
}

// isPowerful says whether rules allow anything in the cluster that few should have.
func isPowerful(rules []rbacv1.PolicyRule) bool {
	return wildcard(rules) != "" || slices.ContainsFunc(worst, func(p *power) bool { return p.allowedBy(rules, false) != "" })
}

// allowedBy tells what of it rules allow, or returns ""; within says that they are in effect in namespaces only. Of rules that allow
// all verbs on all resources rbac-wildcard tells.
func (p *power) allowedBy(rules []rbacv1.PolicyRule, within bool) string {
	var what []string
	for i := range rules {
		if slices.Contains(rules[i].Verbs, rbacv1.VerbAll) && slices.Contains(rules[i].Resources, rbacv1.ResourceAll) {
			continue
		}
		for _, request := range rbac.Requested(&rules[i], p.requests, p.named) {
			if within && !request.InNamespaces() {
				continue
			}
			text := request.Verb + " " + request.Resource
			if request.Group != "" {
				text += "." + request.Group
			}
			if request.Subresource != "" {
				text += "/" + request.Subresource
			}
			if text = strconv.Quote(text); !slices.Contains(what, text) {
				what = append(what, text)
			}
		}
	}
	return listed(what)
}

// listed tells the first of several things.
func listed(list []string) string {
	const most = 5 // a message is read at a glance
	if len(list) > most {
		return strings.Join(list[:most], ", ") + " and more"
	}
	return strings.Join(list, ", ")
}

// findRules reports rules of a role of which wrong tells what they must not. Those of an aggregated role are one. What nobody can
// do yet is Low.
func findRules(role *audit.Role, r *audit.Reporter, severity v1alpha1.Severity, wrong func([]rbacv1.PolicyRule) string) {
	find := func(path string, rules []rbacv1.PolicyRule) {
		what := wrong(rules)
		if what == "" {
			return
		}
		f := audit.Finding{Message: role.Title() + " must not " + what, Path: path, Severity: severity}
		if role.Bound == rbac.Unbound {
			f.Message, f.Severity = f.Message+"; it is bound to nobody", v1alpha1.SeverityLow
		}
		r.Find(f)
	}
	if role.Aggregated {
		find("aggregationRule", role.Rules)
		return
	}
	for i := range role.Rules {
		find(fmt.Sprintf("rules[%d]", i), role.Rules[i:i+1])
	}
}

// given returns a check of what bindings give. It is skipped where that is not known: a role that no manifest describes may be in the
// cluster.
func given(judge func(*audit.Binding, *audit.Reporter)) func(*audit.Binding, *audit.Reporter) {
	return func(b *audit.Binding, r *audit.Reporter) {
		if b.FromManifests && !b.Exists {
			r.Skip(v1alpha1.SkipDataMissing, "no manifest describes "+b.RoleTitle())
			return
		}
		judge(b, r)
	}
}

// findRoleRef reports a binding for its role.
func findRoleRef(b *audit.Binding, r *audit.Reporter, severity v1alpha1.Severity, what string) {
	r.Find(audit.Finding{
		Message: fmt.Sprintf("%s must not %s to %s by %s", b.Title(), what, subjects(ordinary(b)), b.RoleTitle()), Path: "roleRef", Severity: severity,
	})
}

// findSubjects reports a binding for some of its subjects, if there are any.
func findSubjects(b *audit.Binding, r *audit.Reporter, list []rbac.Subject, what string) {
	if len(list) > 0 {
		r.Find(audit.Finding{Message: b.Title() + " must not " + fmt.Sprintf(what, subjects(list)), Path: "subjects"})
	}
}

// subjects names them: `User "alice", ServiceAccount "shop/ci"`.
func subjects(list []rbac.Subject) string {
	names := make([]string, 0, len(list))
	for _, s := range list {
		names = append(names, s.String())
	}
	return listed(names)
}

// subjectsOf returns those subjects of a binding that are picked, in its order.
func subjectsOf(b *audit.Binding, picked func(rbac.Subject) bool) []rbac.Subject {
	var list []rbac.Subject
	for _, s := range b.Subjects {
		if picked(s) {
			list = append(list, s)
		}
	}
	return list
}

// Users and groups that stand for others than those whom somebody has chosen.
var (
	nobodies  = []rbac.Subject{rbac.User("system:anonymous"), rbac.Group("system:unauthenticated")}
	everybody = []rbac.Subject{rbac.Group("system:authenticated"), rbac.Group("system:serviceaccounts")}
)

// ordinary returns the subjects of which no other check tells that nobody must be bound to them.
func ordinary(b *audit.Binding) []rbac.Subject {
	return subjectsOf(b, func(s rbac.Subject) bool { return s != rbac.Group(rbac.Masters) && !slices.Contains(nobodies, s) })
}

// isOwn says whether a binding and its role are Kubernetes' own, and as they were made.
func isOwn(b *audit.Binding) bool { return b.Default && b.RoleDefault }

// isAdmin says whether a binding gives everything in the whole cluster.
func isAdmin(b *audit.Binding) bool { return b.Namespace == "" && b.Everything }

// givesAnything says whether somebody has made a binding that allows anything. One whose role is not there does not.
func givesAnything(b *audit.Binding) bool { return !b.Default && len(b.Rules) > 0 }

// gives says whether what a role allows by itself can be told of a binding: nothing worse is. admin, edit and view are made to be bound
// in namespaces.
func gives(b *audit.Binding) bool {
	return givesAnything(b) && !isAdmin(b) && b.Steps == 0 && len(ordinary(b)) > 0 && (b.Namespace == "" || !rbac.UserFacing(b.Role))
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"fmt"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

// tell puts a way into words. It returns false if there is none.
func (c *Cluster) tell(s Subject, w way) (Path, bool) {
	p := Path{Subject: s}
	as := ""
	for i := range w {
		l := &w[i]
		if l.step.by == byMembership {
			as = ", as a member of " + quoted("group", l.to.of.Name) + ","
			continue
		}
		step := Step{From: l.from.String(), To: l.to.String()}
		if as != "" {
			step.From = w[i-1].from.String() // several groups in a row: the first is the subject's
			for j := i - 1; j >= 0 && w[j].step.by == byMembership; j-- {
				step.From = w[j].from.String()
			}
		}
		for _, n := range l.step.needs {
			step.Permissions = append(step.Permissions, c.witness(&l.from, n))
		}
		step.Text = step.From + as
		if len(step.Permissions) > 0 {
			step.Text += " may " + sentence(step.Permissions)
		}
		step.Text += c.consequence(l)
		as = ""
		p.Steps = append(p.Steps, step)
	}
	return p, len(p.Steps) > 0
}

// sentence tells permissions. What several of them come by is told once.
func sentence(permissions []Permission) string {
	var text strings.Builder
	for i, p := range permissions {
		if i > 0 {
			text.WriteString(" and ")
		}
		text.WriteString(p.String())
		if by := p.By.String(); i+1 == len(permissions) || permissions[i+1].By.String() != by {
			text.WriteString(" (" + by + ")")
		}
	}
	return text.String()
}

func quoted(noun, name string) string { return fmt.Sprintf("%s %q", noun, name) }

// String names a place in a sentence.
func (p place) String() string {
	switch p.kind {
	case asSubject:
		return p.of.String()
	case onNode:
		return "root on a node"
	case inNamespace:
		return fmt.Sprintf("whoever may do everything in namespace %q", p.scope)
	case withRole:
		text := "whoever has " + p.of.String()
		if p.scope != "" {
			text += fmt.Sprintf(" in namespace %q", p.scope)
		}
		return text
	}
	return "cluster-admin"
}

// consequence tells what a step leads to.
func (c *Cluster) consequence(l *leg) string {
	to := l.to.String()
	switch l.step.by {
	case byMasters:
		return " may do everything, whatever roles say"
	case byPods, byTemplates:
		verb := "run a Pod"
		if l.step.by == byTemplates {
			verb = "make its Pods run"
		}
		if l.to.kind != onNode {
			return fmt.Sprintf(", and so %s as %s", verb, to)
		}
		return fmt.Sprintf(", and so %s with the files of a node mounted: Pod Security does not stop it in namespace %q", verb, c.hostPathFor(l.step))
	case byPodsInSpite:
		return ", and so run a Pod with the files of a node mounted, after lifting Pod Security there"
	case byVolumes:
		return ", and so mount the files of a node by a volume, which Pod Security does not look into"
	case byExec:
		return ", and so take the token of " + to + " from a Pod"
	case byPodChange:
		return ", and so run an image of its choice in a Pod of " + to
	case byTokens:
		return ", and so get a token of " + to
	case byNewSecret:
		return ", and so have a token of " + to + " made and read it"
	case bySecret:
		return ", and so read a token of " + to
	case byImpersonation:
		if l.to.kind == asAdmin {
			return ", and so act as a member of " + quoted("group", Masters)
		}
		return ", and so act as " + to
	case byEscalation:
		if l.to.kind == inNamespace {
			return fmt.Sprintf(", and so add every permission to that role, which it has in namespace %q", l.to.scope)
		}
		return ", and so add every permission to that role, which it has"
	case byNewRole:
		return fmt.Sprintf(", and so give itself every permission in namespace %q by a new role", l.to.scope)
	case byBinding:
		text := ", and so bind itself to "
		switch {
		case l.to.kind == withRole:
			return text + strings.TrimPrefix(to, "whoever has ")
		case l.step.to.kind == withRole:
			text += l.step.to.of.String()
		case l.step.to.kind == toRoles:
			text += "a Role"
		default:
			text += quoted(KindClusterRole, c.fullRole())
		}
		if l.to.kind == inNamespace {
			text += fmt.Sprintf(" in namespace %q", l.to.scope)
		}
		return text
	case byCertificate:
		return ", and so get a certificate as " + to
	case byNodeCertificate:
		return ", and so get the certificate of a node, and by it the token of " + to
	case byNodeProxy:
		if l.to.kind == asAdmin {
			return ", and so run commands in the Pods of the control plane"
		}
		return ", and so run commands in a Pod of " + to
	case byWebhook, byMutation:
		return ", and so change whatever anybody writes, roles and bindings included"
	case byNode:
		if l.to.kind == asAdmin {
			return " has the keys of the control plane, on one of its nodes"
		}
		return " has the tokens of all Pods there, such as those of " + to
	case byNamespace:
		if l.to.kind == onNode {
			return " can lift Pod Security there and run a Pod with the files of a node mounted"
		}
		return " can run a Pod as " + to
	}
	return "" // byEverything says it all
}

// hostPathFor returns a namespace in which a step can lead to a node.
func (c *Cluster) hostPathFor(s *step) string {
	if s.by == byPods {
		return c.hostPathIn(s.to.scope)
	}
	first := ""
	c.eachNamespace(s.to.scope, func(name string) {
		if first == "" && c.namespaces[name] && c.runs(name) == yes {
			first = name
		}
	})
	return first
}

// witness finds by what somebody has a power: the first request that is allowed, and the first grant that allows it.
func (c *Cluster) witness(who *place, n need) Permission {
	for _, r := range requests[n.power].any {
		r.Namespace, r.Name = n.scope, n.name
		if who.kind == withRole {
			if role := c.role(who.role()); role != nil && role.rules.allow(&r) {
				return Permission{r, Grant{Role: role.RoleKey, Exists: true, Default: role.standard, Rules: role.rules.list}}
			}
			continue
		}
		for _, to := range append([]Subject{who.of}, who.of.Groups()...) {
			for _, b := range c.bySubject[to] {
				if c.allowedBy(b, &r) {
					return Permission{r, c.grant(to, b)}
				}
			}
		}
	}
	return Permission{Request: requests[n.power].any[0]} // cannot be: the power came from there
}

// String tells a request: `create deployments.apps in namespace "shop"`.
func (r Request) String() string {
	if r.Path != "" {
		return r.Verb + " " + r.Path
	}
	if r.Verb == rbacv1.VerbAll && r.Group == rbacv1.APIGroupAll && r.Resource == rbacv1.ResourceAll {
		return "do everything"
	}
	text := r.Verb + " " + r.Resource
	if r.Group != "" {
		text += "." + r.Group
	}
	if r.Subresource != "" {
		text += "/" + r.Subresource
	}
	if r.Name != "" {
		text += fmt.Sprintf(" %q", r.Name)
	}
	switch {
	case r.Namespace != "" && r.Resource != "namespaces":
		text += fmt.Sprintf(" in namespace %q", r.Namespace)
	case r.Namespace == "" && r.namespaced():
		text += " in all namespaces"
	}
	return text
}

// String tells a grant: `RoleBinding "shop/ci", ClusterRole "edit"`.
func (g Grant) String() string {
	role := g.Role.String()
	if g.Binding == (BindingKey{}) {
		return role
	}
	return g.Binding.String() + ", " + role
}

// String returns `ClusterRole "edit"`, `Role "shop/ci"`.
func (k RoleKey) String() string { return Subject{k.Kind(), k.Namespace, k.Name}.String() }

// String returns `ClusterRoleBinding "ci"`, `RoleBinding "shop/ci"`.
func (k BindingKey) String() string { return Subject{k.Kind(), k.Namespace, k.Name}.String() }

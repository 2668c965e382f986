// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac_test

import (
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubersafe/kubersafe/internal/rbac"
)

// world is a cluster as plain objects. What is allowed in it is written after the RBAC authorizer of Kubernetes, and how
// somebody becomes cluster-admin after docs/rbac.md: one question at a time, and as naively as can be.
type world struct {
	roles      map[rbac.RoleKey]*rbac.Role
	bindings   map[rbac.BindingKey]*rbac.Binding
	namespaces map[string]bool
	accounts   map[rbac.Subject]rbac.Account
	// onNodes: the control plane runs on nodes.
	onNodes bool
}

func newWorld() *world {
	return &world{
		roles: make(map[rbac.RoleKey]*rbac.Role), bindings: make(map[rbac.BindingKey]*rbac.Binding),
		namespaces: map[string]bool{"x": true, "y": true}, accounts: make(map[rbac.Subject]rbac.Account),
	}
}

// cluster is the world in the engine.
func (w *world) cluster() *rbac.Cluster {
	c := rbac.NewCluster(true)
	for _, r := range w.roles {
		c.SetRole(r)
	}
	for _, b := range w.bindings {
		c.SetBinding(b)
	}
	for name, hostPath := range w.namespaces {
		c.SetNamespace(name, hostPath)
	}
	for s, a := range w.accounts {
		c.SetAccount(s.Namespace, s.Name, a)
	}
	c.SetControlPlaneOnNodes(w.onNodes)
	return c
}

// rules of a role, aggregated as the controller manager does: again and again until nothing is added.
func (w *world) rules(key rbac.RoleKey) []rbacv1.PolicyRule {
	if r := w.roles[key]; r == nil || r.Aggregation == nil {
		if r == nil {
			return nil
		}
		return r.Rules
	}
	var rules []rbacv1.PolicyRule
	reached := map[rbac.RoleKey]bool{key: true}
	for again := true; again; {
		again = false
		for from := range reached {
			for i := range w.roles[from].Aggregation {
				selector, err := metav1.LabelSelectorAsSelector(&w.roles[from].Aggregation[i])
				if err != nil {
					panic(err) // no world has such
				}
				for to, r := range w.roles {
					if to.Namespace == "" && !reached[to] && selector.Matches(labels.Set(r.Labels)) {
						reached[to], again = true, true
					}
				}
			}
		}
	}
	for k := range reached {
		if w.roles[k].Aggregation == nil {
			rules = append(rules, w.roles[k].Rules...)
		}
	}
	return rules
}

func ruleAllows(rule *rbacv1.PolicyRule, r rbac.Request) bool {
	has := func(list []string, values ...string) bool {
		return slices.ContainsFunc(values, func(v string) bool { return slices.Contains(list, v) })
	}
	if !has(rule.Verbs, "*", r.Verb) {
		return false
	}
	if r.Path != "" {
		for _, url := range rule.NonResourceURLs {
			if url == r.Path || strings.HasSuffix(url, "*") && strings.HasPrefix(r.Path, strings.TrimRight(url, "*")) {
				return true
			}
		}
		return false
	}
	resource := []string{"*", r.Resource}
	if r.Subresource != "" {
		resource = []string{"*", r.Resource + "/" + r.Subresource, "*/" + r.Subresource}
	}
	return has(rule.APIGroups, "*", r.Group) && has(rule.Resources, resource...) && (len(rule.ResourceNames) == 0 || has(rule.ResourceNames, r.Name))
}

// allows says whether one who is all of these subjects at once may do something.
func (w *world) allows(who []rbac.Subject, r rbac.Request) bool {
	for _, b := range w.bindings {
		if b.Namespace != "" && (b.Namespace != r.Namespace || r.Path != "") {
			continue
		}
		if !slices.ContainsFunc(b.Subjects, func(s rbac.Subject) bool { return slices.Contains(who, s) }) {
			continue
		}
		for _, rule := range w.rules(b.Role) {
			if ruleAllows(&rule, r) {
				return true
			}
		}
	}
	return false
}

// identity is all that a subject is at once.
func identity(s rbac.Subject) []rbac.Subject { return append([]rbac.Subject{s}, s.Groups()...) }

// position on the way to cluster-admin.
type position struct {
	kind      string // "admin", "node", "namespace", "role", "subject"
	subject   rbac.Subject
	role      rbac.RoleKey
	namespace string
}

// distance returns how many steps it takes a subject to become cluster-admin, or -1.
func (w *world) distance(s rbac.Subject) int {
	level, seen := []position{{kind: "subject", subject: s}}, make(map[position]bool)
	for steps := 0; len(level) > 0; steps++ {
		var next []position
		for _, p := range level {
			if p.kind == "role" && w.full(p.role) { // no step of its own
				p = position{kind: "namespace", namespace: p.namespace}
				if p.namespace == "" {
					p.kind = "admin"
				}
			}
			if p.kind == "admin" {
				return steps
			}
			if !seen[p] {
				seen[p] = true
				next = append(next, w.next(p)...)
			}
		}
		level = next
	}
	return -1
}

// unlisted is a name that no rule has.
const unlisted = "any other"

var names = []string{"a", "b", "full", rbac.Masters, "alice", "kubernetes.io/*", "kubernetes.io/kube-apiserver-client", "x", "y"}

// next returns where one gets from a position in one step.
func (w *world) next(p position) []position {
	var out []position
	to := func(list ...position) { out = append(out, list...) }
	switch p.kind {
	case "node":
		if w.onNodes {
			to(position{kind: "admin"})
		}
		to(w.mounted("")...)
		return out
	case "namespace":
		to(position{kind: "node"})
		to(w.accountsIn(p.namespace, "")...)
		return out
	case "subject":
		if p.subject == rbac.Group(rbac.Masters) {
			return []position{{kind: "admin"}}
		}
	}
	// can asks about "resource.group/subresource".
	can := func(verbs, what, namespace, name string) bool {
		what, subresource, _ := strings.Cut(what, "/")
		resource, group, _ := strings.Cut(what, ".")
		return slices.ContainsFunc(strings.Fields(verbs), func(verb string) bool {
			r := rbac.Request{Verb: verb, Group: group, Resource: resource, Subresource: subresource, Namespace: namespace, Name: name}
			if p.kind == "role" {
				if p.namespace != "" && p.namespace != namespace {
					return false
				}
				return slices.ContainsFunc(w.rules(p.role), func(rule rbacv1.PolicyRule) bool { return ruleAllows(&rule, r) })
			}
			return w.allows(identity(p.subject), r)
		})
	}
	canSome := func(verbs, what, namespace string) bool {
		if can(verbs, what, namespace, unlisted) {
			return true
		}
		verbs = strings.ReplaceAll(verbs, "create ", "") // an object that is created has no name
		return slices.ContainsFunc(names, func(name string) bool { return can(verbs, what, namespace, name) })
	}
	if can("*", "*.*", "", unlisted) {
		return []position{{kind: "admin"}}
	}
	const (
		roles, clusterRoles = "roles.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io"
		requests            = "certificatesigningrequests.certificates.k8s.io"
		admission           = ".admissionregistration.k8s.io"
	)
	full := slices.ContainsFunc(names, func(name string) bool { return w.full(rbac.RoleKey{Name: name}) })

	// What is in no namespace.
	if can("create update patch", "clusterrolebindings.rbac.authorization.k8s.io", "", unlisted) {
		if full && can("bind", clusterRoles, "", unlisted) {
			to(position{kind: "admin"})
		}
		for key := range w.roles {
			if key.Namespace == "" && can("bind", clusterRoles, "", key.Name) {
				to(position{kind: "role", role: key})
			}
		}
	}
	for _, h := range w.held(p) {
		switch {
		case h.role.Namespace != "":
			if can("escalate", roles, h.namespace, h.role.Name) && can("update patch", roles, h.namespace, h.role.Name) {
				to(position{kind: "namespace", namespace: h.namespace})
			}
		case can("escalate", clusterRoles, "", h.role.Name) && can("update patch", clusterRoles, "", h.role.Name):
			if h.namespace == "" {
				to(position{kind: "admin"})
			} else {
				to(position{kind: "namespace", namespace: h.namespace})
			}
		}
	}
	somebody := canSome("impersonate", "users", "")
	for namespace := range w.namespaces {
		somebody = somebody || canSome("impersonate", "serviceaccounts", namespace)
	}
	if somebody && can("impersonate", "groups", "", rbac.Masters) {
		to(position{kind: "admin"})
	}
	for _, s := range w.subjects() {
		switch {
		case s.Kind == "User" && can("impersonate", "users", "", s.Name),
			s.Kind == "Group" && somebody && can("impersonate", "groups", "", s.Name):
			to(position{kind: "subject", subject: s})
		}
	}
	if can("create", requests, "", unlisted) && canSome("update patch", requests+"/approval", "") {
		signs := func(name string) bool {
			return can("approve", "signers.certificates.k8s.io", "", name) || can("approve", "signers.certificates.k8s.io", "", "kubernetes.io/*")
		}
		if signs("kubernetes.io/kube-apiserver-client") {
			for _, s := range w.subjects() {
				if s != rbac.Group(rbac.Masters) && (s.Kind != "ServiceAccount" || w.exists(s)) {
					to(position{kind: "subject", subject: s})
				}
			}
		}
		if signs("kubernetes.io/kube-apiserver-client-kubelet") {
			to(w.mounted("")...)
		}
	}
	if canSome("create update patch", "mutatingwebhookconfigurations"+admission, "") ||
		canSome("create update patch", "mutatingadmissionpolicies"+admission, "") &&
			canSome("create update patch", "mutatingadmissionpolicybindings"+admission, "") {
		to(position{kind: "admin"})
	}
	if can("create get", "nodes/proxy", "", unlisted) {
		if w.onNodes {
			to(position{kind: "admin"})
		}
		to(w.mounted("")...)
	}

	for namespace, hostPath := range w.namespaces {
		accounts := w.accountsIn(namespace, "")
		pods, templates := can("create", "pods", namespace, unlisted), false
		for _, kind := range []string{"deployments.apps", "daemonsets.apps", "statefulsets.apps", "replicasets.apps", "jobs.batch", "cronjobs.batch", "replicationcontrollers"} {
			pods = pods || can("create", kind, namespace, unlisted)
			templates = templates || kind != "jobs.batch" && can("update patch", kind, namespace, unlisted)
		}
		templates = templates && len(w.mounted(namespace)) > 0
		if pods || templates {
			to(accounts...)
			if hostPath {
				to(position{kind: "node"})
			}
		}
		if pods && (can("update patch", "namespaces", namespace, namespace) ||
			can("create", "persistentvolumes", "", unlisted) && can("create", "persistentvolumeclaims", namespace, unlisted)) {
			to(position{kind: "node"})
		}
		if can("create get", "pods/exec", namespace, unlisted) || can("update patch", "pods", namespace, unlisted) ||
			can("update patch", "pods/ephemeralcontainers", namespace, unlisted) {
			to(w.mounted(namespace)...)
		}
		if can("create", "secrets", namespace, unlisted) && can("get list watch", "secrets", namespace, unlisted) {
			to(accounts...)
		}
		for _, a := range accounts {
			if can("create", "serviceaccounts/token", namespace, a.subject.Name) || can("impersonate", "serviceaccounts", namespace, a.subject.Name) {
				to(a)
			}
			for _, secret := range w.accounts[a.subject].TokenSecrets {
				if can("get list watch", "secrets", namespace, secret) {
					to(a)
				}
			}
		}
		if !can("create", "rolebindings.rbac.authorization.k8s.io", namespace, unlisted) {
			continue
		}
		if full && can("bind", clusterRoles, namespace, unlisted) ||
			can("create", roles, namespace, unlisted) && can("escalate", roles, namespace, unlisted) && can("bind", roles, namespace, unlisted) {
			to(position{kind: "namespace", namespace: namespace})
		}
		for key := range w.roles {
			if key.Namespace == "" && can("bind", clusterRoles, namespace, key.Name) || key.Namespace == namespace && can("bind", roles, namespace, key.Name) {
				to(position{kind: "role", role: key, namespace: namespace})
			}
		}
	}
	return out
}

func (w *world) full(key rbac.RoleKey) bool {
	return slices.ContainsFunc(w.rules(key), func(rule rbacv1.PolicyRule) bool {
		return ruleAllows(&rule, rbac.Request{Verb: "*", Group: "*", Resource: "*", Name: unlisted})
	})
}

type holding struct {
	role      rbac.RoleKey
	namespace string
}

// held returns the roles that one has at a position.
func (w *world) held(p position) []holding {
	if p.kind == "role" {
		return []holding{{p.role, p.namespace}}
	}
	var list []holding
	for _, b := range w.bindings {
		if w.roles[b.Role] != nil && slices.ContainsFunc(b.Subjects, func(s rbac.Subject) bool { return slices.Contains(identity(p.subject), s) }) {
			list = append(list, holding{b.Role, b.Namespace})
		}
	}
	return list
}

// subjects returns everybody who is known.
func (w *world) subjects() []rbac.Subject {
	var list []rbac.Subject
	for s := range w.accounts {
		list = append(list, s)
	}
	for _, b := range w.bindings {
		for _, s := range b.Subjects {
			if !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}

func (w *world) exists(s rbac.Subject) bool { _, ok := w.accounts[s]; return ok }

func (w *world) accountsIn(namespace, name string) []position {
	var list []position
	for s := range w.accounts {
		if (namespace == "" || s.Namespace == namespace) && (name == "" || s.Name == name) {
			list = append(list, position{kind: "subject", subject: s})
		}
	}
	return list
}

func (w *world) mounted(namespace string) []position {
	return slices.DeleteFunc(w.accountsIn(namespace, ""), func(p position) bool { return !w.accounts[p.subject].Mounted })
}

func (w *world) String() string {
	var text strings.Builder
	for _, r := range w.roles {
		fmt.Fprintf(&text, "%s %v aggregates %v: %+v\n", r.Name, r.Labels, r.Aggregation, r.Rules)
	}
	for _, b := range w.bindings {
		fmt.Fprintf(&text, "%s/%s: %v to %v\n", b.Namespace, b.Name, b.Role, b.Subjects)
	}
	fmt.Fprintf(&text, "namespaces %v, accounts %+v, on nodes %v", w.namespaces, w.accounts, w.onNodes)
	return text.String()
}

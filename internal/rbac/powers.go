// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	rbacv1 "k8s.io/api/rbac/v1"
)

// power is something that somebody may do and that can lead to more.
type power uint8

const (
	everything power = iota
	createPods
	changeWorkloads
	execInPods
	changePods
	readSecrets
	createSecrets
	createTokens
	impersonateUsers
	impersonateGroups
	impersonateAccounts
	escalateRoles
	changeRoles
	createRoles
	bindRoles
	bindClusterRoles
	createRoleBindings
	escalateClusterRoles
	changeClusterRoles
	changeClusterRoleBindings
	createRequests
	approveRequests
	approveSigners
	proxyNodes
	changeWebhooks
	changeMutations
	changeMutationBindings
	createVolumes
	createClaims
	changeNamespaces
	lastPower
)

// Groups of the API.
const (
	rbacGroup      = rbacv1.GroupName
	certificates   = certificatesv1.GroupName
	admissionGroup = "admissionregistration.k8s.io"
)

// workloads are what makes Pods of a template.
var workloads = []Request{
	{Group: "apps", Resource: "deployments"}, {Group: "apps", Resource: "daemonsets"}, {Group: "apps", Resource: "statefulsets"},
	{Group: "apps", Resource: "replicasets"}, {Group: "batch", Resource: "jobs"}, {Group: "batch", Resource: "cronjobs"},
	{Resource: "replicationcontrollers"},
}

// requests that a power consists of: being allowed one of them suffices. Where a power counts about any object alone (unnamed), a
// list in resourceNames leads to steps that are assumed, as far as it allows anything: what is created has no name.
var requests = [lastPower]struct {
	any     []Request
	unnamed bool
}{
	everything:          {any: []Request{{Verb: rbacv1.VerbAll, Group: rbacv1.APIGroupAll, Resource: rbacv1.ResourceAll}}, unnamed: true},
	createPods:          {any: slices.Concat([]Request{{Verb: "create", Resource: "pods"}}, with(workloads, "create")), unnamed: true},
	changeWorkloads:     {any: with(slices.Concat(workloads[:4], workloads[5:]), "update", "patch"), unnamed: true}, // the template of a Job stays
	execInPods:          {any: with([]Request{{Resource: "pods", Subresource: "exec"}}, "create", "get"), unnamed: true},
	changePods:          {any: with([]Request{{Resource: "pods"}, {Resource: "pods", Subresource: "ephemeralcontainers"}}, "update", "patch"), unnamed: true},
	readSecrets:         {any: with([]Request{{Resource: "secrets"}}, "get", "list", "watch")},
	createSecrets:       {any: with([]Request{{Resource: "secrets"}}, "create"), unnamed: true},
	createTokens:        {any: with([]Request{{Resource: "serviceaccounts", Subresource: "token"}}, "create")},
	impersonateUsers:    {any: with([]Request{{Resource: "users"}}, "impersonate")},
	impersonateGroups:   {any: with([]Request{{Resource: "groups"}}, "impersonate")},
	impersonateAccounts: {any: with([]Request{{Resource: "serviceaccounts"}}, "impersonate")},

	escalateRoles:        {any: with([]Request{{Group: rbacGroup, Resource: "roles"}}, "escalate")},
	changeRoles:          {any: with([]Request{{Group: rbacGroup, Resource: "roles"}}, "update", "patch")},
	createRoles:          {any: with([]Request{{Group: rbacGroup, Resource: "roles"}}, "create"), unnamed: true},
	bindRoles:            {any: with([]Request{{Group: rbacGroup, Resource: "roles"}}, "bind")},
	bindClusterRoles:     {any: with([]Request{{Group: rbacGroup, Resource: "clusterroles"}}, "bind")},
	createRoleBindings:   {any: with([]Request{{Group: rbacGroup, Resource: "rolebindings"}}, "create"), unnamed: true},
	escalateClusterRoles: {any: with([]Request{{Group: rbacGroup, Resource: "clusterroles"}}, "escalate")},
	changeClusterRoles:   {any: with([]Request{{Group: rbacGroup, Resource: "clusterroles"}}, "update", "patch")},
	// There is always one to be changed, such as cluster-admin.
	changeClusterRoleBindings: {any: with([]Request{{Group: rbacGroup, Resource: "clusterrolebindings"}}, "create", "update", "patch"), unnamed: true},

	createRequests:  {any: with([]Request{{Group: certificates, Resource: "certificatesigningrequests"}}, "create"), unnamed: true},
	approveRequests: {any: with([]Request{{Group: certificates, Resource: "certificatesigningrequests", Subresource: "approval"}}, "update", "patch")},
	approveSigners:  {any: with([]Request{{Group: certificates, Resource: "signers"}}, "approve")},

	proxyNodes:             {any: with([]Request{{Resource: "nodes", Subresource: "proxy"}}, "create", "get"), unnamed: true},
	changeWebhooks:         {any: with([]Request{{Group: admissionGroup, Resource: "mutatingwebhookconfigurations"}}, "create", "update", "patch")},
	changeMutations:        {any: with([]Request{{Group: admissionGroup, Resource: "mutatingadmissionpolicies"}}, "create", "update", "patch")},
	changeMutationBindings: {any: with([]Request{{Group: admissionGroup, Resource: "mutatingadmissionpolicybindings"}}, "create", "update", "patch")},
	createVolumes:          {any: with([]Request{{Resource: "persistentvolumes"}}, "create"), unnamed: true},
	createClaims:           {any: with([]Request{{Resource: "persistentvolumeclaims"}}, "create"), unnamed: true},
	changeNamespaces:       {any: with([]Request{{Resource: "namespaces"}}, "update", "patch")},
}

// with returns the requests with each of the verbs.
func with(list []Request, verbs ...string) []Request {
	var out []Request
	for _, r := range list {
		for _, r.Verb = range verbs {
			out = append(out, r)
		}
	}
	return out
}

// powers are what rules amount to. The zero value is none.
type powers struct {
	// all has a bit for each power about any object.
	all uint64
	// some has a bit for each power about some objects, where it does not suffice to know their names.
	some uint64
	// named are those about one object, without those in all.
	named []namedPower
}

type namedPower struct {
	power
	name string
}

func powersOf(rules []rbacv1.PolicyRule) powers {
	var p powers
	for i := range rules {
		rule := &rules[i]
		if len(rule.Resources) == 0 {
			continue
		}
		for power := range lastPower {
			named := len(rule.ResourceNames) > 0
			if !slices.ContainsFunc(requests[power].any, func(r Request) bool {
				// What is created has no name yet, unless it is a subresource.
				return allowsKind(rule, &r) && (!named || r.Verb != "create" || r.Subresource != "")
			}) {
				continue
			}
			switch {
			case !named:
				p.all |= 1 << power
			case requests[power].unnamed:
				p.some |= 1 << power
			default:
				for _, name := range rule.ResourceNames {
					p.named = append(p.named, namedPower{power, name})
				}
			}
		}
	}
	return p
}

// has says whether the power is there about any object.
func (p *powers) has(which power) bool { return p.all&(1<<which) != 0 }

// hasFor says whether the power is there about an object.
func (p *powers) hasFor(which power, name string) bool {
	return p.has(which) || slices.Contains(p.named, namedPower{which, name})
}

// one returns an object that the power is about, or "" if it is about any. It returns false if the power is not there.
func (p *powers) one(which power) (name string, ok bool) {
	if p.has(which) {
		return "", true
	}
	if names := p.names(which); len(names) > 0 {
		return names[0], true
	}
	return "", false
}

// names returns the objects that the power is limited to, sorted; none if it is not limited, or not there.
func (p *powers) names(which power) []string {
	if p.has(which) {
		return nil
	}
	var names []string
	for _, n := range p.named {
		if n.power == which {
			names = append(names, n.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (p *powers) equal(q *powers) bool {
	return p.all == q.all && p.some == q.some && slices.Equal(p.named, q.named)
}

func (p *powers) none() bool { return p.all|p.some == 0 && len(p.named) == 0 }

// add adds powers of somewhere else.
func (p *powers) add(q powers) {
	p.all, p.some = p.all|q.all, p.some|q.some
	p.named = append(p.named[:len(p.named):len(p.named)], q.named...)
}

// signers are the names under which approving requests for a signer of client certificates can be allowed.
var (
	clientSigners  = []string{certificatesv1.KubeAPIServerClientSignerName, "kubernetes.io/*"}
	kubeletSigners = []string{certificatesv1.KubeAPIServerClientKubeletSignerName, "kubernetes.io/*"}
)

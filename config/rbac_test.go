// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/internal/source"
)

const (
	namespace = "kubersafe-system"
	account   = "kubersafe"
	aggregate = "rbac.authorization.k8s.io/aggregate-to-"
)

// manifest is what of dist/install.yaml grants anything.
type manifest struct {
	roles               []rbacv1.Role
	clusterRoles        map[string]rbacv1.ClusterRole
	roleBindings        []rbacv1.RoleBinding
	clusterRoleBindings []rbacv1.ClusterRoleBinding
}

func install(t *testing.T) *manifest {
	t.Helper()
	content, err := os.ReadFile("../dist/install.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m := &manifest{clusterRoles: make(map[string]rbacv1.ClusterRole)}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return m
		}
		if err != nil {
			t.Fatal(err)
		}
		var kind metav1.TypeMeta
		decode(t, document, &kind)
		switch kind.Kind {
		case "Role":
			m.roles = append(m.roles, decode(t, document, &rbacv1.Role{}))
		case "ClusterRole":
			r := decode(t, document, &rbacv1.ClusterRole{})
			m.clusterRoles[r.Name] = r
		case "RoleBinding":
			m.roleBindings = append(m.roleBindings, decode(t, document, &rbacv1.RoleBinding{}))
		case "ClusterRoleBinding":
			m.clusterRoleBindings = append(m.clusterRoleBindings, decode(t, document, &rbacv1.ClusterRoleBinding{}))
		}
	}
}

func decode[T any](t *testing.T, document []byte, into *T) T {
	t.Helper()
	if err := yaml.Unmarshal(document, into); err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	return *into
}

// grants lists rules as "verb resource.group[/subresource]", one by one.
func grants(rules []rbacv1.PolicyRule) []string {
	var list []string
	for _, r := range rules {
		for _, verb := range r.Verbs {
			for _, url := range r.NonResourceURLs {
				list = append(list, verb+" "+url)
			}
			for _, group := range r.APIGroups {
				for _, resource := range r.Resources {
					grant := verb + " " + strings.TrimSuffix(resource+"."+group, ".")
					for _, name := range r.ResourceNames {
						grant += " " + name
					}
					list = append(list, grant)
				}
			}
		}
	}
	slices.Sort(list)
	return list
}

func product(resources []string, verbs ...string) []string {
	var list []string
	for _, r := range resources {
		for _, v := range verbs {
			list = append(list, v+" "+r)
		}
	}
	return list
}

func sorted(lists ...[]string) []string {
	list := slices.Concat(lists...)
	slices.Sort(list)
	return list
}

// TestOperatorMayOnlyReadWhatItAudits compares the operator's permissions with the list of what it reads: neither more
// nor less, so no Secrets, no nodes/proxy, no pods/exec or pods/log, no wildcards, and nothing written but its reports and Events.
func TestOperatorMayOnlyReadWhatItAudits(t *testing.T) {
	cfg := &rest.Config{Host: "http://unused.invalid"}
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var audited []string
	sources := source.New(client)
	if err := source.AddOptional(sources, cfg, http.DefaultClient); err != nil {
		t.Fatal(err)
	}
	for _, s := range sources.Status() {
		audited = append(audited, s.Resource)
	}
	want := sorted(
		product(audited, "get", "list", "watch"),
		product(
			[]string{"securityreports.audit.kubersafe.io", "clustersecurityreports.audit.kubersafe.io"},
			"get", "list", "watch", "create", "update", "delete"),
		product([]string{
			"auditconfigurations/status.audit.kubersafe.io", "securityexceptions/status.audit.kubersafe.io",
			"clustersecurityexceptions/status.audit.kubersafe.io",
		}, "patch"),
		[]string{"create events.events.k8s.io"},
		[]string{"create tokenreviews.authentication.k8s.io", "create subjectaccessreviews.authorization.k8s.io"},
	)
	role, ok := install(t).clusterRoles["kubersafe"]
	if !ok {
		t.Fatal("there is no ClusterRole kubersafe")
	}
	if diff := cmp.Diff(want, grants(role.Rules)); diff != "" {
		t.Errorf("permissions (-needed +granted):\n%s", diff)
	}
	if role.AggregationRule != nil {
		t.Errorf("it takes in other roles: %v", role.AggregationRule)
	}
	for _, grant := range grants(role.Rules) { // whatever the sources may come to read
		for _, never := range []string{"*", "secrets", "configmaps", "nodes/", "pods/", "escalate", "impersonate", "bind "} {
			if strings.Contains(grant, never) {
				t.Errorf("the operator must not be granted %q", grant)
			}
		}
	}
}

// TestOpenReportsComponent: who does not use it grants nothing for it, and who does grants no more than it needs.
func TestOpenReportsComponent(t *testing.T) {
	role := decode(t, read(t, "components/openreports/role.yaml"), &rbacv1.ClusterRole{})
	want := sorted(product(
		[]string{"reports.openreports.io", "clusterreports.openreports.io"}, "get", "list", "watch", "create", "update", "delete"))
	if diff := cmp.Diff(want, grants(role.Rules)); diff != "" {
		t.Errorf("permissions (-needed +granted):\n%s", diff)
	}
	binding := decode(t, read(t, "components/openreports/role_binding.yaml"), &rbacv1.ClusterRoleBinding{})
	to := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: account}}
	if ref := (rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}); binding.RoleRef != ref || !slices.Equal(binding.Subjects, to) {
		t.Errorf("%+v is granted %+v", binding.Subjects, binding.RoleRef)
	}
}

func TestLeaderElectionIsALeaseAndEvents(t *testing.T) {
	m := install(t)
	if len(m.roles) != 1 {
		t.Fatalf("%d Roles", len(m.roles))
	}
	r := m.roles[0]
	if r.Namespace != namespace || r.Name != "kubersafe-leader-election" {
		t.Errorf("Role %s/%s", r.Namespace, r.Name)
	}
	want := sorted(
		product([]string{"leases.coordination.k8s.io"}, "create", "get", "list", "patch", "update", "watch"),
		product([]string{"events", "events.events.k8s.io"}, "create", "patch"),
	)
	if diff := cmp.Diff(want, grants(r.Rules)); diff != "" {
		t.Errorf("permissions (-needed +granted):\n%s", diff)
	}
}

// TestNobodyElseIsGrantedAnything: one account gets one Role and one ClusterRole.
func TestNobodyElseIsGrantedAnything(t *testing.T) {
	operator := []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: account}}
	m := install(t)
	type binding struct {
		Namespace string
		Role      rbacv1.RoleRef
		Subjects  []rbacv1.Subject
	}
	var got []binding
	for _, b := range m.roleBindings {
		got = append(got, binding{b.Namespace, b.RoleRef, b.Subjects})
	}
	for _, b := range m.clusterRoleBindings {
		got = append(got, binding{"", b.RoleRef, b.Subjects})
	}
	want := []binding{
		{namespace, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "kubersafe-leader-election"}, operator},
		{"", rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubersafe"}, operator},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("bindings (-want +got):\n%s", diff)
	}
}

// TestRolesForPeople: who is admin of a namespace may read its reports. Whoever may only view or edit may not, for reports
// tell of roles and bindings, which those may not read either.
func TestRolesForPeople(t *testing.T) {
	type role struct {
		AggregatesTo, Grants []string
	}
	got := make(map[string]role)
	for name, r := range install(t).clusterRoles {
		if name == "kubersafe" {
			continue // the operator's own
		}
		var to []string
		for label, value := range r.Labels {
			if target, ok := strings.CutPrefix(label, aggregate); ok {
				to = append(to, target+"="+value)
			}
		}
		slices.Sort(to)
		got[name] = role{to, grants(r.Rules)}
	}
	read := []string{"get", "list", "watch"}
	want := map[string]role{
		"kubersafe-profiler":       {Grants: []string{"get /debug/pprof/*"}},
		"kubersafe-metrics-reader": {nil, []string{"get /metrics"}},
		"kubersafe-report-viewer": {nil, sorted(
			product([]string{
				"securityreports.audit.kubersafe.io", "clustersecurityreports.audit.kubersafe.io", "auditconfigurations.audit.kubersafe.io",
				"securityexceptions.audit.kubersafe.io", "clustersecurityexceptions.audit.kubersafe.io",
			}, read...))},
		"kubersafe-report-viewer-aggregate": {[]string{"admin=true"}, sorted(
			product([]string{"securityreports.audit.kubersafe.io", "securityexceptions.audit.kubersafe.io"}, read...))},
		// Nobody may write exceptions whom nobody has bound to it.
		"kubersafe-exception-editor": {nil, sorted(
			product([]string{"securityexceptions.audit.kubersafe.io"}, "get", "list", "watch", "create", "update", "patch", "delete"))},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	if operator := install(t).clusterRoles["kubersafe"]; slices.ContainsFunc(slices.Collect(maps.Keys(operator.Labels)), func(l string) bool { return strings.HasPrefix(l, aggregate) }) {
		t.Errorf("the operator's own permissions are given to people: %v", operator.Labels)
	}
}

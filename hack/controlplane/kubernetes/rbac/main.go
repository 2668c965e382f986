// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Command rbac writes what internal/rbac has from Kubernetes: the roles and bindings that an API server makes for itself, the
// resources that it serves, and verdicts of its RBAC authorizer on random worlds. It stands here because this module pins
// Kubernetes.
//
//	make rbac-data
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/component-helpers/auth/rbac/validation"
	rbacvalidation "k8s.io/kubernetes/pkg/registry/rbac/validation"
	rbacauthorizer "k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac"
	"sigs.k8s.io/yaml"
)

// versions of Kubernetes whose defaults are known, the newest first. One patch of each minor is enough: patches do not change
// them.
var versions = []string{"v1.36.3", "v1.35.4", "v1.34.4", "v1.33.13", "v1.32.13", "v1.31.14"}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: rbac DIR")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	bootstrap, err := bootstrapPolicy()
	if err != nil {
		return err
	}
	resources, err := resources()
	if err != nil {
		return err
	}
	worlds, err := worlds()
	if err != nil {
		return err
	}
	for name, content := range map[string]any{"bootstrap.json": bootstrap, "resources.json": resources, "testdata/upstream.json": worlds} {
		if err := write(filepath.Join(out, name), content); err != nil {
			return err
		}
	}
	return nil
}

// write writes a list as JSON, one element a line.
func write(path string, content any) error {
	text, err := json.Marshal(content)
	if err != nil {
		return err
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(text, &elements); err != nil {
		return err
	}
	lines := make([][]byte, 0, len(elements))
	for _, e := range elements {
		lines = append(lines, e)
	}
	text = slices.Concat([]byte("[\n"), bytes.Join(lines, []byte(",\n")), []byte("\n]\n"))
	return os.WriteFile(path, text, 0o644)
}

// source returns the folder of Kubernetes in a version.
func source(version string) (string, error) {
	out, err := exec.Command("go", "mod", "download", "-json", "k8s.io/kubernetes@"+version).Output()
	if err != nil {
		return "", fmt.Errorf("downloading Kubernetes %s: %w: %s", version, err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", err
	}
	return module.Dir, nil
}

// object is any of the four kinds, as bootstrap.json has them.
type object struct {
	Kind      string            `json:"kind"`
	Namespace string            `json:"namespace,omitempty"`
	Name      string            `json:"name"`
	Labels    map[string]string `json:"labels,omitempty"`
	// Gone from the newest version.
	Gone            bool                    `json:"gone,omitempty"`
	AggregationRule *rbacv1.AggregationRule `json:"aggregationRule,omitempty"`
	// Rules are what it may hold: first what it does in the newest version that has it.
	Rules    [][]rbacv1.PolicyRule `json:"rules,omitempty"`
	RoleRef  *rbacv1.RoleRef       `json:"roleRef,omitempty"`
	Subjects [][]rbacv1.Subject    `json:"subjects,omitempty"`
}

// bootstrapPolicy returns the defaults of all versions, from the test data that Kubernetes compares its own with.
func bootstrapPolicy() ([]*object, error) {
	known := make(map[[3]string]*object)
	for i, version := range versions {
		dir, err := source(version)
		if err != nil {
			return nil, err
		}
		for _, file := range []string{
			"cluster-roles", "cluster-roles-featuregates", "controller-roles", "namespace-roles",
			"cluster-role-bindings", "controller-role-bindings", "namespace-role-bindings",
		} {
			text, err := os.ReadFile(filepath.Join(dir, "plugin/pkg/auth/authorizer/rbac/bootstrappolicy/testdata", file+".yaml"))
			if errors.Is(err, fs.ErrNotExist) && file == "cluster-roles-featuregates" { // since 1.33
				continue
			}
			if err != nil {
				return nil, err
			}
			if err := take(known, text, i > 0 || file == "cluster-roles-featuregates"); err != nil {
				return nil, fmt.Errorf("%s of %s: %w", file, version, err)
			}
		}
	}
	all := make([]*object, 0, len(known))
	for _, o := range known {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b *object) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}

// take adds what is in a file. What is new to it is gone, if it is none of the newest version's.
func take(known map[[3]string]*object, text []byte, gone bool) error {
	var list struct {
		Items []struct {
			metav1.TypeMeta   `json:",inline"`
			metav1.ObjectMeta `json:"metadata"`
			AggregationRule   *rbacv1.AggregationRule `json:"aggregationRule"`
			Rules             []rbacv1.PolicyRule     `json:"rules"`
			RoleRef           *rbacv1.RoleRef         `json:"roleRef"`
			Subjects          []rbacv1.Subject        `json:"subjects"`
		}
	}
	if err := yaml.Unmarshal(text, &list); err != nil {
		return err
	}
	for _, item := range list.Items {
		key := [3]string{item.Kind, item.Namespace, item.Name}
		o := known[key]
		if o == nil {
			o = &object{
				Kind: item.Kind, Namespace: item.Namespace, Name: item.Name, Labels: item.Labels, Gone: gone,
				AggregationRule: item.AggregationRule, RoleRef: item.RoleRef,
			}
			known[key] = o
		}
		if o.RoleRef != nil {
			if *o.RoleRef != *item.RoleRef {
				return fmt.Errorf("%s %q has another role than in a newer version", item.Kind, item.Name)
			}
			if !slices.ContainsFunc(o.Subjects, func(s []rbacv1.Subject) bool { return slices.Equal(s, item.Subjects) }) {
				o.Subjects = append(o.Subjects, item.Subjects)
			}
			continue
		}
		if !slices.ContainsFunc(o.Rules, func(r []rbacv1.PolicyRule) bool { covers, _ := validation.Covers(r, item.Rules); return covers }) {
			o.Rules = append(o.Rules, item.Rules)
		}
	}
	return nil
}

// resource is one that an API server serves.
type resource struct {
	Group      string   `json:"group,omitempty"`
	Name       string   `json:"name"`
	Names      []string `json:"names,omitempty"`
	Namespaced bool     `json:"namespaced,omitempty"`
}

// resources returns the resources of the newest version, those behind feature gates too.
func resources() ([]resource, error) {
	dir, err := source(versions[0])
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "api/discovery/aggregated_v2.json"))
	if err != nil {
		return nil, err
	}
	core, err := os.ReadFile(filepath.Join(dir, "api/discovery/api__v1.json"))
	if err != nil {
		return nil, err
	}
	var groups struct {
		Items []struct {
			Metadata metav1.ObjectMeta
			Versions []struct {
				Resources []struct {
					Resource, Scope, SingularResource string
					ShortNames                        []string
				}
			}
		}
	}
	var legacy metav1.APIResourceList
	if err := errors.Join(json.Unmarshal(text, &groups), json.Unmarshal(core, &legacy)); err != nil {
		return nil, err
	}
	var all []resource
	add := func(r resource) {
		if !slices.ContainsFunc(all, func(o resource) bool { return o.Group == r.Group && o.Name == r.Name }) {
			all = append(all, r)
		}
	}
	for _, r := range legacy.APIResources {
		if !bytes.ContainsRune([]byte(r.Name), '/') {
			add(resource{Name: r.Name, Names: append([]string{r.SingularName}, r.ShortNames...), Namespaced: r.Namespaced})
		}
	}
	for _, g := range groups.Items {
		for _, v := range g.Versions {
			for _, r := range v.Resources {
				add(resource{
					Group: g.Metadata.Name, Name: r.Resource, Names: append([]string{r.SingularResource}, r.ShortNames...), Namespaced: r.Scope == "Namespaced",
				})
			}
		}
	}
	slices.SortFunc(all, func(a, b resource) int { return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Name, b.Name)) })
	return all, nil
}

// world is a cluster with requests, and which of them Kubernetes allows.
type world struct {
	Roles               []*rbacv1.Role               `json:"roles"`
	ClusterRoles        []*rbacv1.ClusterRole        `json:"clusterRoles"`
	RoleBindings        []*rbacv1.RoleBinding        `json:"roleBindings"`
	ClusterRoleBindings []*rbacv1.ClusterRoleBinding `json:"clusterRoleBindings"`
	Requests            []request                    `json:"requests"`
}

type request struct {
	User        string   `json:"user"`
	Groups      []string `json:"groups"`
	Verb        string   `json:"verb"`
	Group       string   `json:"group,omitempty"`
	Resource    string   `json:"resource,omitempty"`
	Subresource string   `json:"subresource,omitempty"`
	Name        string   `json:"name,omitempty"`
	Namespace   string   `json:"namespace,omitempty"`
	Path        string   `json:"path,omitempty"`
	Allowed     bool     `json:"allowed,omitempty"`
}

func worlds() ([]world, error) {
	m := maker{rand.New(rand.NewPCG(1, 2))}
	var all []world
	for range 30 {
		w := m.world()
		_, static := rbacvalidation.NewTestRuleResolver(w.Roles, w.RoleBindings, w.ClusterRoles, w.ClusterRoleBindings)
		judge := rbacauthorizer.New(static, static, static, static)
		for range 60 {
			r := m.request()
			// What nobody is bound to is not there: the authorizer says so in an error, and has no opinion.
			decision, _, err := judge.Authorize(context.Background(), &authorizer.AttributesRecord{
				User: &user.DefaultInfo{Name: r.User, Groups: r.Groups}, Verb: r.Verb, APIGroup: r.Group, Resource: r.Resource,
				Subresource: r.Subresource, Name: r.Name, Namespace: r.Namespace, Path: r.Path, ResourceRequest: r.Path == "",
			})
			if err != nil {
				return nil, err
			}
			r.Allowed = decision == authorizer.DecisionAllow
			w.Requests = append(w.Requests, r)
		}
		all = append(all, w)
	}
	return all, nil
}

// maker makes worlds. Names and values are few, so that things meet.
type maker struct{ *rand.Rand }

func (m maker) of(list ...string) string { return list[m.IntN(len(list))] }

func (m maker) some(most int, list ...string) []string {
	var out []string
	for range 1 + m.IntN(most) {
		if s := m.of(list...); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func many[T any](m maker, least, most int, fresh func() T) []T {
	var out []T
	for range least + m.IntN(most-least+1) {
		out = append(out, fresh())
	}
	return out
}

func (m maker) namespace() string { return m.of("x", "y") }

func (m maker) rule() rbacv1.PolicyRule {
	r := rbacv1.PolicyRule{Verbs: m.some(4, "get", "list", "create", "delete", "*")}
	if m.IntN(5) == 0 {
		r.NonResourceURLs = m.some(2, "*", "/", "/a", "/a*", "/a/*", "/a/b", "/b**")
		return r
	}
	r.APIGroups = m.some(2, "", "apps", "*")
	r.Resources = m.some(4, "pods", "pods/log", "pods/scale", "secrets", "*/scale", "*/log", "*", "pods/*", "*/*")
	if m.IntN(3) == 0 {
		r.ResourceNames = m.some(2, "a", "b", "*")
	}
	return r
}

func (m maker) subject() rbacv1.Subject {
	switch m.IntN(3) {
	case 0:
		return rbacv1.Subject{Kind: rbacv1.UserKind, Name: m.of("alice", "bob", "system:anonymous", "system:serviceaccount:x:s")}
	case 1:
		return rbacv1.Subject{Kind: rbacv1.GroupKind, Name: m.of(
			"dev", "system:authenticated", "system:unauthenticated", "system:serviceaccounts", "system:serviceaccounts:x", "system:serviceaccounts:y",
		)}
	}
	return rbacv1.Subject{Kind: m.of(rbacv1.ServiceAccountKind, rbacv1.ServiceAccountKind, "Robot"), Namespace: m.of("", "x", "y"), Name: m.of("s", "t")}
}

func (m maker) world() world {
	var w world
	name := func(i int) metav1.ObjectMeta { return metav1.ObjectMeta{Name: fmt.Sprint("n", i)} }
	rules := func() []rbacv1.PolicyRule { return many(m, 0, 4, m.rule) }
	for i := range 3 {
		w.ClusterRoles = append(w.ClusterRoles, &rbacv1.ClusterRole{ObjectMeta: name(i), Rules: rules()})
		w.Roles = append(w.Roles, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace(), Name: fmt.Sprint("n", i)}, Rules: rules()})
	}
	for i := range 1 + m.IntN(3) {
		w.ClusterRoleBindings = append(w.ClusterRoleBindings, &rbacv1.ClusterRoleBinding{
			ObjectMeta: name(i), RoleRef: rbacv1.RoleRef{Kind: m.of("ClusterRole", "ClusterRole", "ClusterRole", "Role"), Name: m.of("n0", "n1", "n2", "n3")},
			Subjects: many(m, 1, 3, m.subject),
		})
	}
	for i := range 2 + m.IntN(4) {
		w.RoleBindings = append(w.RoleBindings, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: m.namespace(), Name: fmt.Sprint("n", i)},
			RoleRef:    rbacv1.RoleRef{Kind: m.of("ClusterRole", "Role"), Name: m.of("n0", "n1", "n2", "n3")},
			Subjects:   many(m, 1, 3, m.subject),
		})
	}
	return w
}

// request is by one that the world knows, with the groups that an API server gives it.
func (m maker) request() request {
	var r request
	switch m.IntN(4) {
	case 0:
		r.User, r.Groups = m.of("alice", "bob"), []string{user.AllAuthenticated}
	case 1:
		r.User, r.Groups = "member", []string{"dev", user.AllAuthenticated}
	case 2:
		r.User, r.Groups = user.Anonymous, []string{user.AllUnauthenticated}
	default:
		namespace := m.namespace()
		r.User = serviceaccount.MakeUsername(namespace, m.of("s", "t"))
		r.Groups = append(serviceaccount.MakeGroupNames(namespace), user.AllAuthenticated)
	}
	r.Verb = m.of("get", "list", "create", "delete", "deletecollection")
	if m.IntN(5) == 0 {
		r.Path = m.of("/", "/a", "/a/", "/a/b", "/ab", "/b", "/b*")
		return r
	}
	r.Group, r.Resource, r.Subresource = m.of("", "apps"), m.of("pods", "secrets"), m.of("", "", "log", "scale")
	r.Namespace, r.Name = m.of("", "x", "y"), m.of("", "a", "b")
	return r
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/test/controlplane"
)

// Permissions are what is granted to the operator, by the namespace that it is granted in; "" is everywhere.
type Permissions map[string][]rbacv1.PolicyRule

// discovery is what everybody who is known to a cluster may get: the ClusterRole system:discovery.
var discovery = []string{"/api", "/apis", "/version"}

// ReadPermissions reads what a cluster grants the operator's ServiceAccount by name, as an administrator.
func ReadPermissions(ctx context.Context, config *rest.Config) (Permissions, error) {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("creating a client: %w", err)
	}
	api, granted := clients.RbacV1(), make(Permissions)
	everywhere, err := api.ClusterRoleBindings().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing ClusterRoleBindings: %w", err)
	}
	for i := range everywhere.Items {
		if b := &everywhere.Items[i]; slices.ContainsFunc(b.Subjects, isOperator) {
			role, err := api.ClusterRoles().Get(ctx, b.RoleRef.Name, metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				continue // it grants nothing
			}
			if err != nil {
				return nil, fmt.Errorf("reading the ClusterRole of ClusterRoleBinding %s: %w", b.Name, err)
			}
			granted[""] = append(granted[""], role.Rules...)
		}
	}
	within, err := api.RoleBindings("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing RoleBindings: %w", err)
	}
	for i := range within.Items {
		b := &within.Items[i]
		if !slices.ContainsFunc(b.Subjects, isOperator) {
			continue
		}
		if b.RoleRef.Kind != "Role" {
			return nil, fmt.Errorf("RoleBinding %s/%s grants the operator a %s, which no manifest does", b.Namespace, b.Name, b.RoleRef.Kind)
		}
		role, err := api.Roles(b.Namespace).Get(ctx, b.RoleRef.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading the Role of RoleBinding %s/%s: %w", b.Namespace, b.Name, err)
		}
		granted[b.Namespace] = append(granted[b.Namespace], role.Rules...)
	}
	return granted, nil
}

func isOperator(s rbacv1.Subject) bool {
	return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == Namespace && s.Name == ServiceAccount
}

// Undeclared returns the requests of the operator that it has no permission for, each once and as "verb path". Whether the API server
// has answered them does not matter: also what is refused must not be asked for.
func (p Permissions) Undeclared(events []controlplane.AuditEvent) []string {
	var undeclared []string
	for i := range events {
		if e := &events[i]; e.User == User && !p.allow(e) {
			undeclared = append(undeclared, e.Verb+" "+e.Path)
		}
	}
	slices.Sort(undeclared)
	return slices.Compact(undeclared)
}

func (p Permissions) allow(e *controlplane.AuditEvent) bool {
	if e.Resource == "" {
		return e.Verb == strings.ToLower(http.MethodGet) && slices.ContainsFunc(discovery, func(path string) bool {
			return e.Path == path || strings.HasPrefix(e.Path, path+"/")
		})
	}
	resource := e.Resource
	if e.Subresource != "" {
		resource += "/" + e.Subresource
	}
	// There are no wildcards: TestOperatorMayOnlyReadWhatItAudits.
	allows := func(r rbacv1.PolicyRule) bool {
		return slices.Contains(r.Verbs, e.Verb) && slices.Contains(r.APIGroups, e.Group) && slices.Contains(r.Resources, resource) &&
			(len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, e.Name))
	}
	return slices.ContainsFunc(p[""], allows) || e.Namespace != "" && slices.ContainsFunc(p[e.Namespace], allows)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/internal/rbac"
	"github.com/kubersafe/kubersafe/internal/source"
)

// permissions are what roles and bindings allow, and how far that is all.
type permissions struct {
	cluster   *rbac.Cluster
	coverage  rbac.Coverage
	whyNotAll string
	// warnings tell what is missing.
	warnings []string
}

// rbacKinds are read from manifests beside those of the checks.
var rbacKinds = []func() source.Object{func() source.Object { return &corev1.Secret{} }}

// permissionsOfManifests reads files, and returns how many errors they have. Those are told as soon as they are known.
func permissionsOfManifests(paths []string, stdin io.Reader, stderr io.Writer) (p *permissions, wrong int, err error) {
	objects, wrong, err := readManifests(paths, stdin, stderr, rbacKinds...)
	if err != nil {
		return nil, 0, err
	}
	b := newRBACBuilder(true, "is in no manifest")
	roles, bindings := rbac.Defaults()
	for _, r := range roles {
		b.cluster.SetRole(r)
	}
	for _, binding := range bindings {
		b.bind(binding)
	}
	b.cluster.SetNamespace(metav1.NamespaceSystem, true) // every cluster has it
	for _, o := range objects.All {
		if err := b.add(o); err != nil {
			return nil, 0, err
		}
	}
	// What is bound is taken to exist, and namespaces that no manifest describes to be bare.
	for _, s := range b.bound {
		if s.Kind == rbacv1.ServiceAccountKind {
			b.account(accountName{s.Namespace, s.Name})
			if !b.namespaces[s.Namespace] {
				b.cluster.SetNamespace(s.Namespace, true)
			}
		}
	}
	p = b.build()
	if len(b.authorizers.Modes) == 0 && !b.authorizers.Hidden {
		p.whyNotAll = "manifests do not tell what else the API server asks"
	}
	return p, wrong, nil
}

// permissions lists a cluster once; without paths, only what it takes to know who may do what.
func (o *clusterOptions) permissions(ctx context.Context, paths bool) (*permissions, error) {
	_, _, client, err := o.connect(ctx)
	if err != nil {
		return nil, err
	}
	b := newRBACBuilder(false, "does not exist")
	core, roles := client.CoreV1().RESTClient(), client.RbacV1().RESTClient()
	type kind struct {
		client   rest.Interface
		resource string
		list     func() runtime.Object
		// without tells what is missing where it may not be listed. Empty: nothing can be said then.
		without string
	}
	kinds := []kind{
		{roles, "clusterroles", func() runtime.Object { return &rbacv1.ClusterRoleList{} }, ""},
		{roles, "roles", func() runtime.Object { return &rbacv1.RoleList{} }, ""},
		{roles, "clusterrolebindings", func() runtime.Object { return &rbacv1.ClusterRoleBindingList{} }, ""},
		{roles, "rolebindings", func() runtime.Object { return &rbacv1.RoleBindingList{} }, ""},
	}
	if paths {
		kinds = append(kinds,
			kind{core, "namespaces", func() runtime.Object { return &corev1.NamespaceList{} }, "ways over Pods that mount the files of a node are left out"},
			kind{core, "serviceaccounts", func() runtime.Object { return &corev1.ServiceAccountList{} }, "ways over ServiceAccounts are left out"},
			kind{core, "pods", func() runtime.Object { return &corev1.PodList{} }, "ways over Pods that run are left out"},
			kind{core, "nodes", func() runtime.Object { return &corev1.NodeList{} }, "ways over nodes of the control plane are left out"},
		)
	}
	for _, k := range kinds {
		err := list(ctx, k.client, k.resource, k.list, b.add)
		switch {
		case apierrors.IsForbidden(err) && k.without != "":
			b.warnings = append(b.warnings, fmt.Sprintf("you may not list %s; %s", k.resource, k.without))
		case err != nil:
			return nil, fmt.Errorf("listing %s: %w", k.resource, err)
		}
	}
	if !paths { // the Pods of API servers tell whether it is all
		pods, err := client.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{})
		switch {
		case apierrors.IsForbidden(err):
		case err != nil:
			return nil, fmt.Errorf("listing pods in namespace %q: %w", metav1.NamespaceSystem, err)
		default:
			for i := range pods.Items {
				b.authorizers.See(&pods.Items[i].Spec)
			}
		}
	}
	return b.build(), nil
}

type accountName struct{ namespace, name string }

// account is what makes up a ServiceAccount.
type account struct {
	automount *bool
	secrets   []string
}

type rbacBuilder struct {
	cluster     *rbac.Cluster
	authorizers rbac.Authorizers
	accounts    map[accountName]*account
	// uses are what Pods say of mounting the tokens of ServiceAccounts, nil for nothing; and secrets those that hold one.
	uses       map[accountName][]*bool
	secrets    map[accountName][]string
	namespaces map[string]bool
	bound      []rbac.Subject
	onNodes    bool
	// missing tells of a role that is not there.
	missing  string
	warnings []string
}

func newRBACBuilder(aggregate bool, missing string) *rbacBuilder {
	return &rbacBuilder{
		missing: missing, cluster: rbac.NewCluster(aggregate), accounts: make(map[accountName]*account), uses: make(map[accountName][]*bool),
		secrets: make(map[accountName][]string), namespaces: make(map[string]bool),
	}
}

// add takes in an object, which the caller gives up.
func (b *rbacBuilder) add(o source.Object) error {
	switch o := o.(type) {
	case *rbacv1.Role:
		b.cluster.SetRole(rbac.RoleFrom(o))
	case *rbacv1.ClusterRole:
		b.cluster.SetRole(rbac.ClusterRoleFrom(o))
	case *rbacv1.RoleBinding:
		b.bind(rbac.BindingFrom(&o.ObjectMeta, o.RoleRef, o.Subjects))
	case *rbacv1.ClusterRoleBinding:
		b.bind(rbac.BindingFrom(&o.ObjectMeta, o.RoleRef, o.Subjects))
	case *corev1.Namespace:
		b.namespaces[o.Name] = true
		b.cluster.SetNamespace(o.Name, rbac.HostPathAllowed(o.Labels))
	case *corev1.ServiceAccount:
		a := b.account(accountName{o.Namespace, o.Name})
		a.automount, a.secrets = o.AutomountServiceAccountToken, source.TokenSecretsOf(o)
	case *corev1.Secret:
		if o.Type == corev1.SecretTypeServiceAccountToken {
			name := accountName{o.Namespace, o.Annotations[corev1.ServiceAccountNameKey]}
			b.secrets[name] = append(b.secrets[name], o.Name)
		}
	case *corev1.Node:
		b.onNodes = b.onNodes || source.IsControlPlane(o)
	case *corev1.Pod:
		b.authorizers.See(&o.Spec)
		// Only the mirror of a static Pod runs as none.
		if o.Spec.ServiceAccountName != "" && o.Status.Phase != corev1.PodSucceeded && o.Status.Phase != corev1.PodFailed {
			b.use(accountName{o.Namespace, o.Spec.ServiceAccountName}, &o.Spec)
		}
	default:
		if t := source.PodTemplateOf(o); t != nil {
			b.use(accountName{o.GetNamespace(), cmp.Or(t.Spec.ServiceAccountName, "default")}, &t.Spec)
		}
	}
	return nil
}

func (b *rbacBuilder) bind(binding *rbac.Binding) {
	b.cluster.SetBinding(binding)
	b.bound = append(b.bound, binding.Subjects...)
}

func (b *rbacBuilder) account(name accountName) *account {
	if b.accounts[name] == nil {
		b.accounts[name] = &account{}
	}
	return b.accounts[name]
}

// use notes that Pods run as a ServiceAccount.
func (b *rbacBuilder) use(name accountName, spec *corev1.PodSpec) {
	mounts := spec.AutomountServiceAccountToken
	for _, v := range spec.Volumes {
		if v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(p corev1.VolumeProjection) bool { return p.ServiceAccountToken != nil }) {
			mounts = new(true)
		}
	}
	b.uses[name] = append(b.uses[name], mounts)
}

func (b *rbacBuilder) build() *permissions {
	for name, a := range b.accounts {
		mounted := slices.ContainsFunc(b.uses[name], func(mounts *bool) bool {
			if mounts == nil {
				mounts = a.automount
			}
			return mounts == nil || *mounts
		})
		secrets := slices.Concat(a.secrets, b.secrets[name])
		slices.Sort(secrets)
		b.cluster.SetAccount(name.namespace, name.name, rbac.Account{Mounted: mounted, TokenSecrets: secrets})
	}
	b.cluster.SetControlPlaneOnNodes(b.onNodes)
	for _, g := range b.cluster.MissingRoles() {
		if g.Role == (rbac.RoleKey{}) {
			b.warnings = append(b.warnings, fmt.Sprintf("%s gives nothing: what it names is no role that it can bind", g.Binding))
			continue
		}
		b.warnings = append(b.warnings, fmt.Sprintf("%s gives nothing: %s %s", g.Binding, g.Role, b.missing))
	}
	p := &permissions{cluster: b.cluster, warnings: b.warnings}
	p.coverage, p.whyNotAll = b.authorizers.Coverage()
	return p
}

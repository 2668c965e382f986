// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/internal/command"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

const bound = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: operator}
rules:
- {apiGroups: [rbac.authorization.k8s.io], resources: [clusterroles, clusterrolebindings], verbs: [create, update, bind]}
- {nonResourceURLs: [/metrics], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: operator}
subjects: [{kind: ServiceAccount, name: operator, namespace: shop}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: deployer, namespace: shop}
rules:
- {apiGroups: [apps], resources: [deployments], verbs: ["*"]}
- {apiGroups: [""], resources: [secrets], resourceNames: [web], verbs: [get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: deployer, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: deployer}
subjects: [{kind: Group, name: dev}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: gone, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: gone}
subjects: [{kind: User, name: alice}]
`

const rbacWarnings = `Warning: RoleBinding "shop/gone" gives nothing: Role "shop/gone" is in no manifest
Warning: this covers RBAC only: manifests do not tell what else the API server asks
`

func TestRBAC(t *testing.T) {
	for name, tc := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"who can in a namespace": {args: []string{"who-can", "create", "deploy", "-n", "shop", "--all"},
			stdout: `KIND    NAME             NAMESPACE   WHERE        THROUGH
Group   dev                          shop         RoleBinding/shop/deployer to Role/shop/deployer
Group   system:masters               everywhere   ClusterRoleBinding/cluster-admin to ClusterRole/cluster-admin
`},
		"who can anywhere, what Kubernetes made left out": {args: []string{"who-can", "update", "deployments.apps"},
			stdout: `KIND    NAME   NAMESPACE   WHERE   THROUGH
Group   dev                shop    RoleBinding/shop/deployer to Role/shop/deployer
`, stderr: "Left out 3 subjects with nothing but what Kubernetes made itself: --all prints them\n"},
		"who can get one object": {args: []string{"who-can", "get", "secrets", "-n", "shop", "--name", "web"},
			stdout: `KIND    NAME   NAMESPACE   WHERE   THROUGH
Group   dev                shop    RoleBinding/shop/deployer to Role/shop/deployer
`, stderr: "Left out 4 subjects with nothing but what Kubernetes made itself: --all prints them\n"},
		"who can get any object": {args: []string{"who-can", "get", "secrets", "-n", "shop"},
			stdout: "Nobody, but for what Kubernetes made itself.\n",
			stderr: "Left out 4 subjects with nothing but what Kubernetes made itself: --all prints them\n"},
		"who can get a path": {args: []string{"who-can", "get", "/metrics"},
			stdout: `KIND             NAME       NAMESPACE   WHERE        THROUGH
ServiceAccount   operator   shop        everywhere   ClusterRoleBinding/operator to ClusterRole/operator
`, stderr: "Left out 2 subjects with nothing but what Kubernetes made itself: --all prints them\n"},
		"who becomes cluster-admin": {args: []string{"can-reach-admin"}, code: command.ExitFindings,
			stdout: `KIND             NAME       NAMESPACE   STEPS   HOW
Group            dev                    2       Group "dev" may create deployments.apps in namespace "shop" (RoleBinding "shop/deployer", Role "shop/deployer"), and so run a Pod as ServiceAccount "shop/operator"
                                                ServiceAccount "shop/operator" may bind clusterroles.rbac.authorization.k8s.io and create clusterrolebindings.rbac.authorization.k8s.io (ClusterRoleBinding "operator", ClusterRole "operator"), and so bind itself to ClusterRole "cluster-admin"
ServiceAccount   operator   shop        1       ServiceAccount "shop/operator" may bind clusterroles.rbac.authorization.k8s.io and create clusterrolebindings.rbac.authorization.k8s.io (ClusterRoleBinding "operator", ClusterRole "operator"), and so bind itself to ClusterRole "cluster-admin"
`},
		"nobody of another namespace": {args: []string{"can-reach-admin", "-n", "other"},
			stdout: "Nobody is known to, but for what Kubernetes made itself.\n"},
		"what a group may do": {args: []string{"explain", "Group/dev"},
			stdout: `WHERE   VERBS   NAMES   THROUGH                                           RESOURCES
shop    *               RoleBinding/shop/deployer to Role/shop/deployer   deployments.apps
shop    get     web     RoleBinding/shop/deployer to Role/shop/deployer   secrets

It becomes cluster-admin in 2 steps:
  1. Group "dev" may create deployments.apps in namespace "shop" (RoleBinding "shop/deployer", Role "shop/deployer"), and so run a Pod as ServiceAccount "shop/operator".
  2. ServiceAccount "shop/operator" may bind clusterroles.rbac.authorization.k8s.io and create clusterrolebindings.rbac.authorization.k8s.io (ClusterRoleBinding "operator", ClusterRole "operator"), and so bind itself to ClusterRole "cluster-admin".
`},
		"a role that is not there": {args: []string{"explain", "User/alice"},
			stdout: `WHERE   VERBS   NAMES   THROUGH                                   RESOURCES
shop                    RoleBinding/shop/gone to Role/shop/gone   nothing: the role is missing

No way to become cluster-admin is known.
`},
		"bound to nothing": {args: []string{"explain", "sa/web", "-n", "shop"},
			stdout: "ServiceAccount \"shop/web\" is bound to nothing.\n\nNo way to become cluster-admin is known.\n"},
		"a node has no namespace": {args: []string{"who-can", "get", "nodes", "-n", "shop"}, code: command.ExitInput,
			stderr: "Error: nodes are in no namespace\nSee 'kubersafe rbac who-can --help'\n"},
		"a resource that nobody knows": {args: []string{"who-can", "get", "foos"}, code: command.ExitInput,
			stderr: "Error: Kubernetes has no resource \"foos\": name the group of others, such as certificates.cert-manager.io\nSee 'kubersafe rbac who-can --help'\n"},
		"no subject": {args: []string{"explain", "alice"}, code: command.ExitInput,
			stderr: "Error: \"alice\" is no subject: name a User/NAME, Group/NAME or ServiceAccount/NAMESPACE/NAME\nSee 'kubersafe rbac explain --help'\n"},
		"no namespace": {args: []string{"explain", "ServiceAccount/web"}, code: command.ExitInput,
			stderr: "Error: of ServiceAccount \"web\" the namespace is needed: ServiceAccount/NAMESPACE/web, or -n\nSee 'kubersafe rbac explain --help'\n"},
		"no question": {code: command.ExitInput,
			stderr: "Error: a question is needed: who-can, can-reach-admin or explain\nSee 'kubersafe rbac --help'\n"},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"rbac"}, tc.args...)
			if len(tc.args) > 0 {
				args = append(args, "-f", "-")
			}
			if tc.code != command.ExitInput {
				tc.stderr = rbacWarnings + tc.stderr
			}
			code, stdout, stderr := execute(bound, args...)
			if code != tc.code {
				t.Errorf("code %d, want %d", code, tc.code)
			}
			if diff := gocmp.Diff(tc.stdout, stdout); diff != "" {
				t.Error(diff)
			}
			if diff := gocmp.Diff(tc.stderr, stderr); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRBACAsJSON(t *testing.T) {
	_, stdout, _ := execute(bound, "rbac", "who-can", "patch", "deployments", "-f", "-", "-o", "json")
	var got any
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	want := map[string]any{
		"request":  map[string]any{"verb": "patch", "group": "apps", "resource": "deployments"},
		"coverage": "Unknown", "coverageReason": "manifests do not tell what else the API server asks",
		"warnings": []any{`RoleBinding "shop/gone" gives nothing: Role "shop/gone" is in no manifest`},
		"subjects": []any{map[string]any{
			"kind": "Group", "name": "dev", "everywhere": false, "namespaces": []any{"shop"},
			"through": []any{map[string]any{
				"binding": map[string]any{"kind": "RoleBinding", "namespace": "shop", "name": "deployer"},
				"role":    map[string]any{"kind": "Role", "namespace": "shop", "name": "deployer"},
			}},
		}},
	}
	if diff := gocmp.Diff(any(want), got); diff != "" {
		t.Error(diff)
	}

	_, stdout, _ = execute(bound, "rbac", "can-reach-admin", "-f", "-", "-o", "json")
	var reaching struct {
		Subjects []struct {
			Kind, Name string
			Steps      []struct {
				From, To    string
				Permissions []struct{ Verb, Resource string }
			}
		}
	}
	if err := json.Unmarshal([]byte(stdout), &reaching); err != nil {
		t.Fatalf("%v\n%s", err, stdout)
	}
	if len(reaching.Subjects) != 2 || len(reaching.Subjects[0].Steps) != 2 || reaching.Subjects[0].Steps[1].To != "cluster-admin" ||
		reaching.Subjects[0].Steps[0].Permissions[0].Verb != "create" {
		t.Errorf("unexpected: %s", stdout)
	}

	_, stdout, _ = execute(bound, "rbac", "explain", "User/carol", "-f", "-", "-o", "json")
	for _, part := range []string{`"grants": []`, `"stepsToAdmin": []`} {
		if !strings.Contains(stdout, part) {
			t.Errorf("lists that are empty must be lists, %s: %s", part, stdout)
		}
	}
}

// TestRBACBuilder is about what decides on paths beside roles.
func TestRBACBuilder(t *testing.T) {
	pod := func(change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}, Spec: corev1.PodSpec{ServiceAccountName: "powerful"}}
		change(p)
		return p
	}
	for name, tc := range map[string]struct {
		pod       *corev1.Pod
		automount *bool
		want      bool
	}{
		"a Pod mounts the token":          {pod: pod(func(*corev1.Pod) {}), want: true},
		"the ServiceAccount says not to":  {pod: pod(func(*corev1.Pod) {}), automount: new(false)},
		"the Pod says otherwise":          {pod: pod(func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = new(true) }), automount: new(false), want: true},
		"the Pod says not to":             {pod: pod(func(p *corev1.Pod) { p.Spec.AutomountServiceAccountToken = new(false) })},
		"the Pod has ended":               {pod: pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded })},
		"a Pod of another ServiceAccount": {pod: pod(func(p *corev1.Pod) { p.Spec.ServiceAccountName = "default" })},
		"a mirror of a static Pod":        {pod: pod(func(p *corev1.Pod) { p.Spec.ServiceAccountName = "" })},
		"the Pod mounts it as it wants to": {pod: pod(func(p *corev1.Pod) {
			p.Spec.AutomountServiceAccountToken = new(false)
			p.Spec.Volumes = []corev1.Volume{{VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
				Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}},
			}}}}
		}), want: true},
	} {
		t.Run(name, func(t *testing.T) {
			b := newRBACBuilder(false, "")
			everything := rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}
			exec := rbacv1.PolicyRule{Verbs: []string{"create"}, APIGroups: []string{""}, Resources: []string{"pods/exec"}}
			b.cluster.SetRole(&rbac.Role{Name: "all", Rules: []rbacv1.PolicyRule{everything}})
			b.cluster.SetRole(&rbac.Role{Name: "exec", Rules: []rbacv1.PolicyRule{exec}})
			b.bind(&rbac.Binding{Name: "all", Role: rbac.RoleKey{Name: "all"}, Subjects: []rbac.Subject{rbac.ServiceAccount("shop", "powerful")}})
			b.bind(&rbac.Binding{Name: "exec", Role: rbac.RoleKey{Name: "exec"}, Subjects: []rbac.Subject{rbac.User("alice")}})
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "powerful"}, AutomountServiceAccountToken: tc.automount}
			if err := b.add(account); err != nil {
				t.Fatal(err)
			}
			if err := b.add(tc.pod); err != nil {
				t.Fatal(err)
			}
			if _, got := b.build().cluster.Path(rbac.User("alice")); got != tc.want {
				t.Errorf("mounted %v, want %v", got, tc.want)
			}
		})
	}
}

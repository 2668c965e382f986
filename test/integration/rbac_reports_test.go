// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// accessReports returns the reports on ClusterRoles and ClusterRoleBindings by kind and name of their subject. Those of the
// operator's own roles, which users may bind or not, are left out.
func accessReports(ctx context.Context, t *testing.T) map[string]*v1alpha1.ClusterSecurityReport {
	t.Helper()
	list := &v1alpha1.ClusterSecurityReportList{}
	if err := admin.List(ctx, list); err != nil {
		t.Fatal(err)
	}
	reports := make(map[string]*v1alpha1.ClusterSecurityReport)
	for i := range list.Items {
		r := &list.Items[i]
		if kind := r.Subject.Kind; kind != rbac.KindClusterRole && kind != rbac.KindClusterRoleBinding {
			continue
		}
		if unused := "Low rbac-unused-role metadata.name"; strings.HasPrefix(r.Subject.Name, "kubersafe-") && showCluster(r) == unused {
			continue
		}
		reports[r.Subject.Kind+"/"+r.Subject.Name] = r
	}
	return reports
}

// waitForAccess waits until the reports on ClusterRoles and ClusterRoleBindings are these, with these findings.
func waitForAccess(t *testing.T, want map[string]string) map[string]*v1alpha1.ClusterSecurityReport {
	t.Helper()
	var reports map[string]*v1alpha1.ClusterSecurityReport
	eventually(t, fmt.Sprint("reports ", want), func(ctx context.Context) (bool, string) {
		reports = accessReports(ctx, t)
		got := make(map[string]string)
		for subject, r := range reports {
			got[subject] = showCluster(r)
		}
		right := len(got) == len(want)
		for subject, findings := range want {
			right = right && got[subject] == findings
		}
		return right, fmt.Sprint(got)
	})
	return reports
}

// TestReportsOnAccess: what an API server and the controllers make for themselves has no report, until somebody changes it. Each
// fault is told once.
func TestReportsOnAccess(t *testing.T) {
	waitUntilComplete(t)
	waitForAccess(t, nil)
	for _, namespace := range []string{"kube-system", "kube-public", "default"} {
		r := waitForReport(t, namespace, "namespace-"+namespace)
		for _, f := range r.Findings {
			if strings.HasPrefix(f.Check, "rbac-") {
				t.Errorf("%s: found %+v", namespace, f)
			}
		}
		for _, s := range r.Skips {
			if strings.HasPrefix(s.Check, "rbac-") {
				t.Errorf("%s: skipped %+v", namespace, s)
			}
		}
	}

	// A wildcard more in a default role is found, and its binding, which is as it was made, gives it.
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "system:node-proxier"}}
	change(t, role, func(r *rbacv1.ClusterRole) {
		r.Rules = append(r.Rules, rbacv1.PolicyRule{Verbs: []string{"*"}, APIGroups: []string{""}, Resources: []string{"services"}})
	})
	at := len(role.Rules) - 1
	t.Cleanup(func() {
		if err := admin.Get(context.Background(), client.ObjectKeyFromObject(role), role); err != nil {
			t.Error(err)
		} else if role.Rules = role.Rules[:at]; admin.Update(context.Background(), role) != nil {
			t.Error("the role is not as it was")
		}
	})
	reports := waitForAccess(t, map[string]string{"ClusterRole/system:node-proxier": fmt.Sprintf("High rbac-wildcard rules[%d]", at)})
	if r := reports["ClusterRole/system:node-proxier"]; len(r.OwnerReferences) != 1 || r.OwnerReferences[0].UID != role.UID || r.Subject.UID != string(role.UID) {
		t.Errorf("subject %v, owners %v", r.Subject, r.OwnerReferences)
	}
	change(t, role, func(r *rbacv1.ClusterRole) { r.Rules = r.Rules[:at] })
	waitForAccess(t, nil)

	// Who is cluster-admin is on no way to it; who may do what leads there is.
	bind := func(name, role string) *rbacv1.ClusterRoleBinding {
		b := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: rbac.KindClusterRole, Name: role},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "mallory"}},
		}
		create(t, b)
		t.Cleanup(func() { removeAfterwards(t, b) })
		return b
	}
	full := bind("full", "cluster-admin")
	directly := "Low rbac-user-bound-directly subjects"
	waitForAccess(t, map[string]string{"ClusterRoleBinding/full": "Critical rbac-cluster-admin roleRef\n" + directly})
	remove(t, full)
	hooks := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "hooks"}, Rules: []rbacv1.PolicyRule{{
		Verbs: []string{"create"}, APIGroups: []string{"admissionregistration.k8s.io"}, Resources: []string{"mutatingwebhookconfigurations"},
	}}}
	create(t, hooks)
	t.Cleanup(func() { removeAfterwards(t, hooks) })
	unused := "Low rbac-edits-webhooks rules[0]\nLow rbac-unused-role metadata.name"
	waitForAccess(t, map[string]string{"ClusterRole/hooks": unused})
	bind("hooks", "hooks")
	edits := bind("edits", "edit")
	want := map[string]string{
		"ClusterRole/hooks":        "High rbac-edits-webhooks rules[0]",
		"ClusterRoleBinding/hooks": "Critical rbac-privilege-path roleRef\n" + directly,
		"ClusterRoleBinding/edits": "Critical rbac-escalates roleRef\n" + directly, // the worst that it gives
	}
	reports = waitForAccess(t, want)
	const step = `: whoever has ClusterRole "hooks" may create mutatingwebhookconfigurations.admissionregistration.k8s.io (ClusterRole "hooks"), ` +
		`and so change whatever anybody writes, roles and bindings included`
	if message := reports["ClusterRoleBinding/hooks"].Findings[0].Message; !strings.HasSuffix(message, step) {
		t.Errorf("the way is not told: %s", message)
	}
	remove(t, edits)
	delete(want, "ClusterRoleBinding/edits")
	waitForAccess(t, want)

	// A restart writes nothing.
	version := reports["ClusterRoleBinding/hooks"].ResourceVersion
	stop(t)
	start(t)
	waitUntilComplete(t)
	if again := waitForAccess(t, want)["ClusterRoleBinding/hooks"]; again.ResourceVersion != version {
		t.Errorf("written again: %s, then %s", version, again.ResourceVersion)
	}
}

// TestAccessInNamespaces: what a namespace's own Roles and RoleBindings allow stands in its report, and follows what happens elsewhere.
func TestAccessInNamespaces(t *testing.T) {
	ns, elsewhere := newNamespace(t), newNamespace(t)
	create(t, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "tokens"},
		Rules:      []rbacv1.PolicyRule{{Verbs: []string{"create"}, APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}}},
	})
	create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "tokens"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: rbac.KindRole, Name: "tokens"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: elsewhere, Name: "default"}},
	})
	found := func(r *v1alpha1.SecurityReport) []string {
		var lines []string
		for _, f := range r.Findings {
			if strings.HasPrefix(f.Check, "rbac-") {
				lines = append(lines, fmt.Sprintf("%s %s %s of %s/%s", f.Severity, f.Check, f.Path, f.Object.Kind, f.Object.Name))
			}
		}
		slices.Sort(lines)
		return lines
	}
	want := []string{
		"High rbac-creates-tokens rules[0] of Role/tokens",
		"High rbac-default-service-account subjects of RoleBinding/tokens",
		"Medium rbac-cross-namespace subjects of RoleBinding/tokens",
	}
	becomes := func(want []string) {
		t.Helper()
		waitFor(t, ns, "namespace-"+ns, func(r *v1alpha1.SecurityReport) bool { return slices.Equal(found(r), want) })
	}
	becomes(want)
	powerful := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ns}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: rbac.KindClusterRole, Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: "default"}},
	}
	create(t, powerful)
	t.Cleanup(func() { removeAfterwards(t, powerful) })
	becomes(append([]string{"Critical rbac-privilege-path roleRef of RoleBinding/tokens"}, want...))
	remove(t, powerful)
	becomes(want)
}

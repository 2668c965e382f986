// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/rbac"
)

// TestRBACOfLiveClusters has what manifests, and so fixtures, cannot show: who does not exist, and what cannot be read.
func TestRBACOfLiveClusters(t *testing.T) {
	set, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	gone, web := rbac.ServiceAccount("shop", "gone"), rbac.ServiceAccount("shop", "web")
	view := func(change func(*rbac.BindingView)) *rbac.BindingView {
		v := &rbac.BindingView{
			BindingKey: rbac.BindingKey{Name: "ci"}, Role: rbac.RoleKey{Name: "ci"}, Exists: true, Subjects: []rbac.Subject{gone, web},
			Rules: []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"nodes"}}},
		}
		change(v)
		return v
	}
	forbidden := &audit.Unavailable{Resource: audit.Pods, Reason: v1alpha1.SkipSourceForbidden, Message: "may not list pods"}
	for name, tc := range map[string]struct {
		view    *rbac.BindingView
		missing audit.Resource
		found   []string
		skipped []string
	}{
		"all is well": {view: view(func(*rbac.BindingView) {})},
		"one does not exist": {
			view:  view(func(v *rbac.BindingView) { v.Missing = []rbac.Subject{gone} }),
			found: []string{`rbac-dangling-subject subjects: ClusterRoleBinding "ci" must not name ServiceAccount "shop/gone": there is none`},
		},
		"whether one exists is not known": {
			view:    view(func(v *rbac.BindingView) { v.Assumed = []rbac.Subject{gone} }),
			skipped: []string{`rbac-dangling-subject: it is not known whether ServiceAccount "shop/gone" exists`},
		},
		"without ServiceAccounts nobody is missing": {
			view: view(func(v *rbac.BindingView) { v.Missing = []rbac.Subject{gone} }), missing: audit.ServiceAccounts,
			skipped: []string{"rbac-dangling-subject: may not list pods"},
		},
		"what leads nowhere leads nowhere without Pods": {view: view(func(*rbac.BindingView) {}), missing: audit.Pods},
		"what can lead further may do so by Pods that cannot be read": {
			view: view(func(v *rbac.BindingView) { v.Leads = true }), missing: audit.Pods,
			skipped: []string{"rbac-privilege-path: may not list pods"},
		},
		"there is a way if what is not seen is as it must be": {
			view:    view(func(v *rbac.BindingView) { v.Leads, v.Unsure = true, true }),
			skipped: []string{"rbac-privilege-path: " + unsureWays},
		},
		"where it leads is yet to be found out": {
			view:    view(func(v *rbac.BindingView) { v.Leads, v.Pending = true, true }),
			skipped: []string{`rbac-privilege-path: it is not known yet where ClusterRoleBinding "ci" leads`},
		},
		"a way that is known is found all the same": {
			view:    view(func(v *rbac.BindingView) { v.Leads, v.Steps, v.Way = true, 2, []string{"one", "two"} }),
			missing: audit.Pods,
			found: []string{
				`rbac-privilege-path roleRef: ClusterRoleBinding "ci" must not give ClusterRole "ci" to ServiceAccount "shop/gone", ServiceAccount "shop/web": it leads to cluster-admin: one; two`,
			},
		},
		"Kubernetes' own are left out": {
			view: view(func(v *rbac.BindingView) {
				v.Default, v.RoleDefault, v.Leads, v.Steps, v.Everything, v.Missing = true, true, true, 1, true, []rbac.Subject{gone}
			}),
		},
		"a binding as Kubernetes makes it to a role that somebody has changed": {
			view:  view(func(v *rbac.BindingView) { v.Default, v.Leads, v.Steps, v.Everything = true, true, 1, true }),
			found: []string{`rbac-cluster-admin roleRef: ClusterRoleBinding "ci" must not give everything to ServiceAccount "shop/gone", ServiceAccount "shop/web" by ClusterRole "ci"`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := &audit.Cluster{}
			switch tc.missing {
			case "":
			case audit.Pods:
				c.Unseen = forbidden
			default:
				c.Unavailable = map[audit.Resource]*audit.Unavailable{tc.missing: forbidden}
			}
			result, tells := set.EvaluateClusterRoleBinding(c, tc.view)
			if tells != (len(tc.found)+len(tc.skipped) > 0) {
				t.Errorf("it tells anything: %v", tells)
			}
			var found, skipped []string
			for _, f := range result.Findings {
				found = append(found, f.Check+" "+f.Path+": "+f.Message)
			}
			for _, s := range result.Skips {
				skipped = append(skipped, s.Check+": "+s.Message)
			}
			if diff := cmp.Diff(tc.found, found); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.skipped, skipped); diff != "" {
				t.Errorf("skips (-want +got):\n%s", diff)
			}
		})
	}
}

// TestRBACOfManifests: what a role allows that no manifest describes is not known. Checks of names alone look all the same.
func TestRBACOfManifests(t *testing.T) {
	set, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{"rbac-dangling-subject": true, "rbac-system-masters": true, "rbac-user-bound-directly": true}
	judged := func(live bool) (skipped, bindingChecks map[string]string) {
		view := &rbac.BindingView{
			BindingKey: rbac.BindingKey{Name: "ci"}, Role: rbac.RoleKey{Name: "elsewhere"}, Subjects: []rbac.Subject{rbac.User("system:anonymous")},
		}
		result, _ := set.EvaluateClusterRoleBinding(&audit.Cluster{ClusterInventory: audit.ClusterInventory{FromManifests: !live}}, view)
		if len(result.Findings) > 0 {
			t.Errorf("it is found: %v", result.Findings)
		}
		skipped, bindingChecks = make(map[string]string), make(map[string]string)
		for _, s := range result.Skips {
			skipped[s.Check] = string(s.Reason) + ": " + s.Message
		}
		for i := range set.Checks() {
			if c := &set.Checks()[i]; c.Binding != nil && !names[c.ID] {
				bindingChecks[c.ID] = `DataMissing: no manifest describes ClusterRole "elsewhere"`
			}
		}
		return skipped, bindingChecks
	}
	skipped, want := judged(false)
	if diff := cmp.Diff(want, skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	if skipped, _ := judged(true); len(skipped) > 0 {
		t.Errorf("in a cluster, where it is known that there is none: %v", skipped)
	}
}

// TestRBACWithoutPods: who may run commands in Pods by a ClusterRole has no privileged one as long as that is known.
func TestRBACWithoutPods(t *testing.T) {
	set, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	for resource, want := range map[string]string{"pods/log": "", "pods/exec": "may not list pods"} {
		result := set.EvaluateNamespace(&audit.Namespace{Inventory: audit.Inventory{
			Surroundings: audit.Surroundings{Name: "shop"},
			RoleBindings: []*rbac.BindingView{{
				BindingKey: rbac.BindingKey{Namespace: "shop", Name: "ci"}, Role: rbac.RoleKey{Name: "ci"}, Exists: true,
				Subjects: []rbac.Subject{rbac.Group("dev")},
				Rules:    []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{resource}}},
			}},
			Unavailable: map[audit.Resource]*audit.Unavailable{
				audit.Pods: {Resource: audit.Pods, Reason: v1alpha1.SkipSourceForbidden, Message: "may not list pods"},
			},
		}})
		got := ""
		for _, s := range result.Skips {
			if s.Check == "rbac-execs-pods" {
				got = s.Message
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", resource, got, want)
		}
	}
}

func TestListed(t *testing.T) {
	for want, list := range map[string][]string{"": nil, "a": {"a"}, "a, b, c, d, e": {"a", "b", "c", "d", "e"}, "a, b, c, d, e and more": {"a", "b", "c", "d", "e", "f"}} {
		if got := listed(list); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestEveryPowerIsRanked: a binding tells of the worst power, so each that a check judges must be among them.
func TestEveryPowerIsRanked(t *testing.T) {
	set, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	judged := 0
	for i := range set.Checks() {
		if c := &set.Checks()[i]; c.Role != nil && c.Binding != nil && c.ID != "rbac-wildcard" {
			judged++
		}
	}
	if judged != len(worst) {
		t.Errorf("%d checks judge powers, and %d are ranked", judged, len(worst))
	}
}

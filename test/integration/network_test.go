// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// installClusterPolicies has ClusterNetworkPolicies served for one test, as their project has them.
func installClusterPolicies(t *testing.T) {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/network-policy-api").Output()
	if err != nil {
		t.Fatal(err)
	}
	crd := filepath.Join(strings.TrimSpace(string(dir)), "config/crd/standard/policy.networking.k8s.io_clusternetworkpolicies.yaml")
	for _, args := range [][]string{{"apply", "-f", crd}, {"wait", "--for=condition=Established", "-f", crd}} {
		if _, err := cluster.Kubectl(t.Context(), nil, args...); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, err := cluster.Kubectl(context.Background(), nil, "delete", "--wait", "-f", crd); err != nil {
			t.Error(err)
		}
		waitForClusterReport(t, sourceIs(audit.ClusterNetworkPolicies, v1alpha1.SourceNotServed))
	})
}

// denyByDefault returns a policy that denies everything by default in the namespaces with those labels.
func denyByDefault(name string, labels map[string]string) *v1alpha2.ClusterNetworkPolicy {
	return &v1alpha2.ClusterNetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: v1alpha2.ClusterNetworkPolicySpec{
			Tier: v1alpha2.BaselineTier, Priority: 10,
			Subject: v1alpha2.ClusterNetworkPolicySubject{Namespaces: &metav1.LabelSelector{MatchLabels: labels}},
			Ingress: []v1alpha2.ClusterNetworkPolicyIngressRule{{
				Action: v1alpha2.ClusterNetworkPolicyRuleActionDeny,
				From:   []v1alpha2.ClusterNetworkPolicyIngressPeer{{Namespaces: &metav1.LabelSelector{}}},
			}},
			Egress: []v1alpha2.ClusterNetworkPolicyEgressRule{{
				Action: v1alpha2.ClusterNetworkPolicyRuleActionDeny,
				To:     []v1alpha2.ClusterNetworkPolicyEgressPeer{{Networks: []v1alpha2.CIDR{"0.0.0.0/0", "::/0"}}},
			}},
		},
	}
}

// segmentation returns what a namespace's report says of its network.
func segmentation(r *v1alpha1.SecurityReport) string {
	if r.Network == nil {
		return "unknown"
	}
	return fmt.Sprintf("%s %s %s", r.Network.Ingress, r.Network.Egress, r.Network.MetadataEndpoint)
}

const (
	denied = "DefaultDeny DefaultDeny Blocked"
	open   = "Open Open Reachable"
)

// TestClusterNetworkPolicies: they are picked up when they come to be served, and concern the namespaces that they select.
func TestClusterNetworkPolicies(t *testing.T) {
	team := func(name string) map[string]string {
		return map[string]string{"team": strings.ToLower(t.Name()) + "-" + name}
	}
	a, b := newLabelledNamespace(t, team("a")), newLabelledNamespace(t, team("b"))
	waitForNetwork := func(namespace, want string) *v1alpha1.SecurityReport {
		t.Helper()
		return waitFor(t, namespace, "namespace-"+namespace, func(r *v1alpha1.SecurityReport) bool { return segmentation(r) == want })
	}
	for _, ns := range []string{a, b} {
		create(t, pod(ns, "app", container("app", "example.com/app:1", false)))
		waitForNetwork(ns, open)
		settle(t, ns)
	}
	process := replica.Process()
	waitForClusterReport(t, sourceIs(audit.ClusterNetworkPolicies, v1alpha1.SourceNotServed))
	mark := len(writes(t, a)) + len(writes(t, b))
	installClusterPolicies(t)
	waitForClusterReport(t, sourceIs(audit.ClusterNetworkPolicies, v1alpha1.SourceSynced))
	if w := slices.Concat(writes(t, a), writes(t, b)); len(w) != mark {
		t.Errorf("that they are served caused writes, the last of %v", w)
	}

	policy := denyByDefault("default-deny", team("a"))
	create(t, policy)
	r := waitForNetwork(a, denied)
	for _, f := range r.Findings {
		if strings.HasPrefix(f.Check, "no-default-deny") || f.Check == "metadata-endpoint-reachable" || f.Check == "cross-namespace-ingress-open" {
			t.Errorf("still found: %+v", f)
		}
	}
	waitForSeries(t, a, `kubersafe_network_unisolated_workloads{direction="ingress",namespace="`+a+`"} 0`, 1)
	waitForSeries(t, b, `kubersafe_network_unisolated_workloads{direction="ingress",namespace="`+b+`"} 1`, 1)
	waitForSeries(t, b, `kubersafe_network_metadata_reachable_workloads{namespace="`+b+`"} 1`, 1)
	// The command reads them too, for all and for those whom it is asked about.
	if out, code := command(t, "audit", "--kubeconfig="+cluster.Kubeconfig, "-o", "json"); code != 1 || !strings.Contains(out, `"ingress": "DefaultDeny"`) {
		t.Errorf("kubersafe audit: code %d, without the policy", code)
	}
	out, code := command(t, "network", "--kubeconfig="+cluster.Kubeconfig, "--from", b+"/Pod/app", "--to", a+"/Pod/app", "--port", "80")
	if code != 1 || !strings.Contains(out, `cluster network policy "default-deny" spec.ingress[0]`) {
		t.Errorf("kubersafe network: code %d\n%s", code, out)
	}

	// What selects others concerns those that it selected and those that it selects.
	change(t, policy, func(p *v1alpha2.ClusterNetworkPolicy) { p.Spec.Subject.Namespaces.MatchLabels = team("b") })
	waitForNetwork(a, open)
	waitForNetwork(b, denied)
	// So does a namespace that changes.
	change(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: a}}, func(n *corev1.Namespace) { n.Labels["team"] = team("b")["team"] })
	waitForNetwork(a, denied)

	// The API server does not look into selectors.
	change(t, policy, func(p *v1alpha2.ClusterNetworkPolicy) {
		p.Spec.Subject.Namespaces.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Near"}}
	})
	r = waitForNetwork(b, open)
	if !slices.ContainsFunc(r.Findings, func(f v1alpha1.Finding) bool {
		return f.Check == "network-policy-invalid" && f.Object.Kind == "ClusterNetworkPolicy" && f.Path == "spec.subject.namespaces"
	}) {
		t.Errorf("a policy that selects nobody is not found: %+v", r.Findings)
	}
	remove(t, policy)
	waitFor(t, b, "namespace-"+b, func(r *v1alpha1.SecurityReport) bool {
		return !slices.ContainsFunc(r.Findings, func(f v1alpha1.Finding) bool { return f.Check == "network-policy-invalid" })
	})
	if replica.Process() != process {
		t.Error("the operator was restarted")
	}
}

// TestForbiddenClusterNetworkPolicies: what may not be read is not taken for nothing, and is picked up when it may be.
func TestForbiddenClusterNetworkPolicies(t *testing.T) {
	ns := newNamespace(t)
	create(t, pod(ns, "app", container("app", "example.com/app:1", false)))
	allow := func(allowed bool) {
		change(t, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "kubersafe"}}, func(r *rbacv1.ClusterRole) {
			r.Rules = slices.DeleteFunc(r.Rules, func(rule rbacv1.PolicyRule) bool { return slices.Contains(rule.APIGroups, v1alpha2.GroupName) })
			if allowed {
				r.Rules = append(r.Rules, rbacv1.PolicyRule{
					APIGroups: []string{v1alpha2.GroupName}, Resources: []string{"clusternetworkpolicies"}, Verbs: []string{"get", "list", "watch"},
				})
			}
		})
	}
	t.Cleanup(func() { allow(true) })
	allow(false)
	skips := func(r *v1alpha1.SecurityReport) (checks []string) {
		for _, s := range r.Skips {
			if s.Reason == v1alpha1.SkipSourceForbidden && strings.Contains(s.Message, string(audit.ClusterNetworkPolicies)) {
				checks = append(checks, s.Check)
			}
		}
		return checks
	}
	stop(t)
	start(t)
	// Nobody may read them, but there are none.
	waitUntilComplete(t)
	waitForClusterReport(t, sourceIs(audit.ClusterNetworkPolicies, v1alpha1.SourceNotServed))
	if r := waitForReport(t, ns, "namespace-"+ns); len(skips(r)) > 0 || segmentation(r) != open {
		t.Errorf("what is not served is missing: %v, %s", r.Skips, segmentation(r))
	}
	installClusterPolicies(t)
	r := waitFor(t, ns, "namespace-"+ns, func(r *v1alpha1.SecurityReport) bool { return len(skips(r)) > 0 })
	if got := skips(r); !slices.Contains(got, "no-default-deny-ingress") || segmentation(r) != "unknown" {
		t.Errorf("skipped are %v, the network is %s", got, segmentation(r))
	}
	waitForClusterReport(t, sourceIs(audit.ClusterNetworkPolicies, v1alpha1.SourceForbidden))
	create(t, denyByDefault("all", nil))
	t.Cleanup(func() { removeAfterwards(t, denyByDefault("all", nil)) })
	allow(true)
	waitFor(t, ns, "namespace-"+ns, func(r *v1alpha1.SecurityReport) bool { return len(skips(r)) == 0 && segmentation(r) == denied })
}

// TestNetworkCommandForViewers: who may read all that comes with Kubernetes can ask about its network. What is not served is
// not missed.
func TestNetworkCommandForViewers(t *testing.T) {
	ns := newNamespace(t)
	create(t, pod(ns, "app", container("app", "example.com/app:1", false)))
	waitForReport(t, ns, "pod-app")
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "viewer"}})
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: ns, Name: "viewer"}},
	}
	create(t, binding)
	t.Cleanup(func() { removeAfterwards(t, binding) })
	_, kubeconfig, err := cluster.ServiceAccount(t.Context(), ns, "viewer")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "an answer", func(context.Context) (bool, string) {
		out, code := command(t, "network", "--kubeconfig="+kubeconfig, "-n", ns, "--from", "Pod/app", "--to", "metadata", "--port", "80")
		return code == 0 && strings.Contains(out, "yes: "+ns+"/Pod/app can connect to metadata on TCP 80"), out
	})
	const warning = "may not list and watch"
	out, _ := command(t, "audit", "--kubeconfig="+kubeconfig)
	_, unread, _ := strings.Cut(out, warning+" ")
	unread, _, _ = strings.Cut(unread, ";")
	got := strings.Split(unread, ", ")
	slices.Sort(got)
	want := []string{
		string(audit.ClusterRoleBindings), string(audit.ClusterRoles), string(audit.MutatingWebhooks), string(audit.Nodes),
		string(audit.RoleBindings), string(audit.Roles), string(audit.ValidatingWebhooks), string(audit.AdmissionPolicies), string(audit.AdmissionPolicyBindings),
		string(audit.ImageReports),
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the command must warn about what viewers may not read (-want +got):\n%s\n%.300s", diff, out)
	}
	installClusterPolicies(t)
	eventually(t, "a warning about policies", func(context.Context) (bool, string) {
		out, _ := command(t, "audit", "--kubeconfig="+kubeconfig)
		return strings.Contains(out, warning) && strings.Contains(out, string(audit.ClusterNetworkPolicies)), fmt.Sprintf("%.300s", out)
	})
	if out, code := command(t, "network", "--kubeconfig="+kubeconfig, "-n", ns); code != 2 || !strings.Contains(out, "listing clusternetworkpolicies") {
		t.Errorf("code %d: what may not be read is taken for nothing\n%s", code, out)
	}
}

// command runs the command once, and returns all that it prints and its exit code.
func command(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	printed, err := exec.CommandContext(t.Context(), replica.Binary, args...).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return string(printed), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(printed), 0
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/test/controlplane"
	"github.com/kubersafe/kubersafe/test/operator"
)

// allWrites returns every write of the operator to reports so far.
func allWrites(t *testing.T) []string {
	t.Helper()
	events, err := cluster.AuditEvents()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range events {
		if e.User == operator.User && strings.HasSuffix(e.Resource, "securityreports") && !slices.Contains([]string{"get", "list", "watch"}, e.Verb) {
			found = append(found, fmt.Sprintf("%s %s/%s", e.Verb, e.Namespace, e.Name))
		}
	}
	return found
}

// waitUntilComplete waits until the first pass is done: only then are there state metrics.
func waitUntilComplete(t *testing.T) {
	t.Helper()
	eventually(t, "the first complete audit", func(context.Context) (bool, string) {
		lines := scrape(t)
		return slices.ContainsFunc(lines, func(l string) bool {
			return strings.HasPrefix(l, "kubersafe_last_complete_audit_timestamp_seconds ")
		}), fmt.Sprint(len(lines), " lines")
	})
}

func restart(t *testing.T) {
	t.Helper()
	stop(t)
	start(t)
	waitUntilComplete(t)
}

func TestRestartRewritesNothing(t *testing.T) {
	ns := newNamespace(t)
	create(t, deployment(ns, "web", 3, container("app", "example.com/web", true)))
	create(t, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "q"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/configmaps": resource.MustParse("1")}},
	})
	waitFor(t, ns, "namespace-"+ns, shows(
		"High no-default-deny-ingress metadata.name", "High quota-nearly-exhausted spec.hard[count/configmaps]"))
	before := waitForReport(t, ns, "deployment-web")
	settle(t, ns)
	waitForClusterReport(t, func(r *v1alpha1.ClusterSecurityReport) bool { return r.Summary.Critical > 0 })
	quiet(t)

	mark := len(allWrites(t))
	restart(t)
	if w := allWrites(t)[mark:]; len(w) > 0 {
		t.Errorf("a restart caused writes: %v", w)
	}
	after := waitForReport(t, ns, "deployment-web")
	if !equality.Semantic.DeepEqual(before.Findings, after.Findings) {
		t.Errorf("findings were %+v and are %+v", before.Findings, after.Findings)
	}

	// What happens while nobody looks is made up for.
	stop(t)
	create(t, pod(ns, "late", container("app", "example.com/late", true)))
	remove(t, deployment(ns, "web", 3))
	orphan := before.DeepCopy()
	orphan.ObjectMeta = metav1.ObjectMeta{Namespace: ns, Name: "deployment-orphan"}
	create(t, orphan)
	start(t)
	waitForReport(t, ns, "pod-late")
	waitForNoReport(t, ns, "deployment-web")
	waitForNoReport(t, ns, "deployment-orphan")
	waitUntilComplete(t)
}

// quiet waits until the namespaces of other tests are gone, and the cluster's report, which trails, agrees with the metrics.
func quiet(t *testing.T) {
	t.Helper()
	eventually(t, "namespaces to go", func(ctx context.Context) (bool, string) {
		list := &corev1.NamespaceList{}
		err := admin.List(ctx, list)
		var going []string
		for _, n := range list.Items {
			if n.DeletionTimestamp != nil {
				going = append(going, fmt.Sprintf("%s: %+v", n.Name, n.Status.Conditions))
			}
		}
		return err == nil && len(going) == 0, fmt.Sprint(strings.Join(going, "\n"), err)
	})
	waitForClusterReport(t, func(r *v1alpha1.ClusterSecurityReport) bool {
		counts := make(map[v1alpha1.Severity]int32)
		for _, line := range scrape(t) {
			for _, severity := range audit.Severities {
				violations := strings.HasPrefix(line, "kubersafe_violations{") || strings.HasPrefix(line, "kubersafe_cluster_violations{")
				if !violations || !strings.Contains(line, `severity="`+string(severity)+`"`) {
					continue
				}
				var n int32
				if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &n); err != nil {
					t.Fatal(err)
				}
				counts[severity] += n
			}
		}
		s := r.Summary
		return s.Critical == counts[v1alpha1.SeverityCritical] && s.High == counts[v1alpha1.SeverityHigh] &&
			s.Medium == counts[v1alpha1.SeverityMedium] && s.Low == counts[v1alpha1.SeverityLow]
	})
}

func waitForClusterReport(t *testing.T, right func(*v1alpha1.ClusterSecurityReport) bool) *v1alpha1.ClusterSecurityReport {
	t.Helper()
	r := &v1alpha1.ClusterSecurityReport{}
	eventually(t, "the cluster's report", func(ctx context.Context) (bool, string) {
		*r = v1alpha1.ClusterSecurityReport{}
		if err := admin.Get(ctx, client.ObjectKey{Name: v1alpha1.ClusterReportName}, r); err != nil {
			return false, err.Error()
		}
		return right(r), fmt.Sprintf("%+v %+v", r.Summary, r.Sources)
	})
	return r
}

func sourceIs(resource audit.Resource, state v1alpha1.SourceState) func(*v1alpha1.ClusterSecurityReport) bool {
	return func(r *v1alpha1.ClusterSecurityReport) bool {
		return slices.ContainsFunc(r.Sources, func(s v1alpha1.SourceStatus) bool {
			return s.Resource == string(resource) && s.State == state
		})
	}
}

func TestForbiddenSourceDegradesAndIsPickedUp(t *testing.T) {
	ns := newNamespace(t)
	create(t, pod(ns, "app", container("app", "example.com/app:1", false)))
	own := "namespace-" + ns
	waitFor(t, ns, own, shows("High no-default-deny-ingress metadata.name", "Medium no-resource-quota metadata.name"))

	quotas := func(allowed bool) {
		role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "kubersafe"}}
		change(t, role, func(r *rbacv1.ClusterRole) {
			for i, rule := range r.Rules {
				if !slices.Contains(rule.Resources, "pods") {
					continue
				}
				r.Rules[i].Resources = slices.DeleteFunc(rule.Resources, func(r string) bool { return r == "resourcequotas" })
				if allowed {
					r.Rules[i].Resources = append(r.Rules[i].Resources, "resourcequotas")
				}
			}
		})
	}
	t.Cleanup(func() { quotas(true) })
	quotas(false)
	stop(t)
	start(t) // it is ready all the same
	process := replica.Process()
	forbidden := waitFor(t, ns, own, func(r *v1alpha1.SecurityReport) bool { return len(r.Skips) > 0 })
	if got := int(forbidden.Summary.Skipped); got != len(forbidden.Skips) || got < 2 {
		t.Errorf("%d skipped and %d listed, want those that read quotas", got, len(forbidden.Skips))
	}
	if show(forbidden) != "High no-default-deny-ingress metadata.name" {
		t.Errorf("findings without quotas:\n%s", show(forbidden))
	}
	for _, s := range forbidden.Skips {
		if s.Reason != v1alpha1.SkipSourceForbidden || !strings.Contains(s.Message, "resourcequotas") {
			t.Errorf("skip %+v, want SourceForbidden naming resourcequotas", s)
		}
	}
	waitForClusterReport(t, sourceIs(audit.ResourceQuotas, v1alpha1.SourceForbidden))
	waitForSeries(t, ns, `kubersafe_skipped_checks{check="no-resource-quota",namespace="`+ns+`",reason="SourceForbidden"} 1`, 1)
	create(t, pod(ns, "later", container("app", "example.com/app:1", true)))
	waitForReport(t, ns, "pod-later") // the rest goes on

	quotas(true)
	waitFor(t, ns, own, func(r *v1alpha1.SecurityReport) bool {
		return r.Summary.Skipped == 0 && show(r) == "High no-default-deny-ingress metadata.name\nMedium no-resource-quota metadata.name"
	})
	waitForClusterReport(t, sourceIs(audit.ResourceQuotas, v1alpha1.SourceSynced))
	if replica.Process() != process {
		t.Error("the operator was restarted")
	}
	select {
	case <-process.Done():
		t.Error("the operator has ended")
	default:
	}
}

func TestReportKindsDeletedAndInstalledAgain(t *testing.T) {
	ns := newNamespace(t)
	create(t, pod(ns, "app", container("app", "example.com/app:1", true)))
	before := waitForReport(t, ns, "pod-app")

	root, err := controlplane.ModuleRoot()
	if err != nil {
		t.Fatal(err)
	}
	crds := filepath.Join(root, "config/crd/bases")
	kubectl := func(args ...string) {
		t.Helper()
		if _, err := cluster.Kubectl(t.Context(), nil, args...); err != nil {
			t.Fatal(err)
		}
	}
	kubectl("delete", "--wait", "-f", crds)
	stop(t)
	start(t) // without its own kinds it is ready, and audits into its metrics
	waitUntilComplete(t)
	waitForSeries(t, ns, `kubersafe_violations{category="pod-security",check="privileged-container",kind="Pod"`, 1)
	if !slices.Contains(scrape(t), `kubersafe_source_state{resource="securityreports.audit.kubersafe.io",state="NotServed"} 1`) {
		t.Error("the reports' source must be NotServed")
	}
	process := replica.Process()
	kubectl("apply", "-f", crds)
	kubectl("wait", "--for=condition=Established", "-f", crds)
	waitFor(t, ns, "pod-app", func(r *v1alpha1.SecurityReport) bool { return r.UID != before.UID && r.Summary.Critical == 1 })
	waitForClusterReport(t, sourceIs(ledger.SecurityReports, v1alpha1.SourceSynced))
	select {
	case <-process.Done():
		t.Error("the operator has ended")
	default:
	}
}

func TestStandbyExportsNoStateAndTakesOver(t *testing.T) {
	ns := newNamespace(t)
	create(t, pod(ns, "app", container("app", "example.com/app:1", true)))
	waitForReport(t, ns, "pod-app")
	leader := replica
	replica = leader.Replica()
	start(t)
	for _, line := range scrape(t) {
		if strings.HasPrefix(line, "kubersafe_violations") || strings.HasPrefix(line, "kubersafe_last_complete") {
			t.Errorf("a standby exports %s", line)
		}
	}
	if err := leader.Stop(); err != nil { // it releases its Lease
		t.Fatal(err)
	}
	waitForSeries(t, ns, `kubersafe_violations{category="pod-security",check="privileged-container",kind="Pod"`, 1)
	create(t, pod(ns, "next", container("app", "example.com/app:1", true)))
	waitForReport(t, ns, "pod-next")
}

func TestMetricsAreCleanAndGuarded(t *testing.T) {
	problems, err := promlint.New(strings.NewReader(strings.Join(scrape(t), "\n") + "\n")).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "kubersafe_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	for token, want := range map[string]int{"": http.StatusUnauthorized, tokenOf(t, "default", "default"): http.StatusForbidden} {
		code, _, err := replica.GetAs(t.Context(), "/metrics", token)
		if err != nil {
			t.Fatal(err)
		}
		if code != want {
			t.Errorf("a scrape is answered %d, want %d", code, want)
		}
	}
}

// TestProfilesAreOffAndGuarded: nobody gets any unless the operator is told to serve them, and then only who may read them.
func TestProfilesAreOffAndGuarded(t *testing.T) {
	create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "profiler"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubersafe-profiler"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "profiler"}},
	})
	profiled := replica.Replica()
	profiled.Args = []string{"--profiling"}
	if err := startOperator(t.Context(), profiled); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := profiled.Stop(); err != nil {
			t.Error(err)
		}
	})
	create(t, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "profiler"}})
	profiler := tokenOf(t, "default", "profiler")
	for sentence, tc := range map[string]struct {
		of    *operator.Operator
		token string
		want  int
	}{
		"off":                         {replica, profiler, http.StatusNotFound},
		"without a token":             {profiled, "", http.StatusUnauthorized},
		"as who may read the metrics": {profiled, tokenOf(t, "default", "prometheus"), http.StatusForbidden},
		"as who may read profiles":    {profiled, profiler, http.StatusOK},
	} {
		t.Run(sentence, func(t *testing.T) {
			eventually(t, "the answer", func(ctx context.Context) (bool, string) { // RBAC comes over a watch
				code, body, err := tc.of.GetAs(ctx, "/debug/pprof/", tc.token)
				return err == nil && code == tc.want && strings.Contains(body, "goroutine") == (code == http.StatusOK), fmt.Sprint(code, err, body)
			})
		})
	}
}

func tokenOf(t *testing.T, namespace, account string) string {
	t.Helper()
	config, _, err := cluster.ServiceAccount(t.Context(), namespace, account)
	if err != nil {
		t.Fatal(err)
	}
	return config.BearerToken
}

// TestNoReportIsRefused builds the worst reports there can be and has the API server take them.
func TestNoReportIsRefused(t *testing.T) {
	ns := newNamespace(t)
	for what, text := range map[string]string{
		"four-byte characters": strings.Repeat("𝕂", 3000), "escapes": strings.Repeat("<&>\"\\", 2000),
		"control characters": strings.Repeat("\x00\x1b\n", 3000), "no UTF-8": strings.Repeat("\xff\xfe", 3000), "nothing": "",
	} {
		t.Run(what, func(t *testing.T) {
			result := audit.Result{
				Subject: audit.Subject{APIVersion: text + "/v1", Kind: "Odd" + text, Name: text, UID: audit.UIDOf(types.UID(text))},
				Skips:   []audit.Skip{{Check: "some-check", Reason: v1alpha1.SkipCheckFailed, Message: text}},
			}
			result.Report = result.ReportName()
			if text == "" {
				result.Subject = audit.Subject{APIVersion: "v1", Kind: "Pod", Name: "p"}
				result.Report = result.ReportName()
			}
			for i := range 2000 {
				result.Findings = append(result.Findings, audit.Finding{
					Check: "some-check", Severity: v1alpha1.SeverityHigh, Message: text, Container: text, Path: fmt.Sprint("p", i, text),
					Object: &v1alpha1.ObjectReference{Kind: "Kind" + text, Name: "n" + text},
				})
			}
			built, _ := report.Build(ns, &result, nil, time.Now())
			built.OwnerReferences = nil // of a subject that is not there
			create(t, built)
			if built.Summary.High != 2000 || int(built.OmittedFindings)+len(built.Findings) != 2000 {
				t.Errorf("%d findings counted, %d listed and %d omitted, want 2,000", built.Summary.High, len(built.Findings), built.OmittedFindings)
			}
		})
	}
}

func TestWhoMayReadReports(t *testing.T) {
	ns := newNamespace(t)
	for role, want := range map[string]string{"admin": "yes", "edit": "no", "view": "no", "kubersafe-report-viewer": "yes"} {
		create(t, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: role},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: role}},
		})
		eventually(t, "the rights of "+role, func(ctx context.Context) (bool, string) {
			// kubectl says no with exit code 1.
			out, err := cluster.Kubectl(ctx, nil, "auth", "can-i", "list", "securityreports", "-n", ns, "--as", role)
			return strings.HasPrefix(out, want) || want == "no" && err != nil, fmt.Sprint(out, err)
		})
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/configuration"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/internal/source"
)

// verdictsOn judges a namespace with a Deployment of each name, and with exceptions. They are as the Pod Security Standards
// want them, but for what is changed.
func verdictsOn(
	t *testing.T, set *audit.Set, namespace string, exceptions []*v1alpha1.ClusterSecurityException, change func(*corev1.PodSpec), names ...string,
) []Verdict {
	t.Helper()
	yes, no := true, false
	static := source.NewStatic()
	for _, e := range exceptions {
		if err := static.Add(e); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		d.Spec.Template.Spec = corev1.PodSpec{
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Containers: []corev1.Container{{Name: "app", Image: "example.com/app:1", SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: &no, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			}}},
		}
		change(&d.Spec.Template.Spec)
		if err := static.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	return Judge(set, audit.Fold(*static.Inventories()[namespace], now), Previous{}, now)
}

func entriesOf(verdicts []Verdict) Entries {
	entries := make(Entries)
	for _, v := range verdicts {
		entries[v.Report] = v.Entry
	}
	return entries
}

// TestComplianceOfAClusterThatChanges judges real namespaces, and looks at what the cluster's report says of them.
func TestComplianceOfAClusterThatChanges(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	var sources []v1alpha1.SourceStatus
	summed := func(l *Ledger) *v1alpha1.ClusterSecurityReport {
		c := report.Cluster{Totals: l.Totals(), Checks: set.Checks(), Sources: sources, Version: "v1"}
		return c.Build()
	}
	pss := func(r *v1alpha1.ClusterSecurityReport) v1alpha1.FrameworkCompliance {
		return r.Compliance[slices.IndexFunc(r.Compliance, func(f v1alpha1.FrameworkCompliance) bool { return f.Framework == "pss" })]
	}
	as, weak := func(*corev1.PodSpec) {}, func(spec *corev1.PodSpec) {
		spec.HostNetwork, spec.Containers[0].SecurityContext.RunAsUser = true, new(int64)
	}
	l := New()
	if got := pss(summed(l)); len(got.Passed)+len(got.Failed)+len(got.Exempted) > 0 {
		t.Errorf("of an empty cluster, the report says %+v", got)
	}

	l.Put("shop", set, entriesOf(verdictsOn(t, set, "shop", nil, as, "web")))
	hardened := summed(l)
	if got := pss(hardened); len(got.Passed) != 19 || len(got.Failed)+len(got.Exempted)+len(got.NotAssessed) > 0 {
		t.Errorf("of a cluster that follows the Pod Security Standards, the report says %+v", got)
	}
	l.Put("shop", set, entriesOf(verdictsOn(t, set, "shop", nil, as, "web", "api", "db")))
	if diff := cmp.Diff(hardened.Compliance, summed(l).Compliance); diff != "" {
		t.Errorf("more of the same changes what is said of it (-before +after):\n%s", diff)
	}

	bad := verdictsOn(t, set, "legacy", nil, weak, "web")
	l.Put("legacy", set, entriesOf(bad))
	failing := summed(l)
	if diff := cmp.Diff([]string{"Baseline: Host Namespaces", "Restricted: Running as Non-root user"}, pss(failing).Failed); diff != "" {
		t.Errorf("failed (-want +got):\n%s", diff)
	}

	// The same, known from another shard's reports.
	l.Drop("legacy")
	var stored []*Entry
	for _, v := range bad {
		stored = append(stored, countedReport(v.Build()).Counts)
	}
	l.PutElsewhere("legacy", set, stored)
	if diff := cmp.Diff(failing, summed(l)); diff != "" {
		t.Errorf("report with two shards (-one +two):\n%s", diff)
	}

	// What exceptions exempt has not passed, here and there.
	e := &v1alpha1.ClusterSecurityException{ObjectMeta: metav1.ObjectMeta{Name: "known"}}
	e.Spec.Checks, e.Spec.Reason = []string{"host-network", "runs-as-root"}, "r"
	e.Spec.Subjects = []v1alpha1.ExceptionSubject{{Kind: "Deployment"}}
	e.Spec.ExpirationTime = &metav1.Time{Time: now.Add(time.Hour)}
	known := verdictsOn(t, set, "legacy", []*v1alpha1.ClusterSecurityException{e}, weak, "web")
	stored = nil
	for _, v := range known {
		stored = append(stored, countedReport(v.Build()).Counts)
	}
	l.PutElsewhere("legacy", set, stored)
	there := summed(l)
	l.PutElsewhere("legacy", set, nil)
	l.Put("legacy", set, entriesOf(known))
	exempted := summed(l)
	if got := pss(exempted); len(got.Failed)+len(got.NotAssessed) > 0 ||
		!slices.Equal(got.Exempted, []string{"Baseline: Host Namespaces", "Restricted: Running as Non-root user"}) {
		t.Errorf("of what is exempted, the report says %+v", got)
	}
	if diff := cmp.Diff(exempted, there); diff != "" {
		t.Errorf("report on exemptions with two shards (-one +two):\n%s", diff)
	}
	l.Drop("legacy")

	// What is off in one namespace is not assessed.
	configured := configuration.New(set.Checks(), &v1alpha1.AuditConfigurationSpec{
		Checks: []v1alpha1.CheckRule{{
			Names: []string{"host-port"}, State: v1alpha1.CheckDisabled, Namespaces: &v1alpha1.NamespaceSelector{Names: []string{"odd"}},
		}},
		Namespaces: v1alpha1.NamespaceSettings{Excluded: &v1alpha1.NamespaceSelector{Names: []string{"left-out"}}},
	}, nil)
	l.Put("shop", configured.SetFor("shop", nil), entriesOf(verdictsOn(t, configured.SetFor("shop", nil), "shop", nil, as, "web")))
	l.Put("odd", configured.SetFor("odd", nil), entriesOf(verdictsOn(t, configured.SetFor("odd", nil), "odd", nil, as, "web")))
	want := []v1alpha1.NotAssessed{{Reason: "off: host-port", Controls: []string{"Baseline: Host Ports"}}}
	if diff := cmp.Diff(want, pss(summed(l)).NotAssessed); diff != "" {
		t.Errorf("not assessed (-want +got):\n%s", diff)
	}
	l.Drop("odd")
	if diff := cmp.Diff(hardened, summed(l)); diff != "" {
		t.Errorf("what is over has left something behind (-before +after):\n%s", diff)
	}

	// What is in a namespace that is left out counts for nothing, and the report says that there is one.
	out := configured.SetFor("left-out", nil)
	l.Put("left-out", out, entriesOf(verdictsOn(t, out, "left-out", nil, weak, "web")))
	beside := summed(l)
	if !beside.NamespacesExcluded {
		t.Error("the report does not say that a namespace is left out")
	}
	beside.NamespacesExcluded = false
	if diff := cmp.Diff(hardened, beside); diff != "" {
		t.Errorf("beside a namespace that is left out (-without +with):\n%s", diff)
	}
	l.Drop("left-out")

	// What is in workloads that cannot be read is not assessed.
	sources = []v1alpha1.SourceStatus{{Resource: string(audit.Jobs), State: v1alpha1.SourceForbidden, Message: "m"}}
	if got := pss(summed(l)); len(got.Passed)+len(got.Failed)+len(got.Exempted) > 0 {
		t.Errorf("of workloads that cannot be read, the report says %+v", got)
	}
}

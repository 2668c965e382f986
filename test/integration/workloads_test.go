// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

func TestEveryKindIsJudgedByItsTemplate(t *testing.T) {
	ns := newNamespace(t)
	template := podTemplate("app", container("bad", "example.com/bad", true))
	selector := &metav1.LabelSelector{MatchLabels: template.Labels}
	job := batchv1.JobSpec{Template: template}
	job.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }
	yes, none := true, int32(0)

	for _, o := range []client.Object{
		&appsv1.Deployment{ObjectMeta: meta("zero"), Spec: appsv1.DeploymentSpec{Replicas: &none, Selector: selector, Template: template}},
		&appsv1.ReplicaSet{ObjectMeta: meta("own"), Spec: appsv1.ReplicaSetSpec{Selector: selector, Template: template}},
		&appsv1.StatefulSet{ObjectMeta: meta("db"), Spec: appsv1.StatefulSetSpec{Selector: selector, Template: template}},
		&appsv1.DaemonSet{ObjectMeta: meta("agent"), Spec: appsv1.DaemonSetSpec{Selector: selector, Template: template}},
		&corev1.ReplicationController{ObjectMeta: meta("old"), Spec: corev1.ReplicationControllerSpec{Selector: template.Labels, Template: &template}},
		&batchv1.Job{ObjectMeta: meta("once"), Spec: job},
		&batchv1.CronJob{ObjectMeta: meta("nightly"), Spec: batchv1.CronJobSpec{
			Schedule: "0 0 1 1 *", Suspend: &yes, JobTemplate: batchv1.JobTemplateSpec{Spec: job},
		}},
		pod(ns, "bare", container("bad", "example.com/bad", true)),
	} {
		create(t, o)
	}
	for report, prefix := range map[string]string{
		"deployment-zero": "spec.template.", "replicaset-own": "spec.template.", "statefulset-db": "spec.template.",
		"daemonset-agent": "spec.template.", "replicationcontroller-old": "spec.template.", "job-once": "spec.template.",
		"cronjob-nightly": "spec.jobTemplate.spec.template.", "pod-bare": "",
	} {
		r := waitFor(t, ns, report, shows(
			"Critical privileged-container "+prefix+"spec.containers[name=bad].securityContext.privileged",
			"Medium image-tag-latest "+prefix+"spec.containers[name=bad].image",
		))
		if r.Summary.Critical != 1 || r.Summary.Medium < 1 || r.Summary.Worst != v1alpha1.SeverityCritical || r.Summary.Score > 57 {
			t.Errorf("%s: summary %+v", report, r.Summary)
		}
	}
	// Seven kinds with their Pods, and nothing reported twice.
	settle(t, ns)
	if names := reportNames(t, ns); len(names) != 9 {
		t.Errorf("reports: %v, want the eight subjects and the namespace", names)
	}
}

func TestInjectedSidecarIsJudgedWhereTheTemplateIsClean(t *testing.T) {
	ns := newNamespace(t)
	d := deployment(ns, "web", 1, container("app", "example.com/web:1", false))
	create(t, d)
	waitFor(t, ns, "deployment-web", shows())

	injectSidecar(t, ns)
	change(t, d, func(d *appsv1.Deployment) { *d.Spec.Replicas = 2 }) // the second one gets the sidecar
	waitFor(t, ns, "deployment-web", shows(
		"Critical privileged-container spec.template.spec.containers[name=proxy].securityContext.privileged (Pods)"))
}

// injectSidecar adds a privileged container to every new Pod of a namespace, as a service mesh would.
func injectSidecar(t *testing.T, ns string) {
	t.Helper()
	meta := metav1.ObjectMeta{Name: ns}
	policy := &admissionregistrationv1.MutatingAdmissionPolicy{
		ObjectMeta: meta,
		Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: ns}},
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}}},
			},
			ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
			Mutations: []admissionregistrationv1.Mutation{{
				PatchType: admissionregistrationv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{Expression: `Object{spec: Object.spec{containers: [
					Object.spec.containers{name: "proxy", image: "example.com/proxy:1",
						securityContext: Object.spec.containers.securityContext{privileged: true}}]}}`},
			}},
		},
	}
	binding := &admissionregistrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: meta, Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: ns},
	}
	for _, o := range []client.Object{policy, binding} {
		create(t, o)
		t.Cleanup(func() {
			if err := admin.Delete(context.Background(), o); err != nil {
				t.Error(err)
			}
		})
	}
	eventually(t, "the policy to be in force", func(ctx context.Context) (bool, string) {
		p := pod(ns, "probe", container("app", "example.com/probe:1", false))
		err := admin.Create(ctx, p, client.DryRunAll)
		return err == nil && len(p.Spec.Containers) == 2, fmt.Sprint(err)
	})
}

func TestStuckRolloutIsJudgedByTemplateAndOldPods(t *testing.T) {
	ns := newNamespace(t)
	d := deployment(ns, "web", 2, container("app", "example.com/web:1", true))
	create(t, d)
	waitFor(t, ns, "deployment-web", shows("Critical privileged-container spec.template.spec.containers[name=app].securityContext.privileged"))
	waitForPods(t, ns, "web", 2)

	// Nothing ever gets ready here, so the old Pods stay beside the new.
	before := waitForReport(t, ns, "deployment-web").Subject.TemplateHash
	change(t, d, func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.Containers = []corev1.Container{container("app", "example.com/web:latest", false)}
	})
	after := waitFor(t, ns, "deployment-web", shows(
		"Critical privileged-container spec.template.spec.containers[name=app].securityContext.privileged (Pods)",
		"Medium image-tag-latest spec.template.spec.containers[name=app].image",
	)).Subject.TemplateHash
	if before == after || after == "" {
		t.Errorf("template hash was %q and is %q, want a new one", before, after)
	}
}

func TestForgedOwnersHideNothing(t *testing.T) {
	ns := newNamespace(t)
	victim := deployment(ns, "victim", 1, container("app", "example.com/app:1", false))
	create(t, victim)
	waitForReport(t, ns, "deployment-victim")
	create(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-" + ns}})
	t.Cleanup(func() {
		if err := admin.Delete(context.Background(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node-" + ns}}); err != nil {
			t.Error(err)
		}
	})
	node := &corev1.Node{}
	if err := admin.Get(t.Context(), client.ObjectKey{Name: "node-" + ns}, node); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("n", 253)

	cases := map[string]struct {
		owner metav1.OwnerReference
		want  func(name string) string
	}{
		// References to kinds that are read but not there are Fold's tests: here the garbage collector deletes such Pods.
		"a Node": {
			metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}, own,
		},
		"a Deployment of another group": {
			metav1.OwnerReference{APIVersion: "evil.example.com/v1", Kind: "Deployment", Name: "victim", UID: "1"},
			func(string) string { return "deployment.evil.example.com-victim" },
		},
		"a kind with control characters": {
			metav1.OwnerReference{APIVersion: "v1", Kind: "\x1b[31mPod/../x", Name: "Odd Name\n", UID: "2"},
			func(string) string { return "31mpodx.core-odd-name-" },
		},
		"a name of 253 characters": {
			metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "Workflow", Name: long, UID: "3"},
			func(string) string { return "workflow.example.com-nnn" },
		},
		"a kind of 600 characters": {
			metav1.OwnerReference{APIVersion: "example.com/v1", Kind: strings.Repeat("K", 600), Name: "x", UID: "4"},
			func(string) string { return "kkkkkkkk" },
		},
	}
	i := 0
	for sentence, tc := range cases {
		i++
		name := fmt.Sprintf("forged-%d", i)
		controller := true
		tc.owner.Controller = &controller
		p := pod(ns, name, container("app", "example.com/app:1", true))
		p.OwnerReferences = []metav1.OwnerReference{tc.owner}
		create(t, p)
		t.Run(sentence, func(t *testing.T) {
			prefix := tc.want(name)
			eventually(t, "the report of "+name, func(context.Context) (bool, string) {
				names := reportNames(t, ns)
				at := slices.IndexFunc(names, func(n string) bool { return strings.HasPrefix(n, prefix) })
				if at < 0 {
					return false, fmt.Sprint(names)
				}
				r, err := getReport(t.Context(), ns, names[at])
				return err == nil && r.Summary.Critical == 1, fmt.Sprint(show(r), err)
			})
		})
	}
	t.Run("a suspended Job", func(t *testing.T) {
		owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "owner"}}
		create(t, owner)
		controller := true
		job := &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "hidden", OwnerReferences: []metav1.OwnerReference{
				{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID, Controller: &controller},
			}},
			Spec: batchv1.JobSpec{Suspend: &controller, Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{container("app", "example.com/app:1", true)},
			}}},
		}
		create(t, job)
		waitFor(t, ns, "configmap.core-owner", func(r *v1alpha1.SecurityReport) bool { return r.Summary.Critical == 1 })
	})
	t.Run("the victim's report is its own", func(t *testing.T) {
		waitFor(t, ns, "deployment-victim", shows())
	})
}

func own(name string) string { return "pod-" + name }

func TestLongNamesAndPaths(t *testing.T) {
	ns := newNamespace(t)
	long := strings.Repeat("a", 253)
	create(t, pod(ns, long, container("app", "example.com/app:1", true)))
	eventually(t, "the report of a Pod with a name of 253 characters", func(context.Context) (bool, string) {
		names := reportNames(t, ns)
		return slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "pod-aaa") && len(n) <= 253 }), fmt.Sprint(names)
	})
}

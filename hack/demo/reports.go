// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// wantFindings are what is wrong with the samples, by report and check.
var wantFindings = []struct {
	namespace, report, check string
}{
	{"legacy", "deployment-checkout", "privileged-container"},
	{"legacy", "deployment-checkout", "image-tag-latest"},
	{"legacy", "deployment-archive", "privileged-container"}, // an init container, at zero replicas
	{"legacy", "statefulset-ledger", "image-tag-latest"},     // no tag at all
	{"legacy", "daemonset-node-agent", "privileged-container"},
	{"legacy", "cronjob-cleanup", "privileged-container"}, // suspended
	{"legacy", "namespace-legacy", "no-resource-quota"},
	{"legacy", "namespace-legacy", "no-default-deny-ingress"},
	{"shop", "namespace-shop", "quota-nearly-exhausted"},
}

// waitForReports waits until everything that should have a report has one, and then looks into them.
func (d *demo) waitForReports(ctx context.Context) error {
	want, err := d.expectedReports(ctx)
	if err != nil {
		return err
	}
	if err := d.waitForPods(ctx); err != nil {
		return err
	}
	err = d.poll(ctx, fmt.Sprintf("%d reports", len(want)+1), func(ctx context.Context) (bool, string, error) {
		return d.allReported(ctx, want)
	})
	if err != nil {
		return err
	}
	d.console.printf("%d SecurityReports and the ClusterSecurityReport %q are there\n", len(want), v1alpha1.ClusterReportName)
	// A report is right once the operator has seen what the controllers have made since, such as a quota's count.
	if err := d.poll(ctx, "the samples' findings", d.findingsAsWanted); err != nil {
		return err
	}
	d.console.printf("they say what is wrong with legacy, and nothing Critical about shop\n")
	return nil
}

// waitForPods waits for the controllers to have filled shop's quota: the samples promise nine Pods of ten.
func (d *demo) waitForPods(ctx context.Context) error {
	return d.poll(ctx, "shop's Pods to be counted", func(ctx context.Context) (bool, string, error) {
		quota := &corev1.ResourceQuota{}
		if err := d.client.Get(ctx, client.ObjectKey{Namespace: "shop", Name: "pods"}, quota); err != nil {
			return false, "", err
		}
		used, hard := quota.Status.Used[corev1.ResourcePods], quota.Status.Hard[corev1.ResourcePods]
		return hard.Value() > 0 && used.Value()*10 >= hard.Value()*9, fmt.Sprintf("%s of %s", &used, &hard), nil
	})
}

// expectedReports computes, from what there is in the cluster, which reports there have to be: namespace/name.
func (d *demo) expectedReports(ctx context.Context) (map[string]bool, error) {
	want := map[string]bool{}
	for _, kind := range []struct {
		prefix string
		list   client.ObjectList
	}{
		{"namespace", &corev1.NamespaceList{}},
		{"deployment", &appsv1.DeploymentList{}},
		{"statefulset", &appsv1.StatefulSetList{}},
		{"daemonset", &appsv1.DaemonSetList{}},
		{"cronjob", &batchv1.CronJobList{}},
		{"pod", &corev1.PodList{}},
	} {
		if err := d.client.List(ctx, kind.list); err != nil {
			return nil, fmt.Errorf("listing for %s reports: %w", kind.prefix, err)
		}
		err := meta.EachListItem(kind.list, func(item runtime.Object) error {
			object, err := meta.Accessor(item)
			if err != nil || metav1.GetControllerOf(object) != nil {
				return err // what has a controller is part of that one's report
			}
			namespace := object.GetNamespace()
			if kind.prefix == "namespace" {
				namespace = object.GetName()
			}
			want[namespace+"/"+kind.prefix+"-"+object.GetName()] = true
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return want, nil
}

// allReported compares the reports with the wanted ones, both ways, and names what differs.
func (d *demo) allReported(ctx context.Context, want map[string]bool) (bool, string, error) {
	reports := &v1alpha1.SecurityReportList{}
	if err := d.client.List(ctx, reports); err != nil {
		return false, "", err
	}
	missing := maps.Clone(want)
	var problems []string
	for _, report := range reports.Items {
		name := report.Namespace + "/" + report.Name
		if !want[name] {
			problems = append(problems, name+" is about nothing that exists")
		}
		delete(missing, name)
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		problems = append(problems, name+" is missing")
	}
	err := d.client.Get(ctx, client.ObjectKey{Name: v1alpha1.ClusterReportName}, &v1alpha1.ClusterSecurityReport{})
	if apierrors.IsNotFound(err) {
		problems, err = append(problems, "the ClusterSecurityReport is missing"), nil
	}
	return len(problems) == 0, strings.Join(problems, ", "), err
}

// findingsAsWanted looks into the reports, and says what is not as it should be.
func (d *demo) findingsAsWanted(ctx context.Context) (bool, string, error) {
	reports := &v1alpha1.SecurityReportList{}
	if err := d.client.List(ctx, reports); err != nil {
		return false, "", err
	}
	found := map[string]bool{} // namespace/report/check
	var problems []string
	for _, report := range reports.Items {
		for _, finding := range report.Findings {
			found[report.Namespace+"/"+report.Name+"/"+finding.Check] = true
		}
		if report.Namespace == "shop" && report.Summary.Critical != 0 {
			problems = append(problems, fmt.Sprintf("shop/%s has %d Critical findings", report.Name, report.Summary.Critical))
		}
		if report.Namespace == "legacy" && report.Name == "deployment-checkout" && report.Summary.Critical < 1 {
			problems = append(problems, "legacy/deployment-checkout has no Critical finding")
		}
	}
	for _, want := range wantFindings {
		if !found[want.namespace+"/"+want.report+"/"+want.check] {
			problems = append(problems, fmt.Sprintf("%s/%s lacks %s", want.namespace, want.report, want.check))
		}
	}
	return len(problems) == 0, strings.Join(problems, ", "), nil
}

func (d *demo) showReports(ctx context.Context) error {
	for _, args := range [][]string{
		{"get", "securityreports", "-A"},
		{"get", "clustersecurityreports"},
		{"get", "securityreport", "deployment-checkout", "-n", "legacy", "-o", "yaml"},
	} {
		if err := d.show(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// mend fixes a workload and measures how long it takes until its report says so.
func (d *demo) mend(ctx context.Context) error {
	get := []string{"get", "securityreport", "deployment-checkout", "-n", "legacy"}
	if err := d.show(ctx, get...); err != nil {
		return err
	}
	const patch = `[{"op": "replace", "path": "/spec/template/spec/containers/0/securityContext/privileged", "value": false},` +
		` {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "ghcr.io/kubersafe/legacy-checkout:2.3.1"}]`
	if err := d.show(ctx, "patch", "deployment", "checkout", "-n", "legacy", "--type=json", "-p", patch); err != nil {
		return err
	}
	patched := time.Now()
	if err := d.show(ctx, "wait", "securityreport/deployment-checkout", "-n", "legacy",
		"--for=jsonpath={.summary.critical}=0", "--timeout=60s"); err != nil {
		return err
	}
	took := time.Since(patched)
	if err := d.show(ctx, get...); err != nil {
		return err
	}
	d.console.printf("\nThe report was clean of Critical findings %.2f s after the patch, the start of kubectl wait included.\n", took.Seconds())
	return d.checkMended(ctx)
}

// checkMended makes sure that the findings are gone, not only the count.
func (d *demo) checkMended(ctx context.Context) error {
	report := &v1alpha1.SecurityReport{}
	if err := d.client.Get(ctx, client.ObjectKey{Namespace: "legacy", Name: "deployment-checkout"}, report); err != nil {
		return err
	}
	for _, finding := range report.Findings {
		if finding.Check == "privileged-container" {
			return errors.New("the report counts no Critical finding, but still has privileged-container")
		}
	}
	return nil
}

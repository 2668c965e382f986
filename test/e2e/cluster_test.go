// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

const (
	// timeout of one condition. Measured: seconds; the rest is for clusters that pull images and for busy machines.
	timeout      = 3 * time.Minute
	pollInterval = 200 * time.Millisecond
)

// kubectl runs kubectl as the administrator and returns what it prints.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := tryKubectl(t.Context(), "", args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// feed gives manifests to a command of kubectl, such as apply or delete.
func feed(t *testing.T, manifests string, args ...string) {
	t.Helper()
	if _, err := tryKubectl(t.Context(), manifests, append(args, "-f", "-")...); err != nil {
		t.Fatal(err)
	}
}

// tryKubectl is kubectl for what may fail.
func tryKubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "kubectl", args...)
	cmd.Env = append(os.Environ(), "KUBERC=off") // no settings of the user's own
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// get decodes what kubectl get prints.
func get[T any](ctx context.Context, args ...string) (T, error) {
	var o T
	out, err := tryKubectl(ctx, "", append([]string{"get", "-o", "json"}, args...)...)
	if err == nil {
		err = json.Unmarshal([]byte(out), &o)
	}
	return o, err
}

// mustGet is get for what must be there.
func mustGet[T any](t *testing.T, args ...string) T {
	t.Helper()
	o, err := get[T](t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// eventually waits until a condition returns nil, which is to happen in seconds, and returns how long that took.
func eventually(t *testing.T, what string, condition func(context.Context) error) time.Duration {
	t.Helper()
	began := time.Now()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), pollInterval, timeout, true, func(ctx context.Context) (bool, error) {
		err := condition(ctx)
		if err != nil && ctx.Err() == nil { // what the deadline interrupts says nothing
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		t.Fatalf("waiting for %s: %v; last: %v", what, err, last)
	}
	return time.Since(began).Round(10 * time.Millisecond)
}

// operatorPods are the Pods of the operator that are not about to go.
func operatorPods(ctx context.Context) ([]corev1.Pod, error) {
	list, err := get[corev1.PodList](ctx, "pods", "-n", operatorNamespace, "-l", "app.kubernetes.io/component=operator")
	return slices.DeleteFunc(list.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil }), err
}

func ready(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// reports are all there are.
type reports struct {
	namespaced []v1alpha1.SecurityReport
	cluster    []v1alpha1.ClusterSecurityReport
}

func getReports(ctx context.Context) (reports, error) {
	namespaced, err := get[v1alpha1.SecurityReportList](ctx, "securityreports", "-A")
	cluster, clusterErr := get[v1alpha1.ClusterSecurityReportList](ctx, "clustersecurityreports")
	return reports{namespaced: namespaced.Items, cluster: cluster.Items}, errors.Join(err, clusterErr)
}

// versions tells which writing of each report there is: by namespace and name, with no namespace for those of the cluster.
func (r reports) versions() map[string]string {
	versions := make(map[string]string)
	for i := range r.cluster {
		o := &r.cluster[i]
		versions["/"+o.Name] = string(o.UID) + " " + o.ResourceVersion
	}
	for i := range r.namespaced {
		o := &r.namespaced[i]
		versions[o.Namespace+"/"+o.Name] = string(o.UID) + " " + o.ResourceVersion
	}
	return versions
}

// inventory lists every object of the cluster, as kind/namespace/name, but events, which go by themselves, and what nodes have.
func inventory(t *testing.T) map[string]bool {
	t.Helper()
	kinds := strings.Fields(kubectl(t, "api-resources", "--verbs=list", "-o", "name", "--cached=false"))
	kinds = slices.DeleteFunc(kinds, func(k string) bool { return strings.HasPrefix(k, "events") || k == "componentstatuses" })
	out := kubectl(t, "get", strings.Join(kinds, ","), "-A", "-o",
		`jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{"\n"}{end}`)
	found := make(map[string]bool)
	for _, name := range strings.Fields(out) {
		if !strings.HasPrefix(name, "Lease/kube-node-lease/") {
			found[name] = true
		}
	}
	return found
}

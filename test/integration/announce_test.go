// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// announced returns the operator's Events in a namespace on objects with that name, in order: "type kind note".
func announced(ctx context.Context, namespace, name string) ([]string, error) {
	list := &eventsv1.EventList{}
	if err := admin.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, err
	}
	slices.SortFunc(list.Items, func(a, b eventsv1.Event) int { return a.EventTime.Compare(b.EventTime.Time) })
	var found []string
	for i := range list.Items {
		if e := &list.Items[i]; e.ReportingController == "kubersafe" && e.Regarding.Name == name {
			found = append(found, fmt.Sprintf("%s %s %s", e.Type, e.Regarding.Kind, e.Note))
		}
	}
	return found, nil
}

// waitForEvents waits until these have been told of an object, in order and no others.
func waitForEvents(t *testing.T, namespace, name string, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d Events on %s/%s", len(want), namespace, name), func(ctx context.Context) (bool, string) {
		got, err := announced(ctx, namespace, name)
		return err == nil && slices.Equal(got, want), strings.Join(got, "\n")
	})
}

// TestEventsOnWorkloads: who breaks a Deployment is told once, and who mends it too, where people look first. A restart tells
// nothing, and no Event has what a credential is.
func TestEventsOnWorkloads(t *testing.T) {
	restart(t) // of what was there at first nothing is told, nor is what other tests have left to be told
	ns := newNamespace(t)
	deny := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "deny"},
		Spec:       networkingv1.NetworkPolicySpec{PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}},
	}
	create(t, deny)
	waitFor(t, ns, "namespace-"+ns, func(r *v1alpha1.SecurityReport) bool { return r.Network.Ingress == v1alpha1.NetworkDefaultDeny })
	app := restrictedContainer("app", "example.com/web@sha256:b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c")
	web := deployment(ns, "web", 1, app)
	// Without Pods of the old template beside those of the new, what is mended is gone at once.
	web.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
	create(t, web)
	waitFor(t, ns, "deployment-web", func(r *v1alpha1.SecurityReport) bool { return r.Summary.Critical+r.Summary.High == 0 })

	const credential = "AKIAIOSFODNN7EXAMPLQ"
	change(t, web, func(d *appsv1.Deployment) {
		c := &d.Spec.Template.Spec.Containers[0]
		c.SecurityContext.Privileged, c.SecurityContext.AllowPrivilegeEscalation = new(true), nil
		c.Env = []corev1.EnvVar{{Name: "SETTING", Value: credential}}
	})
	note := `3 new findings: Critical privileged-container: container "app" must not run privileged; ` +
		`High literal-secret: container "app" must not have a credential in environment variable "SETTING": AWS access key; ` +
		`High privilege-escalation-allowed: container "app" must set allowPrivilegeEscalation to false; see securityreport/deployment-web`
	broken := "Warning Deployment " + note
	waitForEvents(t, ns, "web", broken)
	settle(t, ns)
	described := kubectl(t, "describe", "deployment", "web", "-n", ns)
	lines := slices.DeleteFunc(strings.Split(described, "\n"), func(l string) bool { return !strings.Contains(l, "kubersafe") })
	if len(lines) != 1 || !regexp.MustCompile(`^  Warning +SecurityFindings +\d+s +kubersafe +`+regexp.QuoteMeta(note)+"$").MatchString(lines[0]) {
		t.Errorf("kubectl describe shows %q in\n%s", lines, described)
	}
	for _, args := range []string{"events --for deployment/web", "get events --field-selector reportingComponent=kubersafe"} {
		if out := kubectl(t, append(strings.Fields(args), "-n", ns)...); !strings.Contains(out, note) {
			t.Errorf("kubectl %s shows\n%s", args, out)
		}
	}

	// Nor of what has come while nobody looked.
	stop(t)
	create(t, deployment(ns, "earlier", 1, container("app", app.Image, true)))
	start(t)
	waitUntilComplete(t)
	waitForReport(t, ns, "deployment-earlier")
	settle(t, ns)
	waitForEvents(t, ns, "web", broken)
	waitForEvents(t, ns, "earlier")
	change(t, web, func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0] = app })
	mended := "Normal Deployment Resolved: literal-secret, privilege-escalation-allowed, privileged-container"
	waitForEvents(t, ns, "web", broken, mended)
	restart(t)
	settle(t, ns)
	waitForEvents(t, ns, "web", broken, mended)

	// Of what a namespace is about, those are told who may look into it.
	remove(t, deny)
	open := fmt.Sprintf("Warning Namespace New finding: High no-default-deny-ingress: "+
		"namespace %q must have a NetworkPolicy that denies ingress to all Pods by default; see securityreport/namespace-%[1]s", ns)
	eventually(t, "the Event on the namespace", func(ctx context.Context) (bool, string) {
		got, err := announced(ctx, ns, ns)
		return err == nil && slices.Contains(got, open), strings.Join(got, "\n")
	})
}

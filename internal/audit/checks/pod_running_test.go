// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks_test

import (
	"testing"
	"unique"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
)

// What a check could not look at is no case of a fixture.
func TestRunningChecksSkipWhatIsNotKnown(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	shape := audit.NewShape(&audit.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "example.com/app:1"}}}})
	noDeployments := &audit.Unavailable{Resource: audit.Deployments, Reason: v1alpha1.SkipSourceForbidden, Message: "no"}
	ns := &audit.Namespace{
		Inventory: audit.Inventory{
			Surroundings: audit.Surroundings{Name: "shop"}, Nodes: audit.Infrastructure{Workers: true},
			Unavailable: map[audit.Resource]*audit.Unavailable{audit.Deployments: noDeployments},
		},
		Workloads: []*audit.Workload{{
			Subject: audit.Subject{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
			Pods:    []*audit.PodRecord{{Object: audit.Object{Name: "web-1"}, Shape: shape, Labels: &audit.Labels{}, Node: unique.Make("n1")}},
		}},
	}
	want := []audit.Skip{
		{Check: "rollout-stuck", Reason: v1alpha1.SkipSourceForbidden, Message: "no"},
		{Check: "runs-on-control-plane", Reason: v1alpha1.SkipDataMissing, Message: "the node of a Pod is not known"},
		{Check: "updates-not-rolling", Reason: v1alpha1.SkipSourceForbidden, Message: "no"},
	}
	if diff := cmp.Diff(want, set.Evaluate(ns)[0].Skips); diff != "" {
		t.Errorf("skips (-want +got):\n%s", diff)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks_test

import (
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
)

// Manifests cannot say which of two objects was first, so this is no fixture.
func TestPodsFromBeforeALimitRangeHaveNoneOfItsDefaults(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	shape := audit.NewShape(&audit.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app"}}}})
	resources := []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage}
	owner := &audit.Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: "1"}
	results := set.Evaluate(audit.Fold(audit.Inventory{
		Surroundings: audit.Surroundings{Name: "shop", LimitRanges: []*audit.LimitRangeRecord{{DefaultRequests: resources, DefaultLimits: resources}}},
		Controllers: []*audit.ControllerRecord{
			{Object: audit.Object{Name: "web", UID: "1"}, Kind: "ReplicaSet", Shape: shape, Labels: &audit.Labels{}},
		},
		Pods: []*audit.PodRecord{{Object: audit.Object{Name: "web-0", UID: "2"}, Owner: owner, Shape: shape, Labels: &audit.Labels{}}},
	}, time.Now()))
	for _, check := range []string{
		"no-cpu-limit", "no-cpu-request", "no-ephemeral-storage-limit", "no-memory-limit", "no-memory-request",
	} {
		i := slices.IndexFunc(results[0].Findings, func(f audit.Finding) bool { return f.Check == check })
		if i < 0 {
			t.Errorf("%s: not found", check)
		} else if seenIn := results[0].Findings[i].SeenIn; seenIn != v1alpha1.SeenInPods {
			t.Errorf("%s: seen in %q, want Pods only", check, seenIn)
		}
	}
}

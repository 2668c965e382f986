// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// TestAPIServersThatNobodyCanCount: while EndpointSlices cannot be read there may be API servers that are not seen, so no check of
// their flags passes.
func TestAPIServersThatNobodyCanCount(t *testing.T) {
	set, err := Default()
	if err != nil {
		t.Fatal(err)
	}
	inventory := audit.ClusterInventory{
		ServerVersion: "v1.37.2",
		ControlPlane: []*audit.PodRecord{{
			Object: audit.Object{Namespace: audit.SystemNamespace, Name: "kube-apiserver-a"}, Owner: &audit.Owner{APIVersion: "v1", Kind: "Node", Name: "a"}, Mirror: true,
			Shape: audit.NewShape(&audit.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: audit.APIServer, Command: []string{
				audit.APIServer, "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
			}}}}}),
		}},
		Unavailable: map[audit.Resource]*audit.Unavailable{
			audit.EndpointSlices: {Resource: audit.EndpointSlices, Reason: v1alpha1.SkipSourceForbidden, Message: "no EndpointSlices"},
		},
	}
	r := set.EvaluateCluster(audit.NewCluster(inventory, time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)))[0]
	said := make(map[string]bool)
	for _, f := range r.Findings {
		said[f.Check] = true
	}
	for _, s := range r.Skips {
		said[s.Check] = true
	}
	for i := range set.Checks() {
		if c := &set.Checks()[i]; c.ControlPlane != nil && !strings.HasPrefix(c.ID, "kubernetes-") && !said[c.ID] {
			t.Errorf("%s passed", c.ID)
		}
	}
}

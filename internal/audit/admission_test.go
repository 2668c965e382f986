// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"testing"

	"k8s.io/apimachinery/pkg/labels"
)

// BenchmarkDenying judges 10,000 namespaces by 50 policies with 4 bindings each, of which none is about any of them: the most
// that there is to be looked at.
func BenchmarkDenying(b *testing.B) {
	var i ClusterInventory
	for n := range 10_000 {
		i.Namespaces = append(i.Namespaces, &NamespaceRecord{Object: Object{Name: fmt.Sprintf("ns-%05d", n)}, Labels: map[string]string{"team": "a", "env": "b"}})
	}
	none := labels.SelectorFromSet(labels.Set{"team": "none"})
	for n := range 50 {
		name := fmt.Sprintf("policy-%02d", n)
		i.Policies = append(i.Policies, &AdmissionPolicyRecord{Object: Object{Name: name}, Scope: Scope{Pods: true, Namespaces: labels.Everything()}, Validates: true})
		for m := range 4 {
			i.Bindings = append(i.Bindings, &AdmissionBindingRecord{
				Object: Object{Name: fmt.Sprintf("%s-%d", name, m)}, Scope: Scope{Pods: true, Namespaces: none}, Policy: name, Denies: true,
			})
		}
	}
	for b.Loop() {
		c := NewCluster(i, clusterNow)
		for _, n := range c.Namespaces {
			for p := range c.Denying {
				if denies, partial := c.Denying[p].In(n); denies || partial != "" {
					b.Fatal("no binding is about the namespace")
				}
			}
		}
	}
}

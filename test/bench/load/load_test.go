// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/source"
)

var size = Options{Seed: 1, Pods: 3000, Namespaces: 60, Policies: 150}

func TestLoadIsOfTheSizeAskedFor(t *testing.T) {
	for _, o := range []Options{size, {Pods: 1, Namespaces: 1}, {Seed: 3, Pods: 10, Namespaces: 40, Policies: 7}} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			got, seen := Options{Seed: o.Seed}, make(map[string]bool)
			for ns := range Generate(o) {
				got.Namespaces++
				for _, object := range ns.Objects() {
					key := fmt.Sprintf("%T %s/%s", object, object.GetNamespace(), object.GetName())
					if seen[key] {
						t.Errorf("there are two of %s", key)
					}
					seen[key] = true
					switch object.(type) {
					case *corev1.Pod:
						got.Pods++
					case *networkingv1.NetworkPolicy:
						got.Policies++
					}
				}
			}
			if diff := cmp.Diff(o, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadIsTheSameEachTime(t *testing.T) {
	encode := func(o Options) (encoded []string) {
		for ns := range Generate(o) {
			for _, object := range ns.Objects() {
				text, err := json.Marshal(object)
				if err != nil {
					t.Fatal(err)
				}
				encoded = append(encoded, string(text))
			}
		}
		return encoded
	}
	first := encode(size)
	if diff := cmp.Diff(first, encode(size)); diff != "" {
		t.Error(diff)
	}
	other := size
	other.Seed++
	if cmp.Equal(first, encode(other)) {
		t.Error("another seed makes the same load")
	}
}

// TestTwoFifthsOfTheWorkloadsViolate: the budgets in docs/performance.md are for such a mix.
func TestTwoFifthsOfTheWorkloadsViolate(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	workloads, bad, static, nodes := 0, 0, source.NewStatic(), NewNodes()
	for ns := range Generate(size) {
		for _, o := range ns.Objects() {
			nodes.Add(o)
			if err := static.Add(o); err != nil {
				t.Fatal(err)
			}
		}
	}
	for node := range nodes.All() {
		if err := static.Add(node); err != nil {
			t.Fatal(err)
		}
	}
	for _, inventory := range static.Inventories() {
		for _, result := range set.Evaluate(audit.Fold(*inventory, time.Now())) {
			if result.Kind == "Namespace" {
				continue
			}
			workloads++
			if len(result.Findings) > 0 {
				bad++
			}
			for _, skip := range result.Skips {
				if set.Check(skip.Check).Scanned == nil { // nothing has scanned the images
					t.Errorf("%+v skips %+v", result.Subject, skip)
				}
			}
		}
	}
	if percent := 100 * bad / workloads; percent < 35 || percent > 45 {
		t.Errorf("%d of %d workloads have findings: %d %%, want about 40", bad, workloads, percent)
	}
}

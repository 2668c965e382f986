// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/test/fixtures"
)

// TestFixturesOnTheAPIServer runs the fixtures of the checks through defaulting, admission and controllers: they must find
// the same as without.
func TestFixturesOnTheAPIServer(t *testing.T) {
	all, err := fixtures.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Cluster {
			continue
		}
		for i, c := range f.Cases {
			t.Run(fmt.Sprintf("%s/%d", f.Check, i), func(t *testing.T) {
				if c.EngineOnly != "" {
					t.Skip(c.EngineOnly)
				}
				if c.Cluster {
					t.Skip("there is just one cluster")
				}
				if c.Configuration != nil {
					configure(t, c.Configuration)
				}
				ns := c.Namespace
				if ns == "" {
					ns = newLabelledNamespace(t, c.NamespaceLabels)
				}
				objects, err := c.Objects(ns)
				if err != nil {
					t.Fatal(err)
				}
				// Quotas come last: they refuse Pods until their controller has counted, and then maybe because it has.
				quotas := slices.DeleteFunc(slices.Clone(objects), func(o client.Object) bool { return !isQuota(o) })
				for _, o := range slices.DeleteFunc(objects, isQuota) {
					create(t, o)
					if c.Namespace != "" {
						t.Cleanup(func() { removeAfterwards(t, o) })
					}
				}
				settle(t, ns)
				for _, q := range quotas {
					createCounted(t, q.(*corev1.ResourceQuota)) //nolint:forcetypeassert // that is what they were picked by
				}
				var want []string
				for _, w := range c.Want {
					want = append(want, fmt.Sprintf("%s %s %s", w.Subject, w.Severity, w.Path))
				}
				slices.Sort(want)
				eventually(t, c.Name, func(ctx context.Context) (bool, string) {
					got, err := findingsOf(ctx, ns, f.Check)
					return err == nil && slices.Equal(got, want), fmt.Sprintf("got %v, want %v, %v", got, want, err)
				})
			})
		}
	}
}

// createCounted creates a quota and waits until its controller has counted what the fixture says. That counts once, and only
// what it has seen by then: if it was behind, it must do so again.
func createCounted(t *testing.T, quota *corev1.ResourceQuota) {
	t.Helper()
	want := quota.Status.Used
	create(t, quota.DeepCopy())
	eventually(t, "quota "+quota.Name+" to be counted", func(ctx context.Context) (bool, string) {
		now := &corev1.ResourceQuota{}
		if err := admin.Get(ctx, client.ObjectKeyFromObject(quota), now); err != nil {
			return false, err.Error()
		}
		switch used := now.Status.Used; {
		case equality.Semantic.DeepEqual(used, want):
			return true, ""
		case len(used) > 0:
			remove(t, now)
			create(t, quota.DeepCopy())
		}
		return false, fmt.Sprint(now.Status.Used)
	})
}

func isQuota(o client.Object) bool {
	_, ok := o.(*corev1.ResourceQuota)
	return ok
}

func findingsOf(ctx context.Context, ns, check string) ([]string, error) {
	list := &v1alpha1.SecurityReportList{}
	if err := admin.List(ctx, list, client.InNamespace(ns)); err != nil {
		return nil, err
	}
	var found []string
	for _, r := range list.Items {
		for _, s := range r.Skips {
			if s.Check == check {
				return nil, fmt.Errorf("%s is skipped: %s", s.Check, s.Message)
			}
		}
		subject := r.Subject.Kind + "/" + r.Subject.Name
		if strings.HasPrefix(subject, "Namespace/") {
			subject = "Namespace"
		}
		for _, f := range r.Findings {
			if f.Check == check {
				found = append(found, fmt.Sprintf("%s %s %s", subject, f.Severity, f.Path))
			}
		}
	}
	slices.Sort(found)
	return found, nil
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"unique"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
)

// What a check could not look at is no case of a fixture.
func TestRunningChecksSkipWhatIsNotKnown(t *testing.T) {
	all, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	skip := func(check, message string) audit.Skip {
		return audit.Skip{Check: check, Reason: v1alpha1.SkipDataMissing, Message: message}
	}
	noDeployments := &audit.Unavailable{Resource: audit.Deployments, Reason: v1alpha1.SkipDataMissing, Message: "no"}
	asked, runs := strings.Repeat("01", 32), strings.Repeat("\x02", 32)
	for name, tc := range map[string]struct {
		nodes       map[string]*audit.NodeRecord
		images      map[audit.ImageKey]audit.ImageFacts
		unavailable *audit.Unavailable
		largest     int64 // bytes
		want        []audit.Skip
	}{
		"a node that is not known": {want: []audit.Skip{
			skip("image-drift", "the node of a Pod is not known"), skip("image-too-large", "the node of a Pod is not known"),
			skip("runs-on-control-plane", "the node of a Pod is not known"),
		}},
		"a node that lists the largest of its images, and large ones are left": {
			nodes: map[string]*audit.NodeRecord{"n1": {NodeFacts: audit.NodeFacts{Unlisted: 2048}}},
			want: []audit.Skip{
				skip("image-drift", "the node of a Pod does not list all images and their digests"),
				skip("image-too-large", "the node of a Pod does not list all large images"),
			},
		},
		"a node that lists the largest of its images, and small ones are left": {
			nodes: map[string]*audit.NodeRecord{"n1": {NodeFacts: audit.NodeFacts{Unlisted: 1024}}},
			want:  []audit.Skip{skip("image-drift", "the node of a Pod does not list all images and their digests")},
		},
		"a node that lists the image among its largest, by another digest": {
			nodes:  map[string]*audit.NodeRecord{"n1": {NodeFacts: audit.NodeFacts{Unlisted: 2048}}},
			images: map[audit.ImageKey]audit.ImageFacts{0x0202020202020202: {MiB: 1024}},
		},
		"a node that lists the image among its largest, by both digests": {
			nodes:  map[string]*audit.NodeRecord{"n1": {NodeFacts: audit.NodeFacts{Unlisted: 2048}}},
			images: map[audit.ImageKey]audit.ImageFacts{0x0202020202020202: {MiB: 1024, Digests: strings.Repeat("\x01", 32) + runs}},
		},
		"the size of an image smaller than any that is kept": {
			nodes: map[string]*audit.NodeRecord{"n1": {}}, largest: 100 << 20, images: map[audit.ImageKey]audit.ImageFacts{0x0202020202020202: {Digests: strings.Repeat("\x01", 32) + runs}},
			want: []audit.Skip{skip("image-too-large", "the sizes of images below 128 MiB are not kept")},
		},
		"what makes the Pods": {
			nodes: map[string]*audit.NodeRecord{"n1": {}}, images: map[audit.ImageKey]audit.ImageFacts{0x0202020202020202: {Digests: strings.Repeat("\x01", 32) + runs}},
			unavailable: noDeployments, want: []audit.Skip{skip("rollout-stuck", "no"), skip("updates-not-rolling", "no")},
		},
	} {
		shape := audit.NewShape(&audit.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "example.com/app@sha256:" + asked}}}})
		ns := &audit.Namespace{
			Inventory: audit.Inventory{
				Surroundings: audit.Surroundings{Name: "shop"}, Nodes: audit.Infrastructure{Workers: true},
				PodNodes: tc.nodes, Images: tc.images, Unavailable: make(map[audit.Resource]*audit.Unavailable),
			},
			Workloads: []*audit.Workload{{
				Subject: audit.Subject{APIVersion: "apps/v1", Kind: "Deployment", Name: "web"},
				Pods: []*audit.PodRecord{{
					Object: audit.Object{Name: "web-1"}, Shape: shape, Labels: &audit.Labels{}, Node: unique.Make("n1"),
					Running: audit.NewLabels(map[string]string{"app" + audit.FactDigest: runs}),
				}},
			}},
		}
		if tc.unavailable != nil {
			ns.Unavailable[tc.unavailable.Resource] = tc.unavailable
		}
		settings := audit.DefaultSettings()
		settings.MaxImageSize = cmp.Or(tc.largest, settings.MaxImageSize)
		set, err := audit.NewSetWith(all.Checks(), settings)
		if err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(set.Evaluate(ns)[0].Skips, func(s audit.Skip) bool { return set.Check(s.Check).Scanned != nil })
		if diff := gocmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: skips (-want +got):\n%s", name, diff)
		}
	}
}

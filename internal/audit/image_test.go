// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

func TestReferenceOf(t *testing.T) {
	const digest = "sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1"
	for image, tc := range map[string]struct {
		want   Reference
		latest bool
	}{
		"nginx":                             {want: Reference{"docker.io", "library/nginx", "", ""}, latest: true},
		"team/app:latest":                   {want: Reference{"docker.io", "team/app", "latest", ""}, latest: true},
		"index.docker.io/team/app:1":        {want: Reference{"docker.io", "team/app", "1", ""}},
		"example.com:5000/app":              {want: Reference{"example.com:5000", "app", "", ""}, latest: true},
		"localhost/app:latest2":             {want: Reference{"localhost", "app", "latest2", ""}},
		"example.com/app@" + digest:         {want: Reference{"example.com", "app", "", digest}},
		"example.com/a/b:latest@" + digest:  {want: Reference{"example.com", "a/b", "latest", digest}},
		"":                                  {},
		"example.com/App:1":                 {},
		"example.com/app@sha256:4bcff63911": {},
		digest[len("sha256:"):]:             {},
	} {
		for range 2 { // parsed, and remembered
			got := ReferenceOf(image)
			if diff := cmp.Diff(tc.want, *got); diff != "" {
				t.Errorf("%q (-want +got):\n%s", image, diff)
			}
			if got.Latest() != tc.latest {
				t.Errorf("%q means latest: %t, want %t", image, got.Latest(), tc.latest)
			}
		}
	}
}

func TestReferenceIn(t *testing.T) {
	r := ReferenceOf("example.com/team/app:1")
	for folder, want := range map[string]bool{"": true, "team": true, "tea": false, "app": false, "team/app": false, "team/app/x": false} {
		if got := r.In(folder); got != want {
			t.Errorf("In(%q) = %t, want %t", folder, got, want)
		}
	}
}

func TestImageChecksSeeEveryContainer(t *testing.T) {
	check := podCheck("image", nil)
	check.Image = func(image Image, r *Reporter) {
		if image.Image == "panic" {
			panic("ouch")
		}
		r.Find(Finding{Path: image.Path("image"), Message: image.Registry + " " + image.Tag, Container: image.Name})
	}
	pod := &Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "init", Image: "panic"}},
		Containers:     []corev1.Container{{Name: "api", Image: "example.com/a:1"}},
		EphemeralContainers: []corev1.EphemeralContainer{
			{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "b"}},
		},
	}}
	got := newSet(t, check).verdictOn(pod)
	want := &verdict{
		findings: []Finding{
			{Check: "image", Severity: "Medium", Message: "example.com 1", Container: "api", Path: "spec.containers[name=api].image"},
			{Check: "image", Severity: "Medium", Message: "docker.io ", Container: "debug", Path: "spec.ephemeralContainers[name=debug].image"},
		},
		skips: []Skip{{"image", "CheckFailed", `check "image" broke down: ouch`}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(verdict{})); diff != "" {
		t.Errorf("verdict (-want +got):\n%s", diff)
	}
}

func TestImageKeys(t *testing.T) {
	const digest, other = "4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1", "b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c"
	same := [][]string{
		{"nginx", "nginx:latest", "docker.io/library/nginx:latest"},
		{"nginx:1"},
		{"example.com/nginx"},
		{"nginx@sha256:" + digest, "nginx:1@sha256:" + digest, "example.com/mirror/nginx@sha256:" + digest},
		{"nginx@sha256:" + other},
		{"", "<none>:<none>", "no such Image"},
	}
	seen := make(map[ImageKey]int)
	for i, names := range same {
		for _, name := range names {
			key := ReferenceOf(name).Key()
			if of, ok := seen[key]; ok && of != i {
				t.Errorf("%q has the key of %q", name, same[of])
			}
			seen[key] = i
		}
	}
	if len(seen) != len(same) || seen[0] != len(same)-1 {
		t.Errorf("keys %v of %d images, of which the last is none", seen, len(same))
	}
}

func TestShapesKnowTheirImages(t *testing.T) {
	pod := &Pod{Spec: corev1.PodSpec{
		InitContainers: []corev1.Container{{Image: "example.com/init"}}, Containers: []corev1.Container{{Image: "example.com/app:1"}, {Image: ""}},
		EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Image: "busybox"}}},
	}}
	shape := NewShape(pod)
	want := []ImageKey{ReferenceOf("example.com/init").Key(), ReferenceOf("example.com/app:1").Key(), 0, ReferenceOf("busybox").Key()}
	if diff := cmp.Diff(want, slices.Collect(shape.Images())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(pod, shape.Pod()); diff != "" {
		t.Errorf("the Pod differs (-want +got):\n%s", diff)
	}
}

// FuzzReferenceOf: whatever a Pod names, its parts put together again mean the same image, and no folder of a registry contains an
// image whose path does not begin with it, segment by segment.
func FuzzReferenceOf(f *testing.F) {
	for _, seed := range []string{
		"nginx", "team/app:latest", "index.docker.io/team/app:1", "example.com:5000/app", "[::1]:5000/a/b__c:1.0",
		"example.com/a/b:latest@sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1", "example.com/App:1", "a/b/../c",
	} {
		f.Add(seed, "team")
	}
	f.Fuzz(func(t *testing.T, image, folder string) {
		r := *ReferenceOf(image)
		if r.Registry == "" {
			if r != (Reference{}) {
				t.Fatalf("%q is no image, and has the parts %+v", image, r)
			}
			return
		}
		whole := r.Registry + "/" + r.Repository
		if r.Tag != "" {
			whole += ":" + r.Tag
		}
		if r.Digest != "" {
			whole += "@" + r.Digest
		}
		if again := *ReferenceOf(whole); again != r {
			t.Errorf("%q is %+v, and put together again %+v", image, r, again)
		}
		wanted, path := strings.Split(folder, "/"), strings.Split(r.Repository, "/")
		if folder != "" && r.In(folder) != (len(wanted) < len(path) && slices.Equal(wanted, path[:len(wanted)])) {
			t.Errorf("%q in %q: %t", r.Repository, folder, r.In(folder))
		}
	})
}

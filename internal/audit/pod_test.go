// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func TestContainers(t *testing.T) {
	pod := &Pod{Spec: corev1.PodSpec{
		Containers: []corev1.Container{{Name: "api", Image: "a"}, {Name: "proxy", Image: "b"}},
		InitContainers: []corev1.Container{
			{Name: "migrate", Image: "c"}, {Name: "mesh", Image: "d", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)},
		},
		EphemeralContainers: []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "e"}}},
	}}
	want := []string{
		"c spec.initContainers[name=migrate].image",
		"d spec.initContainers[name=mesh].image",
		"a spec.containers[name=api].image",
		"b spec.containers[name=proxy].image",
		"e spec.ephemeralContainers[name=debug].image",
	}
	var got []string
	for c := range pod.Containers() {
		got = append(got, c.Image+" "+c.Path("image"))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
	for stop := range want { // a loop may end anywhere
		seen := 0
		for c := range pod.Containers() {
			if seen == stop {
				if path := c.Path(""); path+".image" != want[stop][2:] {
					t.Errorf("path %q of container %d", path, stop)
				}
				break
			}
			seen++
		}
		if seen != stop {
			t.Errorf("saw %d containers before stopping, want %d", seen, stop)
		}
	}
	for c := range (&Pod{}).Containers() {
		t.Errorf("container %q in an empty Pod", c.Name)
	}
}

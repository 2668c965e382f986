// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/policy"
	"k8s.io/utils/ptr"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
)

func hardenedPod() *audit.Pod {
	pod := &audit.Pod{Meta: metav1.ObjectMeta{}, Spec: corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr.To(true), SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
	}}
	for n := range 2 {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{
			Name:  fmt.Sprint("c", n),
			Image: "example.com/app@sha256:b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c",
			SecurityContext: &corev1.SecurityContext{
				AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
				Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			},
		})
	}
	return pod
}

// barePod has two containers that set nothing.
func barePod() *audit.Pod {
	pod := hardenedPod()
	pod.Spec.SecurityContext = nil
	for i := range pod.Spec.Containers {
		pod.Spec.Containers[i].SecurityContext = nil
	}
	return pod
}

func library() []policy.CheckPodFn {
	var functions []policy.CheckPodFn
	for _, c := range policy.DefaultChecks() {
		functions = append(functions, c.Versions[len(c.Versions)-1].CheckPod)
	}
	return functions
}

// BenchmarkPod sets all checks on Pods against the functions of the Pod Security library alone, on the same Pods: as they are,
// and with the containers one at a time on a denial, which is the least that it takes to know where.
func BenchmarkPod(b *testing.B) {
	set, err := checks.Default()
	if err != nil {
		b.Fatal(err)
	}
	functions := library()
	for name, pod := range map[string]*audit.Pod{"passing": hardenedPod(), "violating": barePod()} {
		for subject, judge := range map[string]func(){
			"checks": func() { set.Judge(pod) },
			"library": func() {
				for _, ask := range functions {
					ask(&pod.Meta, &pod.Spec)
				}
			},
			"library-by-container": func() {
				for _, ask := range functions {
					if ask(&pod.Meta, &pod.Spec).Allowed {
						continue
					}
					alone := pod.Spec
					for i := range pod.Spec.Containers {
						alone.Containers = pod.Spec.Containers[i : i+1]
						ask(&pod.Meta, &alone)
					}
				}
			},
		} {
			b.Run(name+"/"+subject, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					judge()
				}
			})
		}
	}
}

// TestPassingPodsCostNoAllocation: nearly all Pods pass nearly all checks.
func TestPassingPodsCostNoAllocation(t *testing.T) {
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	pod := hardenedPod()
	if n := set.Judge(pod); n != 0 {
		t.Fatalf("%d findings", n)
	}
	if n := testing.AllocsPerRun(100, func() { set.Judge(pod) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := set.Judge(barePod()); n == 0 {
		t.Error("no findings in a Pod that sets nothing")
	}
}

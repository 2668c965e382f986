// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package custom

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/internal/audit"
)

var benchmarks = map[string]string{
	"hostNetwork": `!has(object.spec.hostNetwork) || !object.spec.hostNetwork`,
	"images":      `object.spec.containers.all(c, c.image.startsWith('registry.example.com/'))`,
	"quantities":  `object.spec.containers.all(c, has(c.resources.limits) && quantity(c.resources.limits.memory).compareTo(quantity('4Gi')) <= 0)`,
}

// BenchmarkEvaluate is one expression on one Pod of three containers.
func BenchmarkEvaluate(b *testing.B) {
	p := &audit.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{container(), container(), container()}}}
	for name, text := range benchmarks {
		b.Run(name, func(b *testing.B) {
			e, err := compile(pod, custom(text, pod))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if holds, err := e.holds(map[string]any{objectVariable: podObject(p, "", nil)}); !holds || err != nil {
					b.Fatal(holds, err)
				}
			}
		})
	}
}

// BenchmarkCompile is one check on Pods, once what it is written in has been made.
func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(custom(benchmarks["quantities"], pod)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLanguage makes what checks on Pods are written in: once in the life of a process.
func BenchmarkLanguage(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := languageOf(pod, kinds[pod]); err != nil {
			b.Fatal(err)
		}
	}
}

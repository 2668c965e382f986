// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"weak"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// auditedAnnotations are the prefixes of the Pod annotations that are kept: AppArmor and seccomp profiles before they
// became fields.
var auditedAnnotations = []string{
	corev1.DeprecatedAppArmorBetaContainerAnnotationKeyPrefix,
	"seccomp.security.alpha.kubernetes.io/",
	"container.seccomp.security.alpha.kubernetes.io/",
}

// shapeOf keeps of a Pod what is audited and the same in all replicas. It changes spec, which the caller gives up.
func (i *interner) shapeOf(annotations map[string]string, spec *corev1.PodSpec) *audit.Shape {
	canonical(spec)
	pod := audit.Pod{Spec: *spec}
	for key, value := range annotations {
		if slices.ContainsFunc(auditedAnnotations, func(p string) bool { return strings.HasPrefix(key, p) }) {
			metav1.SetMetaDataAnnotation(&pod.Meta, key, value)
		}
	}
	return i.shape(&pod)
}

// canonical takes out of a spec what the API server, admission and controllers put into each replica differently.
func canonical(spec *corev1.PodSpec) {
	spec.NodeName, spec.Hostname, spec.Subdomain = "", "", ""
	if a := spec.Affinity; a != nil && a.NodeAffinity != nil && a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution != nil {
		terms := a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
		for i := range terms {
			terms[i].MatchFields = nil // how the DaemonSet controller assigns nodes
		}
	}
	renamed := make(map[string]string)
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		if strings.HasPrefix(v.Name, tokenVolume+"-") && v.Projected != nil {
			renamed[v.Name] = tokenVolume
			v.Name = tokenVolume
		}
		if v.PersistentVolumeClaim != nil {
			v.PersistentVolumeClaim.ClaimName = "" // a StatefulSet's differ by ordinal
		}
	}
	for c := range (&audit.Pod{Spec: *spec}).Containers() {
		for i := range c.VolumeMounts {
			if name, ok := renamed[c.VolumeMounts[i].Name]; ok {
				c.VolumeMounts[i].Name = name
			}
		}
		for i := range c.Env {
			c.Env[i].Value = ""
		}
	}
}

// tokenVolume is how the volumes with the ServiceAccount's token begin that admission adds, with a suffix for each Pod.
const tokenVolume = "kube-api-access"

// interner makes equal shapes, labels and owners one. What nothing refers to any more goes with the next garbage collection.
type interner struct {
	mu     sync.Mutex
	shapes map[[sha256.Size]byte]weak.Pointer[audit.Shape]
	labels map[[sha256.Size]byte]weak.Pointer[audit.Labels]
	owners map[audit.Owner]weak.Pointer[audit.Owner]
}

func newInterner() *interner {
	return &interner{
		shapes: make(map[[sha256.Size]byte]weak.Pointer[audit.Shape]),
		labels: make(map[[sha256.Size]byte]weak.Pointer[audit.Labels]),
		owners: make(map[audit.Owner]weak.Pointer[audit.Owner]),
	}
}

func (i *interner) shape(pod *audit.Pod) *audit.Shape {
	encoded := audit.Encode(pod)
	return intern(&i.mu, i.shapes, sha256.Sum256([]byte(encoded)), func() *audit.Shape { return audit.ShapeOf(encoded) })
}

func (i *interner) ownerOf(m metav1.Object) *audit.Owner {
	owner := audit.OwnerFrom(m)
	if owner == nil {
		return nil
	}
	return intern(&i.mu, i.owners, *owner, func() *audit.Owner { return owner })
}

func (i *interner) labelsOf(set map[string]string) *audit.Labels {
	h := sha256.New()
	writeMap(h.Write, set)
	return intern(&i.mu, i.labels, [sha256.Size]byte(h.Sum(nil)), func() *audit.Labels { return &audit.Labels{Map: set} })
}

func intern[K comparable, T any](mu *sync.Mutex, known map[K]weak.Pointer[T], key K, fresh func() *T) *T {
	mu.Lock()
	defer mu.Unlock()
	if v := known[key].Value(); v != nil {
		return v
	}
	v := fresh()
	known[key] = weak.Make(v)
	runtime.AddCleanup(v, func(key K) {
		mu.Lock()
		defer mu.Unlock()
		if known[key].Value() == nil { // else an equal one has come in its place
			delete(known, key)
		}
	}, key)
	return v
}

// templateHash changes whenever anything in a Pod template does.
func templateHash(t *corev1.PodTemplateSpec) string {
	const hashLen = 10
	sum := sha256.Sum256(marshal(t))
	return hex.EncodeToString(sum[:])[:hashLen]
}

// marshal encodes an API object so that equal ones give equal bytes.
func marshal(o interface{ Marshal() ([]byte, error) }) []byte {
	encoded, err := o.Marshal()
	if err != nil {
		return nil // generated code that writes into memory; it has no error to return
	}
	return encoded
}

func writeMap(write func([]byte) (int, error), m map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		// Quoted, for an annotation may hold any bytes, and so end where another begins.
		_, _ = write([]byte(strconv.Quote(key) + strconv.Quote(m[key]))) // a hash takes everything
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"hash/maphash"
	"maps"
	"sync"
	"weak"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// interner makes equal shapes, labels, owners and images one. What nothing refers to any more is forgotten.
type interner struct {
	// keepAll keeps the templates of what no longer makes Pods too.
	keepAll bool

	shapes     pool[audit.Shape]
	labels     pool[audit.Labels]
	owners     pool[audit.Owner]
	images     pool[audit.NodeImage]
	nodeImages pool[audit.NodeImages]
}

func newInterner() *interner { return &interner{} }

func (i *interner) shape(pod *audit.Pod) *audit.Shape {
	encoded := audit.Encode(pod)
	return i.shapes.get(maphash.String(seed, encoded),
		func(s *audit.Shape) bool { return s.Encoded() == encoded }, func() *audit.Shape { return audit.ShapeOf(encoded, pod) })
}

func (i *interner) labelsOf(set map[string]string) *audit.Labels {
	encoded := audit.EncodeLabels(set)
	return i.labels.get(maphash.String(seed, encoded),
		func(l *audit.Labels) bool { return l.Encoded() == encoded }, func() *audit.Labels { return audit.LabelsOf(encoded) })
}

func (i *interner) ownerOf(m metav1.Object) *audit.Owner {
	owner := audit.OwnerFrom(m)
	if owner == nil {
		return nil
	}
	return i.owners.get(maphash.Comparable(seed, *owner),
		func(o *audit.Owner) bool { return *o == *owner }, func() *audit.Owner { return owner })
}

var seed = maphash.MakeSeed()

// pool finds values that are in use, by a hash of theirs. What it holds weakly and is gone makes way whenever the pool has
// doubled: a cleanup function for each value would take more memory than most values.
type pool[T any] struct {
	mu      sync.Mutex
	known   map[uint64]weak.Pointer[T]
	sweepAt int
}

const smallestSweep = 1024

// get returns the value of that hash that is the same, or a fresh one.
func (p *pool[T]) get(hash uint64, same func(*T) bool, fresh func() *T) *T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.known[hash].Value(); v != nil {
		if same(v) {
			return v
		}
		return fresh() // of the same hash by chance: it is shared with nobody
	}
	v := fresh()
	if p.known == nil {
		p.known = make(map[uint64]weak.Pointer[T])
	}
	p.known[hash] = weak.Make(v)
	if len(p.known) > p.sweepAt {
		maps.DeleteFunc(p.known, func(_ uint64, v weak.Pointer[T]) bool { return v.Value() == nil })
		p.sweepAt = max(smallestSweep, 2*len(p.known))
	}
	return v
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"encoding/binary"
	"iter"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
)

// Shape is a Pod without what differs between replicas, shared by all Pods that are equal in it. It is kept encoded and
// compressed: a decoded Pod takes more than twenty times the memory, and it is needed only while it is judged.
type Shape struct {
	// id tells shapes apart, in an order.
	id      uint64
	encoded string
	// account is the ServiceAccount that the Pod names, or "", and tokens whether it mounts one of its tokens.
	account string
	tokens  tokens
	// facts holds a bit for each Fact that is known, and one for each that is true.
	facts atomic.Uint64
}

// NewShape returns the shape of a Pod.
func NewShape(pod *Pod) *Shape { return ShapeOf(Encode(pod), pod) }

// ShapeOf returns the shape of a Pod that Encode has encoded.
func ShapeOf(encoded string, pod *Pod) *Shape {
	return &Shape{
		id: shapes.Add(1), encoded: encoded, tokens: tokensOf(&pod.Spec),
		account: strings.Clone(cmp.Or(pod.Spec.ServiceAccountName, pod.Spec.DeprecatedServiceAccount)),
	}
}

var shapes atomic.Uint64

// Encoded returns what ShapeOf was given.
func (s *Shape) Encoded() string { return s.encoded }

// Encode encodes a Pod so that equal ones give equal strings: the number of its containers, the keys of their images, and the
// Pod compressed. The keys are asked for far more often than the Pod.
func Encode(pod *Pod) string {
	var keys []byte
	for c := range pod.Containers() {
		keys = binary.BigEndian.AppendUint64(keys, uint64(ReferenceOf(c.Image).Key()))
	}
	encoded := append(binary.AppendUvarint(nil, uint64(len(keys)/keySize)), keys...)
	return string(append(encoded, dictionary().Encode(nil, marshal(pod))...))
}

// images returns the keys of the containers' images, and what follows them.
func (s *Shape) images() (keys, rest string) {
	n, length := uvarint(s.encoded)
	return s.encoded[length:][:n*keySize], s.encoded[length:][n*keySize:]
}

// Images returns the keys of the containers' images, in the order of the containers.
func (s *Shape) Images() iter.Seq[ImageKey] {
	return func(yield func(ImageKey) bool) {
		for keys, _ := s.images(); keys != "" && yield(keyFrom(keys)); keys = keys[keySize:] {
		}
	}
}

// Pod returns the Pod itself, decoded anew each time.
func (s *Shape) Pod() *Pod {
	var pod corev1.Pod
	_, compressed := s.images()
	if encoded, err := dictionary().Decode(nil, []byte(compressed)); err == nil { // it is what Encode wrote
		_ = pod.Unmarshal(encoded)
	}
	return &Pod{Meta: pod.ObjectMeta, Spec: pod.Spec}
}

func marshal(pod *Pod) []byte {
	// Generated code that writes into memory: it has no error to return, and maps it writes sorted.
	encoded, _ := (&corev1.Pod{ObjectMeta: pod.Meta, Spec: pod.Spec}).Marshal()
	return encoded
}

// Fact is something about Pods that is asked often, about all the Pods of a namespace. It is found out once for each shape.
type Fact struct {
	known, positive uint64
	of              func(*Pod) bool
}

var facts atomic.Uint32

// maxFacts is how many fit into a shape.
const maxFacts = 32

// NewFact returns a Fact that of finds out. It is for package variables: there cannot be more than 32.
func NewFact(of func(*Pod) bool) *Fact {
	n := facts.Add(1) - 1
	if n >= maxFacts {
		return &Fact{of: of} // never remembered
	}
	return &Fact{known: 1 << (2 * n), positive: 2 << (2 * n), of: of}
}

// Of says whether the fact is true of a shape.
func (f *Fact) Of(s *Shape) bool {
	if known := s.facts.Load(); known&f.known != 0 {
		return known&f.positive != 0
	}
	positive := f.of(s.Pod())
	found := f.known
	if positive {
		found |= f.positive
	}
	s.facts.Or(found)
	return positive
}

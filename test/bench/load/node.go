// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Nodes are those that the Pods of a load are on.
type Nodes struct {
	// images of Pods, by node.
	images map[string]map[string]bool
}

// NewNodes returns no nodes.
func NewNodes() *Nodes { return &Nodes{images: make(map[string]map[string]bool)} }

// Add takes an object in: a Pod makes its node have its images.
func (n *Nodes) Add(o client.Object) {
	p, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	images := n.images[p.Spec.NodeName]
	if images == nil {
		images = make(map[string]bool)
		n.images[p.Spec.NodeName] = images
	}
	for _, c := range p.Spec.Containers {
		images[c.Image] = true
	}
}

// All returns the nodes as their kubelets leave them.
func (n *Nodes) All() iter.Seq[*corev1.Node] {
	return func(yield func(*corev1.Node) bool) {
		for _, name := range slices.Sorted(maps.Keys(n.images)) {
			node := &corev1.Node{
				ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
					corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
				}},
				Status: corev1.NodeStatus{
					Images:     imagesOf(n.images[name]),
					Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastTransitionTime: started}},
				},
			}
			node.UID = uidOf(node)
			if !yield(node) {
				return
			}
		}
	}
}

// maxImages is how many a kubelet lists.
const maxImages = 50

// imagesOf returns what a kubelet lists: the largest images first, with digest and tag.
func imagesOf(images map[string]bool) []corev1.ContainerImage {
	listed := []corev1.ContainerImage{{Names: []string{"registry.k8s.io/pause:3.10"}, SizeBytes: 320 << 10}}
	for _, image := range slices.Sorted(maps.Keys(images)) {
		tagged, _, _ := strings.Cut(image, "@")
		listed = append(listed, corev1.ContainerImage{Names: []string{imageID(image), tagged}, SizeBytes: sizeOf(image)})
	}
	slices.SortStableFunc(listed, func(a, b corev1.ContainerImage) int { return cmp.Compare(b.SizeBytes, a.SizeBytes) })
	return listed[:min(len(listed), maxImages)]
}

// sizeOf returns the size of an image: half of them have more than 128 MiB, and those of the careless more than a check allows.
func sizeOf(image string) int64 {
	const mebibyte, most = 1 << 20, 1000
	sum := sha256.Sum256([]byte(image))
	part := float64(binary.BigEndian.Uint32(sum[:])) / (1 << 32)
	size := int64(part * part * part * most * mebibyte)
	if strings.Contains(image, "careless") {
		size += 2 * most * mebibyte
	}
	return size
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// imagesOf keeps of the images that a node lists those that are large, and those that have several digests. A kubelet repeats
// the list every few minutes: one that is known already costs no more than its hash.
func (i *interner) imagesOf(listed []corev1.ContainerImage) *audit.NodeImages {
	if len(listed) == 0 {
		return nil
	}
	check := sumOf(otherSeed, listed...) // no two lists have both sums in common
	return i.nodeImages.get(sumOf(seed, listed...), func(n *audit.NodeImages) bool { return n.Sum == check }, func() *audit.NodeImages {
		n := &audit.NodeImages{Sum: check}
		for _, image := range listed {
			if kept := i.imageOf(image); kept != nil {
				n.Images = append(n.Images, kept)
			}
		}
		n.Images = slices.Clip(n.Images)
		return n
	})
}

var otherSeed = maphash.MakeSeed()

func sumOf(seed maphash.Seed, listed ...corev1.ContainerImage) uint64 {
	var hash maphash.Hash
	hash.SetSeed(seed)
	for _, image := range listed {
		maphash.WriteComparable(&hash, image.SizeBytes)
		for _, name := range image.Names {
			_, _ = hash.WriteString(name) // it has no error to return
			_ = hash.WriteByte(0)
		}
	}
	return hash.Sum64()
}

// imageOf returns what is kept of an image, or nil. Only one that no node has listed yet is parsed.
func (i *interner) imageOf(listed corev1.ContainerImage) *audit.NodeImage {
	size, digests := audit.Mebibytes(listed.SizeBytes), 0
	for _, name := range listed.Names {
		if strings.Contains(name, "@") {
			digests++
		}
	}
	if size < audit.SmallestImage && digests < 2 {
		return nil
	}
	image := i.images.get(sumOf(seed, listed),
		func(n *audit.NodeImage) bool { return n.MiB == size }, func() *audit.NodeImage { return nodeImage(size, listed.Names) })
	if len(image.Keys) == 0 || image.MiB < audit.SmallestImage && image.Digests == "" {
		return nil
	}
	return image
}

func nodeImage(size uint32, names []string) *audit.NodeImage {
	image := &audit.NodeImage{MiB: size}
	var digests []string
	for _, name := range names {
		reference := audit.ReferenceOf(name)
		if key := reference.Key(); key != 0 {
			image.Keys = append(image.Keys, key)
		}
		if sum, err := hex.DecodeString(strings.TrimPrefix(reference.Digest, "sha256:")); err == nil && len(sum) > 0 {
			digests = append(digests, string(sum))
		}
	}
	slices.Sort(image.Keys)
	image.Keys = slices.Clip(slices.Compact(image.Keys))
	slices.Sort(digests)
	if digests = slices.Compact(digests); len(digests) > 1 {
		image.Digests = strings.Join(digests, "")
	}
	return image
}

// maxListed is how many images a kubelet lists, the largest first, unless its nodeStatusMaxImages says otherwise.
const maxListed = 50

// unlisted returns the size in MiB that no image of a node exceeds which it does not list, given those that it lists.
func unlisted(listed []corev1.ContainerImage) uint32 {
	switch {
	case len(listed) == 0:
		return math.MaxUint32
	case len(listed) < maxListed:
		return 0
	}
	least := audit.Mebibytes(slices.MinFunc(listed, func(a, b corev1.ContainerImage) int { return cmp.Compare(a.SizeBytes, b.SizeBytes) }).SizeBytes)
	if least <= audit.SmallestImage {
		return audit.SmallestImage
	}
	return audit.SmallestImage << bits.Len32((least-1)/audit.SmallestImage)
}

// images is what all nodes together tell of images.
type images struct {
	mu sync.RWMutex
	// nodes is how many nodes list an image.
	nodes map[*audit.NodeImage]int
	byKey map[audit.ImageKey][]*audit.NodeImage
}

func newImages() *images {
	return &images{nodes: make(map[*audit.NodeImage]int), byKey: make(map[audit.ImageKey][]*audit.NodeImage)}
}

// change takes in that a node lists other images than before, and returns the names of which something else is known now.
func (x *images) change(before, now *audit.NodeImages) map[audit.ImageKey]bool {
	if before == now {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	var come, gone []*audit.NodeImage
	for _, image := range imagesIn(now) {
		if x.nodes[image]++; x.nodes[image] == 1 {
			come = append(come, image)
		}
	}
	for _, image := range imagesIn(before) {
		if x.nodes[image]--; x.nodes[image] == 0 {
			delete(x.nodes, image)
			gone = append(gone, image)
		}
	}
	known := make(map[audit.ImageKey]audit.ImageFacts)
	for _, image := range slices.Concat(come, gone) {
		for _, key := range image.Keys {
			known[key] = x.of(key)
		}
	}
	for _, image := range come {
		for _, key := range image.Keys {
			x.byKey[key] = append(x.byKey[key], image)
		}
	}
	for _, image := range gone {
		for _, key := range image.Keys {
			if x.byKey[key] = slices.DeleteFunc(x.byKey[key], func(i *audit.NodeImage) bool { return i == image }); len(x.byKey[key]) == 0 {
				delete(x.byKey, key)
			}
		}
	}
	changed := make(map[audit.ImageKey]bool)
	for key, facts := range known {
		if x.of(key) != facts {
			changed[key] = true
		}
	}
	return changed
}

func imagesIn(n *audit.NodeImages) []*audit.NodeImage {
	if n == nil {
		return nil
	}
	return n.Images
}

// of returns what is known of the images of a name.
func (x *images) of(key audit.ImageKey) audit.ImageFacts {
	var facts audit.ImageFacts
	for _, image := range x.byKey[key] {
		facts.MiB = max(facts.MiB, image.MiB)
		facts.Digests = mergeDigests(facts.Digests, image.Digests)
	}
	return facts
}

// mergeDigests returns all digests of two lists, each in bytes, one after the other, sorted.
func mergeDigests(a, b string) string {
	if a == "" || a == b {
		return b
	}
	digests := slices.Collect(slices.Chunk([]byte(a+b), sha256.Size))
	slices.SortFunc(digests, bytes.Compare)
	return string(slices.Concat(slices.CompactFunc(digests, bytes.Equal)...))
}

// known returns what is known of the images of Pods.
func (x *images) known(pods []*audit.PodRecord) map[audit.ImageKey]audit.ImageFacts {
	x.mu.RLock()
	defer x.mu.RUnlock()
	found := make(map[audit.ImageKey]audit.ImageFacts)
	for i, p := range pods {
		if i > 0 && p.Shape == pods[i-1].Shape && p.Running == pods[i-1].Running {
			continue
		}
		for key := range p.Images() {
			if x.byKey[key] != nil {
				found[key] = x.of(key)
			}
		}
	}
	return found
}

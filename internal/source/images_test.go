// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/internal/audit"
)

const mebibyte = 1 << 20

// onNode is an image as a node lists it.
func onNode(size int64, names ...string) corev1.ContainerImage {
	return corev1.ContainerImage{Names: names, SizeBytes: size}
}

// named returns a name of an image with a digest of that number.
func named(repository string, digest int) string {
	return repository + "@sha256:" + strings.Repeat(fmt.Sprintf("%02x", digest), 32)
}

func keyOf(name string) audit.ImageKey { return audit.ReferenceOf(name).Key() }

func TestImagesOfANode(t *testing.T) {
	one, two := strings.Repeat("\x01", 32), strings.Repeat("\x02", 32)
	for name, tc := range map[string]struct {
		image   corev1.ContainerImage
		size    uint32 // 0 if nothing is kept
		names   []string
		digests string
	}{
		"a large one":              {onNode(128*mebibyte, named("a", 1), "a:1"), 128, []string{named("a", 1), "a:1"}, ""},
		"one that is just so":      {onNode(127*mebibyte+1, "a:1"), 128, []string{"a:1"}, ""},
		"a small one":              {onNode(127*mebibyte, named("a", 1), "a:1"), 0, nil, ""},
		"of several digests":       {onNode(1, named("a", 2), named("a", 1)), 1, []string{named("a", 1), named("a", 2)}, one + two},
		"of several repositories":  {onNode(200*mebibyte, named("a", 1), named("b", 1)), 200, []string{named("a", 1)}, ""},
		"without a name":           {onNode(200*mebibyte, "<none>@<none>", "<none>:<none>"), 0, nil, ""},
		"of more than can be":      {onNode(math.MaxInt64, "a:1"), math.MaxUint32, []string{"a:1"}, ""},
		"with an unusual digest":   {onNode(200*mebibyte, "a@sha512:"+strings.Repeat("01", 64), named("a", 1)), 200, []string{named("a", 1)}, ""},
		"with the same name twice": {onNode(200*mebibyte, "a:1", "docker.io/library/a:1"), 200, []string{"a:1"}, ""},
	} {
		var want []*audit.NodeImage
		if tc.size > 0 {
			image := &audit.NodeImage{MiB: tc.size, Digests: tc.digests}
			for _, n := range tc.names {
				image.Keys = append(image.Keys, keyOf(n))
			}
			slices.Sort(image.Keys)
			want = append(want, image)
		}
		got := newInterner().imagesOf([]corev1.ContainerImage{tc.image}).Images
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestNodesShareWhatIsKeptOfImages: a list that comes again is the same, and images are, whatever list they come in.
func TestNodesShareWhatIsKeptOfImages(t *testing.T) {
	i := newInterner()
	list := func(sizes ...int64) *audit.NodeImages {
		var images []corev1.ContainerImage
		for _, size := range sizes {
			images = append(images, onNode(size*mebibyte, fmt.Sprint("example.com/a:", size)))
		}
		return i.imagesOf(images)
	}
	first, again, turned, more := list(300, 200), list(300, 200), list(200, 300), list(300, 200, 100)
	if first != again || first == turned || first == more || list() != nil {
		t.Errorf("lists %p, %p, %p, %p", first, again, turned, more)
	}
	if first.Images[0] != turned.Images[1] || !slices.Equal(first.Images, more.Images) {
		t.Errorf("images %v, %v, %v", first.Images, turned.Images, more.Images)
	}
	if n := testing.AllocsPerRun(100, func() { list(300, 200) }); n > 8 { // those of the test itself
		t.Errorf("a list that comes again costs %v allocations", n)
	}
}

func TestUnlisted(t *testing.T) {
	for name, tc := range map[string]struct {
		count int
		least int64 // MiB
		want  uint32
	}{
		"no image":                        {0, 0, math.MaxUint32},
		"fewer than there could be":       {49, 4000, 0},
		"many, and the least is small":    {50, 1, 128},
		"many, and the least is 128 MiB":  {50, 128, 128},
		"many, and the least is more":     {50, 129, 256},
		"many, and the least is 256 MiB":  {50, 256, 256},
		"many, and the least is 1025 MiB": {60, 1025, 2048},
	} {
		images := slices.Repeat([]corev1.ContainerImage{onNode(5000*mebibyte, "a:1")}, tc.count)
		if tc.count > 0 {
			images[tc.count/2] = onNode(tc.least*mebibyte, "a:2")
		}
		if got := unlisted(images); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
	}
}

// TestChangesOfImages: what nodes tell together follows each of them, and is news only where it differs.
func TestChangesOfImages(t *testing.T) {
	i, x := newInterner(), newImages()
	one, two, three := strings.Repeat("\x01", 32), strings.Repeat("\x02", 32), strings.Repeat("\x03", 32)
	lists := make(map[string]*audit.NodeImages)
	for _, step := range []struct {
		name  string
		node  string
		lists []corev1.ContainerImage
		want  map[string]audit.ImageFacts // of the names that are news
	}{
		{"the first node", "n1", []corev1.ContainerImage{onNode(300*mebibyte, named("a", 1), "a:1")}, map[string]audit.ImageFacts{
			named("a", 1): {MiB: 300}, "a:1": {MiB: 300},
		}},
		{"another with the same", "n2", []corev1.ContainerImage{onNode(300*mebibyte, named("a", 1), "a:1"), onNode(mebibyte, "small:1")}, nil},
		{"one that counts more", "n3", []corev1.ContainerImage{onNode(301*mebibyte, "a:1")}, map[string]audit.ImageFacts{"a:1": {MiB: 301}}},
		{"one that counts less", "n4", []corev1.ContainerImage{onNode(299*mebibyte, "a:1")}, nil},
		{"one that knows another digest", "n3", []corev1.ContainerImage{onNode(300*mebibyte, named("a", 2), named("a", 1))}, map[string]audit.ImageFacts{
			named("a", 1): {MiB: 300, Digests: one + two}, named("a", 2): {MiB: 300, Digests: one + two}, "a:1": {MiB: 300},
		}},
		{"and one that knows a third", "n4", []corev1.ContainerImage{onNode(300*mebibyte, named("a", 3), named("a", 1))}, map[string]audit.ImageFacts{
			named("a", 1): {MiB: 300, Digests: one + two + three}, named("a", 3): {MiB: 300, Digests: one + three},
		}},
		{"the first goes", "n1", nil, nil},
		{"and so does the second", "n2", nil, map[string]audit.ImageFacts{"a:1": {}}},
		{"the third goes", "n3", nil, map[string]audit.ImageFacts{named("a", 1): {MiB: 300, Digests: one + three}, named("a", 2): {}}},
		{"all are gone", "n4", nil, map[string]audit.ImageFacts{named("a", 1): {}, named("a", 3): {}}},
	} {
		now := i.imagesOf(step.lists)
		got := make(map[audit.ImageKey]audit.ImageFacts)
		for key := range x.change(lists[step.node], now) {
			got[key] = x.of(key)
		}
		lists[step.node] = now
		want := make(map[audit.ImageKey]audit.ImageFacts)
		for name, facts := range step.want {
			want[keyOf(name)] = facts
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	if len(x.nodes)+len(x.byKey) > 0 {
		t.Errorf("without nodes, %v and %v are left", x.nodes, x.byKey)
	}
}

// TestImagesConcernTheNamespacesThatRunThem: what a node tells anew of an image makes those be judged again, and nothing else
// that it repeats or tells does.
func TestImagesConcernTheNamespacesThatRunThem(t *testing.T) {
	s := New(offline(t))
	syncAll(s)
	pod := func(namespace, image, runs string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}, Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "app", Image: image}}, NodeName: "n1",
		}}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "app", ImageID: runs}}
		return p
	}
	node := func(name string, images ...corev1.ContainerImage) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NodeStatus{Images: append(images, onNode(1, "pause:1"))}}
	}
	for _, err := range []error{
		s.pods.Add(pod("by-name", "a:1", "")), s.pods.Add(pod("by-digest", "a:2", named("docker.io/library/a", 1))),
		s.pods.Add(pod("pinned", named("a", 2), "")), s.pods.Add(pod("another", "b:1", "")),
		s.nodes.Add(node("n1")), s.nodes.Add(node("n2")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var events []string
	s.OnEvent(func(e Event) {
		if e.StateChanged {
			e.Namespace = "all"
		}
		events = append(events, e.Namespace)
	})
	large := onNode(300*mebibyte, named("a", 1), "a:1")
	for _, step := range []struct {
		name   string
		change func() error
		want   []string
	}{
		{"a heartbeat", func() error { return s.nodes.Update(node("n1")) }, nil},
		{"a large image", func() error { return s.nodes.Update(node("n1", large)) }, []string{"by-digest", "by-name"}},
		{"a heartbeat after that", func() error { return s.nodes.Update(node("n1", large)) }, nil},
		{"the same image on another node", func() error { return s.nodes.Update(node("n2", large)) }, nil},
		{"a small image", func() error { return s.nodes.Update(node("n2", large, onNode(mebibyte, "b:1"))) }, nil},
		{"an image that nobody runs", func() error { return s.nodes.Update(node("n2", large, onNode(300*mebibyte, "c:1"))) }, nil},
		{"another digest of an image", func() error {
			return s.nodes.Update(node("n2", large, onNode(mebibyte, named("a", 1), named("a", 2))))
		}, []string{"by-digest", "pinned"}},
		{"a node that goes", func() error { return s.nodes.Delete(node("n2")) }, []string{"by-digest", "pinned"}},
	} {
		events = nil
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(events)
		if diff := cmp.Diff(step.want, events); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	i, _ := s.Inventory("by-name")
	if diff := cmp.Diff(map[audit.ImageKey]audit.ImageFacts{keyOf("a:1"): {MiB: 300}}, i.Images); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
	forbid(watcherOf(t, s, audit.Nodes))
	if i, _ := s.Inventory("by-name"); i.Images != nil {
		t.Errorf("images %v of nodes that cannot be read", i.Images)
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package work decides which image is scanned next, and knows what has become of each.
package work

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

// Board has all images that are used, and what has become of them. It may be used by several goroutines.
type Board struct {
	// Kept says whether it is known what is in an image, by the digest of its platform's manifest.
	Kept func(digest string) bool
	// Remembered returns what is known of an image from before, if it is: its digest and those of indexes that lead to it.
	Remembered func(cluster.Image) (v1alpha1.Image, bool)
	// Retry is how long an image waits after it has failed: twice as long each time.
	Retry Backoff
	// Recheck is how long a name without a digest is taken to lead to the same image.
	Recheck time.Duration
	// Now is the clock.
	Now func() time.Time

	mu    sync.Mutex
	items map[cluster.Image]*item
	// order of the items: what is used by most Pods first.
	order []*item
	// outages of registries, by name.
	outages map[string]*outage
	// found are digests of indexes for a platform, and what they lead to.
	found map[cluster.Image]v1alpha1.Image
}

// Backoff doubles from Min to Max.
type Backoff struct{ Min, Max time.Duration }

// after returns how long to wait after so many failures in a row.
func (b Backoff) after(failures int) time.Duration {
	wait := b.Min
	for range min(failures-1, 30) {
		wait = min(2*wait, b.Max)
	}
	return min(wait, b.Max)
}

// item is an image.
type item struct {
	use cluster.Use
	// about is what is known of it; its digest is empty while the registry has not told it.
	about v1alpha1.Image
	// err is why it failed the last time.
	err      error
	failures int
	running  bool
	// done: what is in it is known.
	done bool
	// next is when it may be tried again or, once it is done, when its name must be looked up again; zero is never.
	next time.Time
}

type outage struct {
	failures int
	until    time.Time
}

// Update takes in what is used now. What has become of images that are used no more is forgotten.
func (b *Board) Update(uses []cluster.Use) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.items
	b.items, b.order = make(map[cluster.Image]*item, len(uses)), make([]*item, 0, len(uses))
	for _, use := range uses {
		i := old[use.Image]
		if i == nil {
			i = b.newItem(use.Image)
		}
		i.use = use
		b.items[use.Image] = i
		b.order = append(b.order, i)
	}
	maps.DeleteFunc(b.found, func(image cluster.Image, _ v1alpha1.Image) bool { return b.items[image] == nil })
}

func (b *Board) newItem(image cluster.Image) *item {
	i := &item{}
	if about, ok := b.Remembered(image); ok {
		i.about = about
		b.finish(i, image)
	}
	return i
}

// finish marks an item whose digest is known as done, if what is in it is known.
func (b *Board) finish(i *item, image cluster.Image) {
	if !b.Kept(i.about.Digest) {
		return
	}
	i.done, i.err, i.failures, i.next = true, nil, 0, time.Time{}
	if image.Digest == "" && image.Config == "" {
		i.next = b.Now().Add(b.Recheck)
	}
}

// Next returns the image to scan now, which is then the caller's until Done is called. Where there is none, it returns how long to wait
// for one; 0 is until something changes.
func (b *Board) Next() (use cluster.Use, ok bool, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.Now()
	var earliest time.Time
	for _, i := range b.order {
		if i.running || i.done && i.next.IsZero() || b.foundByAnother(i) {
			continue
		}
		ready := i.next
		if o := b.outages[registryOf(i)]; o != nil && o.until.After(ready) {
			ready = o.until
		}
		if !ready.After(now) {
			i.running = true
			return i.use, true, 0
		}
		if earliest.IsZero() || ready.Before(earliest) {
			earliest = ready
		}
	}
	if earliest.IsZero() {
		return cluster.Use{}, false, 0
	}
	return cluster.Use{}, false, earliest.Sub(now)
}

// foundByAnother says whether an image is the same as one that is done, under another name or in another index.
func (b *Board) foundByAnother(i *item) bool {
	if i.done || i.use.Digest == "" {
		return false
	}
	about := v1alpha1.Image{Digest: i.use.Digest}
	if other, ok := b.found[i.use.Image]; ok {
		about = other
	}
	if !b.Kept(about.Digest) {
		return false
	}
	i.about = about
	b.finish(i, i.use.Image)
	return true
}

// Found takes in what the registry has told of an image.
func (b *Board) Found(image cluster.Image, about v1alpha1.Image) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.items[image]
	if i == nil {
		return
	}
	if i.about.Digest != about.Digest {
		i.done = false
	}
	i.about = about
	if b.found == nil {
		b.found = make(map[cluster.Image]v1alpha1.Image)
	}
	for _, index := range about.IndexDigests {
		b.found[cluster.Image{Digest: index, Platform: image.Platform}] = about
	}
}

// Done takes in what has become of a scan: nothing but good where err is nil.
func (b *Board) Done(image cluster.Image, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.items[image]
	if i == nil {
		return // it is used no more
	}
	i.running = false
	b.outage(registryOf(i), err)
	if err == nil {
		b.finish(i, image)
		return
	}
	i.failures++
	i.next = b.Now().Add(b.Retry.after(i.failures))
	i.err = err // which nobody is told of while what was found under the name before is still there
}

// Outage returns how long a registry is not asked, because it has not answered.
func (b *Board) Outage(registry string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if o := b.outages[registry]; o != nil {
		return max(0, o.until.Sub(b.Now()))
	}
	return 0
}

// Heard takes in what has become of asking a registry something else than for an image to scan.
func (b *Board) Heard(registry string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.outage(registry, err)
}

// outage notes whether a registry answers. While it does not, none of its images is tried but one at a time, so that those of others get
// their turn; once it does, all of them may be tried.
func (b *Board) outage(registry string, err error) {
	switch problem.Reason(err, "") {
	case v1alpha1.ReasonRegistryUnavailable, v1alpha1.ReasonTimedOut:
		if b.outages == nil {
			b.outages = make(map[string]*outage)
		}
		o := b.outages[registry]
		if o == nil {
			o = &outage{}
			b.outages[registry] = o
		}
		o.failures++
		o.until = b.Now().Add(b.Retry.after(o.failures))
	case v1alpha1.ReasonDiskFull, v1alpha1.ReasonDatabaseInvalid: // say nothing about it
	default:
		if b.outages[registry] == nil {
			return
		}
		delete(b.outages, registry)
		for _, i := range b.order {
			if registryOf(i) == registry && problem.Reason(i.err, "") == v1alpha1.ReasonRegistryUnavailable {
				i.next, i.failures = b.Now(), 0
			}
		}
	}
}

// Lost makes the images of a digest to be scanned again, because what was known of it is no more.
func (b *Board) Lost(digest string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, i := range b.order {
		if i.done && i.about.Digest == digest {
			i.done, i.next = false, time.Time{}
		}
	}
}

// Waiting returns how many images are not done.
func (b *Board) Waiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, i := range b.order {
		if !i.done {
			n++
		}
	}
	return n
}

// Subjects returns what reports there are to be, by their names.
func (b *Board) Subjects() map[string]*Subject {
	b.mu.Lock()
	defer b.mu.Unlock()
	subjects := make(map[string]*Subject, len(b.order))
	for _, i := range b.order {
		about := i.describe()
		name := v1alpha1.ImageReportName(about.Name, about.Digest)
		s := subjects[name]
		if s == nil {
			s = &Subject{About: about, Platform: i.use.Platform, Kept: i.done, Err: i.err}
			subjects[name] = s
		}
		s.add(i, about.IndexDigests)
	}
	for _, s := range subjects {
		slices.Sort(s.References)
		s.References = slices.Compact(s.References)
		slices.Sort(s.About.IndexDigests)
		s.About.IndexDigests = slices.Compact(s.About.IndexDigests)
	}
	return subjects
}

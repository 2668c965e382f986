// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package work_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/cluster"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/work"
)

// desk is a board with a clock and a store of its own.
type desk struct {
	*testing.T
	*work.Board
	now  time.Time
	kept map[string]bool
}

func newDesk(t *testing.T) *desk {
	d := &desk{T: t, now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), kept: make(map[string]bool)}
	d.Board = &work.Board{
		Kept:       func(digest string) bool { return d.kept[digest] },
		Remembered: func(cluster.Image) (v1alpha1.Image, bool) { return v1alpha1.Image{}, false },
		Retry:      work.Backoff{Min: time.Minute, Max: 5 * time.Minute},
		Recheck:    time.Hour,
		Now:        func() time.Time { return d.now },
	}
	return d
}

// use is an image that some Pods use; one without a digest is known by its name.
func use(name, digest string, pods int) cluster.Use {
	u := cluster.Use{Image: cluster.Image{Digest: digest, Platform: "linux/amd64"}, Pods: pods, Names: []string{name}}
	reference := name
	if digest == "" {
		u.Name = name
	} else {
		reference += "@" + digest
	}
	u.Sources = []cluster.Source{{Reference: reference}}
	return u
}

// digest returns one of many digests.
func digest(c byte) string { return "sha256:" + string(slices.Repeat([]byte{c}, 64)) }

// takes expects images to be handed out, in this order, and then none for some time; 0 is until something changes.
func (d *desk) takes(wait time.Duration, want ...cluster.Use) {
	d.Helper()
	var got []cluster.Image
	for {
		u, ok, left := d.Next()
		if !ok {
			if left != wait {
				d.Errorf("the next is due in %s, want %s", left, wait)
			}
			break
		}
		got = append(got, u.Image)
	}
	var images []cluster.Image
	for _, u := range want {
		images = append(images, u.Image)
	}
	if diff := cmp.Diff(images, got); diff != "" {
		d.Errorf("images to scan (-want +got):\n%s", diff)
	}
}

// finish ends a scan well: the image leads to a digest.
func (d *desk) finish(u cluster.Use, platform string, indexes ...string) {
	d.Found(u.Image, v1alpha1.Image{Digest: platform, IndexDigests: indexes})
	d.kept[platform] = true
	d.Done(u.Image, nil)
}

func failure(reason v1alpha1.ImageReason) error {
	return problem.Errorf(reason, "%w", errors.New("it does not work"))
}

func TestMostUsedFirstAndEachOnce(t *testing.T) {
	d := newDesk(t)
	one, two, three := use("a.example/one", digest('1'), 5), use("a.example/two", digest('2'), 3), use("a.example/three", digest('3'), 1)
	d.Update([]cluster.Use{one, two, three})
	d.takes(0, one, two, three)
	d.finish(one, digest('1'))
	d.finish(two, digest('a'), digest('2'))
	d.Done(three.Image, failure(v1alpha1.ReasonNotFound))
	d.takes(time.Minute)
	if n := d.Waiting(); n != 1 {
		t.Errorf("%d are waiting, want 1", n)
	}
}

func TestFailuresWaitLongerEachTime(t *testing.T) {
	d := newDesk(t)
	one := use("a.example/one", digest('1'), 5)
	d.Update([]cluster.Use{one})
	d.takes(0, one)
	for _, minutes := range []time.Duration{1, 2, 4, 5, 5} {
		d.Done(one.Image, failure(v1alpha1.ReasonLayerCorrupt))
		d.takes(minutes * time.Minute)
		d.now = d.now.Add(minutes * time.Minute)
		d.takes(0, one)
	}
	d.finish(one, digest('1'))
	d.takes(0)
}

func TestAnOutageHoldsUpItsOwnImagesOnly(t *testing.T) {
	d := newDesk(t)
	var lost []cluster.Use
	for _, c := range []byte("123") {
		lost = append(lost, use("down.example/"+string(c), digest(c), 9))
	}
	other := use("up.example/other", digest('f'), 1)
	d.Update(append(lost[:3:3], other))
	u, _, _ := d.Next()
	d.Done(u.Image, failure(v1alpha1.ReasonRegistryUnavailable))
	d.takes(time.Minute, other)
	d.finish(other, digest('f'))

	// One at a time finds out whether it is back.
	d.now = d.now.Add(time.Minute)
	u, _, _ = d.Next()
	d.Done(u.Image, failure(v1alpha1.ReasonRegistryUnavailable))
	d.takes(2 * time.Minute)

	// Once it is, those that have failed for it need not wait.
	d.now = d.now.Add(2 * time.Minute)
	u, _, _ = d.Next()
	d.finish(u, u.Digest)
	rest := slices.DeleteFunc(lost, func(l cluster.Use) bool { return l.Image == u.Image })
	d.takes(0, rest...)
}

func TestTheSameImageUnderOtherNames(t *testing.T) {
	d := newDesk(t)
	index, platform, named := use("a.example/one", digest('1'), 5), use("b.example/mirror", digest('a'), 2), use("a.example/one:latest", "", 0)
	d.Update([]cluster.Use{index, platform, named})
	u, _, _ := d.Next()
	d.finish(u, digest('a'), digest('1'))
	d.takes(0, named) // where a tag leads only the registry knows
	d.finish(named, digest('a'), digest('2'))
	subjects := d.Subjects()
	s := subjects[v1alpha1.ImageReportName("", digest('a'))]
	if len(subjects) != 1 || s == nil {
		t.Fatalf("subjects %v", subjects)
	}
	if diff := cmp.Diff([]string{"a.example/one", "a.example/one:latest", "b.example/mirror"}, s.References); diff != "" {
		t.Errorf("references (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{digest('1'), digest('2')}, s.About.IndexDigests); diff != "" || !s.Kept {
		t.Errorf("kept: %t; indexes (-want +got):\n%s", s.Kept, diff)
	}
	// The tag is looked up again, and its failure changes nothing.
	d.takes(time.Hour)
	d.now = d.now.Add(time.Hour)
	d.takes(0, named)
	d.Done(named.Image, failure(v1alpha1.ReasonNotFound))
	if again := d.Subjects()[v1alpha1.ImageReportName("", digest('a'))]; again.Fingerprint() != s.Fingerprint() {
		t.Errorf("%+v has become %+v", s, again)
	}
}

func TestAnAnswerEndsAnOutage(t *testing.T) {
	d := newDesk(t)
	one, two := use("a.example/one", digest('1'), 2), use("a.example/two", digest('2'), 1)
	d.Update([]cluster.Use{one, two})
	d.takes(0, one, two) // at a time
	d.Done(one.Image, failure(v1alpha1.ReasonRegistryUnavailable))
	d.takes(time.Minute)
	d.finish(two, digest('2'))
	d.takes(0, one)
}

func TestAnIndexThatATagHasLedTo(t *testing.T) {
	d := newDesk(t)
	named, index := use("a.example/one:latest", "", 9), use("a.example/one", digest('1'), 1)
	d.Update([]cluster.Use{named, index})
	u, _, _ := d.Next()
	d.finish(u, digest('a'), digest('1'))
	d.takes(time.Hour)
	if s := d.Subjects(); len(s) != 1 || !s[v1alpha1.ImageReportName("", digest('a'))].Kept {
		t.Errorf("subjects %v", s)
	}
}

func TestSubjectsBeforeTheRegistryHasAnswered(t *testing.T) {
	d := newDesk(t)
	queued, failed := use("a.example/one", digest('1'), 5), use("a.example/two:1", "", 0)
	d.Update([]cluster.Use{queued, failed})
	d.takes(0, queued, failed)
	d.Done(failed.Image, failure(v1alpha1.ReasonUnauthorized))
	subjects := d.Subjects()
	q := subjects[v1alpha1.ImageReportName("a.example/one@"+digest('1'), "")]
	if q == nil || q.Err != nil || q.Kept || !slices.Equal(q.About.IndexDigests, []string{digest('1')}) {
		t.Errorf("the queued one: %+v", q)
	}
	f := subjects[v1alpha1.ImageReportName("a.example/two:1", "")]
	if f == nil || problem.Reason(f.Err, "") != v1alpha1.ReasonUnauthorized || len(f.About.IndexDigests) > 0 {
		t.Errorf("the failed one: %+v", f)
	}
}

func TestWhatIsLostIsScannedAgain(t *testing.T) {
	d := newDesk(t)
	one := use("a.example/one", digest('1'), 1)
	d.Remembered = func(image cluster.Image) (v1alpha1.Image, bool) {
		return v1alpha1.Image{Digest: digest('a'), IndexDigests: []string{image.Digest}}, true
	}
	d.kept[digest('a')] = true
	d.Update([]cluster.Use{one})
	d.takes(0)
	d.kept[digest('a')] = false
	d.Lost(digest('a'))
	d.takes(0, one)
	if s := d.Subjects()[v1alpha1.ImageReportName("", digest('a'))]; s == nil || s.Kept {
		t.Errorf("%+v", s)
	}
}

func TestSourcesInARepository(t *testing.T) {
	d := newDesk(t)
	one, mirror := use("a.example/one:1", digest('1'), 2), use("b.example/one:1", digest('a'), 1)
	one.Sources = []cluster.Source{
		{Reference: "a.example/one@" + digest('1'), Namespace: "shop", Secrets: "registry"}, {Reference: "c.example/one@" + digest('1'), Namespace: "shop"},
	}
	d.Update([]cluster.Use{one, mirror})
	d.finish(one, digest('a'), digest('1'))
	d.finish(mirror, digest('a'))
	s := d.Subjects()[v1alpha1.ImageReportName("", digest('a'))]
	for reference, want := range map[string]cluster.Source{
		"a.example/one:2": {Namespace: "shop", Secrets: "registry"},
		"b.example/one:1": {},
		"d.example/one:1": {},
	} {
		want.Reference = reference
		if diff := cmp.Diff([]cluster.Source{want}, work.Sources([]*work.Subject{s, s}, reference)); diff != "" {
			t.Errorf("sources of %s (-want +got):\n%s", reference, diff)
		}
	}
}

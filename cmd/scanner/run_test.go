// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
)

// debianImage makes an image with a package of Debian, and nodeImage one with a package of npm, each unlike those with other marks.
func debianImage(t *testing.T, mark string) v1.Image {
	return fixture.Image(t, fixture.Layer(t, fixture.File{Name: "etc/os-release", Content: fixture.DebianRelease},
		fixture.File{Name: "var/lib/dpkg/status", Content: fixture.OpenSSL}, fixture.File{Name: "mark", Content: mark}))
}

func nodeImage(t *testing.T, mark string) v1.Image {
	return fixture.Image(t, fixture.Layer(t,
		fixture.File{Name: "app/node_modules/lodash/package.json", Content: `{"name": "lodash", "version": "4.17.20"}`},
		fixture.File{Name: "mark", Content: mark}))
}

// indexOf makes an index with an image for linux/amd64, and one for linux/arm64 that nobody runs.
func indexOf(t *testing.T, img v1.Image) v1.ImageIndex {
	t.Helper()
	add := func(img v1.Image, architecture string) mutate.IndexAddendum {
		return mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}}
	}
	other := fixture.ImageFor(t, v1.Platform{OS: "linux", Architecture: "arm64"}, fixture.Layer(t, fixture.File{Name: "arm"}))
	return mutate.AppendManifests(empty.Index, add(img, "amd64"), add(other, "arm64"))
}

func digestOf(t *testing.T, d interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	hash, err := d.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

// images are 40 of which every fourth is known to the cluster by its index.
type images struct {
	repositories []string
	ids          []string // as runtimes tell
	platform     []string // digests of the manifests of linux/amd64
	layers       []string
}

func pushImages(t *testing.T, s *registryServer) *images {
	t.Helper()
	i := &images{}
	for n := range 40 {
		img := debianImage(t, fmt.Sprint(n))
		if n%2 == 1 {
			img = nodeImage(t, fmt.Sprint(n))
		}
		repository := fmt.Sprintf("app-%d:1.0", n)
		digest := ""
		if n%4 == 0 {
			digest = s.push(t, repository, indexOf(t, img))
		} else {
			digest = s.push(t, repository, img)
		}
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		i.repositories = append(i.repositories, s.host+"/"+repository)
		i.ids = append(i.ids, fmt.Sprintf("%s/app-%d@%s", s.host, n, digest))
		i.platform = append(i.platform, digestOf(t, img))
		i.layers = append(i.layers, digestOf(t, layers[0]))
	}
	return i
}

// TestRun is the life of a scanner: 300 Pods share 40 images.
func TestRun(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	i := pushImages(t, s)
	for _, ns := range []string{w.namespace(), w.namespace(), w.namespace()} {
		for n := range 100 {
			w.pod(ns, i.repositories[n%40], i.ids[n%40])
		}
	}
	s.forget()
	stop := w.scanner()
	list := w.await("40 reports", 40, isComplete)
	for n, layer := range i.layers {
		if pulls := s.asked("/blobs/" + layer); pulls != 1 {
			t.Errorf("the layer of image %d was pulled %d times", n, pulls)
		}
	}
	// Every fourth is an index and a manifest.
	if n := s.asked("") - s.asked("/v2/"); n != 40*4+10 {
		t.Errorf("there were %d requests, want a manifest, a configuration, a layer and the tags of each image, and the index of ten: %q", n, s.all())
	}
	if n := s.count(http.MethodHead, ""); n != 40 {
		t.Errorf("there were %d requests where tags lead: %q", n, s.all())
	}
	w.areRight(list, i)

	t.Run("a new database", func(t *testing.T) {
		w := w.in(t)
		s.forget()
		before := w.writes()
		fixture.WriteArchive(t, w.database, "Debian", map[string]string{"a.json": `{"id": "DEBIAN-CVE-2030-1", "upstream": ["CVE-2030-1"], "affected": [
			{"package": {"ecosystem": "Debian:12", "name": "openssl"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]}`})
		list := w.await("the new vulnerability", 40, func(r *v1alpha1.ImageReport) bool {
			return r.Image.Distribution == nil || len(r.Vulnerabilities) == 1 && r.Vulnerabilities[0].ID == "CVE-2030-1"
		})
		var want []string
		for j := range list {
			if list[j].Image.Distribution != nil {
				want = append(want, "update "+list[j].Name)
			}
		}
		if diff := cmp.Diff(want, since(before, w.writes())); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
		if all := s.all(); len(all) > 0 {
			t.Errorf("the registry was asked for %q", all)
		}
	})

	t.Run("a restart", func(t *testing.T) {
		outer, w := w, w.in(t)
		stop()
		s.forget()
		// What has changed meanwhile shows that it has looked at everything.
		list := w.reports()
		w.edit(&list[0])
		deleted := &list[1]
		if err := w.admin.Delete(t.Context(), deleted); err != nil {
			t.Fatal(err)
		}
		before := w.writes()
		stop = outer.scanner()
		w.await("the reports to be mended", 40, func(r *v1alpha1.ImageReport) bool { return isComplete(r) && r.Image.User == "1000" })
		// Of the image whose report is gone, it is told where its tag leads when the registry has said so.
		writes := slices.DeleteFunc(since(before, w.writes()), func(write string) bool { return write == "update "+deleted.Name })
		if diff := cmp.Diff([]string{"create " + deleted.Name, "update " + list[0].Name}, writes); diff != "" {
			t.Errorf("writes (-want +got):\n%s", diff)
		}
		w.eventually("every registry to be asked", func() string {
			if s.count(http.MethodHead, "") < 40 || s.asked("/tags/list") < 40 {
				return fmt.Sprint(len(s.all()))
			}
			return ""
		})
		for _, r := range s.all() {
			// Of the image whose report is gone, it must be asked which one its index leads to.
			if strings.Contains(r, "/blobs/") && !strings.HasSuffix(r, "/blobs/"+deleted.Image.ConfigDigest) {
				t.Errorf("the registry was asked for %q", r)
			}
		}
	})

	t.Run("somebody edits and deletes reports", func(t *testing.T) {
		w := w.in(t)
		s.forget()
		list := w.reports()
		w.edit(&list[0])
		if err := w.admin.Delete(t.Context(), &list[1]); err != nil {
			t.Fatal(err)
		}
		w.await("the reports to be mended", 40, func(r *v1alpha1.ImageReport) bool { return isComplete(r) && r.Image.User == "1000" })
		if all := s.all(); len(all) > 0 {
			t.Errorf("the registry was asked for %q", all)
		}
	})

	t.Run("a restart with an empty disk", func(t *testing.T) {
		outer, w := w, w.in(t)
		stop()
		if err := os.RemoveAll(w.dir); err != nil {
			t.Fatal(err)
		}
		s.stop(t)
		s.forget()
		stop = outer.scanner()
		// What was known stays, and is told to be of before.
		w.eventually("some report to be an old one", func() string {
			var states []string
			for _, r := range w.reports() {
				if r.Summary == nil || r.Summary.All.Total == 0 || r.Image.User != "1000" || r.State != v1alpha1.ImageScanned && r.State != v1alpha1.ImageStale {
					t.Fatalf("what was known is gone: %+v", r)
				}
				states = append(states, string(r.State)+" "+r.Message)
			}
			if len(states) != 40 || !slices.ContainsFunc(states, func(s string) bool {
				return strings.HasPrefix(s, "Stale the result is from before, because the image cannot be scanned again: ")
			}) {
				return fmt.Sprint(states)
			}
			return ""
		})
		s.start(t)
		w.await("the reports", 40, isScanned)
		w.keeps(40)
		for n, layer := range i.layers {
			if pulls := s.asked("/blobs/" + layer); pulls != 1 {
				t.Errorf("the layer of image %d was pulled %d times", n, pulls)
			}
		}
	})

	t.Run("images that nobody uses any more", func(t *testing.T) {
		outer, w := w, w.in(t)
		for _, ns := range w.namespaces() {
			w.deleteIn(t.Context(), ns)
		}
		w.await("the reports to be unused", 40, func(r *v1alpha1.ImageReport) bool {
			return r.Annotations["audit.kubersafe.io/unused-since"] != "" && len(r.References) == 0 && isScanned(r)
		})
		w.keeps(40)
		stop()
		outer.scanner("--keep=1s")
		w.await("the reports to be deleted", 0, isScanned)
		w.keeps(0)
	})
}

// keeps waits until it is kept what is in n images.
func (w *world) keeps(n int) {
	w.Helper()
	w.eventually(fmt.Sprintf("%d images to be kept", n), func() string {
		entries, err := filepath.Glob(filepath.Join(w.dir, "images", "*"))
		if err != nil || len(entries) != n {
			return fmt.Sprint(len(entries), err)
		}
		return ""
	})
}

// areRight compares what reports say of images.
func (w *world) areRight(list []v1alpha1.ImageReport, i *images) {
	w.Helper()
	for n := range i.platform {
		j := slices.IndexFunc(list, func(r v1alpha1.ImageReport) bool { return r.Name == v1alpha1.ImageReportName("", i.platform[n]) })
		if j < 0 {
			w.Errorf("there is no report on image %d", n)
			continue
		}
		r := &list[j]
		want := v1alpha1.Image{Name: i.repositories[n], Digest: i.platform[n], Platform: "linux/amd64", User: "1000", PackageCount: 1}
		if _, digest, _ := strings.Cut(i.ids[n], "@"); n%4 == 0 {
			want.IndexDigests = []string{digest}
		}
		got := v1alpha1.Image{
			Name: r.Image.Name, Digest: r.Image.Digest, Platform: r.Image.Platform, User: r.Image.User, PackageCount: r.Image.PackageCount,
			IndexDigests: r.Image.IndexDigests,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			w.Errorf("image %d (-want +got):\n%s", n, diff)
		}
		if diff := cmp.Diff([]v1alpha1.ImageReference{{Name: i.repositories[n], CurrentDigest: i.platform[n], NewestTag: "1.0"}}, r.References); diff != "" {
			w.Errorf("references of image %d (-want +got):\n%s", n, diff)
		}
		if r.Image.ConfigDigest == "" || r.Database == nil || r.Summary.All.Total == 0 {
			w.Errorf("the report on image %d lacks something: %+v", n, r)
		}
	}
}

// edit writes something wrong into a report.
func (w *world) edit(r *v1alpha1.ImageReport) {
	w.Helper()
	r.Image.User = "nonsense"
	if err := w.admin.Update(w.Context(), r); err != nil {
		w.Fatal(err)
	}
}

// since returns what of a sorted list was not there before.
func since(before, now []string) []string {
	rest := slices.Clone(now)
	for _, b := range before {
		if i := slices.Index(rest, b); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
		}
	}
	return rest
}

func (w *world) namespaces() []string {
	w.Helper()
	out, err := w.Kubectl(w.Context(), nil, "get", "namespaces", "-l", "test", "-o", "name")
	if err != nil {
		w.Fatal(err)
	}
	return strings.Fields(strings.ReplaceAll(out, "namespace/", ""))
}

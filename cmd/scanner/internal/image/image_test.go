// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package image_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

var (
	amd64 = v1.Platform{OS: "linux", Architecture: "amd64"}
	armV8 = v1.Platform{OS: "linux", Architecture: "arm64", Variant: "v8"}
	arm64 = v1.Platform{OS: "linux", Architecture: "arm64"}
)

func push(t *testing.T, ref string, what any, options ...remote.Option) {
	t.Helper()
	tag, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	switch w := what.(type) {
	case v1.Image:
		err = remote.Write(tag, w, options...)
	case v1.ImageIndex:
		err = remote.WriteIndex(tag, w, options...)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func digest(t *testing.T, d interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	h, err := d.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h.String()
}

// index makes an index with an attestation, as build tools add them, and an index in the index.
func index(t *testing.T, x86, arm v1.Image) (outer, inner v1.ImageIndex) {
	t.Helper()
	attestation := fixture.ImageFor(t, v1.Platform{OS: "unknown", Architecture: "unknown"})
	inner = mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: arm, Descriptor: v1.Descriptor{Platform: &armV8}})
	outer = mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: attestation, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}}},
		mutate.IndexAddendum{Add: x86, Descriptor: v1.Descriptor{Platform: &amd64}},
		mutate.IndexAddendum{Add: inner},
	)
	return outer, inner
}

func TestOfAnIndexTheImageOfThePlatformIsTaken(t *testing.T) {
	x86 := fixture.ImageFor(t, amd64, fixture.Layer(t, fixture.File{Name: "x86"}))
	arm := fixture.ImageFor(t, armV8, fixture.Layer(t, fixture.File{Name: "arm"}))
	outer, inner := index(t, x86, arm)
	ref := fixture.Registry(t) + "/team/app:1"
	push(t, ref, outer)

	got, err := image.Open(t.Context(), ref, image.Options{Platform: amd64})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{ref, digest(t, x86), "linux/amd64", "1000"}, []string{got.About.Name, got.About.Digest, got.About.Platform, got.About.User}); diff != "" {
		t.Errorf("image (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{digest(t, outer)}, got.About.IndexDigests); diff != "" {
		t.Errorf("indexes (-want +got):\n%s", diff)
	}
	if got.About.Created == nil || got.About.Created.UTC().Year() != 2024 || got.About.SizeBytes == 0 || got.About.ConfigDigest == "" {
		t.Errorf("about: %+v", got.About)
	}

	got, err = image.Open(t.Context(), ref, image.Options{Platform: arm64})
	if err != nil {
		t.Fatal(err)
	}
	if got.About.Digest != digest(t, arm) || got.About.Platform != "linux/arm64/v8" {
		t.Errorf("%s of %s, want %s", got.About.Digest, got.About.Platform, digest(t, arm))
	}
	if !slicesEqualUnordered(got.About.IndexDigests, []string{digest(t, outer), digest(t, inner)}) {
		t.Errorf("indexes %v", got.About.IndexDigests)
	}

	_, err = image.Open(t.Context(), ref, image.Options{Platform: v1.Platform{OS: "linux", Architecture: "s390x"}})
	want := "there is no image for linux/s390x, but for linux/amd64, an index without it"
	if problem.Reason(err, "") != v1alpha1.ReasonPlatformUnsupported || err.Error() != want {
		t.Errorf("error %v, want %q", err, want)
	}
}

func slicesEqualUnordered(a, b []string) bool {
	seen := make(map[string]int)
	for _, s := range a {
		seen[s]++
	}
	for _, s := range b {
		seen[s]--
	}
	for _, n := range seen {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestLayoutsAndArchives(t *testing.T) {
	img := fixture.Image(t, fixture.Layer(t, fixture.File{Name: "a", Content: "1"}))
	other := fixture.ImageFor(t, arm64, fixture.Layer(t, fixture.File{Name: "b"}))
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []v1.Image{other, img} { // without platforms, as some tools write them
		if err := path.AppendImage(i); err != nil {
			t.Fatal(err)
		}
	}
	archive := filepath.Join(t.TempDir(), "image.tar")
	tag, err := name.NewTag("example.com/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(archive, tag, img); err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{image.LayoutPrefix + dir: digest(t, img), image.ArchivePrefix + archive: ""} {
		got, err := image.Open(t.Context(), source, image.Options{Platform: amd64})
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if got.About.Digest != want || got.About.ConfigDigest != config.String() || got.About.IndexDigests != nil {
			t.Errorf("%s: %+v", source, got.About)
		}
	}
}

func TestErrorsHaveReasons(t *testing.T) {
	host := fixture.Registry(t)
	windows := fixture.ImageFor(t, v1.Platform{OS: "windows", Architecture: "amd64"})
	push(t, host+"/windows:1", windows)
	push(t, host+"/chart:1", mutate.ConfigMediaType(fixture.Image(t), "application/vnd.cncf.helm.config.v1+json"))
	encrypted, err := mutate.Append(fixture.Image(t), mutate.Addendum{Layer: static.NewLayer([]byte("x"), "application/vnd.oci.image.layer.v1.tar+gzip+encrypted")})
	if err != nil {
		t.Fatal(err)
	}
	push(t, host+"/encrypted:1", encrypted)
	foreign, err := mutate.Append(fixture.Image(t), mutate.Addendum{Layer: static.NewLayer([]byte("x"), types.DockerForeignLayer)})
	if err != nil {
		t.Fatal(err)
	}
	push(t, host+"/foreign:1", foreign, remote.WithNondistributable)
	private := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(private.Close)
	endlessToken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			_, _ = io.Copy(w, io.LimitReader(zeros{}, 1<<30))
			return
		}
		w.Header().Set("WWW-Authenticate", "Bearer realm=\"http://"+r.Host+"/token\",service=\"x\"")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(endlessToken.Close)
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/v2/":
		case strings.HasPrefix(r.URL.Path, "/v2/endless/"):
			w.Header().Set("Content-Type", string(types.OCIManifestSchema1))
			_, _ = io.Copy(w, io.LimitReader(zeros{}, 1<<30))
		case strings.HasPrefix(r.URL.Path, "/v2/garbage/"):
			w.Header().Set("Content-Type", string(types.OCIManifestSchema1))
			_, _ = w.Write([]byte("<html>"))
		default:
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	t.Cleanup(broken.Close)
	closed := httptest.NewServer(nil)
	closed.Close()
	for ref, want := range map[string]v1alpha1.ImageReason{
		host + "/nothing:1":              v1alpha1.ReasonNotFound,
		"%%%":                            v1alpha1.ReasonNotFound,
		image.LayoutPrefix + "/nothing":  v1alpha1.ReasonNotFound,
		image.ArchivePrefix + "/nothing": v1alpha1.ReasonNotFound,
		host + "/windows:1":              v1alpha1.ReasonPlatformUnsupported,
		host + "/chart:1":                v1alpha1.ReasonMediaTypeUnsupported,
		host + "/foreign:1":              v1alpha1.ReasonMediaTypeUnsupported,
		host + "/encrypted:1":            v1alpha1.ReasonMediaTypeUnsupported,
		strings.TrimPrefix(private.URL, "http://") + "/private:1": v1alpha1.ReasonUnauthorized,
		strings.TrimPrefix(broken.URL, "http://") + "/teapot:1":   v1alpha1.ReasonRegistryUnavailable,
		strings.TrimPrefix(broken.URL, "http://") + "/garbage:1":  v1alpha1.ReasonManifestInvalid,
		strings.TrimPrefix(broken.URL, "http://") + "/endless:1":  v1alpha1.ReasonLimitExceeded,
		strings.TrimPrefix(endlessToken.URL, "http://") + "/a:1":  v1alpha1.ReasonManifestInvalid,
		strings.TrimPrefix(closed.URL, "http://") + "/closed:1":   v1alpha1.ReasonRegistryUnavailable,
	} {
		_, err := image.Open(t.Context(), ref, image.Options{Platform: amd64})
		if got := problem.Reason(err, ""); got != want {
			t.Errorf("%s: reason %q, want %q: %v", ref, got, want, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestCredentials pulls from a registry that wants a name and a password, with those of a docker configuration.
func TestCredentials(t *testing.T) {
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "robot" || password != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	img := fixture.Image(t, fixture.Layer(t, fixture.File{Name: "a"}))
	push(t, host+"/app:1", img, remote.WithAuth(&authn.Basic{Username: "robot", Password: "secret"}))
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	open := func() error {
		_, err := image.Open(context.Background(), host+"/app:1", image.Options{Platform: amd64, Keychain: authn.DefaultKeychain})
		return err
	}
	if err := open(); problem.Reason(err, "") != v1alpha1.ReasonUnauthorized {
		t.Errorf("without credentials: %v", err)
	}
	for auth, want := range map[string]v1alpha1.ImageReason{"cm9ib3Q6d3Jvbmc=": v1alpha1.ReasonUnauthorized, "cm9ib3Q6c2VjcmV0": ""} {
		config := `{"auths": {"` + host + `": {"auth": "` + auth + `"}}}`
		if err := os.WriteFile(filepath.Join(dir, "config.json"), bytes.TrimSpace([]byte(config)), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := open(); problem.Reason(err, "") != want || err != nil && want == "" {
			t.Errorf("with %s: %v, want reason %q", auth, err, want)
		}
	}
}

func TestPlatforms(t *testing.T) {
	for text, want := range map[string]string{"linux/amd64": "linux/amd64", "linux/arm64/v8": "linux/arm64/v8", "linux": "", "": "", "a/b/c/d": ""} {
		got, err := image.ParsePlatform(text)
		if (err == nil) != (want != "") || err == nil && got.String() != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestWhereATagLeads(t *testing.T) {
	var (
		mu       sync.Mutex
		requests []string
		pushed   atomic.Bool
	)
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, what, ok := strings.Cut(r.URL.Path, "/v2/app/"); ok {
			mu.Lock()
			requests = append(requests, r.Method+" "+what)
			mu.Unlock()
			if r.Method == http.MethodHead && what == "manifests/mute" && pushed.Load() {
				return // which says neither type nor digest
			}
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	app := strings.TrimPrefix(server.URL, "http://") + "/app"
	x86 := fixture.ImageFor(t, amd64, fixture.Layer(t, fixture.File{Name: "a"}))
	outer, _ := index(t, x86, fixture.ImageFor(t, armV8, fixture.Layer(t, fixture.File{Name: "b"})))
	push(t, app+":index", outer)
	push(t, app+":manifest", x86)
	push(t, app+":mute", x86)
	pushed.Store(true)
	platform, whole := digest(t, x86), digest(t, outer)
	config, err := x86.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	toConfig := []string{"GET manifests/" + platform, "GET blobs/" + config.String()}
	for name, tc := range map[string]struct {
		tag          string
		known        map[string]string
		wantRequests []string
		wantReason   v1alpha1.ImageReason
	}{
		"the same index":     {"index", map[string]string{whole: platform}, []string{"HEAD manifests/index"}, ""},
		"the same manifest":  {"manifest", map[string]string{platform: platform}, []string{"HEAD manifests/manifest"}, ""},
		"another index":      {"index", map[string]string{platform: platform}, slices.Concat([]string{"HEAD manifests/index", "GET manifests/index"}, toConfig), ""},
		"another manifest":   {"manifest", nil, []string{"HEAD manifests/manifest", "GET manifests/manifest", toConfig[1]}, ""},
		"no digest is told":  {"mute", nil, []string{"HEAD manifests/mute", "GET manifests/mute", toConfig[1]}, ""},
		"a tag that is gone": {"gone", nil, []string{"HEAD manifests/gone"}, v1alpha1.ReasonNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			requests = nil
			got, err := image.LeadsTo(t.Context(), app+":"+tc.tag, tc.known, image.Options{Platform: amd64})
			want := platform
			if tc.wantReason != "" {
				want = ""
			}
			if got != want || problem.Reason(err, "") != tc.wantReason {
				t.Errorf("it leads to %q, %v; want %q, %q", got, err, want, tc.wantReason)
			}
			if diff := cmp.Diff(tc.wantRequests, requests); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhichErrorsAreAnswers(t *testing.T) {
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			w.WriteHeader(status)
		}
	}))
	app := strings.TrimPrefix(server.URL, "http://") + "/app:1"
	for code, want := range map[int]bool{
		http.StatusMethodNotAllowed: true, http.StatusNotFound: true, http.StatusForbidden: true, http.StatusNotImplemented: true,
		http.StatusTooManyRequests: false, http.StatusBadGateway: false,
	} {
		status = code
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // the library tries some again, for longer each time
		_, err := image.LeadsTo(ctx, app, nil, image.Options{})
		cancel()
		if err == nil || image.Answers(err) != want {
			t.Errorf("status %d: %v is an answer: %t, want %t", code, err, !want, want)
		}
	}
	server.Close()
	if _, err := image.LeadsTo(t.Context(), app, nil, image.Options{}); err == nil || image.Answers(err) {
		t.Errorf("%v is an answer", err)
	}
}

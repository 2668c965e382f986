// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package scan_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/inventory"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/scan"
)

// TestImagesArePulledOnce counts the layers that a registry is asked for.
func TestImagesArePulledOnce(t *testing.T) {
	upstream := fixture.Registry(t)
	var layers atomic.Int32
	var layer v1.Layer
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if digest, err := layer.Digest(); err == nil && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, digest.String()) {
			layers.Add(1)
		}
		r.URL.Scheme, r.URL.Host, r.RequestURI = "http", upstream, ""
		response, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = response.Body.Close() }() // only read
		maps.Copy(w.Header(), response.Header)
		w.WriteHeader(response.StatusCode)
		if _, err := io.Copy(w, response.Body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	layer = fixture.Layer(t, fixture.File{Name: "etc/os-release", Content: fixture.DebianRelease}, fixture.File{Name: "var/lib/dpkg/status", Content: fixture.OpenSSL})
	img := fixture.Image(t, layer)
	host := strings.TrimPrefix(server.URL, "http://")
	for _, tag := range []string{"/app:1", "/app:latest"} {
		ref, err := name.ParseReference(host + tag)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(ref, img); err != nil {
			t.Fatal(err)
		}
	}
	layers.Store(0)
	store, err := inventory.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	extractor, err := inventory.NewExtractor(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &scan.Scanner{Extractor: extractor, Store: store}
	for _, ref := range []string{host + "/app:1", host + "/app:latest", host + "/app:1"} {
		found, err := image.Open(t.Context(), ref, image.Options{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}})
		if err != nil {
			t.Fatal(err)
		}
		inv, err := s.Inventory(t.Context(), found)
		if err != nil {
			t.Fatal(err)
		}
		if inv.About.Name != ref || inv.About.PackageCount != 1 {
			t.Errorf("%s: %+v", ref, inv.About)
		}
	}
	if n := layers.Load(); n != 1 {
		t.Errorf("the layer was pulled %d times", n)
	}
}

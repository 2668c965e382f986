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

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/fixture"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/inventory"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/osvdb"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/scan"
)

// TestImagesArePulledOnceAndMatchedAgainWithoutPulling counts the layers that a registry is asked for.
func TestImagesArePulledOnceAndMatchedAgainWithoutPulling(t *testing.T) {
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
	server.Close()

	location := fixture.Database(t)
	db, err := osvdb.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	rematch := func() []string {
		t.Helper()
		source, err := osvdb.NewSource(location, nil, image.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := db.Update(t.Context(), location, source, nil, func(string) {}); err != nil {
			t.Fatal(err)
		}
		view, err := db.View()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = view.Close() }() // only read
		var got []string
		err = scan.Rematch(t.Context(), store, view, func(r *v1alpha1.ImageReport) error {
			got = append(got, string(r.State))
			for _, v := range r.Vulnerabilities {
				got = append(got, v.ID)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if diff := cmp.Diff([]string{"Scanned", "CVE-2023-5363"}, rematch()); diff != "" {
		t.Errorf("first database (-want +got):\n%s", diff)
	}
	fixture.WriteArchive(t, location, "Debian", map[string]string{"a.json": `{"id": "DEBIAN-CVE-2030-1", "upstream": ["CVE-2030-1"], "affected": [
		{"package": {"ecosystem": "Debian:12", "name": "openssl"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]}`})
	if diff := cmp.Diff([]string{"Scanned", "CVE-2030-1"}, rematch()); diff != "" {
		t.Errorf("second database (-want +got):\n%s", diff)
	}
}

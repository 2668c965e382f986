// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Who may read the registries' private repositories.
const registryUser, registryPassword = "puller", "secret"

// registryServer is a registry that counts what it is asked for, may go away, and has repositories below "private/" for registryUser.
type registryServer struct {
	host    string
	handler http.Handler
	// refused are statuses for those who read paths that end so.
	refused map[string]int

	mu       sync.Mutex
	running  *http.Server
	requests []string
}

// newServer starts a registry.
func newServer(t *testing.T) *registryServer {
	t.Helper()
	s := &registryServer{handler: registry.New(registry.Logger(log.New(io.Discard, "", 0))), host: "127.0.0.1:0"}
	s.start(t)
	t.Cleanup(func() { s.stop(t) })
	return s
}

// start starts it, at the address that it had before.
func (s *registryServer) start(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", s.host)
	if err != nil {
		t.Fatal(err)
	}
	s.host = listener.Addr().String()
	running := &http.Server{Handler: s, ReadHeaderTimeout: timeout}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = running
	go func() { _ = running.Serve(listener) }() // ends with an error when it is closed
}

// stop makes it refuse connections.
func (s *registryServer) stop(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.running.Close(); err != nil {
		t.Error(err)
	}
}

func (s *registryServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	user, password, _ := r.BasicAuth()
	if strings.HasPrefix(r.URL.Path, "/v2/private/") && (user != registryUser || password != registryPassword) {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	// The library asks there how to log in.
	if r.URL.Path == "/v2/" && user == "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	for suffix, status := range s.refused {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, suffix) {
			w.WriteHeader(status)
			return
		}
	}
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	s.handler.ServeHTTP(w, r)
}

// forget forgets what was asked for.
func (s *registryServer) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// asked returns how often something was asked for, by the end of its path.
func (s *registryServer) asked(suffix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if strings.HasSuffix(r, suffix) && strings.HasPrefix(r, http.MethodGet) {
			n++
		}
	}
	return n
}

// all returns all that was asked for since it was last forgotten.
func (s *registryServer) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// push puts an image or an index there, and returns its digest.
func (s *registryServer) push(t *testing.T, repository string, content remote.Taggable) string {
	t.Helper()
	ref, err := name.ParseReference(s.host + "/" + repository)
	if err != nil {
		t.Fatal(err)
	}
	auth := remote.WithAuth(&authn.Basic{Username: registryUser, Password: registryPassword})
	var hash v1.Hash
	switch content := content.(type) {
	case v1.Image:
		if err = remote.Write(ref, content, auth); err == nil {
			hash, err = content.Digest()
		}
	case v1.ImageIndex:
		if err = remote.WriteIndex(ref, content, auth); err == nil {
			hash, err = content.Digest()
		}
	default:
		err = fmt.Errorf("%T cannot be pushed", content)
	}
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	certutil "k8s.io/client-go/util/cert"
)

// proxy stands between the operator and the API server and does what networks and API servers do on bad days. It speaks HTTP/2
// over TLS on both sides, as the API server does, and passes on who asks.
type proxy struct {
	// URL and CA are where it is reached, and what its certificate is verified against.
	URL string
	CA  []byte
	// refused counts the connections that were refused, injected the answers that were its own, expired the watches that the API
	// server has told that they are too old.
	refused, injected, expired atomic.Int64

	server *http.Server

	mu    sync.Mutex
	conns map[net.Conn]bool
	// down: connections are refused.
	down bool
	// watches are those that are open.
	watches map[*watchBody]bool
	// fault may be nil.
	fault fault
	// latency of each request, and of each event of a watch.
	latency time.Duration
}

// fault returns what a request is answered in place of the API server's answer; nil passes it on.
type fault func(*http.Request) *apierrors.StatusError

// newProxy starts a proxy of the API server that a client configuration reaches.
func newProxy(config *rest.Config) (*proxy, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, err
	}
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(config))
	if err != nil {
		return nil, err
	}
	certificate, key, err := certutil.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{
		URL: "https://" + listener.Addr().String(), CA: certificate,
		conns: make(map[net.Conn]bool), watches: make(map[*watchBody]bool),
	}
	discard := log.New(io.Discard, "", 0) // what goes wrong here is meant to
	forward := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:      transport,
		FlushInterval:  -1,
		ErrorLog:       discard,
		ModifyResponse: p.follow,
		// An API server that is away answers nothing.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.server = &http.Server{
		Handler:   http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(w, r, forward) }),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
		ErrorLog:  discard, ConnState: p.connState, ReadHeaderTimeout: time.Minute,
	}
	go func() { _ = p.server.ServeTLS(listener, "", "") }() // until it is closed
	return p, nil
}

func (p *proxy) close() error { return p.server.Close() }

func (p *proxy) connState(c net.Conn, state http.ConnState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch state {
	case http.StateNew:
		if p.down {
			p.refused.Add(1)
			_ = c.Close()
			return
		}
		p.conns[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(p.conns, c)
	case http.StateActive, http.StateIdle:
	}
}

func isWatch(r *http.Request) bool { return r.URL.Query().Get("watch") != "" }

func (p *proxy) serve(w http.ResponseWriter, r *http.Request, forward http.Handler) {
	p.mu.Lock()
	fault := p.fault
	p.mu.Unlock()
	p.delay(r.Context())
	// Read whole first: an answer that comes before all of the question would not reach its end on the way back.
	question, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // whoever asks has gone
	}
	r.Body = io.NopCloser(bytes.NewReader(question))
	if fault != nil {
		if answer := fault(r); answer != nil {
			p.injected.Add(1)
			write(w, answer)
			return
		}
	}
	forward.ServeHTTP(w, r)
}

// write answers what an API server would.
func write(w http.ResponseWriter, answer *apierrors.StatusError) {
	status := answer.ErrStatus
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	w.Header().Set("Content-Type", "application/json")
	if status.Code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.WriteHeader(int(status.Code))
	_ = json.NewEncoder(w).Encode(status) // who does not read it has gone
}

// delay waits for as long as requests and events are to take, or until the context ends.
func (p *proxy) delay(ctx context.Context) {
	p.mu.Lock()
	latency := p.latency
	p.mu.Unlock()
	if latency == 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(latency):
	}
}

// follow notes that a watch is open.
func (p *proxy) follow(r *http.Response) error {
	if !isWatch(r.Request) || r.StatusCode != http.StatusOK {
		return nil
	}
	b := &watchBody{ReadCloser: r.Body, p: p, ctx: r.Request.Context()}
	r.Body = b
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watches[b] = true
	return nil
}

// watchBody is what a watch brings.
type watchBody struct {
	io.ReadCloser
	p   *proxy
	ctx context.Context
	// ended: the API server has nothing more to say.
	ended atomic.Bool
}

func (b *watchBody) Read(to []byte) (int, error) {
	n, err := b.ReadCloser.Read(to)
	if bytes.Contains(to[:n], []byte("too old resource version")) {
		b.p.expired.Add(1)
	}
	b.p.delay(b.ctx)
	if err != nil && b.ended.Load() {
		err = io.EOF
	}
	return n, err
}

func (b *watchBody) Close() error {
	b.p.mu.Lock()
	delete(b.p.watches, b)
	b.p.mu.Unlock()
	return b.ReadCloser.Close()
}

// cut closes all connections, and refuses new ones until it is mended.
func (p *proxy) cut() {
	p.mu.Lock()
	p.down = true
	conns := make([]net.Conn, 0, len(p.conns))
	for c := range p.conns {
		conns = append(conns, c)
	}
	p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // that is all that it is about
	}
}

// reconnect ends a cut, but no other fault.
func (p *proxy) reconnect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
}

func (p *proxy) openWatches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.watches)
}

// cutWatches breaks all watches off amid their events, and returns how many.
func (p *proxy) cutWatches() int { return p.closeWatches(false) }

// endWatches ends all watches, as an API server does from time to time.
func (p *proxy) endWatches() { p.closeWatches(true) }

func (p *proxy) closeWatches(regularly bool) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for b := range p.watches {
		b.ended.Store(regularly)
		_ = b.ReadCloser.Close() // whoever reads it is told
	}
	return len(p.watches)
}

func (p *proxy) inject(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

func (p *proxy) slowDown(latency time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = latency
}

// mend ends all faults.
func (p *proxy) mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down, p.fault, p.latency = false, nil, 0
}

// everyOther answers the first of two requests to each path so: whoever tries again gets through.
func everyOther(answer *apierrors.StatusError) fault {
	var mu sync.Mutex
	asked := make(map[string]int)
	return func(r *http.Request) *apierrors.StatusError {
		mu.Lock()
		defer mu.Unlock()
		key := r.Method + " " + r.URL.Path
		asked[key]++
		if asked[key]%2 == 0 {
			return nil
		}
		return answer
	}
}

func tooManyRequests() fault {
	return everyOther(apierrors.NewTooManyRequests("too many requests, please try again later", 1))
}

func unavailable() fault {
	return everyOther(apierrors.NewServiceUnavailable("apiserver not ready"))
}

// hold lets requests wait until it is released.
func (p *proxy) hold() (release func()) {
	held := make(chan struct{})
	p.inject(func(r *http.Request) *apierrors.StatusError {
		select {
		case <-held:
		case <-r.Context().Done():
		}
		return nil
	})
	return func() {
		p.inject(nil)
		close(held)
	}
}

// expire answers each watch from a version that this is too old.
func expire(r *http.Request) *apierrors.StatusError {
	query := r.URL.Query()
	if version := query.Get("resourceVersion"); !isWatch(r) || query.Get("sendInitialEvents") == "true" || version == "" || version == "0" {
		return nil
	}
	return apierrors.NewResourceExpired("too old resource version: 1 (2)")
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"io"
	"net/http"
	"time"
)

// requestTimeout is how long a server waits for the whole answer to a request. An API server gives up after a minute by
// itself, but what stands in between may never say so, and who writes the reports of a namespace would wait for good.
const requestTimeout = 75 * time.Second

// bounded ends requests that are not answered in time. Watches, which are to last, are not bounded: the API server ends them
// after some minutes, and pings tell whether the connection is still there.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Query().Has("watch") {
		return b.RoundTripper.RoundTrip(r)
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	response, err := b.RoundTripper.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	response.Body = boundedBody{response.Body, cancel}
	return response, nil
}

// boundedBody is the body of an answer that is bounded until it is closed.
type boundedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b boundedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

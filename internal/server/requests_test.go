// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// silent is an API server that does not answer, or not to the end, until the request is given up.
type silent struct{ begins bool }

func (s silent) RoundTrip(r *http.Request) (*http.Response, error) {
	if !s.begins {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	body, end := io.Pipe()
	context.AfterFunc(r.Context(), func() { end.CloseWithError(r.Context().Err()) })
	return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
}

func TestRequestsAreBounded(t *testing.T) {
	const much = time.Hour
	for name, tc := range map[string]struct {
		method, query string
		server        silent
		want          time.Duration
	}{
		"a write that is not answered":           {http.MethodPost, "", silent{}, requestTimeout},
		"a write whose answer does not end":      {http.MethodPut, "", silent{begins: true}, requestTimeout},
		"a list that is not answered":            {http.MethodGet, "?limit=500", silent{}, requestTimeout},
		"a watch that has nothing to say":        {http.MethodGet, "?watch=true&resourceVersion=7", silent{begins: true}, much},
		"a watch that the API server waits with": {http.MethodGet, "?watch=true", silent{}, much},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), much)
				defer cancel()
				request, err := http.NewRequestWithContext(ctx, tc.method, "https://127.0.0.1/api/v1/pods"+tc.query, nil)
				if err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				response, err := bounded{tc.server}.RoundTrip(request)
				if err == nil {
					_, err = io.ReadAll(response.Body)
					if err := response.Body.Close(); err != nil {
						t.Error(err)
					}
				}
				if took := time.Since(begun); took != tc.want || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("it was given up after %s with %v, want %s", took, err, tc.want)
				}
			})
		})
	}
}

// TestAnAnswerIsRead: the bound of a request does not end with its answer's header.
func TestAnAnswerIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://127.0.0.1/version", nil)
		if err != nil {
			t.Fatal(err)
		}
		body, end := io.Pipe()
		var asked context.Context
		response, err := bounded{answering(func(r *http.Request) *http.Response {
			asked = r.Context()
			return &http.Response{StatusCode: http.StatusOK, Body: body}
		})}.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(requestTimeout / 2)
			_, _ = io.WriteString(end, "v1") // it is read below
			_ = end.Close()
		}()
		if got, err := io.ReadAll(response.Body); err != nil || string(got) != "v1" || asked.Err() != nil {
			t.Errorf("%q was read, %v, %v", got, err, asked.Err())
		}
		if err := response.Body.Close(); err != nil || asked.Err() == nil {
			t.Errorf("after it was closed: %v, %v", err, asked.Err())
		}
	})
}

type answering func(*http.Request) *http.Response

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }

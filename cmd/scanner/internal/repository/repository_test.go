// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package repository

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/image"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

func TestPick(t *testing.T) {
	tags := []string{"1.9", "1.10", "1.10-alpine", "v2.0.0", "2.0.0-rc.1", "latest", "edge", "20261101", "sha256-" + "00.sig", "1.8"}
	five, many := int32(5), int32(50)
	for name, tc := range map[string]struct {
		wanted v1alpha1.ScannedRepository
		want   []string
	}{
		"three of the newest": {v1alpha1.ScannedRepository{}, []string{"v2.0.0", "2.0.0-rc.1", "1.10"}},
		"five":                {v1alpha1.ScannedRepository{MaxTags: &five}, []string{"v2.0.0", "2.0.0-rc.1", "1.10", "1.10-alpine", "1.9"}},
		"all":                 {v1alpha1.ScannedRepository{MaxTags: &many}, []string{"v2.0.0", "2.0.0-rc.1", "1.10", "1.10-alpine", "1.9", "1.8", "20261101", "edge", "latest"}},
		"by patterns":         {v1alpha1.ScannedRepository{Tags: []string{"1.*", "latest"}}, []string{"1.10", "1.10-alpine", "1.9"}},
		"none":                {v1alpha1.ScannedRepository{Tags: []string{"3.*"}}, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, pick(slices.Clone(tags), &tc.wanted)); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewest(t *testing.T) {
	for name, tc := range map[string]struct {
		tags []string
		want string
	}{
		"versions":            {[]string{"1.9.1", "1.10.0", "v0.1.0"}, "1.10.0"},
		"no pre-releases":     {[]string{"1.9.1", "2.0.0-rc.1", "1.10-alpine", "v2"}, "1.9.1"},
		"no days":             {[]string{"3.22.1", "20260127", "3.22"}, "3.22.1"},
		"with zeros in front": {[]string{"22.04", "26.04", "25.10"}, "26.04"},
		"the shorter of two":  {[]string{"v1.2.0", "1.2.0", "1.2"}, "1.2"},
		"none":                {[]string{"latest", "edge"}, ""},
		"nothing":             {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newestOf(t, tc.tags, 100)
			if got != tc.want || err != nil {
				t.Errorf("the newest is %q, %v; want %q", got, err, tc.want)
			}
		})
	}
}

// newestOf asks a registry that has tags for the newest, and that gives n of them at a time.
func newestOf(t *testing.T, tags []string, n int) (string, error) {
	t.Helper()
	requests := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/shop/cart/tags/list" {
			return
		}
		requests++
		page, _ := strconv.Atoi(r.URL.Query().Get("page"))
		if (page+1)*n < len(tags) {
			w.Header().Set("Link", fmt.Sprintf(`</v2/shop/cart/tags/list?page=%d>; rel="next"`, page+1))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"tags": tags[page*n : min((page+1)*n, len(tags))]}) // the client says what is missing
	}))
	t.Cleanup(server.Close)
	newest, err := Newest(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/shop/cart", image.Options{})
	if requests > maxPages {
		t.Errorf("there were %d requests, and at most %d are allowed", requests, maxPages)
	}
	return newest, err
}

func TestNewestOfManyTags(t *testing.T) {
	var tags []string
	for i := range maxPages {
		tags = append(tags, fmt.Sprintf("1.%d", i))
	}
	if got, err := newestOf(t, tags, 1); got != "1.19" || err != nil {
		t.Errorf("the newest is %q, %v", got, err)
	}
	// Of more it is not known.
	if got, err := newestOf(t, append(tags, "1.20"), 1); got != "" || err != nil {
		t.Errorf("the newest is %q, %v", got, err)
	}
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	if _, err := Newest(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/shop/cart", image.Options{}); problem.Reason(err, "") != v1alpha1.ReasonNotFound {
		t.Errorf("error %v", err)
	}
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"tags":["`) // the client says what is missing
		_, _ = io.Copy(w, io.LimitReader(endless{}, 1<<30))
	})
	if _, err := Newest(t.Context(), strings.TrimPrefix(server.URL, "http://")+"/shop/cart", image.Options{}); problem.Reason(err, "") != v1alpha1.ReasonLimitExceeded {
		t.Errorf("error %v", err)
	}
}

// endless reads letters.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/kubersafe/kubersafe/internal/shard"
)

// TestForbiddenWhereItIsNotServed: an API server refuses what somebody may not read, whether it is there or not. Only where
// it is, something is missing.
func TestForbiddenWhereItIsNotServed(t *testing.T) {
	const list = `{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "policy.networking.k8s.io/v1alpha2", "resources": [%s]}`
	for name, tc := range map[string]struct {
		status int
		body   string
		want   func(error) bool
	}{
		"the group is not served":    {http.StatusNotFound, `{"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}`, apierrors.IsNotFound},
		"nor is the resource":        {http.StatusOK, fmt.Sprintf(list, `{"name": "others"}`), apierrors.IsNotFound},
		"it is served":               {http.StatusOK, fmt.Sprintf(list, `{"name": "clusternetworkpolicies"}`), apierrors.IsForbidden},
		"nobody says what is served": {http.StatusForbidden, `{"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403}`, apierrors.IsForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				if strings.HasSuffix(r.URL.Path, clusterPolicies) {
					w.WriteHeader(http.StatusForbidden)
					_, _ = io.WriteString(w, `{"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403}`)
					return
				}
				if r.URL.Path != "/apis/policy.networking.k8s.io/v1alpha2" {
					t.Errorf("asked for %s", r.URL.Path)
				}
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			}))
			defer server.Close()
			client, err := ClusterPolicyClient(&rest.Config{Host: server.URL}, server.Client())
			if err != nil {
				t.Fatal(err)
			}
			from := &optionalListWatcher{partOf(client, clusterPolicies, shard.Shard{}), client, clusterPolicies}
			if _, err := from.ListWithContext(t.Context(), metav1.ListOptions{}); !tc.want(err) {
				t.Errorf("a list: %v", err)
			}
			if _, err := from.WatchWithContext(t.Context(), metav1.ListOptions{}); !tc.want(err) {
				t.Errorf("a watch: %v", err)
			}
		})
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
)

// TestRunMetrics reads the metrics as Prometheus would, and the probes as a kubelet.
func TestRunMetrics(t *testing.T) {
	w := newWorld(t)
	s := newServer(t)
	ns := w.namespace()
	digest := s.push(t, "app:1", debianImage(t, "app"))
	w.pod(ns, s.host+"/app:1", s.host+"/app@"+digest)
	w.pod(ns, s.host+"/gone:1", s.host+"/gone@sha256:"+strings.Repeat("0", 64))
	metrics, probes := freeAddress(t), freeAddress(t)
	w.scanner("--metrics-bind-address="+metrics, "--health-probe-bind-address="+probes, "--retry-min=1h", "--retry-max=1h")
	w.becomes(s.host+"/app:1", v1alpha1.ImageScanned, "")
	w.becomes(s.host+"/gone:1", v1alpha1.ImageFailed, v1alpha1.ReasonNotFound)
	for _, path := range []string{"/healthz", "/readyz"} {
		w.eventually(path, func() string {
			response, err := http.Get("http://" + probes + path)
			if err != nil {
				return err.Error()
			}
			if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
				return response.Status
			}
			return ""
		})
	}

	// Signed by itself; who may read it the API server says.
	insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	scrape := func(token string) (int, string) {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+metrics+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := insecure.Do(request)
		if err != nil {
			return 0, err.Error() // it does not listen yet
		}
		text, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	w.eventually("no metrics without a token", func() string {
		if code, text := scrape(""); code != http.StatusUnauthorized {
			return fmt.Sprint(code, text)
		}
		return ""
	})
	w.create(&rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: ns}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "kubersafe-metrics-reader"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ns, Name: "default"}},
	})
	config, _, err := w.ServiceAccount(t.Context(), ns, "default")
	if err != nil {
		t.Fatal(err)
	}
	var text string
	w.eventually("the permission", func() string {
		var code int
		if code, text = scrape(config.BearerToken); code != http.StatusOK {
			return text
		}
		return ""
	})
	w.eventually("the registry to be asked", func() string {
		for _, question := range []string{"tag", "newest_tag"} {
			if _, text = scrape(config.BearerToken); !strings.Contains(text, `kubersafe_scanner_questions_total{question="`+question+`",result="success"} 1`) {
				return text
			}
		}
		return ""
	})
	for _, want := range []string{
		`kubersafe_scanner_build_info{version="dev"} 1`,
		`kubersafe_scanner_images{state="Failed"} 1`, `kubersafe_scanner_images{state="Pending"} 0`, `kubersafe_scanner_images{state="Scanned"} 1`,
		`kubersafe_scanner_queue_images 1`,
		`kubersafe_scanner_scans_total{result="NotFound"} 1`, `kubersafe_scanner_scans_total{result="success"} 1`,
		`kubersafe_scanner_scan_duration_seconds_count 2`,
		`kubersafe_scanner_database_updates_total{result="success"} `,
		`kubersafe_scanner_database_published_timestamp_seconds `, `kubersafe_scanner_database_checked_timestamp_seconds `,
		`kubersafe_scanner_report_writes_total{operation="create",result="success"} `,
	} {
		if !strings.Contains(text, "\n"+want) {
			t.Errorf("the metrics lack %q", want)
		}
	}
	names := make(map[string]bool)
	for line := range strings.SplitSeq(text, "\n") {
		if name, ok := strings.CutPrefix(line, "# HELP kubersafe_"); ok {
			names["kubersafe_"+strings.Fields(name)[0]] = true
		}
	}
	docs, err := os.ReadFile(filepath.Join("..", "..", "docs", "images.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range names {
		if !strings.Contains(string(docs), "| `"+name+"` |") {
			t.Errorf("docs/images.md lacks %q", name)
		}
	}
}

// freeAddress returns an address that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/client-go/rest"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit/checks"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/metrics"
	"github.com/kubersafe/kubersafe/internal/server"
)

// reviews answers as an API server that knows the tokens "prometheus" and "other", and lets the first get /metrics.
func reviews(w http.ResponseWriter, r *http.Request) {
	var answer any
	var err error
	switch r.URL.Path {
	case "/apis/authentication.k8s.io/v1/tokenreviews":
		var review authenticationv1.TokenReview
		err = json.NewDecoder(r.Body).Decode(&review)
		review.Status.Authenticated = review.Spec.Token == "prometheus" || review.Spec.Token == "other"
		review.Status.User.Username = review.Spec.Token
		answer = review
	case "/apis/authorization.k8s.io/v1/subjectaccessreviews":
		var review authorizationv1.SubjectAccessReview
		err = json.NewDecoder(r.Body).Decode(&review)
		asked := review.Spec.NonResourceAttributes
		review.Status.Allowed = review.Spec.User == "prometheus" && asked != nil && *asked == authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"}
		answer = review
	default:
		http.NotFound(w, r)
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

// TestMetricsServer: the state is in the response, beside what controller-runtime and Go count, and for nobody whom the
// cluster does not allow it.
func TestMetricsServer(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(reviews))
	defer api.Close()
	var o operatorOptions
	flags := pflag.NewFlagSet("operator", pflag.ContinueOnError)
	o.server.AddTo(flags)
	if err := flags.Parse([]string{"--metrics-bind-address=127.0.0.1:0"}); err != nil {
		t.Fatal(err)
	}
	config := &rest.Config{Host: api.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
	served, err := metricsserver.NewServer(o.metricsServer(), config, api.Client())
	if err != nil {
		t.Fatal(err)
	}
	set, err := checks.Default()
	if err != nil {
		t.Fatal(err)
	}
	state := &metrics.State{
		Ledger: ledger.New(), Checks: set.Checks, Sources: func() []v1alpha1.SourceStatus { return nil },
		Complete: func() bool { return true }, LastComplete: time.Now,
	}
	state.Ledger.Put("shop", set, ledger.Entries{"pod-x": {Kind: "Pod", Name: "x"}})
	if err := served.AddExtraHandler(server.MetricsPattern, state.Handler(ctrlmetrics.Registry)); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped := make(chan error)
	go func() { stopped <- served.Start(ctx) }()
	defer func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	}()
	bound := served.(interface{ GetBindAddr() string })
	for begun := time.Now(); bound.GetBindAddr() == ""; time.Sleep(time.Millisecond) {
		if time.Since(begun) > time.Minute {
			t.Fatal("the metrics server does not listen")
		}
	}
	// The server has signed its certificate itself.
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
	defer client.CloseIdleConnections()
	for token, want := range map[string]int{
		"": http.StatusUnauthorized, "other": http.StatusForbidden, "prometheus": http.StatusOK,
	} {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+bound.GetBindAddr()+"/metrics", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err := errors.Join(err, response.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != want {
			t.Errorf("token %q is answered %d, want %d", token, response.StatusCode, want)
		}
		for _, line := range []string{`kubersafe_subjects{kind="Pod",namespace="shop"} 1`, "go_goroutines ", "# TYPE rest_client_requests_total counter"} {
			n := strings.Count(string(body), "\n"+line)
			if token == "prometheus" && n != 1 || token != "prometheus" && n != 0 {
				t.Errorf("token %q sees %d of %s", token, n, line)
			}
		}
	}
}

func TestFlagsThatAreNotValid(t *testing.T) {
	for flag, want := range map[string]string{
		"--events=Worst":                       `--events: "Worst" must be Critical, High, Medium, Low or None`,
		"--metrics-drop-labels=check,severity": `--metrics-drop-labels: "severity" must be one of check, namespace`,
	} {
		if code, _, stderr := execute("", "operator", flag); code == 0 || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d, want %q:\n%s", flag, code, want, stderr)
		}
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/metrics"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/internal/source"
)

var (
	reports    = schema.GroupResource{Group: "audit.kubersafe.io", Resource: "securityreports"}
	namespaces = schema.GroupResource{Resource: "namespaces"}
)

// terminating is what namespace lifecycle admission answers.
func terminating() error {
	err := apierrors.NewForbidden(reports, "pod-web", errors.New("namespace shop is being terminated"))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause})
	return err
}

func TestWriterTellsErrorsApart(t *testing.T) {
	const (
		create, update, remove = metrics.OperationCreate, metrics.OperationUpdate, metrics.OperationDelete
		success, conflict, bad = metrics.ResultSuccess, metrics.ResultConflict, metrics.ResultError
	)
	for name, tc := range map[string]struct {
		operation string
		err       error
		// want is how the write is counted; "" if it is not.
		want      string
		wantStale bool
	}{
		"a success":                               {update, nil, success, false},
		"a conflict":                              {update, apierrors.NewConflict(reports, "pod-web", errors.New("changed")), conflict, true},
		"a conflict, wrapped":                     {update, fmt.Errorf("updating: %w", apierrors.NewConflict(reports, "pod-web", errors.New("changed"))), conflict, true},
		"a report that is there already":          {create, apierrors.NewAlreadyExists(reports, "pod-web"), conflict, true},
		"a report that is gone":                   {update, apierrors.NewNotFound(reports, "pod-web"), conflict, true},
		"a deletion of another one":               {remove, apierrors.NewConflict(reports, "pod-web", errors.New("UID")), conflict, true},
		"a namespace that is on its way out":      {create, terminating(), "", false},
		"the same, wrapped":                       {create, fmt.Errorf("creating: %w", terminating()), "", false},
		"a namespace that is gone":                {create, apierrors.NewNotFound(namespaces, "shop"), "", false},
		"a namespace that is gone, at an update":  {update, apierrors.NewNotFound(namespaces, "shop"), "", false},
		"forbidden":                               {create, apierrors.NewForbidden(reports, "pod-web", errors.New("no")), bad, false},
		"a kind that is not served, at a create":  {create, apierrors.NewGenericServerResponse(404, "post", reports, "", "", 0, true), bad, false},
		"a kind that is not served, at an update": {update, apierrors.NewGenericServerResponse(404, "put", reports, "", "", 0, true), bad, false},
		"another report that is gone":             {update, apierrors.NewNotFound(reports, "pod-other"), bad, false},
		"gone, at a create":                       {create, apierrors.NewNotFound(reports, "pod-web"), bad, false},
		"invalid":                                 {create, apierrors.NewInvalid(schema.GroupKind{Kind: "SecurityReport"}, "pod-web", nil), bad, false},
		"too large":                               {create, apierrors.NewRequestEntityTooLargeError("3 MB"), bad, false},
		"too many requests":                       {update, apierrors.NewTooManyRequests("wait", 1), bad, false},
		"a timeout":                               {update, context.DeadlineExceeded, bad, false},
		"an API server that is away":              {update, errors.New("connection refused"), bad, false},
	} {
		t.Run(name, func(t *testing.T) {
			operations, err := metrics.NewOperations(prometheus.NewRegistry(), "v1", 1)
			if err != nil {
				t.Fatal(err)
			}
			w := &Writer{Operations: operations}
			r := &v1alpha1.SecurityReport{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "pod-web"}}
			got := w.done(tc.operation, time.Now(), r, tc.err)

			if stale := (*staleError)(nil); errors.As(got, &stale) != tc.wantStale {
				t.Errorf("%v is stale: %v, want %v", got, !tc.wantStale, tc.wantStale)
			}
			wantErr := tc.want == conflict || tc.want == bad
			if (got != nil) != wantErr {
				t.Fatalf("error %v, want one: %v", got, wantErr)
			}
			if wantErr && !errors.Is(got, tc.err) {
				t.Errorf("%v does not wrap %v", got, tc.err)
			}
			if wantText := fmt.Sprintf("%s report shop/pod-web: %v", tc.operation, tc.err); tc.want == bad && got.Error() != wantText {
				t.Errorf("error %q, want %q", got, wantText)
			}
			wantCounts := map[string]float64{success: 0, conflict: 0, bad: 0}
			if tc.want != "" {
				wantCounts[tc.want] = 1
			}
			counts := make(map[string]float64)
			for _, result := range []string{success, conflict, bad} {
				counts[result] = testutil.ToFloat64(operations.Writes.WithLabelValues(tc.operation, result))
			}
			if diff := cmp.Diff(wantCounts, counts); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
			if n := testutil.CollectAndCount(operations.WriteSeconds); n != 1 {
				t.Errorf("%d durations", n)
			}
		})
	}
}

// answers stands in for the API server: whatever is written gets the next error.
type answers struct {
	client.Client
	errs []error
}

func (a *answers) next() error {
	err := a.errs[0]
	a.errs = a.errs[1:]
	return err
}

func (a *answers) Create(context.Context, client.Object, ...client.CreateOption) error {
	return a.next()
}
func (a *answers) Delete(context.Context, client.Object, ...client.DeleteOption) error {
	return a.next()
}
func (a *answers) Update(context.Context, client.Object, ...client.UpdateOption) error {
	return a.next()
}

// TestChangeToReport: a report's time begins with the first change that it should tell of, and ends when it is stored.
func TestChangeToReport(t *testing.T) {
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	var none time.Time
	verdict := func(name string, low int32) ledger.Verdict {
		r := &v1alpha1.SecurityReport{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Summary: v1alpha1.Summary{Low: low}}
		return ledger.Verdict{
			Entry: &ledger.Entry{Kind: "Pod", Hash: report.HashOf(r)}, Report: name, Build: func() *v1alpha1.SecurityReport { return r },
		}
	}
	young := func(name string) ledger.Verdict {
		v := verdict(name, 1)
		v.Created = start
		return v
	}
	away, ok := errors.New("away"), error(nil)
	type write struct {
		now      int
		changed  time.Time
		verdicts []ledger.Verdict
		answers  []error
	}
	for name, tc := range map[string]struct {
		writes []write
		want   []float64
	}{
		"at once":                    {[]write{{3, at(1), []ledger.Verdict{verdict("a", 1), verdict("b", 1)}, []error{ok, ok}}}, []float64{2, 2}},
		"it is not known since when": {[]write{{3, none, []ledger.Verdict{verdict("a", 1)}, []error{ok}}}, nil},
		"nothing to write": {[]write{
			{3, none, []ledger.Verdict{verdict("a", 1)}, []error{ok}},
			{9, at(5), []ledger.Verdict{verdict("a", 1)}, nil},
		}, nil},
		"one fails, and another does not wait for it": {[]write{
			{3, at(1), []ledger.Verdict{verdict("a", 1), verdict("b", 1)}, []error{away, ok}},
			{9, at(8), []ledger.Verdict{verdict("a", 1), verdict("b", 2)}, []error{away, ok}},
			{20, none, []ledger.Verdict{verdict("a", 1), verdict("b", 2)}, []error{ok}},
		}, []float64{2, 1, 19}},
		"what fails counts from the first change even if there are more": {[]write{
			{3, at(1), []ledger.Verdict{verdict("a", 1)}, []error{away}},
			{9, at(8), []ledger.Verdict{verdict("a", 2)}, []error{ok}},
			{15, at(14), []ledger.Verdict{verdict("a", 3)}, []error{ok}},
		}, []float64{8, 1}},
		"what fails and is no longer wanted is forgotten": {[]write{
			{3, at(1), []ledger.Verdict{verdict("a", 1)}, []error{away}},
			{4, none, nil, nil},
			{9, at(8), []ledger.Verdict{verdict("a", 1)}, []error{ok}},
		}, []float64{1}},
		"what was not known since when counts from the next change": {[]write{
			{3, none, []ledger.Verdict{verdict("a", 1)}, []error{away}},
			{9, at(8), []ledger.Verdict{verdict("a", 1)}, []error{ok}},
		}, []float64{1}},
		"a namespace that wants no reports": {[]write{{3, at(1), []ledger.Verdict{verdict("a", 1)}, []error{terminating()}}}, nil},
		"what waits for its rate counts from the change": {[]write{
			{1, at(0), []ledger.Verdict{young("a"), young("b")}, []error{ok}},
			{3, none, []ledger.Verdict{young("a"), young("b")}, []error{ok}},
		}, []float64{1, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			operations, err := metrics.NewOperations(registry, "v1", 1)
			if err != nil {
				t.Fatal(err)
			}
			core, err := kubernetes.NewForConfig(&rest.Config{Host: "http://unused.invalid"})
			if err != nil {
				t.Fatal(err)
			}
			api := &answers{}
			w := NewWriter(api, ledger.NewStored(source.New(core), core.CoreV1().RESTClient()), operations)
			w.brief = limits{perSecond: 0.5, burst: 1}
			for _, write := range tc.writes {
				api.errs = write.answers
				w.Now = func() time.Time { return at(write.now) }
				_, _ = w.Write(t.Context(), "shop", write.verdicts, func(string) bool { return true }, occasion{changed: write.changed})
				if len(api.errs) > 0 {
					t.Errorf("%d writes too few", len(api.errs))
				}
			}
			var want float64
			for _, seconds := range tc.want {
				want += seconds
			}
			got := histogram(t, registry, "kubersafe_change_to_report_duration_seconds")
			if int(got.GetSampleCount()) != len(tc.want) || got.GetSampleSum() != want {
				t.Errorf("%d reports took %v s in all, want %v", got.GetSampleCount(), got.GetSampleSum(), tc.want)
			}
			if w.Forget("shop"); len(w.late.reports) > 0 {
				t.Errorf("of a namespace that is gone, this is remembered: %v", w.late.reports)
			}
		})
	}
}

func histogram(t *testing.T, registry *prometheus.Registry, name string) *dto.Histogram {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetHistogram()
		}
	}
	t.Fatalf("no %s", name)
	return nil
}

func TestJoinStale(t *testing.T) {
	stale, broken, away := &staleError{errors.New("conflict")}, errors.New("broken"), errors.New("away")
	for name, tc := range map[string]struct {
		errs      []error
		wantStale bool
		want      []error
	}{
		"none":                                   {nil, false, nil},
		"no errors":                              {[]error{nil, nil}, false, nil},
		"stale only":                             {[]error{nil, stale, nil, stale}, true, []error{stale}},
		"stale, wrapped":                         {[]error{fmt.Errorf("writing: %w", stale)}, true, []error{stale}},
		"worse only":                             {[]error{broken, nil, away}, false, []error{broken, away}},
		"worse among stale ones counts for more": {[]error{stale, broken, stale}, false, []error{broken}},
	} {
		t.Run(name, func(t *testing.T) {
			got := joinStale(tc.errs)
			if s := (*staleError)(nil); errors.As(got, &s) != tc.wantStale {
				t.Errorf("%v is stale: %v", got, !tc.wantStale)
			}
			if (got == nil) != (tc.want == nil) {
				t.Errorf("error %v", got)
			}
			for _, want := range tc.want {
				if !errors.Is(got, want) {
					t.Errorf("%v is lost in %v", want, got)
				}
			}
		})
	}
}

func TestNamespaceNotFound(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want bool
	}{
		"no error":                  {nil, false},
		"a namespace":               {apierrors.NewNotFound(namespaces, "shop"), true},
		"a namespace, wrapped":      {fmt.Errorf("x: %w", apierrors.NewNotFound(namespaces, "shop")), true},
		"a report":                  {apierrors.NewNotFound(reports, "pod-web"), false},
		"a namespace, forbidden":    {apierrors.NewForbidden(namespaces, "shop", errors.New("no")), false},
		"not found without details": {&apierrors.StatusError{ErrStatus: metav1.Status{Reason: metav1.StatusReasonNotFound, Code: 404}}, false},
		"another error":             {errors.New(`namespaces "shop" not found`), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := namespaceNotFound(tc.err); got != tc.want {
				t.Errorf("namespaceNotFound(%v) = %v", tc.err, got)
			}
		})
	}
}

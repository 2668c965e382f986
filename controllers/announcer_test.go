// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/metrics"
	"github.com/kubersafe/kubersafe/internal/report"
	"github.com/kubersafe/kubersafe/internal/source"
)

// told stands in for the API server: it keeps Events, after the errors that it is to answer with first.
type told struct {
	client.Writer

	mu    sync.Mutex
	errs  []error
	notes []string
	last  *eventsv1.Event
}

func (s *told) Create(_ context.Context, o client.Object, _ ...client.CreateOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.errs) > 0 {
		err := s.errs[0]
		if s.errs = s.errs[1:]; err != nil {
			return err
		}
	}
	s.last = o.(*eventsv1.Event)
	s.notes = append(s.notes, s.last.Type+" "+s.last.Regarding.Name+" "+s.last.Note)
	o.SetResourceVersion("1") // what it must not have when it is created
	return nil
}

func (s *told) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.notes)
}

// decide makes a verdict on a Deployment of findings "Severity check message", each at a path of its own.
func decide(name string, findings ...string) ledger.Verdict {
	result := &audit.Result{Subject: audit.Subject{APIVersion: "apps/v1", Kind: "Deployment", Name: name}}
	result.Report = result.ReportName()
	for _, f := range findings {
		words := strings.SplitN(f, " ", 3)
		result.Findings = append(result.Findings, audit.Finding{
			Severity: v1alpha1.Severity(words[0]), Check: words[1], Message: words[2], Path: words[2],
		})
	}
	e := ledger.EntryOf(result)
	r, remembered := report.Build("shop", result, nil, time.Unix(0, 0))
	e.Remembered, e.Hash = remembered, report.HashOf(r)
	return ledger.Verdict{Entry: e, Report: r.Name, Build: func() *v1alpha1.SecurityReport { return r }}
}

// newTestAnnouncer must be called in a bubble of synctest: its clock goes on when all wait.
func newTestAnnouncer(t *testing.T, errs ...error) (*Announcer, *told) {
	t.Helper()
	operations, err := metrics.NewOperations(prometheus.NewRegistry(), "v1", 1)
	if err != nil {
		t.Fatal(err)
	}
	api := &told{errs: errs}
	a := NewAnnouncer(api, operations, v1alpha1.SeverityHigh, func(check string) bool { return check == "hidden" })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return a, api
}

// TestAnnouncer goes by steps: each is what is found, and how long nothing happens after it.
func TestAnnouncer(t *testing.T) {
	const (
		privileged = `Critical privileged-container container "api" must not run privileged`
		hostPath   = `High host-path-volume volume "v" must not be of the node`
	)
	type step struct {
		findings []string
		after    time.Duration
	}
	for sentence, tc := range map[string]struct {
		steps      []step
		errs       []error
		want       []string
		wantErrors float64
	}{
		"a new finding and its end": {
			steps: []step{{[]string{privileged}, time.Second}, {nil, time.Second}},
			want: []string{
				`Warning web New finding: Critical privileged-container: container "api" must not run privileged; see securityreport/deployment-web`,
				`Normal web Resolved: privileged-container`,
			},
		},
		"several at once are one Event": {
			steps: []step{{[]string{privileged, hostPath, "High a b", "High c d", "High e f"}, time.Second}, {[]string{privileged}, time.Second}},
			want: []string{
				`Warning web 5 new findings: Critical privileged-container: container "api" must not run privileged; High host-path-volume: ` +
					`volume "v" must not be of the node; High a: b; and 2 more; see securityreport/deployment-web`,
				`Normal web Resolved: a, c, e, host-path-volume`,
			},
		},
		"one in place of others": {
			steps: []step{{[]string{"High a b", "High a c"}, time.Second}, {[]string{"High d e"}, time.Second}},
			want: []string{
				"Warning web 2 new findings: High a: b; High a: c; see securityreport/deployment-web",
				"Warning web New finding: High d: e; see securityreport/deployment-web", "Normal web Resolved: a (2)",
			},
		},
		"nothing that is less severe": {steps: []step{{[]string{"Medium a b"}, time.Second}, {nil, time.Second}}},
		"nothing that is hidden":      {steps: []step{{[]string{"Critical hidden b"}, time.Second}, {nil, time.Second}}},
		"what comes and goes is told at once for a while, then once a minute, and not what has gone by then": {
			steps: []step{
				{[]string{privileged}, time.Second},
				{nil, time.Second},
				{[]string{privileged}, time.Second},
				{nil, time.Second},
				{[]string{privileged}, time.Second}, // waits
				{nil, time.Second},                  // all is told
				{[]string{hostPath}, time.Second},
				{[]string{hostPath, "High a b"}, time.Hour}, // one Event for both
			},
			want: []string{
				`Warning web New finding: Critical privileged-container: container "api" must not run privileged; see securityreport/deployment-web`,
				`Normal web Resolved: privileged-container`,
				`Warning web New finding: Critical privileged-container: container "api" must not run privileged; see securityreport/deployment-web`,
				`Normal web Resolved: privileged-container`,
				`Warning web 2 new findings: High host-path-volume: volume "v" must not be of the node; High a: b; see securityreport/deployment-web`,
			},
		},
		"an API server that is away for a while": {
			steps: []step{{[]string{privileged}, time.Hour}, {[]string{hostPath}, time.Hour}},
			errs:  []error{errors.New("away"), apierrors.NewTooManyRequests("wait", 1), nil, errors.New("away"), errors.New("away")},
			want: []string{
				`Warning web New finding: Critical privileged-container: container "api" must not run privileged; see securityreport/deployment-web`,
				`Warning web New finding: High host-path-volume: volume "v" must not be of the node; see securityreport/deployment-web`,
				`Normal web Resolved: privileged-container`,
			},
		},
		"an API server that stays away": {
			steps: []step{{[]string{privileged}, time.Hour}, {nil, time.Hour}},
			errs:  slices.Repeat([]error{errors.New("away")}, announcementTries),
			want:  []string{`Normal web Resolved: privileged-container`}, wantErrors: 1,
		},
		"what is not allowed is not tried again": {
			steps: []step{{[]string{privileged}, time.Hour}, {nil, time.Hour}},
			errs:  []error{apierrors.NewForbidden(schema.GroupResource{Resource: "events"}, "", errors.New("no"))},
			want:  []string{`Normal web Resolved: privileged-container`}, wantErrors: 1,
		},
		"what was stored although the answer was lost": {
			steps: []step{{[]string{privileged}, time.Hour}},
			errs:  []error{errors.New("away"), apierrors.NewAlreadyExists(schema.GroupResource{Resource: "events"}, "")},
		},
		"a namespace that is on its way out": {
			steps: []step{{[]string{privileged}, time.Hour}},
			errs:  []error{terminating()},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, api := newTestAnnouncer(t, tc.errs...)
				before := decide("web")
				for _, s := range tc.steps {
					now := decide("web", s.findings...)
					a.changed(before.Entry, now)
					before = now
					time.Sleep(s.after)
				}
				if diff := cmp.Diff(tc.want, api.all()); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
				if n := testutil.ToFloat64(a.Operations.Events.WithLabelValues(metrics.ResultError)); n != tc.wantErrors {
					t.Errorf("%v errors are counted, want %v", n, tc.wantErrors)
				}
				if len(a.pending) > 0 {
					t.Errorf("still pending: %v", a.pending)
				}
			})
		})
	}
}

// TestAnnouncerWhoIsTold: the Event is on the object, in the namespace of its report, and names the report.
func TestAnnouncerWhoIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, api := newTestAnnouncer(t)
		now := decide("web", "High a b")
		now.Build().UID, now.Build().Subject.UID = "r", "d"
		a.changed(&ledger.Entry{}, now)
		time.Sleep(time.Second)
		synctest.Wait() // or it could still be at it
		e := api.last
		want := corev1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "web", UID: "d"}
		if e.Namespace != "shop" || e.Regarding != want {
			t.Errorf("in %q on %+v, want %+v", e.Namespace, e.Regarding, want)
		}
		want = corev1.ObjectReference{APIVersion: "audit.kubersafe.io/v1alpha1", Kind: "SecurityReport", Namespace: "shop", Name: "deployment-web", UID: "r"}
		if *e.Related != want {
			t.Errorf("related to %+v, want %+v", *e.Related, want)
		}
	})
}

// TestAnnouncerOfWhatMayEnd: a Pod that nothing owns is told of when it has lasted a minute, and not if it has gone by then.
func TestAnnouncerOfWhatMayEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, api := newTestAnnouncer(t)
		for _, name := range []string{"short", "lasting"} {
			v := decide(name, "High a b")
			v.Created = time.Now().Add(-10 * time.Second)
			a.changed(&ledger.Entry{}, v)
		}
		time.Sleep(49 * time.Second)
		a.gone(client.ObjectKey{Namespace: "shop", Name: "deployment-short"})
		if told := api.all(); len(told) > 0 {
			t.Errorf("before it has lasted a minute: %v", told)
		}
		time.Sleep(2 * time.Second)
		want := []string{"Warning lasting New finding: High a: b; see securityreport/deployment-lasting"}
		if diff := cmp.Diff(want, api.all()); diff != "" {
			t.Errorf("told (-want +got):\n%s", diff)
		}
	})
}

// TestAnnouncerInAFlood: thousands of findings at once are some Events at once and then a few each second, and the rest is counted.
func TestAnnouncerInAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, api := newTestAnnouncer(t)
		const flood = 10_000
		for i := range flood {
			now := decide(fmt.Sprint("web-", i), "High a b")
			a.changed(&ledger.Entry{}, now)
		}
		time.Sleep(time.Second)
		if n := len(api.all()); n < eventBurst || n > eventBurst+eventPerSecond {
			t.Errorf("%d Events in the first second", n)
		}
		time.Sleep(time.Hour)
		all, dropped := len(api.all()), testutil.ToFloat64(a.Operations.Events.WithLabelValues(metrics.ResultDropped))
		if all > maxAnnouncements+eventBurst+1 || all+int(dropped) != flood { // one is in hand
			t.Errorf("%d Events and %v dropped", all, dropped)
		}
		now := decide("late", "High a b")
		a.changed(&ledger.Entry{}, now)
		time.Sleep(time.Second)
		if n := len(a.objects.limiters); n > 1 {
			t.Errorf("%d objects are remembered for their rates", n)
		}
	})
}

// TestNotesFit: whatever is found, the API server takes the note, and a terminal may have it.
func TestNotesFit(t *testing.T) {
	long := strings.Repeat("ä𝕂", 1000)
	var findings []v1alpha1.Finding
	gone := make(map[string]int32)
	for i := range 300 {
		check := fmt.Sprintf("%063d", i)
		findings = append(findings, v1alpha1.Finding{Check: check, Severity: v1alpha1.SeverityCritical, Message: long})
		gone[check] = 1 << 30
	}
	for _, note := range []string{
		noteOfNew(findings[:1], strings.Repeat("n", v1alpha1.MaxName)), noteOfNew(findings, strings.Repeat("n", v1alpha1.MaxName)), noteOfGone(gone),
		cut(long, 10), cut(long, 11), cut(long, 12), cut(long, 13),
		noteOfNew(decide("web", "High a \x1b[31m\r\n\u202e").Build().Findings, "n"),
	} {
		if strings.ContainsFunc(note, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("a note that no terminal should get: %q", note)
		}
		if len(note) > maxNote || !utf8.ValidString(note) || !strings.HasSuffix(note, "n") && !strings.HasSuffix(note, "…") {
			t.Errorf("a note of %d bytes: %s", len(note), note)
		}
	}
}

// TestWriterAnnounces: what a report tells is announced once it is stored, compared with what was stored last.
func TestWriterAnnounces(t *testing.T) {
	away, ok := errors.New("away"), error(nil)
	const (
		isNew    = "Warning web New finding: High a: b; see securityreport/deployment-web"
		resolved = "Normal web Resolved: a"
	)
	// young is found in what may end by itself, and none is what there is when it has.
	found, clean, young, none := []string{"High a b"}, []string{}, []string{"High a b", "young"}, []string(nil)
	type write struct {
		findings []string
		answer   []error
		// quiet: judged for a reason that is not the namespace's own.
		quiet bool
		// arrived: what was written is stored, although the answer says otherwise.
		arrived bool
	}
	for sentence, tc := range map[string]struct {
		writes []write
		want   []string
	}{
		"a subject that comes":           {[]write{{found, []error{ok}, false, false}}, []string{isNew}},
		"the first audit":                {[]write{{found, []error{ok}, true, false}}, nil},
		"what comes after it":            {[]write{{clean, []error{ok}, true, false}, {found, []error{ok}, false, false}, {clean, []error{ok}, false, false}}, []string{isNew, resolved}},
		"what was there at first":        {[]write{{found, []error{ok}, true, false}, {clean, []error{ok}, false, false}}, []string{resolved}},
		"what cannot be written":         {[]write{{found, []error{away}, false, false}}, nil},
		"what can be written later":      {[]write{{found, []error{away}, false, false}, {found, []error{away}, false, false}, {found, []error{ok}, false, false}}, []string{isNew}},
		"what has gone by then":          {[]write{{clean, []error{ok}, false, false}, {found, []error{away}, false, false}, {clean, nil, false, false}}, nil},
		"what was stored all the same":   {[]write{{found, []error{away}, false, true}, {found, nil, false, false}}, []string{isNew}},
		"the first audit, written later": {[]write{{found, []error{away}, true, false}, {found, []error{ok}, false, false}}, nil},
		"what may end, and lasts":        {[]write{{young, []error{ok}, false, false}}, []string{isNew}},
		"what has ended by then":         {[]write{{young, []error{ok}, false, false}, {none, []error{ok}, false, false}}, nil},
		"a namespace on its way out":     {[]write{{found, []error{terminating()}, false, false}}, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, events := newTestAnnouncer(t)
				core, err := kubernetes.NewForConfig(&rest.Config{Host: "http://unused.invalid"})
				if err != nil {
					t.Fatal(err)
				}
				api := &answers{}
				w := NewWriter(api, ledger.NewStored(source.New(core), core.CoreV1().RESTClient()), a.Operations)
				w.Announcer = a
				before := ledger.Entries{}
				for _, write := range tc.writes {
					v := decide("web", slices.DeleteFunc(slices.Clone(write.findings), func(f string) bool { return f == "young" })...)
					if slices.Contains(write.findings, "young") {
						v.Created = time.Now()
					}
					verdicts := []ledger.Verdict{v}
					if write.findings == nil {
						verdicts = nil
					}
					of := occasion{before: before}
					if write.quiet {
						of.before = nil
					}
					api.errs = write.answer
					_, _ = w.Write(t.Context(), "shop", verdicts, func(string) bool { return false }, of)
					if len(api.errs) > 0 {
						t.Errorf("%d writes too few", len(api.errs))
					}
					if write.arrived {
						if err := w.Stored.Reports.Observe(v.Build()); err != nil {
							t.Fatal(err)
						}
					}
					before = ledger.Entries{v.Report: v.Entry}
					time.Sleep(time.Second)
				}
				time.Sleep(time.Hour)
				if diff := cmp.Diff(tc.want, events.all()); diff != "" {
					t.Errorf("told (-want +got):\n%s", diff)
				}
			})
		})
	}
}

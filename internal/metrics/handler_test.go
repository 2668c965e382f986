// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/kubersafe/kubersafe/internal/ledger"
)

func answer(t *testing.T, handler http.Handler, target string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request(t, target, header))
	return w
}

func request(t *testing.T, target string, header http.Header) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
	for name, values := range header {
		r.Header[name] = values
	}
	return r
}

func serve(t *testing.T, s *State, others prometheus.Gatherer) (url string) {
	t.Helper()
	server := httptest.NewServer(s.Handler(others))
	t.Cleanup(server.Close)
	return server.URL
}

// collector gives the state to the client library, which sorts, checks and encodes by itself.
type collector struct{ *State }

func (c collector) Describe(to chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, to) }

func (c collector) Collect(to chan<- prometheus.Metric) {
	from, series, families := c.snapshot(), newSamples(), c.families()
	for i := range families {
		f := &families[i]
		desc := prometheus.NewDesc(f.name, f.help, f.labels, nil)
		series.collect(f, from)
		for j := range series.list {
			sample := series.list[len(series.list)-1-j] // in another order
			var values []string
			for k := range f.labels {
				values = append(values, series.texts[sample.labels[k]])
			}
			to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, sample.value, values...)
		}
	}
}

// manyNamespaces has as many, and so a family with as many series.
func manyNamespaces(n int) *ledger.Ledger {
	l := ledger.New()
	for i := range n {
		l.Put(fmt.Sprint("ns-", i), nil, ledger.Entries{"x": {Kind: "Pod", Name: "x", Passed: i}})
	}
	return l
}

// TestHandlerAnswersAsPromhttpWould compares with the client library's own way, byte for byte.
func TestHandlerAnswersAsPromhttpWould(t *testing.T) {
	const proto = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding="
	header := func(accept, encoding string) http.Header {
		return http.Header{"Accept": {accept}, "Accept-Encoding": {encoding}}
	}
	ledgers := map[string]*ledger.Ledger{"an empty ledger": ledger.New(), "two namespaces": twoNamespaces(), "hostile names": hostile()}
	for _, n := range []int{1, atOnce - 1, atOnce, atOnce + 1, 2 * atOnce, 3*atOnce + 7} {
		ledgers[fmt.Sprint(n, " namespaces")] = manyNamespaces(n)
	}
	for called, l := range ledgers {
		for name, tc := range map[string]struct {
			target string
			header http.Header
		}{
			"nothing is asked for":           {"/metrics", nil},
			"text":                           {"/metrics", header("text/plain;version=0.0.4", "identity")},
			"Prometheus 3":                   {"/metrics", header("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", "gzip")},
			"Prometheus 2":                   {"/metrics", header("application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "gzip")},
			"OpenMetrics, plain":             {"/metrics", header("application/openmetrics-text;version=1.0.0", "identity")},
			"OpenMetrics alone":              {"/metrics", header("application/openmetrics-text;version=1.0.0", "gzip")},
			"Prometheus, native histograms":  {"/metrics", header(proto+"delimited;q=0.7,text/plain;version=0.0.4;q=0.3", "gzip")},
			"escaped names":                  {"/metrics", header("text/plain;version=0.0.4;escaping=dots", "identity")},
			"escaped names, protobuf":        {"/metrics", header(proto+"delimited;escaping=values", "identity")},
			"several encodings":              {"/metrics", header("", "deflate, gzip;q=0.5, br")},
			"several encodings, field twice": {"/metrics", http.Header{"Accept-Encoding": {"br", "gzip"}}},
			"any encoding":                   {"/metrics", header("", "*")},
			"one family":                     {"/metrics?name[]=kubersafe_score", nil},
			"families in OpenMetrics":        {"/metrics?name[]=kubersafe_score&name[]=kubersafe_subjects", header("application/openmetrics-text", "")},
			"families of both":               {"/metrics?name[]=kubersafe_subjects&name[]=zz_last&name[]=nothing", header("", "gzip")},
			"no family":                      {"/metrics?name[]=nothing", nil},
			"no family, OpenMetrics":         {"/metrics?name[]=nothing", header("application/openmetrics-text;version=0.0.1", "")},
			"no family, protobuf":            {"/metrics?name[]=nothing", header(proto+"delimited", "")},
		} {
			t.Run(called+"/"+name, func(t *testing.T) {
				s := state(t, l)
				others, all := prometheus.NewRegistry(), prometheus.NewRegistry()
				for _, name := range []string{"a_first", "kubersafe_o", "zz_last"} {
					histogram := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: "Help\n.", NativeHistogramBucketFactor: 2})
					others.MustRegister(histogram)
					all.MustRegister(histogram)
				}
				all.MustRegister(collector{s})
				want := answer(t, promhttp.HandlerFor(all, promhttp.HandlerOpts{EnableOpenMetrics: true}), tc.target, tc.header)
				got := answer(t, s.Handler(others), tc.target, tc.header)
				if diff := cmp.Diff(want.Header(), got.Header()); diff != "" {
					t.Errorf("header (-promhttp +handler):\n%s", diff)
				}
				if diff := cmp.Diff(want.Code, got.Code); diff != "" {
					t.Errorf("status (-promhttp +handler):\n%s", diff)
				}
				if diff := cmp.Diff(counted(t, s, want, tc.target), plain(t, got)); diff != "" {
					t.Errorf("body (-promhttp +handler):\n%s", diff)
				}
			})
		}
	}
}

// counted adds to a response of promhttp's handler what ours ends with.
func counted(t *testing.T, s *State, response *httptest.ResponseRecorder, target string) string {
	t.Helper()
	body := plain(t, response)
	if strings.Contains(target, "name[]") {
		return body
	}
	format, n := expfmt.Format(response.Header().Get("Content-Type")), 0
	from, series := s.snapshot(), newSamples()
	for _, f := range s.families() {
		series.collect(&f, from)
		n += len(series.list)
	}
	body, ends := strings.CutSuffix(body, "# EOF\n")
	end := bytes.NewBufferString(body)
	encoder := expfmt.NewEncoder(end, format)
	for i, value := range []int{n, from.bound()} {
		err := encoder.Encode(&dto.MetricFamily{
			Name: &counting[i].name, Help: &counting[i].help, Type: gauge, Metric: []*dto.Metric{{Gauge: &dto.Gauge{Value: new(float64(value))}}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if ends {
		end.WriteString("# EOF\n")
	}
	return end.String()
}

func plain(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var body io.Reader = w.Body
	if w.Header().Get("Content-Encoding") == "gzip" {
		var err error
		if body, err = gzip.NewReader(body); err != nil {
			t.Fatal(err)
		}
	}
	content, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestWhatCannotBeHadIsText(t *testing.T) {
	handler := state(t, twoNamespaces()).Handler(prometheus.NewRegistry())
	want := answer(t, handler, "/metrics", nil)
	for _, encoding := range []string{"text", "compact-text"} {
		got := answer(t, handler, "/metrics", http.Header{
			"Accept":          {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=" + encoding},
			"Accept-Encoding": {"gzip;q=0"},
		})
		if got.Body.String() != want.Body.String() || !strings.HasPrefix(got.Header().Get("Content-Type"), "text/plain; version=0.0.4") {
			t.Errorf("%s is answered with %v:\n%s", encoding, got.Header(), got.Body)
		}
	}
}

func TestGatheringFails(t *testing.T) {
	handler := state(t, twoNamespaces()).Handler(prometheus.GathererFunc(func() ([]*dto.MetricFamily, error) {
		return nil, errors.New("broken")
	}))
	got := answer(t, handler, "/metrics", http.Header{"Accept-Encoding": {"gzip"}})
	if got.Code != http.StatusInternalServerError || got.Body.String() != "gathering metrics: broken\n" {
		t.Errorf("answered %d: %s", got.Code, got.Body)
	}
}

// client reads as slowly as its function lets it.
type client struct {
	httptest.ResponseRecorder
	read func() error
}

func newClient(read func() error) *client {
	return &client{ResponseRecorder: *httptest.NewRecorder(), read: read}
}

func (c *client) Write(p []byte) (int, error) {
	if err := c.read(); err != nil {
		return 0, err
	}
	return c.ResponseRecorder.Write(p)
}

// TestAScrapeIsOfOneMoment: what changes while a response is written does not wait for it, and is not in it.
func TestAScrapeIsOfOneMoment(t *testing.T) {
	l := twoNamespaces()
	handler := state(t, l).Handler(prometheus.NewRegistry())
	want := answer(t, handler, "/metrics", nil).Body.String()
	slow := newClient(func() error {
		l.Put("new", nil, ledger.Entries{"x": {Kind: "Pod", Name: "x"}})
		l.Put("shop", nil, ledger.Entries{"x": {Kind: "Pod", Name: "x"}})
		l.Drop("empty")
		return nil
	})
	handler.ServeHTTP(slow, request(t, "/metrics", nil))
	if diff := cmp.Diff(want, slow.Body.String()); diff != "" {
		t.Errorf("a response during which all changes (-before +got):\n%s", diff)
	}
	if after := answer(t, handler, "/metrics", nil).Body.String(); after == want {
		t.Error("nothing has changed")
	}
}

func TestScrapesAtTheSameTime(t *testing.T) {
	handler := state(t, manyNamespaces(2*atOnce)).Handler(prometheus.NewRegistry())
	want := answer(t, handler, "/metrics", nil).Body.String()
	var scrapes, begun sync.WaitGroup
	goOn := make(chan struct{})
	for range maxScrapes {
		begun.Add(1)
		scrapes.Go(func() {
			c := newClient(sync.OnceValue(func() error {
				begun.Done()
				<-goOn
				return nil
			}))
			handler.ServeHTTP(c, request(t, "/metrics", nil))
			if got := c.Body.String(); got != want {
				t.Errorf("one of %d scrapes got %d bytes, want %d others", maxScrapes, len(got), len(want))
			}
		})
	}
	begun.Wait()
	if got := answer(t, handler, "/metrics", nil); got.Code != http.StatusServiceUnavailable {
		t.Errorf("one scrape too many is answered %d", got.Code)
	}
	close(goOn)
	scrapes.Wait()
	if got := answer(t, handler, "/metrics", nil); got.Code != http.StatusOK {
		t.Errorf("a scrape after the others is answered %d", got.Code)
	}
}

func TestAClientThatIsGoneEndsItsScrape(t *testing.T) {
	handler := state(t, manyNamespaces(2*atOnce)).Handler(prometheus.NewRegistry())
	for _, header := range []http.Header{
		nil,
		{"Accept": {"application/openmetrics-text;version=1.0.0"}},
		{"Accept": {"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"}},
	} {
		for last := range 4 {
			for range maxScrapes + 1 { // none keeps its place
				reads := 0
				c := newClient(func() error {
					if reads++; reads > last {
						return errors.New("gone")
					}
					return nil
				})
				handler.ServeHTTP(c, request(t, "/metrics", header))
				if c.Code != http.StatusOK || reads != last+1 {
					t.Errorf("%v: gone after %d writes, status %d, %d writes", header, last, c.Code, reads)
				}
			}
		}
	}
}

// connection is a client that can be given up on.
type connection struct {
	client
	until time.Time
}

func (c *connection) SetWriteDeadline(until time.Time) error {
	c.until = until
	return nil
}

func TestAClientThatStopsReadingIsGivenUp(t *testing.T) {
	var c *connection
	c = &connection{client: *newClient(func() error {
		if left := time.Until(c.until); left <= 0 || left > scrapeTimeout {
			t.Errorf("a client may take %s, want up to %s", left, scrapeTimeout)
		}
		return nil
	})}
	state(t, twoNamespaces()).Handler(prometheus.NewRegistry()).ServeHTTP(c, request(t, "/metrics", nil))
	if c.Body.Len() == 0 {
		t.Error("nothing was written")
	}
}

// TestScrapesTakeLittleMemory is about the operator: that it fits the memory that it is given.
func TestScrapesTakeLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it goes on for ten seconds, and for minutes with the race detector")
	}
	handler := state(t, largeLedger()).Handler(prometheus.NewRegistry())
	for name, accept := range map[string]string{
		"text": "text/plain", "OpenMetrics": "application/openmetrics-text;version=1.0.0", "protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
	} {
		t.Run(name, func(t *testing.T) {
			const most = 10e6 // measured: 7.5 MB, against 68 MB with a collector
			r := request(t, "/metrics", http.Header{"Accept": {accept}, "Accept-Encoding": {"gzip"}})
			w := &counter{header: make(http.Header)}
			if got := peak(func() { handler.ServeHTTP(w, r) }); w.n < 100_000 || got > most {
				t.Errorf("%d bytes are live for a response of %d, want at most %.0f", got, w.n, most)
			}
		})
	}
}

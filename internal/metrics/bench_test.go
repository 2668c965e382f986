// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/report"
)

// largeLedger has 10,000 namespaces of four workloads, each of a name of its own.
func largeLedger() *ledger.Ledger {
	l := ledger.New()
	for n := range 10_000 {
		entries := make(ledger.Entries)
		for w := range 4 {
			var tally report.Tally
			for c := range 8 {
				tally.Add(report.Tally{report.CountOf(report.CheckSeverity{Check: fmt.Sprint("check-", c), Severity: []v1alpha1.Severity{high, low}[c%2]}, 1)})
			}
			name := fmt.Sprintf("web-%d-%d", n, w)
			entries["deployment-"+name] = &ledger.Entry{
				Kind: "Deployment", Name: name, Findings: tally,
				Remembered: report.Remember([]v1alpha1.Finding{standing("check-0", high, 1), standing("check-1", low, 2)}),
			}
		}
		l.Put(fmt.Sprint("ns-", n), nil, entries)
	}
	return l
}

// BenchmarkScrape scrapes the state of 10,000 namespaces, with and without the series of each workload. live-MB is what is
// live at most, on top of the ledger, while the response is written.
func BenchmarkScrape(b *testing.B) {
	l := largeLedger()
	for name, workloads := range map[string]bool{"workloads": true, "namespaces": false} {
		s := &State{
			Ledger: l, Checks: checks(b), Workloads: workloads, Sources: func() []v1alpha1.SourceStatus { return nil },
			Complete: func() bool { return true }, LastComplete: func() time.Time { return since },
		}
		handler := s.Handler(prometheus.NewRegistry())
		for _, encoding := range []string{"identity", "gzip"} {
			b.Run(name+"/"+encoding, func(b *testing.B) {
				r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
				r.Header.Set("Accept-Encoding", encoding)
				b.ReportAllocs()
				scrape := func() int {
					w := counter{header: make(http.Header)}
					handler.ServeHTTP(&w, r)
					return w.n
				}
				n := 0
				for b.Loop() {
					n = scrape()
				}
				b.ReportMetric(float64(n), "scraped-B")
				b.ReportMetric(float64(peak(func() { scrape() }))/1e6, "live-MB")
			})
		}
	}
}

// counter counts the bytes of a response.
type counter struct {
	header http.Header
	n      int
}

func (c *counter) Header() http.Header { return c.header }
func (c *counter) WriteHeader(int)     {}
func (c *counter) Write(p []byte) (int, error) {
	c.n += len(p)
	return len(p), nil
}

// peak returns how many bytes are live at most while f runs, on top of what is live before.
func peak(f func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(5)) // so that it looks often
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	live := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	before, most := live(), uint64(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	for {
		select {
		case <-done:
			return most - min(most, before)
		case <-time.After(100 * time.Microsecond):
			most = max(most, live())
		}
	}
}

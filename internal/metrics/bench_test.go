// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/report"
)

// BenchmarkScrape scrapes the state of 10,000 namespaces of four workloads, with and without the series of each workload.
func BenchmarkScrape(b *testing.B) {
	l := ledger.New()
	for n := range 10_000 {
		entries := make(ledger.Entries)
		for w := range 4 {
			var tally report.Tally
			for c := range 8 {
				tally.Add(report.Tally{report.CountOf(report.CheckSeverity{Check: fmt.Sprint("check-", c), Severity: []v1alpha1.Severity{high, low}[c%2]}, 1)})
			}
			entries[fmt.Sprint("deployment-", w)] = &ledger.Entry{
				Kind: "Deployment", Name: fmt.Sprint("web-", w), Findings: tally,
				Remembered: report.Remember([]v1alpha1.Finding{standing("check-0", high, 1), standing("check-1", low, 2)}),
			}
		}
		l.Put(fmt.Sprint("ns-", n), nil, entries)
	}
	for name, workloads := range map[string]bool{"workloads": true, "namespaces": false} {
		b.Run(name, func(b *testing.B) {
			registry := prometheus.NewRegistry()
			if err := registry.Register(&State{
				Ledger: l, Checks: set(b), Workloads: workloads, Sources: func() []v1alpha1.SourceStatus { return nil },
				Complete: func() bool { return true }, LastComplete: func() time.Time { return since },
			}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				families, err := registry.Gather()
				if err != nil {
					b.Fatal(err)
				}
				written := &counter{}
				encoder := expfmt.NewEncoder(written, expfmt.NewFormat(expfmt.TypeTextPlain))
				series := 0
				for _, f := range families {
					series += len(f.Metric)
					if err := encoder.Encode(f); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(series), "series")
				b.ReportMetric(float64(written.n), "scraped-B")
			}
		})
	}
}

type counter struct{ n int }

func (c *counter) Write(p []byte) (int, error) {
	c.n += len(p)
	return io.Discard.Write(p)
}

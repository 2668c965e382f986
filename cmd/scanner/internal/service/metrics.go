// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package service

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/cmd/scanner/internal/problem"
)

// States of images, and results of what has none of a closed set but these.
var states = []v1alpha1.ImageState{
	v1alpha1.ImageFailed, v1alpha1.ImagePending, v1alpha1.ImageScanned, v1alpha1.ImageStale, v1alpha1.ImageUnsupported,
}

const (
	resultSuccess  = "success"
	resultConflict = "conflict"
	resultError    = "error"
)

// Questions to registries, besides for images.
const (
	questionTag        = "tag"
	questionNewest     = "newest_tag"
	questionSignature  = "signature"
	questionRepository = "repository"
)

// Metrics of a Service.
type Metrics struct {
	registry *prometheus.Registry
	scans    *prometheus.CounterVec
	seconds  prometheus.Histogram
	writes   *prometheus.CounterVec
	updates  *prometheus.CounterVec
	asks     *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(registry *prometheus.Registry, version string) *Metrics {
	m := &Metrics{
		registry: registry,
		scans: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubersafe_scanner_scans_total", Help: "Images that were looked at, by result: success, or the reason as reports have it.",
		}, []string{"result"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "kubersafe_scanner_scan_duration_seconds", Help: "Time to pull one image and to find out what is in it.",
			Buckets: prometheus.ExponentialBuckets(0.1, 4, 8), // 0.1 s to 27 min
		}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubersafe_scanner_report_writes_total", Help: "ImageReports written, by operation and result.",
		}, []string{"operation", "result"}),
		updates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubersafe_scanner_database_updates_total", Help: "Times that the location of the vulnerability database was asked for a newer one, by result.",
		}, []string{"result"}),
		asks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubersafe_scanner_questions_total", Help: "Questions to registries besides for images, by result: success, or a reason as reports have it.",
		}, []string{"question", "result"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kubersafe_scanner_build_info", Help: "1, labelled with the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	registry.MustRegister(m.scans, m.seconds, m.writes, m.updates, m.asks, build)
	return m
}

func (m *Metrics) scanned(err error, took time.Duration) {
	result := resultSuccess
	if err != nil {
		result = string(problem.Reason(err, v1alpha1.ReasonExtractionFailed))
	}
	m.scans.WithLabelValues(result).Inc()
	m.seconds.Observe(took.Seconds())
}

func (m *Metrics) written(operation string, err error) {
	result := resultSuccess
	switch {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		result = resultConflict
	case err != nil:
		result = resultError
	}
	m.writes.WithLabelValues(operation, result).Inc()
}

func (m *Metrics) updated(err error) {
	result := resultSuccess
	if err != nil {
		result = resultError
	}
	m.updates.WithLabelValues(result).Inc()
}

func (m *Metrics) asked(question string, err error) {
	result := resultSuccess
	if err != nil {
		result = string(problem.Reason(err, v1alpha1.ReasonRegistryUnavailable))
	}
	m.asks.WithLabelValues(question, result).Inc()
}

// watch adds what is read from a service at each scrape.
func (m *Metrics) watch(s *Service) { m.registry.MustRegister(&state{s}) }

var (
	imagesDesc    = prometheus.NewDesc("kubersafe_scanner_images", "Images that are used, by the state of their report.", []string{"state"}, nil)
	queueDesc     = prometheus.NewDesc("kubersafe_scanner_queue_images", "Images of which it is not known yet what is in them, those that failed included.", nil, nil)
	publishedDesc = prometheus.NewDesc("kubersafe_scanner_database_published_timestamp_seconds", "When the vulnerability database was published. No series while there is none.", nil, nil)
	checkedDesc   = prometheus.NewDesc("kubersafe_scanner_database_checked_timestamp_seconds", "When the vulnerability database was last found to be what its location has. No series while there is none.", nil, nil)
)

// state collects what is the case now.
type state struct{ *Service }

// Describe implements prometheus.Collector.
func (s *state) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{imagesDesc, queueDesc, publishedDesc, checkedDesc} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (s *state) Collect(c chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	if s.Ready() == nil { // what is not read yet is not zero
		count := s.reports.States()
		for _, name := range states {
			gauge(imagesDesc, float64(count[name]), string(name))
		}
		gauge(queueDesc, float64(s.board.Waiting()))
	}
	if database, err := s.database.State(); err == nil && database != nil {
		gauge(publishedDesc, float64(database.Published.Unix()))
		gauge(checkedDesc, float64(s.database.Checked().Unix()))
	}
}

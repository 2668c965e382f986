// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// family is a metric with its labels.
type family struct {
	desc   *prometheus.Desc
	labels []string
	// order has the labels' places, sorted by name, as they are exposed.
	order []int
}

func newFamily(name, help string, labels ...string) *family {
	f := &family{desc: prometheus.NewDesc(name, help, labels, nil), labels: labels}
	for i := range labels {
		f.order = append(f.order, i)
	}
	slices.SortFunc(f.order, func(i, j int) int { return cmp.Compare(labels[i], labels[j]) })
	return f
}

// scrape sends series to one scrape. There may be hundreds of thousands, and the client library's constant metrics take
// twenty allocations each, nearly all for labels; those are made once here for all series that share them.
type scrape struct {
	to    chan<- prometheus.Metric
	pairs map[labelPair]*dto.LabelPair
}

type labelPair struct{ name, value string }

func newScrape(to chan<- prometheus.Metric) *scrape {
	return &scrape{to: to, pairs: make(map[labelPair]*dto.LabelPair)}
}

// gauge sends one series, with the values of the family's labels in their order.
func (s *scrape) gauge(f *family, value float64, values ...string) {
	labels := make([]*dto.LabelPair, len(values))
	for i, at := range f.order {
		labels[i] = s.pair(f.labels[at], values[at])
	}
	s.to <- &series{f.desc, labels, value}
}

func (s *scrape) pair(name, value string) *dto.LabelPair {
	key := labelPair{name, value}
	pair := s.pairs[key]
	if pair == nil {
		pair = &dto.LabelPair{Name: &key.name, Value: &key.value}
		s.pairs[key] = pair
	}
	return pair
}

type series struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	value  float64
}

// Desc implements prometheus.Metric.
func (s *series) Desc() *prometheus.Desc { return s.desc }

// Write implements prometheus.Metric.
func (s *series) Write(m *dto.Metric) error {
	m.Label, m.Gauge = s.labels, &dto.Gauge{Value: &s.value}
	return nil
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"iter"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// samples are the series of one family. There may be hundreds of thousands, and a client library's series takes hundreds
// of bytes; one of these takes 32.
type samples struct {
	// texts has each label value once, and places where it is.
	texts  []string
	places map[string]uint32
	// of is the family that is collected.
	of *family
	// sums are the series since the last settle, list those before.
	sums map[labelValues]float64
	list []sample
	// total is the number of series of all families collected before.
	total int
}

// labelValues are places in the texts, in the order of a family's labels.
type labelValues [5]uint32

type sample struct {
	labels labelValues
	value  float64
}

func newSamples() *samples {
	return &samples{places: make(map[string]uint32), sums: make(map[labelValues]float64)}
}

// add adds to the series with these label values, or to the least of what is added. So no two series have the same, whatever
// subjects are called.
func (s *samples) add(n float64, values ...string) {
	var labels labelValues
	for i, at := range s.of.kept {
		value := values[at]
		place, ok := s.places[value]
		if !ok {
			place = uint32(len(s.texts)) //nolint:gosec // G115: the ledger holds less than 2^32 names
			s.texts, s.places[value] = append(s.texts, value), place
		}
		labels[i] = place
	}
	if !s.of.least {
		s.sums[labels] += n
	} else if least, ok := s.sums[labels]; !ok || n < least {
		s.sums[labels] = n
	}
}

// settle ends a group of series, such as those of a namespace: what is added from now on has other label values.
func (s *samples) settle() {
	for labels, value := range s.sums {
		s.list = append(s.list, sample{labels, value})
	}
	clear(s.sums)
}

// collect replaces the series by those of another family, sorted by the values of their labels.
func (s *samples) collect(f *family, from *snapshot) {
	s.total += len(s.list)
	s.of, s.list = f, s.list[:0]
	f.collect(from, s)
	s.settle()
	slices.SortFunc(s.list, func(a, b sample) int {
		for i := range a.labels {
			if a.labels[i] != b.labels[i] {
				return strings.Compare(s.texts[a.labels[i]], s.texts[b.labels[i]])
			}
		}
		return 0
	})
}

// atOnce bounds how many series there are in the client library's form, which takes some 400 bytes each.
const atOnce = 256

// metrics yields the series, some at a time. They are the same ones each time, filled anew.
func (s *samples) metrics(f *family) iter.Seq[[]*dto.Metric] {
	return func(yield func([]*dto.Metric) bool) {
		metrics := make([]*dto.Metric, min(atOnce, len(s.list)))
		for i := range metrics {
			metrics[i] = &dto.Metric{Label: make([]*dto.LabelPair, len(f.labels)), Gauge: &dto.Gauge{}}
			for j := range f.labels {
				metrics[i].Label[j] = &dto.LabelPair{Name: &f.labels[j]}
			}
		}
		for part := range slices.Chunk(s.list, atOnce) {
			for i := range part {
				for j, label := range metrics[i].Label {
					label.Value = &s.texts[part[i].labels[j]]
				}
				metrics[i].Gauge.Value = &part[i].value
			}
			if !yield(metrics[:len(part)]) {
				return
			}
		}
	}
}

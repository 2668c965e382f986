// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

const (
	// maxScrapes at the same time: a pair of Prometheus servers and a person who looks.
	maxScrapes = 3
	// scrapeTimeout is how long a client may take to read: six times what Prometheus gives a scrape by default.
	scrapeTimeout = time.Minute
)

var gauge = dto.MetricType_GAUGE.Enum()

// Handler serves the state among what others gather. It answers, byte for byte, what promhttp's handler would if the state
// were a collector, and ends with how many series the state had. Why not that: it has every series in memory, several hundred bytes each, before it writes the first.
func (s *State) Handler(others prometheus.Gatherer) http.Handler {
	slots, families := make(chan struct{}, maxScrapes), s.families()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			http.Error(w, fmt.Sprintf("%d scrapes are under way, try again later", maxScrapes), http.StatusServiceUnavailable)
			return
		}
		gathered, err := others.Gather()
		if err != nil {
			http.Error(w, fmt.Sprintf("gathering metrics: %v", err), http.StatusInternalServerError)
			return
		}
		// A client that stops reading must not keep its place. Only writers that are no connection know no deadline.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(scrapeTimeout))
		format := formatFor(r.Header)
		w.Header().Set("Content-Type", string(format))
		var body io.Writer = w
		if acceptsGzip(r.Header) {
			w.Header().Set("Content-Encoding", "gzip")
			compressed := gzip.NewWriter(w)
			defer func() { _ = compressed.Close() }() // fails only if a write has failed
			body = compressed
		}
		for _, p := range s.parts(body, format, families, gathered, r.URL.Query()["name[]"]) {
			if p.write() != nil {
				return // nobody is left to be told: the status is sent
			}
		}
		if format.FormatType() == expfmt.TypeOpenMetrics {
			_, _ = expfmt.FinalizeOpenMetrics(body)
		}
	})
}

// formatFor returns the format that a client asks for: text, OpenMetrics, or delimited protobuf, which alone has native
// histograms.
func formatFor(h http.Header) expfmt.Format {
	format := expfmt.NegotiateIncludingOpenMetrics(h)
	switch format.FormatType() {
	case expfmt.TypeTextPlain, expfmt.TypeOpenMetrics, expfmt.TypeProtoDelim:
		return format
	default: // protobuf as text, which is for debugging, and which expfmt does not write in parts
		return expfmt.NewFormat(expfmt.TypeTextPlain)
	}
}

// acceptsGzip tells whether a client names gzip, and not to exclude it.
func acceptsGzip(h http.Header) bool {
	for offer := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		name, weight, _ := strings.Cut(offer, ";")
		if strings.TrimSpace(name) == "gzip" {
			q, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
			return err != nil || q > 0
		}
	}
	return false
}

// part is a family and how to write it.
type part struct {
	name  string
	write func() error
}

// parts returns all families by name, or only those with one of the names if there are any.
func (s *State) parts(w io.Writer, format expfmt.Format, families []family, gathered []*dto.MetricFamily, names []string) []part {
	var parts []part
	encoder := expfmt.NewEncoder(w, format)
	for _, f := range gathered {
		parts = append(parts, part{f.GetName(), func() error { return encoder.Encode(f) }})
	}
	from, series := s.snapshot(), newSamples()
	partOf := func(f *family) part {
		return part{f.name, func() error {
			if series.collect(f, from); len(series.list) == 0 {
				return nil
			}
			return write(w, format, f, series.metrics(f))
		}}
	}
	for i := range families {
		parts = append(parts, partOf(&families[i]))
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Compare(a.name, b.name) })
	for i := range counting {
		parts = append(parts, partOf(&counting[i]))
	}
	return slices.DeleteFunc(parts, func(p part) bool { return len(names) > 0 && !slices.Contains(names, p.name) })
}

// write writes a family.
func write(w io.Writer, format expfmt.Format, f *family, metrics iter.Seq[[]*dto.Metric]) error {
	switch format.FormatType() {
	case expfmt.TypeProtoDelim:
		return writeProto(w, f, metrics)
	case expfmt.TypeOpenMetrics:
		return writeText(w, f, metrics, func(w io.Writer, f *dto.MetricFamily) (int, error) { return expfmt.MetricFamilyToOpenMetrics(w, f) })
	default:
		return writeText(w, f, metrics, expfmt.MetricFamilyToText)
	}
}

// writeText writes a family in one of the formats that are text.
func writeText(
	w io.Writer, f *family, metrics iter.Seq[[]*dto.Metric], encode func(io.Writer, *dto.MetricFamily) (int, error),
) error {
	var text bytes.Buffer
	help := &f.help
	for m := range metrics {
		text.Reset()
		if _, err := encode(&text, &dto.MetricFamily{Name: &f.name, Help: help, Type: gauge, Metric: m}); err != nil {
			return err
		}
		if help == nil {
			_, _ = text.ReadString('\n') // the type, which stands above the first series, as help does
		}
		help = nil
		if _, err := text.WriteTo(w); err != nil {
			return err
		}
	}
	return nil
}

// writeProto writes a family as one message, led by its size. A message is the same as its parts one after the other.
func writeProto(w io.Writer, f *family, metrics iter.Seq[[]*dto.Metric]) error {
	head := &dto.MetricFamily{Name: &f.name, Help: &f.help, Type: gauge}
	size := proto.Size(head)
	for m := range metrics {
		size += proto.Size(&dto.MetricFamily{Metric: m})
	}
	message, err := proto.MarshalOptions{}.MarshalAppend(protowire.AppendVarint(nil, uint64(size)), head) //nolint:gosec // G115: a size is not negative
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	for m := range metrics {
		message, err = proto.MarshalOptions{}.MarshalAppend(message[:0], &dto.MetricFamily{Metric: m})
		if err != nil {
			return err
		}
		if _, err := w.Write(message); err != nil {
			return err
		}
	}
	return nil
}

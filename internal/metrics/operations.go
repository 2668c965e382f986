// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Operations counts what the operator does.
type Operations struct {
	// EvaluationSeconds is how long judging one namespace takes, without writing its reports.
	EvaluationSeconds prometheus.Observer
	// QueueSeconds is how long a change waits until its namespace is judged.
	QueueSeconds prometheus.Observer
	// WriteSeconds is how long writing one report takes.
	WriteSeconds *prometheus.HistogramVec
	// Writes counts reports by what was done and how it ended.
	Writes *prometheus.CounterVec
	// Events counts Events on audited objects by how their write ended.
	Events *prometheus.CounterVec
	// Exemplars, which only OpenMetrics has, name the namespace of a report that was written.
	Exemplars bool

	changeToReport prometheus.Observer
}

// Operations on reports, as label values.
const (
	OperationCreate = "create"
	OperationUpdate = "update"
	OperationDelete = "delete"
)

// Results of operations, as label values.
const (
	ResultSuccess = "success"
	// ResultConflict: somebody else changed the report meanwhile; it is judged again.
	ResultConflict = "conflict"
	ResultError    = "error"
	// ResultDropped: too many waited.
	ResultDropped = "dropped"
)

var (
	writeOperations = []string{OperationCreate, OperationDelete, OperationUpdate}
	writeResults    = []string{ResultConflict, ResultError, ResultSuccess}
	eventResults    = []string{ResultDropped, ResultError, ResultSuccess}
)

// operation is a histogram if it has buckets, and else a counter or a gauge.
type operation struct {
	name, help string
	// labels are sorted.
	labels  []string
	buckets []float64
}

// The operation metrics, sorted by name.
var (
	buildInfo  = operation{name: "kubersafe_build_info", help: "1, labelled with the version.", labels: []string{"version"}}
	queueTimes = operation{
		name: "kubersafe_change_queue_duration_seconds", help: "Time from the first event of a change in a namespace until the namespace is judged.",
		buckets: prometheus.ExponentialBuckets(0.001, 4, 8), // 1 ms to 16 s
	}
	changeTimes = operation{
		name: "kubersafe_change_to_report_duration_seconds", help: "Time from the first event of a change in a namespace until a report that tells of it is written.",
		buckets: prometheus.ExponentialBuckets(0.001, 4, 10), // 1 ms to 4 min
	}
	evaluationTimes = operation{
		name: "kubersafe_evaluation_duration_seconds", help: "Time to judge one namespace, without writing its reports.",
		buckets: prometheus.ExponentialBuckets(0.0001, 4, 8), // 0.1 ms to 1.6 s
	}
	eventCounts = operation{
		name: "kubersafe_events_total", help: "Events on audited objects, by result. Of those that were dropped, reports and metrics tell.",
		labels: []string{"result"},
	}
	writeTimes = operation{
		name: "kubersafe_report_write_duration_seconds", help: "Time to write one report.", labels: []string{"operation"},
		buckets: prometheus.ExponentialBuckets(0.001, 4, 8), // 1 ms to 16 s
	}
	writeCounts = operation{
		name: "kubersafe_report_writes_total", help: "Reports written, by operation and result.", labels: []string{"operation", "result"},
	}
	shards = operation{name: "kubersafe_shards", help: "Number of shards that the namespaces are divided into; 1 if they are not."}

	operations = []*operation{&buildInfo, &queueTimes, &changeTimes, &evaluationTimes, &eventCounts, &writeTimes, &writeCounts, &shards}
)

func (o *operation) histogram() *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: o.name, Help: o.help, Buckets: o.buckets}, o.labels)
}

func (o *operation) counter() *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: o.name, Help: o.help}, o.labels)
}

func (o *operation) gauge() *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: o.name, Help: o.help}, o.labels)
}

// NewOperations returns operation metrics, registered, and with them what does not change: the version of the operator and
// the number of shards.
func NewOperations(registry prometheus.Registerer, version string, shardCount int) (*Operations, error) {
	build, parts := buildInfo.gauge(), shards.gauge()
	build.WithLabelValues(version).Set(1)
	parts.WithLabelValues().Set(float64(shardCount))
	queue, changes, evaluation := queueTimes.histogram(), changeTimes.histogram(), evaluationTimes.histogram()
	o := &Operations{
		EvaluationSeconds: evaluation.WithLabelValues(),
		QueueSeconds:      queue.WithLabelValues(),
		WriteSeconds:      writeTimes.histogram(),
		Writes:            writeCounts.counter(),
		Events:            eventCounts.counter(),
		changeToReport:    changes.WithLabelValues(),
	}
	for _, operation := range writeOperations { // from 0, so that the first error is an increase
		for _, result := range writeResults {
			o.Writes.WithLabelValues(operation, result)
		}
	}
	for _, result := range eventResults {
		o.Events.WithLabelValues(result)
	}
	for _, c := range []prometheus.Collector{build, parts, queue, changes, evaluation, o.WriteSeconds, o.Writes, o.Events} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// Wrote notes how long it took from the first event of a change in a namespace until a report was written.
func (o *Operations) Wrote(namespace string, took time.Duration) {
	if exemplars, ok := o.changeToReport.(prometheus.ExemplarObserver); ok && o.Exemplars {
		exemplars.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"namespace": namespace})
		return
	}
	o.changeToReport.Observe(took.Seconds())
}

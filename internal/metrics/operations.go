// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import "github.com/prometheus/client_golang/prometheus"

// Operations counts what the operator does.
type Operations struct {
	// EvaluationSeconds is how long judging one namespace takes, without writing its reports.
	EvaluationSeconds prometheus.Histogram
	// WriteSeconds is how long writing one report takes.
	WriteSeconds *prometheus.HistogramVec
	// Writes counts reports by what was done and how it ended.
	Writes *prometheus.CounterVec
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
)

// NewOperations returns operation metrics, registered.
func NewOperations(registry prometheus.Registerer) (*Operations, error) {
	o := &Operations{
		EvaluationSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "kubersafe_evaluation_duration_seconds",
			Help:    "Time to judge one namespace, without writing its reports.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 8), // 0.1 ms to 1.6 s
		}),
		WriteSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "kubersafe_report_write_duration_seconds",
			Help:    "Time to write one report.",
			Buckets: prometheus.ExponentialBuckets(0.001, 4, 8), // 1 ms to 16 s
		}, []string{"operation"}),
		Writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kubersafe_report_writes_total",
			Help: "Reports written, by operation and result.",
		}, []string{"operation", "result"}),
	}
	for _, c := range []prometheus.Collector{o.EvaluationSeconds, o.WriteSeconds, o.Writes} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return o, nil
}

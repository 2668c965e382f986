// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/internal/audit"
)

const pageIntro = `<!-- Generated from internal/metrics by "make generate". Do not edit. -->

# Metrics

The operator serves its metrics at ` + "`/metrics`" + ` on port 8443, over HTTPS, to callers whose token lets them read that path: the
ClusterRole ` + "`kubersafe-metrics-reader`" + ` does. Scrape each Pod behind the Service ` + "`kubersafe-metrics`" + `, and keep the labels of the
series where they clash with those of the target (` + "`honorLabels: true`" + `), because ` + "`namespace`" + ` is that of the finding.
[config/components/prometheus](../config/components/prometheus) does all that for the Prometheus operator and brings alerts;
[runbooks.md](runbooks.md) says what to do about each. [dashboards.md](dashboards.md) shows what Grafana makes of the metrics. Those
that are not listed here come from the libraries that the operator is made of, such as ` + "`go_*`, `process_*`, `rest_client_*`" + ` and
` + "`workqueue_*`" + `, and may change with them.

## State

What is the case now, read from memory at each scrape: no series outlives what it is about. It comes from one replica, the leader
(of each shard), and only once that has judged everything: a restart never looks like a fix, and ` + "`sum()`" + ` over replicas is right.
While one leader takes over from another there may be no state for some seconds, or for an interval between two scrapes that of
both; the recording rules in [config/components/prometheus](../config/components/prometheus) bridge that. Only
` + "`kubersafe_source_state`" + ` comes from every replica. With [shards](sharding.md), each has its own
` + "`kubersafe_last_complete_audit_timestamp_seconds`" + ` and counts of series.

| metric | type | labels | meaning | series at most |
|---|---|---|---|---|
`

const pageOperations = `
## Operations

What the operator does, counted since its process began. It comes from every replica.

| metric | type | labels | meaning |
|---|---|---|---|
`

const pageTimes = `
A change begins, in the two histograms that tell of changes, with its first event: what comes while a namespace waits is judged with
it. What is judged because of no event of its own namespace is in neither: the start, another AuditConfiguration, a source that can
be read again, the end of a grace period. The way from the API server to the operator is not in them. What waits for its rate, or
fails and is tried again, counts from the first event to the report.

## Labels

All values but those of ` + "`namespace`, `name`, `check` and `version`" + ` come from sets that are the same in every cluster.

| label | values |
|---|---|
`

const pageBound = `
## How many series

With

| symbol | number of |
|---|---|
`

const pageDrop = `
` + "`kubersafe_exported_series`" + ` is how many there are, and ` + "`kubersafe_exported_series_bound`" + ` what this comes to. As a rule there are many
times less: most checks find nothing in most namespaces, and of one severity.

To have less, drop labels:

| flag | effect |
|---|---|
| ` + "`--workload-metrics=false`" + ` | no ` + "`kubersafe_workload_violations`" + `; the term with W goes |
| ` + "`--metrics-drop-labels=check`" + ` | no label ` + "`check`" + `; C is the number of categories |
| ` + "`--metrics-drop-labels=namespace`" + ` | no label ` + "`namespace`" + `, and no ` + "`kubersafe_workload_violations`" + `; N is 1, K the number of kinds, and the term with W goes |
| ` + "`--metrics-drop-labels=check,namespace`" + ` | both |

What a label told apart is added up then, save for %s: there the least counts.

## Formats

Text, OpenMetrics and protobuf, as the client asks. With ` + "`--metrics-exemplars`" + `, buckets of
` + "`kubersafe_change_to_report_duration_seconds`" + ` name, in OpenMetrics, the namespace of their latest change; exemplars are off by
default. Native histograms are not made. Three scrapes may run at the same time; one more is answered 503.
`

// label is one of the labels, and what it may be.
type label struct{ name, values string }

func labels() []label {
	severities := make([]string, 0, len(audit.Severities))
	for _, s := range audit.Severities {
		severities = append(severities, string(s))
	}
	return []label{
		{"category", "of the check, as in [checks.md](checks.md)"},
		{"check", "ids of checks, as in [checks.md](checks.md), and of custom checks"},
		{"direction", list(directions)},
		{"fixable", list(fixables) + ": whether a newer version of the package mends it"},
		{"framework", "standards, as in [compliance.md](compliance.md); they overlap, so do not sum over them"},
		{"kind", "`CronJob`, `DaemonSet`, `Deployment`, `Job`, `Namespace`, `Pod`, `ReplicaSet`, `ReplicationController`, `StatefulSet`; `Other` for all others"},
		{"name", "of the workload or namespace"},
		{"namespace", "that the subject is in"},
		{"operation", list(writeOperations)},
		{"reason", list(reasons)},
		{"resource", "that is read, as `pods` or `deployments.apps`"},
		{"result", "of a report's write: " + list(writeResults) + "; of an Event: " + list(eventResults)},
		{"severity", list(severities) + ": of the finding; of a vulnerability also `Unknown`"},
		{"state", "of a source: " + list(sourceStates) + "; of a control: " + list(controlStates) + "; of an image: " + list(imageStates)},
		{"version", "of the operator"},
	}
}

// Markdown returns the page docs/metrics.md.
func Markdown() string {
	var page strings.Builder
	page.WriteString(pageIntro)
	for _, f := range slices.Concat(families, counting) {
		fmt.Fprintf(&page, "| `%s` | gauge | %s | %s | %s |\n", f.name, list(f.labels), f.help, product(f.most))
	}
	page.WriteString(pageOperations)
	for _, o := range operations {
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s |\n", o.name, o.kind(), list(o.labels), o.help)
	}
	page.WriteString(pageTimes)
	for _, l := range labels() {
		fmt.Fprintf(&page, "| `%s` | %s |\n", l.name, l.values)
	}
	page.WriteString(pageBound)
	for _, d := range []*dimension{perNamespace, perKind, perSubject, perCheck, perResource, perFramework} {
		fmt.Fprintf(&page, "| %s | %s |\n", d.symbol, d.meaning)
	}
	fmt.Fprintf(&page, "\nthere are at most %s series of state.\n", formula())
	var least []string
	for _, f := range families {
		if f.least {
			least = append(least, f.name)
		}
	}
	fmt.Fprintf(&page, pageDrop, list(least))
	return page.String()
}

// kind is the type of the metric.
func (o *operation) kind() string {
	switch {
	case o.buckets != nil:
		return "histogram"
	case strings.HasSuffix(o.name, "_total"):
		return "counter"
	}
	return "gauge"
}

// formula is the sum of what all families have at most.
func formula() string {
	var terms []string
	times := make(map[string]int)
	for _, f := range families {
		n, symbols := 1, []*dimension(nil)
		for _, d := range f.most {
			if d.meaning == "" {
				n *= d.count(nil)
			} else {
				symbols = append(symbols, d)
			}
		}
		term := product(symbols)
		if times[term] += n; !slices.Contains(terms, term) {
			terms = append(terms, term)
		}
	}
	// The longest first, and what is there in any case last.
	slices.SortFunc(terms, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(b, a)) })
	for i, term := range terms {
		terms[i] = strings.TrimSuffix(fmt.Sprintf("%d × %s", times[term], term), " × 1")
		terms[i] = strings.TrimPrefix(terms[i], "1 × ")
	}
	return strings.Join(terms, " + ")
}

func product(factors []*dimension) string {
	if len(factors) == 0 {
		return "1"
	}
	symbols := make([]string, 0, len(factors))
	for _, d := range factors {
		symbols = append(symbols, d.symbol)
	}
	return strings.Join(symbols, " × ")
}

func list(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return "`" + strings.Join(texts, "`, `") + "`"
}

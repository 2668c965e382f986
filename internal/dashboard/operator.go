// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

const (
	replicas = `kubersafe_build_info{` + inCluster + `}`
	// ours selects, of metrics that every Go program has, those of the operator.
	ours = ` and on (cluster, job, instance) ` + replicas
	// perReplica adds the version to what a replica says of itself.
	perReplica = ` * on (cluster, job, instance) group_left (version) ` + replicas
	complete   = `kubersafe_last_complete_audit_timestamp_seconds{` + inCluster + `}`
	shards     = `max by (cluster) (kubersafe_shards{` + inCluster + `})`
	// The value of the label result and the end are missing.
	writesEnding = `sum(rate(kubersafe_report_writes_total{` + inCluster + `, result=`
	perSecond    = `{` + inCluster + `}[$__rate_interval])`
)

func operator() Dashboard {
	return Dashboard{
		UID: operatorUID, Title: "kubersafe / Operator", From: "now-6h",
		Description: "Whether the operator itself is well: up to date, able to read everything, quick, within its means.",
		Variables:   []Variable{clusters},
		Rows: []Row{
			{Title: "Now", Height: 4, Panels: []Panel{
				{
					Kind: Stat, Title: "Replicas", Width: 4, Unit: "short", Steps: []Step{{Color: "dark-red"}, {Color: "green", From: 1}},
					Description: "Replicas that Prometheus scrapes.",
					Queries:     []Query{{Name: "Replicas", Expr: `count(` + replicas + `)`}},
				},
				notUpToDate(),
				{
					Kind: Stat, Title: "Shards without leader", Width: 4, Unit: "short", Steps: noneIsGood("dark-red"),
					Description: "Shards of which nobody exports the state: there is no leader, or it has not judged everything yet. Without sharding there is one shard.",
					Queries: []Query{{
						Name: "Shards without leader",
						Expr: `sum(clamp_min(` + shards + ` - (count by (cluster) (` + complete + `) or 0 * ` + shards + `), 0))`,
					}},
				},
				{
					Kind: Stat, Title: "Unreadable resources", Width: 4, Unit: "short", Steps: noneIsGood("orange"),
					Description: "Resources that some replica may not read, or whose first list has not come to an end.",
					Queries: []Query{{
						Name: "Unreadable resources",
						Expr: `count(max by (cluster, resource) (kubersafe_source_state{` + inCluster + `, state=~"Forbidden|Syncing"}) == 1) or 0 * count(` + replicas + `)`,
					}},
				},
				{
					Kind: Stat, Title: "Failed writes", Width: 4, Unit: "short", Steps: noneIsGood("orange"),
					Description: "Reports that could not be written, in the time range. They are tried again.",
					Queries: []Query{{
						Name: "Failed writes", Expr: `round(sum(increase(kubersafe_report_writes_total{` + inCluster + `, result="error"}[$__range])))`,
					}},
				},
				{
					Kind: Stat, Title: "Change to report, 99 %", Width: 4, Unit: "s", Steps: []Step{{Color: "green"}, {Color: "yellow", From: 10}, {Color: "orange", From: 60}},
					Description: "In the time range, 99 of 100 reports were written within this time after the first event of the change that they tell of.",
					Queries: []Query{{
						Name: "Change to report, 99 %",
						Expr: `histogram_quantile(0.99, sum by (le) (increase(kubersafe_change_to_report_duration_seconds_bucket{` + inCluster + `}[$__range])))`,
					}},
				},
			}},
			{Title: "Replicas and what they read", Height: 9, Panels: []Panel{
				{
					Kind: Table, Title: "Each replica", Width: 12, Unit: "short", SortBy: "Pod",
					Description: "Each replica that Prometheus scrapes. A leader, one for each shard, audits; the others wait to take over.",
					Labels:      []Column{inItsCluster, {Label: "pod", Title: "Pod"}, {Label: "version", Title: "Version"}},
					Queries: []Query{
						{
							Name: "Role", Text: map[string]string{"0": "follower", "1": "leader"},
							Expr: `max by (cluster, pod, version) (` + replicas + ` and on (cluster, job, instance) ` + complete + ` or 0 * ` + replicas + `)`,
						},
						{Name: "Memory", Unit: "bytes", Expr: `sum by (cluster, pod, version) (process_resident_memory_bytes{` + inCluster + `}` + perReplica + `)`},
						{Name: "Up for", Unit: "s", Expr: `time() - max by (cluster, pod, version) (process_start_time_seconds{` + inCluster + `}` + perReplica + `)`},
					},
				},
				{
					Kind: Table, Title: "Resources", Width: 12, Unit: "short", SortBy: "State",
					Description: "What the operator reads, and how many replicas can. Checks that need what cannot be read are skipped. NotServed is no fault where the cluster has no such kind.",
					Labels:      []Column{inItsCluster, {Label: "resource", Title: "Resource"}, {Label: "state", Title: "State"}},
					Queries:     []Query{{Name: "Replicas", Expr: `sum by (cluster, resource, state) (kubersafe_source_state{` + inCluster + `} == 1)`}},
				},
			}},
			{Title: "How quick", Height: 8, Panels: []Panel{
				quantiles("Change to report", "kubersafe_change_to_report_duration_seconds",
					"Time from the first event of a change in a namespace until a report that tells of it is written."),
				quantiles("Change to judgement", "kubersafe_change_queue_duration_seconds",
					"Time from the first event of a change in a namespace until the namespace is judged."),
				quantiles("Judging a namespace", "kubersafe_evaluation_duration_seconds",
					"Time to judge one namespace, without writing its reports."),
			}},
			{Height: 8, Panels: []Panel{
				{
					Kind: Series, Title: "Namespaces judged", Width: 8, Unit: "ops",
					Description: "Namespaces judged a second.",
					Queries:     []Query{{Name: "Judged", Expr: `sum(rate(kubersafe_evaluation_duration_seconds_count` + perSecond + `)`}},
				},
				{
					Kind: Series, Title: "Reports written", Width: 8, Unit: "ops",
					Description: "Reports written a second, by operation. Nothing is written where no verdict changes. Conflicts and errors are tried again.",
					Queries: []Query{
						{Name: "{{operation}}", Expr: `sum by (operation) (rate(kubersafe_report_writes_total{` + inCluster + `, result="success"}[$__rate_interval]))`},
						{Name: "conflicts", Expr: writesEnding + `"conflict"}[$__rate_interval]))`, Color: "purple"},
						{Name: "errors", Expr: writesEnding + `"error"}[$__rate_interval]))`, Color: "dark-red"},
					},
				},
				quantiles("Writing a report", "kubersafe_report_write_duration_seconds", "Time to write one report."),
			}},
			{Title: "Queues, API server, means", Height: 8, Panels: []Panel{
				{
					Kind: Series, Title: "Queues", Width: 8, Unit: "short",
					Description: "Keys that wait to be worked on, by controller.",
					Queries:     []Query{{Name: "{{name}}", Expr: `sum by (name) (workqueue_depth{` + inCluster + `}` + ours + `)`}},
				},
				{
					Kind: Series, Title: "Failed reconciliations", Width: 8, Unit: "ops",
					Description: "Reconciliations a second that ended with an error, by controller. They are tried again.",
					Queries:     []Query{{Name: "{{controller}}", Expr: `sum by (controller) (rate(controller_runtime_reconcile_errors_total` + perSecond + ours + `)`}},
				},
				{
					Kind: Series, Title: "Requests to the API server", Width: 8, Unit: "reqps",
					Description: "Requests a second to the API server, by method and answer. Watches count once, when they begin.",
					Queries:     []Query{{Name: "{{method}} {{code}}", Expr: `sum by (method, code) (rate(rest_client_requests_total` + perSecond + ours + `)`}},
				},
			}},
			{Height: 8, Panels: []Panel{
				{
					Kind: Series, Title: "Memory", Width: 6, Unit: "bytes",
					Description: "Resident memory of each replica.",
					Queries:     []Query{{Name: "{{pod}}", Expr: `process_resident_memory_bytes{` + inCluster + `}` + ours}},
				},
				{
					Kind: Series, Title: "CPU", Width: 6, Unit: "none",
					Description: "Cores that each replica uses.",
					Queries:     []Query{{Name: "{{pod}}", Expr: `rate(process_cpu_seconds_total` + perSecond + ours}},
				},
				{
					Kind: Series, Title: "Series of state", Width: 6, Unit: "short",
					Description: "Series of state that are exported. docs/metrics.md says how many there may be, and how to have less.",
					Queries:     []Query{{Name: "{{pod}}", Expr: `kubersafe_exported_series{` + inCluster + `}`}},
				},
				{
					Kind: Series, Title: "Scrapes", Width: 6, Unit: "s",
					Description: "How long Prometheus takes to scrape each replica.",
					Queries:     []Query{{Name: "{{pod}}", Expr: `scrape_duration_seconds{` + inCluster + `}` + ours}},
				},
			}},
		},
	}
}

// quantiles are the times within which half, nine of ten and 99 of 100 are done.
func quantiles(title, histogram, description string) Panel {
	p := Panel{Kind: Series, Title: title, Width: 8, Unit: "s", Description: description}
	for _, q := range []struct{ name, quantile, color string }{{"50 %", "0.5", "green"}, {"90 %", "0.9", "yellow"}, {"99 %", "0.99", "orange"}} {
		p.Queries = append(p.Queries, Query{
			Name: q.name, Color: q.color,
			Expr: `histogram_quantile(` + q.quantile + `, sum by (le) (rate(` + histogram + `_bucket` + perSecond + `))`,
		})
	}
	return p
}

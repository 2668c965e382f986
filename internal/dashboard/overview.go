// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import "slices"

// worst are the namespaces that the overview lists.
const worst = `bottomk(25, ` + scores + `)`

func overview() Dashboard {
	return Dashboard{
		UID: overviewUID, Title: "kubersafe / Overview", From: "now-24h",
		Description: "How secure the cluster is, where it is worst, and what has changed.",
		Variables:   choices(true),
		Rows: []Row{
			{Title: "Now", Height: 4, Panels: slices.Concat(
				[]Panel{{
					Kind: Stat, Title: "Mean score", Width: 4, Unit: "none", Steps: scoreSteps,
					Description: "Mean of the namespaces' scores: 100 without violations, down to 0. The score in the cluster's report is another one: there a check that fails anywhere counts.",
					Queries:     []Query{{Name: "Mean score", Expr: `round(avg(` + scores + `))`}},
				}},
				severityStats(3),
				[]Panel{
					{
						Kind: Stat, Title: "Outside namespaces", Width: 4, Unit: "short", Steps: noneIsGood("orange"),
						Description: "Current violations of what belongs to no namespace, such as nodes and cluster roles.",
						Queries: []Query{{
							Name: "Outside namespaces",
							Expr: `sum(max by (cluster, check, category, severity) (kubersafe_cluster_violations{` + inCluster + `})) or 0 * count(kubersafe_last_complete_audit_timestamp_seconds{` + inCluster + `})`,
						}},
					},
					notUpToDate(),
				},
			)},
			{Height: 8, Panels: []Panel{
				violationsOverTime(),
				{
					Kind: Series, Title: "Score over time", Width: 12, Unit: "none",
					Description: "Mean and lowest of the namespaces' scores.",
					Queries: []Query{
						{Name: "Mean", Expr: `avg(` + scores + `)`, Color: "green"},
						{Name: "Lowest", Expr: `min(` + scores + `)`, Color: "dark-red"},
					},
				},
			}},
			{Title: "Where", Height: 10, Panels: []Panel{
				{
					Kind: Table, Title: "Worst namespaces", Width: 14, Unit: "short", SortBy: "Score",
					Description: "The 25 namespaces with the lowest scores, with their workloads. The name leads to the namespace's dashboard.",
					Labels:      []Column{inItsCluster, anyNamespace},
					Queries: slices.Concat(
						[]Query{{Name: "Score", Expr: worst, Unit: "none", Steps: scoreSteps}},
						bySeverity(`(max by (cluster, namespace) (`+counted+`) or 0 * `+scores+`) and on (cluster, namespace) `+worst),
					),
				},
				{
					Kind: Bars, Title: "Violations by category", Width: 10, Unit: "short",
					Description: "Current violations in the namespaces, by the category of the check.",
					Labels:      []Column{{Label: "category", Title: "Category"}},
					Queries:     bySeverity(`sum by (category) (` + ofChecked + `) or 0 * sum by (category) (` + checked + `)`),
				},
			}},
			{Height: 10, Panels: []Panel{
				{
					Kind: Table, Title: "Checks that find most", Width: 14, Unit: "short", SortBy: "-Violations",
					Description: "The 25 checks with the most violations, and in how many namespaces. The name leads to what the check means and how to fix it.",
					Labels: []Column{
						{Label: "check", Title: "Check", Link: toCheck}, {Label: "category", Title: "Category"}, {Label: "severity", Title: "Severity"},
					},
					Queries: []Query{
						{Name: "Violations", Expr: mostFound},
						{Name: "Namespaces", Expr: `count by (check, category, severity) (max by (cluster, namespace, check, category, severity) (` + checked + `)) and on (check, severity) ` + mostFound},
					},
				},
				{
					Kind: Bars, Title: "Compliance", Width: 10, Unit: "short",
					Description: "Controls of published standards by what has become of them in the whole cluster, whatever namespaces are chosen. Not assessed are those that nothing here can look at.",
					Labels:      []Column{{Label: "framework", Title: "Standard"}},
					Queries: []Query{
						controls("Passed", "Passed", "green"), controls("Failed", "Failed", "dark-red"),
						controls("Exempted", "Exempted", "purple"), controls("Not assessed", "NotAssessed", "#6e7079"),
					},
				},
			}},
			{Title: "What has changed, and what is left out", Height: 8, Panels: []Panel{
				{
					Kind: Table, Title: "What got worse", Width: 8, Unit: "short", SortBy: "-More",
					Description: "Where there are more violations than at the start of the time range. Namespaces that are younger than that are left out.",
					Labels:      []Column{inItsCluster, anyNamespace, {Label: "violation_severity", Title: "Severity"}},
					Queries: []Query{{
						Name: "More",
						Expr: `topk(25, sum by (cluster, namespace, violation_severity) (` + recorded + ` - (` + recorded + ` offset $__range or 0 * ` + recorded +
							` and on (cluster, namespace) namespace:kubersafe_score:min{` + inNamespaces + `} offset $__range)) > 0)`,
					}},
				},
				firing(),
				{
					Kind: Table, Title: "Exceptions", Width: 8, Unit: "short", SortBy: "First ends",
					Description: "Namespaces in which exceptions exempt violations: how many, and when the first exception ends.",
					Labels:      []Column{inItsCluster, anyNamespace},
					Queries: []Query{
						{Name: "Exempted", Expr: `sum by (cluster, namespace) (` + exempted + `)`},
						{
							Name: "First ends", Unit: "dateTimeFromNow",
							Expr: `1000 * min by (cluster, namespace) (namespace:kubersafe_next_exception_expiry_timestamp_seconds:min{` + inNamespaces + `})`,
						},
					},
				},
			}},
			{Height: 8, Panels: []Panel{
				notJudged(),
				excused(),
				{
					Kind: Series, Title: "Coverage", Width: 8, Unit: "percentunit",
					Description: "Share of what could be judged: pairs of a subject and a check, without those that were skipped.",
					Queries:     []Query{{Name: "Judged", Expr: coverage, Color: "green"}},
				},
			}},
			{Height: 4, Panels: []Panel{
				{
					Kind: Stat, Title: "Namespaces", Width: 6, Unit: "short", Steps: neutral,
					Description: "Namespaces that are audited.",
					Queries:     []Query{{Name: "Namespaces", Expr: `count(` + scores + `)`}},
				},
				{
					Kind: Stat, Title: "Excluded namespaces", Width: 6, Unit: "short", Steps: neutral,
					Description: "Namespaces that the AuditConfiguration leaves out. Nothing here is about them.",
					Queries:     []Query{{Name: "Excluded namespaces", Expr: `sum(max by (cluster) (kubersafe_excluded_namespaces{` + inCluster + `}))`}},
				},
				{
					Kind: Stat, Title: "Workloads", Width: 6, Unit: "short", Steps: neutral,
					Description: "Workloads that are audited.",
					Queries:     []Query{{Name: "Workloads", Expr: `sum(` + workloads + `)`}},
				},
				{
					Kind: Stat, Title: "Exempted violations", Width: 6, Unit: "short", Steps: neutral,
					Description: "Violations that exceptions exempt. They are in no other number.",
					Queries:     []Query{{Name: "Exempted violations", Expr: `sum(` + exempted + `) or ` + judged}},
				},
			}},
		},
	}
}

const (
	recorded  = `namespace_severity:kubersafe_violations:sum{` + inNamespaces + `}`
	mostFound = `topk(25, sum by (check, category, severity) (` + checked + `))`
	audited   = `sum(max by (cluster, namespace) (kubersafe_audited_checks{` + inNamespaces + `}))`
	coverage  = audited + ` / (` + audited + ` + (sum(` + skipped + `) or 0 * ` + audited + `))`
)

func controls(name, state, color string) Query {
	return Query{
		Name: name, Color: color,
		Expr: `sum by (framework) (max by (cluster, framework) (kubersafe_compliance_controls{` + inCluster + `, state="` + state + `"}))`,
	}
}

// notUpToDate is on the pages for everybody as well as on the operator's.
func notUpToDate() Panel {
	return Panel{
		Kind: Stat, Title: "Not up to date for", Width: 4, Unit: "s", Steps: staleSteps,
		Description: "Time since the last moment at which every report said what the cluster was like. Some seconds are as it should be; from 15 minutes on there is an alert.",
		Queries:     []Query{{Name: "Not up to date for", Expr: `time() - min(kubersafe_last_complete_audit_timestamp_seconds{` + inCluster + `})`}},
	}
}

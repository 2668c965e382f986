// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

// Package dashboard holds what the Grafana dashboards show. JSON renders one for Grafana, and Markdown describes all; a test
// runs every query on a real Prometheus.
package dashboard

import "strings"

// Dashboard is a page of panels.
type Dashboard struct {
	// UID is its name in links, and that of its file.
	UID string
	// Title is what people see.
	Title string
	// Description is one sentence.
	Description string
	// From is the start of the time range that it shows at first, such as now-24h.
	From string
	// Variables are what can be chosen, besides the data source.
	Variables []Variable
	Rows      []Row
}

// Variable is a choice of values of a label.
type Variable struct {
	// Name is what queries call it, without $.
	Name string
	// Title is what people see.
	Title string
	// Series and Label: its values are those of the label in these series.
	Series, Label string
	// All lets all values be chosen at once, which is what is chosen at first; a series without the label counts too.
	All bool
	// MayBeEmpty says why there may be no values though everything is as it should be; "" where there must be some.
	MayBeEmpty string
}

// Row is panels side by side, Columns wide together.
type Row struct {
	// Title heads the rows up to the next one with a title.
	Title string
	// Height in units of Grafana's grid, 30 pixels each.
	Height int
	Panels []Panel
}

// Columns of Grafana's grid.
const Columns = 24

// Kind is how a panel shows its data; the value is Grafana's name of it.
type Kind string

// The kinds that there are.
const (
	// Stat is one number now.
	Stat Kind = "stat"
	// Series is lines over time.
	Series Kind = "timeseries"
	// Table has a column for each of Labels and each query, and a row for each set of values of the labels, now.
	Table Kind = "table"
	// Bars has a bar for each value of the only label, with a part for each query, now.
	Bars Kind = "barchart"
)

// Panel shows the results of queries.
type Panel struct {
	Kind  Kind
	Title string
	// Description says what it means: a sentence or some.
	Description string
	// Width in columns.
	Width int
	// Unit of the values, as Grafana calls it; short is for counts.
	Unit    string
	Queries []Query
	// Labels tell the rows of a Table or the bars of Bars apart. The label cluster need not be there.
	Labels []Column
	// SortBy is the column that a Table is sorted by, after a minus for the greatest value first.
	SortBy string
	// Steps colour a Stat.
	Steps []Step
	// Nothing is what a Stat says where there is no result, if that is as it should be.
	Nothing string
	// Stacked adds lines up.
	Stacked bool
}

// Query is asked of Prometheus: over time by Series, and else about the end of the time range.
type Query struct {
	// Name is that of the line, with {{label}} for the value of a label; of the column; or of the part of a bar.
	Name string
	Expr string
	// Color, as Grafana calls it; "" leaves it to Grafana.
	Color string
	// Unit, of a column of a Table, if it is not the panel's.
	Unit string
	// Steps colour the column of a Table.
	Steps []Step
	// Text is what is shown instead of values.
	Text map[string]string
	// MayBeEmpty says why there may be no result though everything is as it should be; "" where there must be one.
	MayBeEmpty string
}

// Column shows the value of a label.
type Column struct {
	Label, Title string
	// Link, if not "", is opened by a click. ${__value.text} stands for the value.
	Link string
}

// Step is a colour that holds from a value on. From does not count in the first one, which has all that is less.
type Step struct {
	Color string
	From  float64
}

// All returns the dashboards. The first is the one to start with.
func All() []Dashboard { return []Dashboard{overview(), namespace(), operator()} }

// Colours of severities, the same everywhere.
var severities = []struct{ name, color string }{
	{"Critical", "dark-red"}, {"High", "orange"}, {"Medium", "yellow"}, {"Low", "blue"},
}

// Of numbers of which none, or little, is good.
func noneIsGood(color string) []Step { return []Step{{Color: "green"}, {Color: color, From: 1}} }

var (
	scoreSteps = []Step{{Color: "dark-red"}, {Color: "orange", From: 50}, {Color: "yellow", From: 75}, {Color: "green", From: 90}}
	// KubersafeAuditStale fires after 15 minutes.
	staleSteps = []Step{{Color: "green"}, {Color: "yellow", From: 300}, {Color: "dark-red", From: 900}}
	neutral    = []Step{{Color: "blue"}}
)

// Selectors of what is chosen.
const (
	inCluster    = `cluster=~"$cluster"`
	inNamespaces = inCluster + `, namespace=~"$namespace"`
)

// What several dashboards ask. Recorded series, because they last through a change of the leader and are few; whatever tells
// checks apart is not recorded.
const (
	scores = `max by (cluster, namespace) (namespace:kubersafe_score:min{` + inNamespaces + `})`
	// judged is 0 if anything has been judged, and else nothing: no answer is not none.
	judged = `0 * count(namespace:kubersafe_score:min{` + inNamespaces + `})`
	// bySeverity replaces SEVERITY.
	counted   = `namespace_severity:kubersafe_violations:sum{` + inNamespaces + `, violation_severity="SEVERITY"}`
	checked   = `max by (cluster, namespace, kind, check, category, severity) (kubersafe_violations{` + inNamespaces + `})`
	ofChecked = `max by (cluster, namespace, kind, check, category, severity) (kubersafe_violations{` + inNamespaces + `, severity="SEVERITY"})`
	exempted  = `max by (cluster, namespace, kind, check, category, severity) (kubersafe_exempted_violations{` + inNamespaces + `})`
	skipped   = `max by (cluster, namespace, check, reason) (kubersafe_skipped_checks{` + inNamespaces + `})`
	workloads = `max by (cluster, namespace, kind) (kubersafe_subjects{` + inNamespaces + `, kind!="Namespace"})`
)

// Links.
const (
	overviewUID  = "kubersafe-overview"
	namespaceUID = "kubersafe-namespace"
	operatorUID  = "kubersafe-operator"
	// chosen is what all dashboards can choose.
	chosen      = "${datasource:queryparam}&${cluster:queryparam}"
	toNamespace = "/d/" + namespaceUID + "?" + chosen + "&var-namespace=${__value.text}&${__url_time_range}"
	toCheck     = docs + "checks.md#${__value.text}"
	toRunbooks  = docs + "runbooks.md"
	docs        = "https://github.com/kubersafe/kubersafe/blob/main/docs/"
)

// Columns of what is in a namespace.
var (
	inItsCluster = Column{Label: "cluster", Title: "Cluster"}
	anyNamespace = Column{Label: "namespace", Title: "Namespace", Link: toNamespace}
)

// choices are the variables; those of a dashboard that is about everything know "all".
func choices(all bool) []Variable {
	return []Variable{clusters, {Name: "namespace", Title: "Namespace", Series: `kubersafe_score{` + inCluster + `}`, Label: "namespace", All: all}}
}

var clusters = Variable{
	Name: "cluster", Title: "Cluster", Series: "kubersafe_build_info", Label: "cluster", All: true,
	MayBeEmpty: "one Prometheus for one cluster has no such label: what sends to a common store, such as Thanos or Mimir, adds it",
}

// bySeverity makes a query for each severity of an expression with SEVERITY in it.
func bySeverity(expr string) []Query {
	queries := make([]Query, 0, len(severities))
	for _, s := range severities {
		queries = append(queries, Query{
			Name: s.name, Expr: strings.ReplaceAll(expr, "SEVERITY", s.name), Color: s.color,
			Steps: []Step{{Color: "text"}, {Color: s.color, From: 1}},
		})
	}
	return queries
}

// severityStats are a number for each severity.
func severityStats(width int) []Panel {
	panels := make([]Panel, 0, len(severities))
	for i, q := range bySeverity(`sum(` + counted + `) or ` + judged) {
		q.Color, q.Steps = "", nil
		panels = append(panels, Panel{
			Kind: Stat, Title: q.Name, Width: width, Unit: "short", Queries: []Query{q}, Steps: noneIsGood(severities[i].color),
			Description: "Current violations of severity " + q.Name + " in the namespaces. Exempted ones do not count.",
		})
	}
	return panels
}

// violationsOverTime is the trend of both pages about violations.
func violationsOverTime() Panel {
	return Panel{
		Kind: Series, Title: "Violations over time", Width: 12, Unit: "short", Stacked: true,
		Description: "Current violations in the namespaces, at each moment, by severity.",
		Queries:     bySeverity(`sum(` + counted + `) or ` + judged),
	}
}

// excused is what exceptions exempt, by check.
func excused() Panel {
	return Panel{
		Kind: Table, Title: "Exempted", Width: 8, Unit: "short", SortBy: "-Violations",
		Description: "Violations that exceptions exempt, by check. They are in no other number.",
		Labels:      []Column{{Label: "check", Title: "Check", Link: toCheck}, {Label: "severity", Title: "Severity"}},
		Queries:     []Query{{Name: "Violations", Expr: `topk(50, sum by (check, severity) (` + exempted + `))`}},
	}
}

// notJudged is what could not be looked at.
func notJudged() Panel {
	return Panel{
		Kind: Table, Title: "Not judged", Width: 8, Unit: "short", SortBy: "-Subjects",
		Description: "Subjects of which a check could not be judged, and why. Not judged is not passed.",
		Labels:      []Column{{Label: "check", Title: "Check", Link: toCheck}, {Label: "reason", Title: "Reason"}},
		Queries: []Query{{
			Name: "Subjects", Expr: `topk(50, sum by (check, reason) (` + skipped + `))`,
			MayBeEmpty: "where everything can be judged nothing is skipped",
		}},
	}
}

// firing are the alerts. Those about the operator have no namespace.
func firing() Panel {
	return Panel{
		Kind: Table, Title: "Alerts", Width: 8, Unit: "short", SortBy: "Severity",
		Description: "Alerts that fire. The name leads to the runbooks.",
		Labels: []Column{
			{Label: "alertname", Title: "Alert", Link: toRunbooks}, {Label: "severity", Title: "Severity"}, inItsCluster, anyNamespace,
		},
		Queries: []Query{{
			Name:       "Firing",
			Expr:       `sum by (alertname, severity, cluster, namespace) (ALERTS{` + inCluster + `, namespace=~"$namespace|", alertname=~"Kubersafe.+", alertstate="firing"})`,
			MayBeEmpty: "nothing fires where all is well",
		}},
	}
}

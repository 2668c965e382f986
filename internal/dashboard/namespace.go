// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import "slices"

// heads are the workloads that the namespace's page lists.
const heads = `topk(50, sum by (cluster, namespace, kind, name) (` + named + `))`

const (
	named    = `max by (cluster, namespace, kind, name, severity) (kubersafe_workload_violations{` + inNamespaces + `})`
	isolable = `kubersafe_network_unisolated_workloads{` + inNamespaces + `, direction=`
)

func namespace() Dashboard {
	return Dashboard{
		UID: namespaceUID, Title: "kubersafe / Namespace", From: "now-24h",
		Description: "One team's view: what is wrong in its namespaces, with which workloads, and how to mend it.",
		Variables:   choices(false),
		Rows: []Row{
			{Title: "Now", Height: 4, Panels: slices.Concat(
				[]Panel{{
					Kind: Stat, Title: "Score", Width: 3, Unit: "none", Steps: scoreSteps,
					Description: "Score of the namespace with its workloads: 100 without violations, down to 0. Of several namespaces the lowest.",
					Queries:     []Query{{Name: "Score", Expr: `min(` + scores + `)`}},
				}},
				severityStats(3),
				[]Panel{
					{
						Kind: Stat, Title: "Oldest Critical or High", Width: 5, Unit: "s", Nothing: "none",
						Steps:       []Step{{Color: "green"}, {Color: "yellow", From: 86400}, {Color: "dark-red", From: 7 * 86400}},
						Description: "For how long the oldest violation of severity Critical or High has stood. From 7 days on there is an alert for Critical ones.",
						Queries: []Query{{
							Name: "Oldest Critical or High",
							Expr: `time() - min(namespace_severity:kubersafe_oldest_violation_timestamp_seconds:min{` + inNamespaces + `, violation_severity=~"Critical|High"})`,
						}},
					},
					{
						Kind: Stat, Title: "First exception ends", Width: 4, Unit: "dateTimeFromNow", Steps: neutral, Nothing: "none",
						Description: "When the first of the exceptions ends that exempt violations. Then the violations are back.",
						Queries: []Query{{
							Name: "First exception ends",
							Expr: `1000 * min(namespace:kubersafe_next_exception_expiry_timestamp_seconds:min{` + inNamespaces + `})`,
						}},
					},
				},
			)},
			{Height: 8, Panels: []Panel{
				violationsOverTime(),
				{
					Kind: Series, Title: "Score over time", Width: 12, Unit: "none",
					Description: "Score of each namespace.",
					Queries:     []Query{{Name: "{{namespace}}", Expr: scores}},
				},
			}},
			{Title: "What to mend", Height: 11, Panels: []Panel{
				{
					Kind: Table, Title: "Workloads", Width: 12, Unit: "short", SortBy: "-Critical",
					Description: "The 50 workloads, and namespaces as such, with the most violations. Nothing where the operator runs with --workload-metrics=false.",
					Labels: []Column{
						inItsCluster, {Label: "namespace", Title: "Namespace"}, {Label: "kind", Title: "Kind"}, {Label: "name", Title: "Name"},
					},
					Queries: bySeverity(`(max by (cluster, namespace, kind, name) (kubersafe_workload_violations{` + inNamespaces + `, severity="SEVERITY"}) or 0 * sum by (cluster, namespace, kind, name) (` + named + `)) and on (cluster, namespace, kind, name) ` + heads),
				},
				{
					Kind: Table, Title: "Findings", Width: 12, Unit: "short", SortBy: "-Violations",
					Description: "The 50 checks that find most. The name leads to what the check means and how to fix it; kubectl get securityreport says where.",
					Labels: []Column{
						{Label: "check", Title: "Check", Link: toCheck}, {Label: "category", Title: "Category"}, {Label: "severity", Title: "Severity"},
					},
					Queries: []Query{{Name: "Violations", Expr: `topk(50, sum by (check, category, severity) (` + checked + `))`}},
				},
			}},
			{Title: "Quota, isolation, images", Height: 8, Panels: []Panel{
				ofCategory("Quota and limits", "resources", "What quotas, limit ranges, requests and limits lack."),
				{
					Kind: Table, Title: "Not isolated", Width: 8, Unit: "short", SortBy: "Namespace",
					Description: "All workloads, and those with Pods that no network policy keeps from being connected to by everybody (ingress), from connecting to everybody (egress), or from the metadata endpoint of clouds, which gives out credentials.",
					Labels:      []Column{inItsCluster, {Label: "namespace", Title: "Namespace"}},
					Queries: []Query{
						{Name: "Workloads", Expr: `sum by (cluster, namespace) (` + workloads + `)`},
						{Name: "Ingress", Expr: `max by (cluster, namespace) (` + isolable + `"ingress"})`, Steps: noneIsGood("orange")},
						{Name: "Egress", Expr: `max by (cluster, namespace) (` + isolable + `"egress"})`, Steps: noneIsGood("orange")},
						{
							Name: "Metadata", Steps: noneIsGood("orange"),
							Expr: `max by (cluster, namespace) (kubersafe_network_metadata_reachable_workloads{` + inNamespaces + `})`,
						},
					},
				},
				ofCategory("Images", "images", "What is wrong with images: where they come from, and how they are named."),
			}},
			{Height: 8, Panels: []Panel{
				{
					Kind: Table, Title: "Quota used", Width: 8, Unit: "percentunit", SortBy: "-Used",
					Description: "How much of each ResourceQuota is used. It needs kube-state-metrics, which tells of ResourceQuotas.",
					Labels: []Column{
						inItsCluster, {Label: "namespace", Title: "Namespace"}, {Label: "resourcequota", Title: "Quota"}, {Label: "resource", Title: "Resource"},
					},
					Queries: []Query{{
						Name: "Used", Steps: []Step{{Color: "green"}, {Color: "yellow", From: 0.7}, {Color: "dark-red", From: 0.9}},
						Expr: `max by (cluster, namespace, resourcequota, resource) (kube_resourcequota{` + inNamespaces + `, type="used"}) / (max by (cluster, namespace, resourcequota, resource) (kube_resourcequota{` +
							inNamespaces + `, type="hard"}) > 0)`,
						MayBeEmpty: "it is kube-state-metrics that exports kube_resourcequota, which need not be there",
					}},
				},
				notJudged(),
				excused(),
			}},
			{Height: 8, Panels: []Panel{
				{
					Kind: Bars, Title: "Violations by kind", Width: 8, Unit: "short",
					Description: "Current violations by the kind of the workload; Namespace is what belongs to it as a whole.",
					Labels:      []Column{{Label: "kind", Title: "Kind"}},
					Queries:     bySeverity(`sum by (kind) (` + ofChecked + `) or 0 * sum by (kind) (` + checked + `)`),
				},
				{
					Kind: Table, Title: "Vulnerabilities in images", Width: 8, Unit: "short", SortBy: "-Fixable",
					Description: "Known vulnerabilities in the images of the workloads, each image counted once in each namespace. It needs image scanning.",
					Labels:      []Column{{Label: "severity", Title: "Severity"}},
					Queries:     []Query{vulnerabilities("Fixable", "true"), vulnerabilities("Not fixed yet", "false")},
				},
				firing(),
			}},
		},
	}
}

func vulnerabilities(name, fixable string) Query {
	return Query{
		Name: name, MayBeEmpty: "without image scanning nothing is known of images",
		Expr: `sum by (severity) (max by (cluster, namespace, severity) (kubersafe_image_vulnerabilities{` + inNamespaces + `, fixable="` + fixable + `"}))`,
	}
}

// ofCategory are the findings of one category.
func ofCategory(title, category, description string) Panel {
	return Panel{
		Kind: Table, Title: title, Width: 8, Unit: "short", SortBy: "-Violations",
		Description: description + " The name leads to how to fix it.",
		Labels:      []Column{{Label: "check", Title: "Check", Link: toCheck}, {Label: "severity", Title: "Severity"}},
		Queries: []Query{{
			Name: "Violations",
			Expr: `sum by (check, severity) (max by (cluster, namespace, kind, check, severity) (kubersafe_violations{` + inNamespaces + `, category="` + category + `"}))`,
		}},
	}
}

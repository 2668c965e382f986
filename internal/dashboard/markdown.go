// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package dashboard

import (
	"fmt"
	"slices"
	"strings"
)

const pageIntro = `<!-- Generated from internal/dashboard by "make generate". Do not edit. -->

# Dashboards

Three dashboards for Grafana 10.4 and later: [Overview](#overview) for whoever is responsible for the cluster,
[Namespace](#namespace) for a team, [Operator](#operator) for whoever runs kubersafe. They link to each other, and checks link to
what they mean and how to fix it.

## Installing

[config/components/grafana](../config/components/grafana) makes a ConfigMap of each, labelled ` + "`grafana_dashboard: \"1\"`" + `, in the namespace
of the operator. The Grafana of the Helm chart kube-prometheus-stack has a sidecar that loads such ConfigMaps from all namespaces;
with the chart grafana, set ` + "`sidecar.dashboards.enabled=true` and `sidecar.dashboards.searchNamespace=ALL`" + `. A kustomization of your own:

` + "```yaml" + `
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- github.com/kubersafe/kubersafe/config/default?ref=v0.1.0
components:
- github.com/kubersafe/kubersafe/config/components/cert-manager?ref=v0.1.0
- github.com/kubersafe/kubersafe/config/components/prometheus?ref=v0.1.0
- github.com/kubersafe/kubersafe/config/components/grafana?ref=v0.1.0
` + "```" + `

Without a sidecar, import the JSON files of that folder: Dashboards, New, Import. With the Grafana operator, let a GrafanaDashboard
refer to the ConfigMap.

What they show comes from the [metrics](metrics.md) and from the recording rules of
[config/components/prometheus](../config/components/prometheus), which keep trends whole while one leader takes over from another,
and cheap with thousands of namespaces. Without these rules, scores and trends are empty.

## Choosing

| variable | chooses |
|---|---|
| Data source | the Prometheus, or what speaks like one |
| Cluster | by the label ` + "`cluster`" + `, which is added on the way to a store of many clusters. Without it, leave All |
| Namespace | one or several; in Overview, all at first |

With ` + "`--metrics-drop-labels`" + `, panels that tell namespaces or checks apart show their sum instead, and choosing a namespace finds nothing.

The pictures show what Prometheus answered to the panels' queries in the test of the dashboards: a minute of the samples in
[config/samples](../config/samples), in which a bad Deployment comes and goes and, at last, a StatefulSet becomes privileged.
` + "`make dashboards-pictures`" + ` draws them anew. They are no screenshots of Grafana.
`

// Markdown returns docs/dashboards.md.
func Markdown() string {
	var page strings.Builder
	page.WriteString(pageIntro)
	for _, d := range All() {
		fmt.Fprintf(&page, "\n## %s\n\n%s\n\n![%s](dashboards/%s.png)\n\n| panel | shows |\n|---|---|\n",
			strings.TrimPrefix(d.Title, "kubersafe / "), d.Description, d.Title, d.UID)
		for _, placed := range d.Panels() {
			if p := placed.Panel; p != nil {
				fmt.Fprintf(&page, "| %s | %s%s |\n", p.Title, p.Description, p.mayBeEmpty())
			}
		}
	}
	return page.String()
}

// mayBeEmpty says why there may be no data, if so.
func (p *Panel) mayBeEmpty() string {
	var reasons []string
	for _, q := range p.Queries {
		if q.MayBeEmpty != "" && !slices.Contains(reasons, q.MayBeEmpty) {
			reasons = append(reasons, q.MayBeEmpty)
		}
	}
	if reasons == nil {
		return ""
	}
	return " May be empty: " + strings.Join(reasons, "; ") + "."
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at the annotations of Ingresses, Gateways and HTTPRoutes, and at the filters of HTTPRoutes. Allowed: none that puts
// text of one's own into the proxy's configuration.
var _ = register(audit.Check{
	ID:          "ingress-snippet",
	Title:       "Nobody writes into the configuration of the ingress controller's proxy",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryNetwork,
	Rationale:   "Whoever may write the snippet makes the proxy read files and run code, and so gets the controller's token and every Secret that it may read (CVE-2021-25742).",
	Remediation: "Remove the snippet, use the annotation or filter for what it does, and leave snippets switched off in the controller.",
	Before:      "annotations:\n  nginx.ingress.kubernetes.io/configuration-snippet: |\n    more_set_headers \"X-Frame-Options: DENY\";",
	After:       "annotations: {}",
	References: []string{
		"https://github.com/kubernetes/ingress-nginx/issues/7837",
		"https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/annotations-risk/",
	},
	Needs:     []audit.Resource{audit.Ingresses, audit.Gateways, audit.HTTPRoutes},
	Namespace: ingressSnippet,
})

func ingressSnippet(ns *audit.Namespace, r *audit.Reporter) {
	find := func(kind, name string, annotations []string) {
		for _, key := range annotations {
			r.Find(audit.Finding{
				Message: fmt.Sprintf("annotation %q must not be set", key),
				Object:  &v1alpha1.ObjectReference{Kind: kind, Name: name},
				Path:    "metadata.annotations[" + key + "]",
			})
		}
	}
	for _, i := range ns.Ingresses {
		find("Ingress", i.Name, i.Snippets)
	}
	for _, g := range ns.Gateways {
		find("Gateway", g.Name, g.Snippets)
	}
	for _, h := range ns.HTTPRoutes {
		find("HTTPRoute", h.Name, h.Snippets)
		for _, path := range h.SnippetFilters {
			r.Find(audit.Finding{
				Message: fmt.Sprintf("httproute %q must not have filters with snippets", h.Name),
				Object:  &v1alpha1.ObjectReference{Kind: "HTTPRoute", Name: h.Name},
				Path:    path,
			})
		}
	}
}

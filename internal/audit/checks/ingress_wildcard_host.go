// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.rules[*].host and spec.defaultBackend of Ingresses, spec.listeners[*].hostname of Gateways, and
// spec.hostnames of HTTPRoutes. Allowed: names without a wildcard. A route without hostnames has those of its listeners;
// where the Gateway is in its own namespace, they are judged there.
var _ = register(audit.Check{
	ID:          "ingress-wildcard-host",
	Title:       "What comes in is for hosts that are named",
	Severity:    v1alpha1.SeverityLow,
	Category:    audit.CategoryNetwork,
	Rationale:   "The application answers under any name that somebody points at it, and gets the requests for names that were meant for others.",
	Remediation: "Set host, of a Gateway the listener's hostname, and of an HTTPRoute hostnames, to the full names.",
	Before:      "rules:\n- host: \"*.example.com\"",
	After:       "rules:\n- host: shop.example.com",
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/ingress/#hostname-wildcards",
		"https://gateway-api.sigs.k8s.io/reference/spec/",
	},
	Needs:     []audit.Resource{audit.Ingresses, audit.Gateways, audit.HTTPRoutes},
	Namespace: ingressWildcardHost,
})

func ingressWildcardHost(ns *audit.Namespace, r *audit.Reporter) {
	find := func(kind, name, path, field, host string) {
		why := fmt.Sprintf("%q is a wildcard", host)
		if host == "" {
			why = "without it every host is meant"
		} else if !strings.HasPrefix(host, "*") {
			return
		}
		r.Find(audit.Finding{
			Message: fmt.Sprintf("%s %q must name hosts in %s: %s", strings.ToLower(kind), name, field, why),
			Object:  &v1alpha1.ObjectReference{Kind: kind, Name: name},
			Path:    path,
		})
	}
	for _, i := range ns.Ingresses {
		for n, host := range i.Hosts {
			find("Ingress", i.Name, fmt.Sprintf("spec.rules[%d].host", n), "host", host)
		}
		if i.DefaultBackend {
			find("Ingress", i.Name, "spec.defaultBackend", "rules instead of defaultBackend", "")
		}
	}
	for _, g := range ns.Gateways {
		for _, l := range g.Listeners {
			if l.Protocol == "HTTP" || l.Protocol == "HTTPS" || l.Protocol == "TLS" { // others know no hosts
				find("Gateway", g.Name, "spec.listeners[name="+l.Name+"].hostname", "hostname", l.Hostname)
			}
		}
	}
	for _, h := range ns.HTTPRoutes {
		for n, host := range h.Hostnames {
			find("HTTPRoute", h.Name, fmt.Sprintf("spec.hostnames[%d]", n), "hostnames", host)
		}
		if len(h.Hostnames) == 0 && h.Elsewhere {
			find("HTTPRoute", h.Name, "spec.hostnames", "hostnames", "")
		}
	}
}

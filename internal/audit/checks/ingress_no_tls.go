// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.tls of Ingresses, and at spec.listeners[*].protocol of Gateways. Allowed: a certificate for every host, by
// spec.tls or a provider's annotation; listeners of any protocol but HTTP, and of HTTP where the routes of the Gateway's
// namespace that are attached only redirect to HTTPS.
var _ = register(audit.Check{
	ID:          "ingress-no-tls",
	Title:       "What comes in is encrypted",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryNetwork,
	Rationale:   "Whoever is on the way reads and changes requests and answers, credentials and session cookies among them.",
	Remediation: "Add the host and a Secret with its certificate to spec.tls or, of a Gateway, set the listener's protocol to HTTPS and tls.certificateRefs.",
	Before:      "spec:\n  rules:\n  - host: shop.example.com",
	After:       "spec:\n  tls:\n  - {hosts: [shop.example.com], secretName: shop-tls}\n  rules:\n  - host: shop.example.com",
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/ingress/#tls",
		"https://gateway-api.sigs.k8s.io/guides/tls/",
	},
	Needs:     []audit.Resource{audit.Ingresses, audit.Gateways, audit.HTTPRoutes},
	Namespace: ingressNoTLS,
})

func ingressNoTLS(ns *audit.Namespace, r *audit.Reporter) {
	for _, i := range ns.Ingresses {
		if len(i.TLSHosts) == 0 {
			r.Find(audit.Finding{
				Message: fmt.Sprintf("ingress %q must set spec.tls", i.Name),
				Object:  &v1alpha1.ObjectReference{Kind: "Ingress", Name: i.Name},
				Path:    "spec.tls",
			})
			continue
		}
		for n, host := range i.Hosts {
			if !slices.ContainsFunc(i.TLSHosts, func(tls string) bool { return covers(tls, host) }) {
				r.Find(audit.Finding{
					Message: fmt.Sprintf("ingress %q must have host %q in spec.tls", i.Name, host),
					Object:  &v1alpha1.ObjectReference{Kind: "Ingress", Name: i.Name},
					Path:    fmt.Sprintf("spec.rules[%d].host", n),
				})
			}
		}
	}
	for _, g := range ns.Gateways {
		for i := range g.Listeners {
			if l := &g.Listeners[i]; l.Protocol == "HTTP" && !onlyRedirects(ns, g, l) {
				r.Find(audit.Finding{
					Message: fmt.Sprintf("listener %q of gateway %q must not have protocol HTTP: use HTTPS, or attach nothing but redirects to it", l.Name, g.Name),
					Object:  &v1alpha1.ObjectReference{Kind: "Gateway", Name: g.Name},
					Path:    "spec.listeners[name=" + l.Name + "].protocol",
				})
			}
		}
	}
}

// covers says whether a host of spec.tls is, or holds, a host of a rule. A wildcard stands for one label.
func covers(tls, host string) bool {
	if tls == "" || tls == host {
		return true
	}
	_, parent, _ := strings.Cut(host, ".")
	return tls == "*."+parent
}

// onlyRedirects says whether the routes of the Gateway's namespace that are attached to a listener redirect, at least one.
func onlyRedirects(ns *audit.Namespace, g *audit.GatewayRecord, l *audit.GatewayListener) bool {
	redirects := false
	for _, h := range ns.HTTPRoutes {
		if slices.ContainsFunc(h.Parents, func(p audit.RouteParent) bool { return p.Of(g, l) }) {
			if !h.RedirectsToHTTPS {
				return false
			}
			redirects = true
		}
	}
	return redirects
}

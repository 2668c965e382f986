// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unique"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// internalLoadBalancers are the annotations that keep a load balancer inside its provider's network, as the providers'
// documentation has them, and with which value, in any case.
var internalLoadBalancers = map[string]string{
	"service.beta.kubernetes.io/aws-load-balancer-internal":              "true",
	"service.beta.kubernetes.io/aws-load-balancer-scheme":                "internal",
	"networking.gke.io/load-balancer-type":                               "internal",
	"cloud.google.com/load-balancer-type":                                "internal",
	"service.beta.kubernetes.io/azure-load-balancer-internal":            "true",
	"service.beta.kubernetes.io/openstack-internal-load-balancer":        "true",
	"service.beta.kubernetes.io/oci-load-balancer-internal":              "true",
	"service.beta.kubernetes.io/alibaba-cloud-loadbalancer-address-type": "intranet",
	"service.beta.kubernetes.io/do-loadbalancer-network":                 "internal",
	"service.kubernetes.io/ibm-load-balancer-cloud-provider-ip-type":     "private",
}

func serviceRecord(o runtime.Object) (*audit.ServiceRecord, error) {
	s, ok := o.(*corev1.Service)
	if !ok {
		return nil, unexpected(o)
	}
	r := &audit.ServiceRecord{Object: audit.ObjectFrom(s), ServiceFacts: audit.ServiceFacts{
		Type: unique.Make(s.Spec.Type).Value(), ExternalIPs: s.Spec.ExternalIPs, ExternalName: s.Spec.ExternalName,
		SourceRanges: s.Spec.LoadBalancerSourceRanges,
	}}
	if len(s.Spec.Selector) > 0 {
		r.Selector = audit.NewLabels(s.Spec.Selector)
	}
	if ranges := s.Annotations[corev1.AnnotationLoadBalancerSourceRangesKey]; len(r.SourceRanges) == 0 && ranges != "" {
		for text := range strings.SplitSeq(ranges, ",") {
			r.SourceRanges = append(r.SourceRanges, strings.TrimSpace(text))
		}
	}
	for _, p := range s.Spec.Ports {
		port := audit.ServicePort{Protocol: protocolOf(p.Protocol), Port: p.Port, TargetPort: p.TargetPort.IntVal}
		if p.TargetPort.Type == intstr.String {
			port.TargetName = p.TargetPort.StrVal
		}
		r.Ports = append(r.Ports, port)
	}
	for key, value := range internalLoadBalancers {
		r.Internal = r.Internal || strings.EqualFold(s.Annotations[key], value)
	}
	for _, address := range s.Status.LoadBalancer.Ingress {
		if audit.IsPublic(address.IP) && r.PublicAddress == "" {
			r.PublicAddress = address.IP
		}
	}
	return r, nil
}

func protocolOf(p corev1.Protocol) corev1.Protocol {
	return unique.Make(cmp.Or(p, corev1.ProtocolTCP)).Value()
}

// certificates are the annotations that give an Ingress's load balancer a certificate without spec.tls; "" for any value.
var certificates = map[string]string{
	"alb.ingress.kubernetes.io/certificate-arn":             "",
	"appgw.ingress.kubernetes.io/appgw-ssl-certificate":     "",
	"ingress.gcp.kubernetes.io/pre-shared-cert":             "",
	"networking.gke.io/managed-certificates":                "",
	"nginx.ingress.kubernetes.io/ssl-passthrough":           "true",
	"traefik.ingress.kubernetes.io/router.tls":              "true",
	"traefik.ingress.kubernetes.io/router.tls.certresolver": "",
}

func ingressRecord(o runtime.Object) (*audit.IngressRecord, error) {
	i, ok := o.(*networkingv1.Ingress)
	if !ok {
		return nil, unexpected(o)
	}
	r := &audit.IngressRecord{Object: audit.ObjectFrom(i), IngressFacts: audit.IngressFacts{
		DefaultBackend: i.Spec.DefaultBackend != nil, Snippets: snippets(i.Annotations),
	}}
	lead := func(b *networkingv1.IngressBackend) {
		if b != nil && b.Service != nil {
			r.Backends = append(r.Backends, b.Service.Name)
		}
	}
	lead(i.Spec.DefaultBackend)
	for _, rule := range i.Spec.Rules {
		r.Hosts = append(r.Hosts, rule.Host)
		if rule.HTTP == nil {
			continue
		}
		for j := range rule.HTTP.Paths {
			lead(&rule.HTTP.Paths[j].Backend)
		}
	}
	r.Backends = sorted(r.Backends)
	for _, tls := range i.Spec.TLS {
		if len(tls.Hosts) == 0 {
			r.TLSHosts = append(r.TLSHosts, "")
		}
		r.TLSHosts = append(r.TLSHosts, tls.Hosts...)
	}
	for key, wanted := range certificates {
		if value := i.Annotations[key]; value != "" && (wanted == "" || value == wanted) {
			r.TLSHosts = []string{""}
		}
	}
	return r, nil
}

// sorted returns names sorted, each once.
func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Clip(slices.Compact(names))
}

// snippets returns the annotations whose values controllers put into their proxy's configuration as they are.
func snippets(annotations map[string]string) []string {
	var found []string
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		prefix, name, _ := strings.Cut(key, "/")
		if snippetPrefixes[prefix] && (strings.HasSuffix(name, "-snippet") || strings.HasSuffix(name, "-snippets")) {
			found = append(found, key)
		}
	}
	return found
}

var snippetPrefixes = map[string]bool{
	"nginx.ingress.kubernetes.io": true, "nginx.org": true, "haproxy.org": true, "ingress.kubernetes.io": true,
}

func gatewayRecord(o runtime.Object) (*audit.GatewayRecord, error) {
	g, ok := o.(*gatewayv1.Gateway)
	if !ok {
		return nil, unexpected(o)
	}
	r := &audit.GatewayRecord{Object: audit.ObjectFrom(g), GatewayFacts: audit.GatewayFacts{Snippets: snippets(g.Annotations)}}
	for _, l := range g.Spec.Listeners {
		listener := audit.GatewayListener{Name: string(l.Name), Protocol: string(l.Protocol), Port: l.Port}
		if l.Hostname != nil {
			listener.Hostname = string(*l.Hostname)
		}
		r.Listeners = append(r.Listeners, listener)
	}
	return r, nil
}

func httpRouteRecord(o runtime.Object) (*audit.HTTPRouteRecord, error) {
	h, ok := o.(*gatewayv1.HTTPRoute)
	if !ok {
		return nil, unexpected(o)
	}
	r := &audit.HTTPRouteRecord{Object: audit.ObjectFrom(h), HTTPRouteFacts: audit.HTTPRouteFacts{
		Snippets: snippets(h.Annotations), RedirectsToHTTPS: len(h.Spec.Rules) > 0,
	}}
	for _, name := range h.Spec.Hostnames {
		r.Hostnames = append(r.Hostnames, string(name))
	}
	for _, p := range h.Spec.ParentRefs {
		switch {
		case p.Namespace != nil && string(*p.Namespace) != h.Namespace:
			r.Elsewhere = true
		case p.Kind == nil || *p.Kind == "Gateway":
			parent := audit.RouteParent{Gateway: string(p.Name)}
			if p.SectionName != nil {
				parent.Listener = string(*p.SectionName)
			}
			if p.Port != nil {
				parent.Port = *p.Port
			}
			r.Parents = append(r.Parents, parent)
		}
	}
	for i, rule := range h.Spec.Rules {
		redirects := false
		for j, f := range rule.Filters {
			if redirect := f.RequestRedirect; redirect != nil && redirect.Scheme != nil && *redirect.Scheme == "https" {
				redirects = true
			}
			if ref := f.ExtensionRef; ref != nil && strings.HasPrefix(string(ref.Kind), "Snippets") {
				r.SnippetFilters = append(r.SnippetFilters, fmt.Sprintf("spec.rules[%d].filters[%d].extensionRef", i, j))
			}
		}
		r.RedirectsToHTTPS = r.RedirectsToHTTPS && redirects
		for _, b := range rule.BackendRefs {
			if (b.Kind == nil || *b.Kind == "Service") && (b.Namespace == nil || string(*b.Namespace) == h.Namespace) {
				r.Backends = append(r.Backends, string(b.Name))
			}
		}
	}
	r.Backends = sorted(r.Backends)
	return r, nil
}

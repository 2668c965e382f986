// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// ServiceRecord is what is kept of a Service.
type ServiceRecord struct {
	Object
	ServiceFacts
}

// ServiceFacts are what is audited of a Service.
type ServiceFacts struct {
	Type corev1.ServiceType
	// Selector is nil if there is none.
	Selector     *Labels
	Ports        []ServicePort
	ExternalIPs  []string
	ExternalName string
	// SourceRanges are the addresses that may reach a load balancer; empty for all.
	SourceRanges []string
	// Internal says that the load balancer is to be reachable from within the provider's network only.
	Internal bool
	// PublicAddress is the first public IP address that the load balancer has, or "".
	PublicAddress string
}

// ServicePort is what is kept of a port of a Service.
type ServicePort struct {
	Protocol corev1.Protocol
	Port     int32
	// TargetPort is the containers' port; 0 if TargetName names it.
	TargetPort int32
	TargetName string
}

// Equal says whether nothing that is audited differs.
func (s *ServiceRecord) Equal(t *ServiceRecord) bool {
	return s.UID == t.UID && reflect.DeepEqual(s.ServiceFacts, t.ServiceFacts)
}

// Exposed says whether the Service can be reached at the nodes' addresses or a load balancer's.
func (s *ServiceRecord) Exposed() bool {
	return s.Type == corev1.ServiceTypeNodePort || s.Type == corev1.ServiceTypeLoadBalancer
}

// IngressRecord is what is kept of an Ingress.
type IngressRecord struct {
	Object
	IngressFacts
}

// IngressFacts are what is audited of an Ingress.
type IngressFacts struct {
	// Hosts of the rules, in their order; "" for any.
	Hosts []string
	// DefaultBackend says that there is one for all that no rule matches.
	DefaultBackend bool
	// TLSHosts have certificates; "" stands for all of them.
	TLSHosts []string
	// Snippets are the annotations with configuration of the proxy, sorted.
	Snippets []string
	// Backends are the Services that it leads to, sorted.
	Backends []string
}

// Equal says whether nothing that is audited differs.
func (i *IngressRecord) Equal(j *IngressRecord) bool {
	return i.UID == j.UID && equality.Semantic.DeepEqual(i.IngressFacts, j.IngressFacts)
}

// GatewayRecord is what is kept of a Gateway.
type GatewayRecord struct {
	Object
	GatewayFacts
}

// GatewayFacts are what is audited of a Gateway.
type GatewayFacts struct {
	Listeners []GatewayListener
	// Snippets are the annotations with configuration of the proxy, sorted.
	Snippets []string
}

// GatewayListener is what is kept of a listener of a Gateway.
type GatewayListener struct {
	Name     string
	Protocol string
	Port     int32
	// Hostname that it listens for; "" for any.
	Hostname string
}

// Equal says whether nothing that is audited differs.
func (g *GatewayRecord) Equal(h *GatewayRecord) bool {
	return g.UID == h.UID && equality.Semantic.DeepEqual(g.GatewayFacts, h.GatewayFacts)
}

// HTTPRouteRecord is what is kept of an HTTPRoute.
type HTTPRouteRecord struct {
	Object
	HTTPRouteFacts
}

// HTTPRouteFacts are what is audited of an HTTPRoute.
type HTTPRouteFacts struct {
	// Hostnames that it serves; none for all that its listeners listen for.
	Hostnames []string
	// Parents are the Gateways of its own namespace that it is attached to.
	Parents []RouteParent
	// Elsewhere says that it is attached to something outside of its namespace.
	Elsewhere bool
	// RedirectsToHTTPS says that this is all it does.
	RedirectsToHTTPS bool
	// Snippets are the annotations with configuration of the proxy, sorted.
	Snippets []string
	// SnippetFilters are the paths of filters with configuration of the proxy.
	SnippetFilters []string
	// Backends are the Services of its own namespace that it leads to, sorted.
	Backends []string
}

// RouteParent is a Gateway that a route is attached to: a listener of it, those on a port, or all, where neither is set.
type RouteParent struct {
	Gateway  string
	Listener string
	Port     int32
}

// Of says whether a listener of a Gateway is meant.
func (p RouteParent) Of(gateway *GatewayRecord, l *GatewayListener) bool {
	return p.Gateway == gateway.Name && (p.Listener == "" || p.Listener == l.Name) && (p.Port == 0 || p.Port == l.Port)
}

// Equal says whether nothing that is audited differs.
func (h *HTTPRouteRecord) Equal(i *HTTPRouteRecord) bool {
	return h.UID == i.UID && equality.Semantic.DeepEqual(h.HTTPRouteFacts, i.HTTPRouteFacts)
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.ports[*] of Services of type NodePort and LoadBalancer: port and targetPort, by name too. Allowed: all but
// adminPorts.
var _ = register(audit.Check{
	ID:          "service-exposes-admin-port",
	Title:       "No administration or database port is exposed",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryNetwork,
	Rationale:   "Such ports are scanned for all over the internet, and behind them is a shell, the cluster itself or all data, often without a password.",
	Remediation: "Set spec.type to ClusterIP, and reach the port with kubectl port-forward or from within the cluster.",
	Before:      "spec:\n  type: LoadBalancer\n  ports:\n  - {port: 5432}",
	After:       "spec:\n  type: ClusterIP\n  ports:\n  - {port: 5432}",
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/service/#publishing-services-service-types",
		"https://kubernetes.io/docs/reference/networking/ports-and-protocols/",
	},
	Needs:     []audit.Resource{audit.Services},
	Namespace: serviceExposesAdminPort,
})

var adminPorts = map[int32]string{
	22: "SSH", 2379: "etcd", 2380: "etcd", 6443: "the API server", 10250: "kubelet", 10255: "kubelet", 3306: "MySQL", 5432: "PostgreSQL",
	6379: "Redis", 9200: "Elasticsearch", 11211: "memcached", 27017: "MongoDB",
}

func serviceExposesAdminPort(ns *audit.Namespace, r *audit.Reporter) {
	for _, s := range ns.Services {
		if !s.Exposed() {
			continue
		}
		for i, p := range s.Ports {
			field, port := "port", p.Port
			if adminPorts[port] == "" {
				field, port = "targetPort", p.TargetPort
				if p.TargetName != "" {
					port = adminPortNamed(ns, s, p.TargetName)
				}
			}
			if service := adminPorts[port]; service != "" {
				r.Find(audit.Finding{
					Message: fmt.Sprintf("service %q of type %s must not expose port %d, that of %s", s.Name, s.Type, port, service),
					Object:  &v1alpha1.ObjectReference{Kind: "Service", Name: s.Name},
					Path:    fmt.Sprintf("spec.ports[%d].%s", i, field),
				})
			}
		}
	}
}

// adminPortNamed returns the first of the adminPorts that a Pod of the Service calls by that name, or 0.
func adminPortNamed(ns *audit.Namespace, s *audit.ServiceRecord, name string) int32 {
	if s.Selector == nil {
		return 0
	}
	seen := make(map[*audit.Shape]bool)
	for shape := range shapesOf(ns, s.Selector.Selector()) {
		if seen[shape] {
			continue
		}
		seen[shape] = true
		for c := range shape.Pod().Containers() {
			for _, p := range c.Ports {
				if p.Name == name && adminPorts[p.ContainerPort] != "" {
					return p.ContainerPort
				}
			}
		}
	}
	return 0
}

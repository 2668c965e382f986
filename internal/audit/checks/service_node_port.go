// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.type of Services. Allowed: all but NodePort.
var _ = register(audit.Check{
	ID:          "service-node-port",
	Title:       "Services open no port on the nodes",
	Severity:    v1alpha1.SeverityMedium,
	Category:    audit.CategoryNetwork,
	Rationale:   "Whoever reaches any node reaches the application, past load balancers, their firewalls and TLS, and whoever manages the nodes must know of every such port.",
	Remediation: "Set spec.type to ClusterIP, and publish the Service through an Ingress, a Gateway or a load balancer.",
	Before:      "spec:\n  type: NodePort",
	After:       "spec:\n  type: ClusterIP",
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/service/#type-nodeport",
	},
	Needs:     []audit.Resource{audit.Services},
	Namespace: serviceNodePort,
})

func serviceNodePort(ns *audit.Namespace, r *audit.Reporter) {
	for _, s := range ns.Services {
		if s.Type == corev1.ServiceTypeNodePort {
			r.Find(audit.Finding{
				Message: fmt.Sprintf("service %q must not be of type NodePort", s.Name),
				Object:  &v1alpha1.ObjectReference{Kind: "Service", Name: s.Name},
				Path:    "spec.type",
			})
		}
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// Looks at spec.externalName of Services of type ExternalName. Allowed: names outside of the cluster and of the provider's
// own network.
var _ = register(audit.Check{
	ID:          "service-external-name",
	Title:       "Services of type ExternalName point out of the cluster",
	Severity:    v1alpha1.SeverityHigh,
	Category:    audit.CategoryNetwork,
	Rationale:   "An Ingress or Gateway that forwards to the Service brings whoever is outside to other namespaces, the API server, the node itself or the provider's metadata.",
	Remediation: "Set spec.externalName to the DNS name of a service outside of the cluster, or use a Service with a selector.",
	Before:      "spec:\n  type: ExternalName\n  externalName: metadata.google.internal",
	After:       "spec:\n  type: ExternalName\n  externalName: db.example.com",
	References: []string{
		"https://kubernetes.io/docs/concepts/services-networking/service/#externalname",
		"https://kubernetes.io/docs/reference/networking/virtual-ips/",
	},
	Needs:     []audit.Resource{audit.Services},
	Namespace: serviceExternalName,
})

// inwardNames are names, and ends of names, that resolve inside of the cluster, on the node or in the provider's network.
var inwardNames = []string{"localhost", "svc", "cluster.local", "metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"}

func serviceExternalName(ns *audit.Namespace, r *audit.Reporter) {
	for _, s := range ns.Services {
		if s.Type != corev1.ServiceTypeExternalName {
			continue
		}
		var why string
		name := strings.ToLower(strings.TrimSuffix(s.ExternalName, "."))
		switch {
		case isAddress(name):
			why = "it is an IP address"
		case slices.ContainsFunc(inwardNames, func(inward string) bool { return name == inward || strings.HasSuffix(name, "."+inward) }):
			why = "it is inside of the cluster, the node or the provider's network"
		default:
			continue
		}
		r.Find(audit.Finding{
			Message: fmt.Sprintf("service %q must not have externalName %q: %s", s.Name, s.ExternalName, why),
			Object:  &v1alpha1.ObjectReference{Kind: "Service", Name: s.Name},
			Path:    "spec.externalName",
		})
	}
}

func isAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

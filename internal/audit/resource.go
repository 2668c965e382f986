// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import "github.com/kubersafe/kubersafe/api/v1alpha1"

// Resource names a kind of objects that the audit reads, as kubectl does: plural, then a dot and the group, if it has one.
type Resource string

// The resources that the audit reads.
const (
	Pods                   Resource = "pods"
	ReplicationControllers Resource = "replicationcontrollers"
	ReplicaSets            Resource = "replicasets.apps"
	Deployments            Resource = "deployments.apps"
	StatefulSets           Resource = "statefulsets.apps"
	DaemonSets             Resource = "daemonsets.apps"
	Jobs                   Resource = "jobs.batch"
	CronJobs               Resource = "cronjobs.batch"
	Namespaces             Resource = "namespaces"
	ResourceQuotas         Resource = "resourcequotas"
	LimitRanges            Resource = "limitranges"
	NetworkPolicies        Resource = "networkpolicies.networking.k8s.io"
	ClusterNetworkPolicies Resource = "clusternetworkpolicies.policy.networking.k8s.io"
	Services               Resource = "services"
	Ingresses              Resource = "ingresses.networking.k8s.io"
	Gateways               Resource = "gateways.gateway.networking.k8s.io"
	HTTPRoutes             Resource = "httproutes.gateway.networking.k8s.io"
	ServiceAccounts        Resource = "serviceaccounts"
	Nodes                  Resource = "nodes"
	EndpointSlices         Resource = "endpointslices.discovery.k8s.io"
	ImageReports           Resource = "imagereports.audit.kubersafe.io"

	ValidatingWebhooks      Resource = "validatingwebhookconfigurations.admissionregistration.k8s.io"
	MutatingWebhooks        Resource = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
	AdmissionPolicies       Resource = "validatingadmissionpolicies.admissionregistration.k8s.io"
	AdmissionPolicyBindings Resource = "validatingadmissionpolicybindings.admissionregistration.k8s.io"
	Roles                   Resource = "roles.rbac.authorization.k8s.io"
	ClusterRoles            Resource = "clusterroles.rbac.authorization.k8s.io"
	RoleBindings            Resource = "rolebindings.rbac.authorization.k8s.io"
	ClusterRoleBindings     Resource = "clusterrolebindings.rbac.authorization.k8s.io"
)

// What stands among resources without being listed and watched on its own.
const (
	// ServerVersion is the API server's version.
	ServerVersion Resource = "/version"
	// StaticPods are the static ones among the Pods of SystemNamespace.
	StaticPods Resource = "pods/static"
)

// The resources that say how it is judged.
const (
	AuditConfigurations       Resource = "auditconfigurations.audit.kubersafe.io"
	SecurityExceptions        Resource = "securityexceptions.audit.kubersafe.io"
	ClusterSecurityExceptions Resource = "clustersecurityexceptions.audit.kubersafe.io"
)

// Optional says whether a cluster need not serve a resource: where it does not, there is nothing of it. Without ImageReports nobody
// scans images: checks that need them are skipped, and that is as it is meant.
func (r Resource) Optional() bool {
	switch r { //nolint:exhaustive // all others must be
	case Gateways, HTTPRoutes, ClusterNetworkPolicies, ImageReports, AuditConfigurations, SecurityExceptions, ClusterSecurityExceptions,
		AdmissionPolicies, AdmissionPolicyBindings: // since Kubernetes 1.30
		return true
	}
	return false
}

// workloadResources are those that workloads are known from.
var workloadResources = []Resource{
	Pods, ReplicationControllers, ReplicaSets, Deployments, StatefulSets, DaemonSets, Jobs, CronJobs,
}

// Unavailable says why a resource cannot be read.
type Unavailable struct {
	Resource Resource
	Reason   v1alpha1.SkipReason
	Message  string
}

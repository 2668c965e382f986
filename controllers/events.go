// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/ledger"
	"github.com/kubersafe/kubersafe/internal/source"
)

// reach says whose verdicts may depend on a change.
type reach int

const (
	// own: the namespace that the change is in.
	own reach = iota
	// several: the namespace that the change is in, one of many that a change elsewhere reaches.
	several
	// everywhere: every namespace.
	everywhere
	// cluster: what belongs to no namespace.
	cluster
)

// reaches is the one table that says which change makes what be judged again. Changes that touch nothing audited never
// get here: the sources compare records.
var reaches = map[audit.Resource]reach{
	// What a workload runs, and what belongs to it.
	audit.Pods:                   own,
	audit.ReplicationControllers: own,
	audit.ReplicaSets:            own,
	audit.Deployments:            own,
	audit.StatefulSets:           own,
	audit.DaemonSets:             own,
	audit.Jobs:                   own,
	audit.CronJobs:               own,
	// A namespace that comes, terminates or goes.
	audit.Namespaces: own,
	// What is judged with the namespace.
	audit.ResourceQuotas:  own,
	audit.NetworkPolicies: own,
	audit.LimitRanges:     own,
	audit.Services:        own,
	audit.Ingresses:       own,
	audit.Gateways:        own,
	audit.HTTPRoutes:      own,
	audit.ServiceAccounts: own,
	// Every namespace with Pods on one. What all of them tell of the cluster is a state.
	audit.Nodes: several,
	// Every namespace with Pods that one may select, or may have been meant to.
	audit.ClusterNetworkPolicies: several,
	// Every namespace with Pods or templates that name the image. Reports on Kubernetes are of the cluster.
	audit.ImageReports: several,
	// What is judged for the cluster as a whole.
	audit.EndpointSlices:          cluster,
	audit.ValidatingWebhooks:      cluster,
	audit.MutatingWebhooks:        cluster,
	audit.AdmissionPolicies:       cluster,
	audit.AdmissionPolicyBindings: cluster,
	audit.ServerVersion:           cluster,
	audit.StaticPods:              cluster,
	// Every namespace with ServiceAccounts whose power changes by a role, a binding or what else decides over it, and where
	// RoleBindings or what they bind change; and the cluster, where ClusterRoles or ClusterRoleBindings do. It is told of them once
	// that is known.
	audit.RoleBindings:        several,
	audit.Roles:               several,
	audit.ClusterRoles:        several,
	audit.ClusterRoleBindings: several,
	// What says how it is judged. An exception that is not of the cluster concerns its own namespace.
	audit.AuditConfigurations:       everywhere,
	audit.SecurityExceptions:        own,
	audit.ClusterSecurityExceptions: everywhere,
	// Somebody edited or deleted a report: it is put back.
	ledger.SecurityReports:        own,
	ledger.ClusterSecurityReports: cluster,
}

// reachesCluster says whether verdicts on what belongs to no namespace may depend on an event.
func reachesCluster(e source.Event) bool {
	switch e.Resource { //nolint:exhaustive // of all others the table tells
	case audit.Nodes, audit.Namespaces: // admission lets something into each
		return true
	case audit.ClusterRoleBindings: // of those in namespaces these events do not tell
		return true
	case audit.ImageReports:
		return e.Namespace == ""
	}
	reach := reachOf(e)
	return reach == cluster || reach == everywhere
}

// reachOf returns whose verdicts may depend on an event. A source that can no longer be read, or can again, concerns all.
func reachOf(e source.Event) reach {
	if e.StateChanged {
		return everywhere
	}
	return reaches[e.Resource]
}

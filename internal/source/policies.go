// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/kubersafe/kubersafe/internal/audit"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// clusterPolicies is the name of the resource in the API's paths.
const clusterPolicies = "clusternetworkpolicies"

func clusterPolicyRecord(o runtime.Object) (*audit.ClusterPolicyRecord, error) {
	p, ok := o.(*v1alpha2.ClusterNetworkPolicy)
	if !ok {
		return nil, unexpected(o)
	}
	r := &audit.ClusterPolicyRecord{Object: audit.ObjectFrom(p), Generation: p.Generation}
	r.Policy, r.Problems = netpol.CompileClusterPolicy(p.Name, &p.Spec)
	return r, nil
}

// concerning returns those policies that concern a namespace.
func concerning(policies []*audit.ClusterPolicyRecord, namespace string, record *audit.NamespaceRecord) []*audit.ClusterPolicyRecord {
	labels := record.GetLabels()
	var found []*audit.ClusterPolicyRecord
	for _, p := range policies {
		if p.Concerns(namespace, labels) {
			found = append(found, p)
		}
	}
	return found
}

// tellOfClusterPolicies tells of every namespace that a policy concerns which has changed, come or gone, as it was or as it is.
func (s *Sources) tellOfClusterPolicies() {
	var changed []*audit.ClusterPolicyRecord
	for was, is := range s.toldPolicies.changes(s.clusterPolicies.List("")) {
		for _, p := range []*audit.ClusterPolicyRecord{was, is} {
			if p != nil {
				changed = append(changed, p)
			}
		}
	}
	if s.unavailable()[audit.Namespaces] != nil { // nor can their labels be known
		s.tell(Event{Resource: audit.ClusterNetworkPolicies, StateChanged: true})
		return
	}
	for _, name := range s.Namespaces() {
		if n, ok := s.namespaces.Get(name, name); ok && len(concerning(changed, name, n)) > 0 {
			s.tell(Event{Resource: audit.ClusterNetworkPolicies, Namespace: name})
		}
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/network-policy-api/apis/v1alpha2"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// clusterPolicy returns one that selects the namespaces with those labels.
func clusterPolicy(name string, generation int64, labels map[string]string) *v1alpha2.ClusterNetworkPolicy {
	return &v1alpha2.ClusterNetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), Generation: generation},
		Spec: v1alpha2.ClusterNetworkPolicySpec{
			Tier: v1alpha2.AdminTier, Subject: v1alpha2.ClusterNetworkPolicySubject{Namespaces: &metav1.LabelSelector{MatchLabels: labels}},
		},
	}
}

// TestClusterPoliciesConcernWhatTheySelect: a policy that comes, changes or goes makes events of the namespaces that it
// selects or did, and of no others.
func TestClusterPoliciesConcernWhatTheySelect(t *testing.T) {
	s := everything(t)
	syncAll(s)
	for name, team := range map[string]string{"a1": "a", "a2": "a", "b": "b", "none": ""} {
		n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/metadata.name": name}}}
		if team != "" {
			n.Labels["team"] = team
		}
		if err := s.namespaces.Add(n); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	s.OnEvent(func(e Event) {
		if e.Resource != audit.ClusterNetworkPolicies || e.StateChanged {
			t.Errorf("event %+v", e)
		}
		told = append(told, e.Namespace)
	})
	team := func(name string) map[string]string { return map[string]string{"team": name} }
	byName := map[string]string{"kubernetes.io/metadata.name": "none"}
	invalid := clusterPolicy("p", 7, nil)
	invalid.Spec.Subject.Namespaces.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: "team", Operator: "Near"}}
	status := clusterPolicy("p", 2, team("b"))
	status.ResourceVersion = "8"
	for _, step := range []struct {
		what   string
		change func() error
		want   []string
	}{
		{"one comes", func() error { return s.clusterPolicies.Add(clusterPolicy("p", 1, team("a"))) }, []string{"a1", "a2"}},
		{"it selects others", func() error { return s.clusterPolicies.Update(clusterPolicy("p", 2, team("b"))) }, []string{"a1", "a2", "b"}},
		{"only its status changes", func() error { return s.clusterPolicies.Update(status) }, nil},
		{"its rules change", func() error { return s.clusterPolicies.Update(clusterPolicy("p", 3, team("b"))) }, []string{"b"}},
		{"another comes", func() error { return s.clusterPolicies.Add(clusterPolicy("q", 1, byName)) }, []string{"none"}},
		{"both at once, by a list", func() error {
			return s.clusterPolicies.Replace([]any{clusterPolicy("p", 4, team("nobody"))}, "9")
		}, []string{"b", "none"}},
		{"it selects all", func() error { return s.clusterPolicies.Update(clusterPolicy("p", 5, nil)) }, []string{"a1", "a2", "b", "none"}},
		{"it selects nobody", func() error { return s.clusterPolicies.Update(clusterPolicy("p", 6, team("nobody"))) }, []string{"a1", "a2", "b", "none"}},
		{"its selector breaks, so nobody knows whom it is for", func() error { return s.clusterPolicies.Update(invalid) }, []string{"a1", "a2", "b", "none"}},
		{"it goes", func() error { return s.clusterPolicies.Delete(invalid) }, []string{"a1", "a2", "b", "none"}},
	} {
		told = nil
		if err := step.change(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(told)
		if diff := cmp.Diff(step.want, told); diff != "" {
			t.Errorf("%s: namespaces told of (-want +got):\n%s", step.what, diff)
		}
	}
}

// TestClusterPoliciesOfANamespace: it has those that select it, and where its labels cannot be read that is not known.
func TestClusterPoliciesOfANamespace(t *testing.T) {
	s := everything(t)
	syncAll(s)
	pod := livePod() // without namespaces, one exists that something is in
	for _, err := range []error{
		s.namespaces.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"team": "a"}}}), s.pods.Add(pod),
		s.clusterPolicies.Add(clusterPolicy("a", 1, map[string]string{"team": "a"})),
		s.clusterPolicies.Add(clusterPolicy("b", 1, map[string]string{"team": "b"})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.updatePowers()
	i, _ := s.Inventory("shop")
	if len(i.ClusterPolicies) != 1 || i.ClusterPolicies[0].Name != "a" || len(i.Unavailable) > 0 {
		t.Errorf("policies %v, unavailable %v", i.ClusterPolicies, i.Unavailable)
	}
	var told []Event
	s.OnEvent(func(e Event) { told = append(told, e) })
	forbid(watcherOf(t, s, audit.Namespaces))
	if i, _ = s.Inventory("shop"); len(i.ClusterPolicies) > 0 || i.Unavailable[audit.ClusterNetworkPolicies] == nil {
		t.Errorf("without namespaces: policies %v, unavailable %v", i.ClusterPolicies, i.Unavailable)
	}
	told = nil
	for _, name := range []string{"a", "b"} {
		if err := s.clusterPolicies.Delete(clusterPolicy(name, 1, nil)); err != nil {
			t.Fatal(err)
		}
	}
	everybody := Event{Resource: audit.ClusterNetworkPolicies, StateChanged: true}
	if diff := cmp.Diff([]Event{everybody, everybody}, told); diff != "" {
		t.Errorf("without namespaces it concerns all (-want +got):\n%s", diff)
	}
	if i, _ = s.Inventory("shop"); i.Unavailable[audit.ClusterNetworkPolicies] != nil {
		t.Error("there is none, so nothing is unknown")
	}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	_ "embed"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// bootstrapPolicy is what the API servers of Kubernetes 1.31 to 1.36 make for themselves: generated, see
// hack/controlplane/kubernetes/rbac. kubeadmPolicy is what kubeadm makes: written from cmd/kubeadm of Kubernetes 1.36. k3sPolicy is by
// what k3s and RKE2 let their API server ask kubelets: written from manifests/rolebindings.yaml of k3s.
var (
	//go:embed bootstrap.json
	bootstrapPolicy []byte
	//go:embed kubeadm.json
	kubeadmPolicy []byte
	//go:embed k3s.json
	k3sPolicy []byte
)

// The label by which an API server marks what it makes for itself.
const (
	bootstrapLabel = "kubernetes.io/bootstrapping"
	bootstrapValue = "rbac-defaults"
)

// known is a role or binding of Kubernetes' own.
type known struct {
	Kind            string                  `json:"kind"`
	Namespace       string                  `json:"namespace"`
	Name            string                  `json:"name"`
	Labels          map[string]string       `json:"labels"`
	Gone            bool                    `json:"gone"`
	AggregationRule *rbacv1.AggregationRule `json:"aggregationRule"`
	Rules           [][]rbacv1.PolicyRule   `json:"rules"`
	RoleRef         rbacv1.RoleRef          `json:"roleRef"`
	Subjects        [][]rbacv1.Subject      `json:"subjects"`
}

// Origin returns those labels that tell whether Kubernetes has made something.
func Origin(labels map[string]string) map[string]string {
	switch value, labelled := labels[bootstrapLabel]; {
	case !labelled:
		return nil
	case value == bootstrapValue:
		return bootstrapped
	default:
		return map[string]string{bootstrapLabel: value}
	}
}

// bootstrapped is shared, and not changed.
var bootstrapped = map[string]string{bootstrapLabel: bootstrapValue}

type knownKey struct{ kind, namespace, name string }

var defaults = sync.OnceValue(func() map[knownKey]*known {
	all := make(map[knownKey]*known)
	for _, text := range [][]byte{bootstrapPolicy, kubeadmPolicy, k3sPolicy} {
		var list []*known
		_ = json.Unmarshal(text, &list) // tests read them
		for _, k := range list {
			all[knownKey{k.Kind, k.Namespace, k.Name}] = k
		}
	}
	return all
})

// of Kubernetes' own, that with the labels of what is compared with it, or nil.
func knownAs(kind, namespace, name string, labels map[string]string) *known {
	k := defaults()[knownKey{kind, namespace, name}]
	if k == nil || k.Labels[bootstrapLabel] != labels[bootstrapLabel] { // kubeadm sets no label
		return nil
	}
	return k
}

// isDefaultRole says whether a role is one of Kubernetes' own, and allows no more than it does in some version. An aggregated
// one must collect as it does there; what it collects are roles by themselves.
func isDefaultRole(r *Role) bool {
	k := knownAs(r.key().Kind(), r.Namespace, r.Name, r.Labels)
	if k == nil {
		return false
	}
	if (k.AggregationRule != nil) != (r.Aggregation != nil) {
		return false
	}
	if k.AggregationRule != nil {
		return equality.Semantic.DeepEqual(k.AggregationRule.ClusterRoleSelectors, r.Aggregation)
	}
	return slices.ContainsFunc(k.Rules, func(rules []rbacv1.PolicyRule) bool { covers, _ := validation.Covers(rules, r.Rules); return covers })
}

// isDefaultBinding says whether a binding is one of Kubernetes' own, and for no others than it is in some version.
func isDefaultBinding(b *Binding) bool {
	k := knownAs(b.key().Kind(), b.Namespace, b.Name, b.Labels)
	if k == nil || k.binding(0).Role != b.Role {
		return false
	}
	for i := range k.Subjects {
		of := k.binding(i).Subjects
		if !slices.ContainsFunc(b.Subjects, func(s Subject) bool { return !slices.Contains(of, s) }) {
			return true
		}
	}
	return false
}

// discovery has the rules of what everybody may: find out what an API server is, how its tokens are verified and what oneself may
// do, and nothing of what is in it. That of the issuer Kubernetes leaves to administrators to bind to everybody
// (https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#service-account-issuer-discovery).
var discovery = sync.OnceValue(func() []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, name := range []string{"system:discovery", "system:public-info-viewer", "system:basic-user", "system:service-account-issuer-discovery"} {
		rules = append(rules, slices.Concat(defaults()[knownKey{kind: KindClusterRole, name: name}].Rules...)...)
	}
	return rules
})

// BeyondDiscovery says whether rules allow more than what everybody may do who has logged in: find out what an API server is,
// how its tokens are verified, and what oneself may do.
func BeyondDiscovery(rules []rbacv1.PolicyRule) bool {
	covers, _ := validation.Covers(discovery(), rules)
	return !covers
}

// UserFacing says whether a ClusterRole is one that Kubernetes makes to be bound to people in namespaces.
func UserFacing(role RoleKey) bool {
	return role.Namespace == "" && (role.Name == "admin" || role.Name == "edit" || role.Name == "view")
}

// binding returns a binding with the i-th list of subjects.
func (k *known) binding(i int) *Binding {
	return BindingFrom(&metav1.ObjectMeta{Namespace: k.Namespace, Name: k.Name, Labels: k.Labels}, k.RoleRef, k.Subjects[i])
}

// Defaults returns the roles and bindings that an API server of the newest known version makes for itself, sorted.
func Defaults() ([]*Role, []*Binding) {
	var (
		roles    []*Role
		bindings []*Binding
	)
	for k := range maps.Values(defaults()) {
		if k.Gone || k.Labels[bootstrapLabel] != bootstrapValue {
			continue
		}
		if k.Kind == KindRoleBinding || k.Kind == KindClusterRoleBinding {
			bindings = append(bindings, k.binding(0))
			continue
		}
		r := &Role{Namespace: k.Namespace, Name: k.Name, Labels: k.Labels, Rules: k.Rules[0]}
		if k.AggregationRule != nil {
			r.Aggregation = k.AggregationRule.ClusterRoleSelectors
		}
		roles = append(roles, r)
	}
	slices.SortFunc(roles, func(a, b *Role) int { return a.key().compare(b.key()) })
	slices.SortFunc(bindings, func(a, b *Binding) int { return a.key().compare(b.key()) })
	return roles, bindings
}

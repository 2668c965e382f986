// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// Static holds objects that come from anywhere but a watch. It makes the very same records of them as Sources do.
type Static struct {
	intern      *interner
	inventories map[string]*audit.Inventory
}

// NewStatic returns an empty Static.
func NewStatic() *Static {
	return &Static{intern: newInterner(), inventories: make(map[string]*audit.Inventory)}
}

// Add takes an object in, which the caller gives up. Objects of kinds that no check reads are left out.
func (s *Static) Add(o runtime.Object) error {
	m, err := meta.Accessor(o)
	if err != nil {
		return fmt.Errorf("%T is no API object: %w", o, err)
	}
	namespace := m.GetNamespace()
	switch o := o.(type) {
	case *corev1.Namespace:
		return add(o, namespaceRecord, func(r *audit.NamespaceRecord) { s.inventory(r.Name).Namespace = r })
	case *corev1.Pod:
		i := s.inventory(namespace)
		return add(o, s.intern.pod, func(r *audit.PodRecord) { i.Pods = append(i.Pods, r) })
	case *corev1.ResourceQuota:
		i := s.inventory(namespace)
		return add(o, quotaRecord, func(r *audit.QuotaRecord) { i.Quotas = append(i.Quotas, r) })
	case *corev1.LimitRange:
		i := s.inventory(namespace)
		return add(o, limitRangeRecord, func(r *audit.LimitRangeRecord) { i.LimitRanges = append(i.LimitRanges, r) })
	case *corev1.ServiceAccount:
		i := s.inventory(namespace)
		return add(o, serviceAccountRecord, func(r *audit.ServiceAccountRecord) { i.ServiceAccounts = append(i.ServiceAccounts, r) })
	case *networkingv1.NetworkPolicy:
		i := s.inventory(namespace)
		return add(o, networkPolicyRecord, func(r *audit.NetworkPolicyRecord) { i.NetworkPolicies = append(i.NetworkPolicies, r) })
	}
	if _, _, ok := podTemplate(o); !ok {
		return nil
	}
	i := s.inventory(namespace)
	return add(o, s.intern.controller, func(r *audit.ControllerRecord) { i.Controllers = append(i.Controllers, r) })
}

// Inventories returns what is known of every namespace, by its name.
func (s *Static) Inventories() map[string]*audit.Inventory { return s.inventories }

func (s *Static) inventory(namespace string) *audit.Inventory {
	i := s.inventories[namespace]
	if i == nil {
		i = &audit.Inventory{Name: namespace}
		s.inventories[namespace] = i
	}
	return i
}

func add[R any](o runtime.Object, convert func(runtime.Object) (R, error), keep func(R)) error {
	r, err := convert(o)
	if err == nil {
		keep(r)
	}
	return err
}

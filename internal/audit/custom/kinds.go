// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package custom

import (
	"iter"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/audit"
)

// kind is what custom checks can judge, and what the audit keeps of it.
type kind struct {
	// named is what messages call an object of it.
	named    string
	resource audit.Resource
	// object is one, as in Kubernetes' API. Its fields have Kubernetes' names and types.
	object any
	// only are all fields of some types that are kept, and but those that are not, by type, as in internal/source/shape.go
	// and convert.go. Of other types all are.
	only, but map[string]string
	// path of findings.
	path string
	// objects returns what there is in a namespace, by name. Of Pods it is nil: they are judged one by one.
	objects func(*audit.Namespace) iter.Seq2[string, any]
}

const root = "apiVersion kind metadata spec"

var kinds = map[v1alpha1.CustomCheckKind]*kind{
	v1alpha1.CustomCheckPod: {
		named: "Pod", resource: audit.Pods, object: corev1.Pod{}, path: "spec",
		only: map[string]string{"Pod": root, "ObjectMeta": "namespace labels"},
		but: map[string]string{
			"PodSpec": "nodeName hostname subdomain serviceAccount terminationGracePeriodSeconds preemptionPolicy priority " +
				"enableServiceLinks dnsPolicy dnsConfig schedulerName setHostnameAsFQDN imagePullSecrets readinessGates " +
				"schedulingGates topologySpreadConstraints overhead",
			"Container":                         unkeptOfContainer,
			"EphemeralContainer":                unkeptOfContainer,
			"EnvVar":                            "value",
			"NodeSelectorTerm":                  "matchFields",
			"PersistentVolumeClaimVolumeSource": "claimName",
		},
	},
	v1alpha1.CustomCheckNamespace: {
		named: "namespace", resource: audit.Namespaces, object: corev1.Namespace{}, path: "metadata",
		only: namespaceFields, objects: namespaces,
	},
	v1alpha1.CustomCheckService: {
		named: "service", resource: audit.Services, object: corev1.Service{}, path: "spec",
		only: map[string]string{
			"Service": root, "ObjectMeta": identity,
			"ServiceSpec": "type selector ports externalIPs externalName loadBalancerSourceRanges", "ServicePort": "port targetPort",
		},
		objects: services,
	},
	v1alpha1.CustomCheckIngress: {
		named: "ingress", resource: audit.Ingresses, object: networkingv1.Ingress{}, path: "spec",
		only:    map[string]string{"Ingress": root, "ObjectMeta": identity, "IngressSpec": "rules", "IngressRule": "host"},
		objects: ingresses,
	},
	v1alpha1.CustomCheckNetworkPolicy: {
		named: "network policy", resource: audit.NetworkPolicies, object: networkingv1.NetworkPolicy{}, path: "spec",
		only:    map[string]string{"NetworkPolicy": root, "ObjectMeta": identity},
		objects: networkPolicies,
	},
	v1alpha1.CustomCheckResourceQuota: {
		named: "resource quota", resource: audit.ResourceQuotas, object: corev1.ResourceQuota{}, path: "spec",
		only:    map[string]string{"ResourceQuota": root, "ObjectMeta": identity},
		objects: resourceQuotas,
	},
}

const (
	identity          = "name namespace"
	unkeptOfContainer = "terminationMessagePath terminationMessagePolicy workingDir resizePolicy stdin stdinOnce tty " +
		"livenessProbe readinessProbe startupProbe"
)

var namespaceFields = map[string]string{"Namespace": "apiVersion kind metadata", "ObjectMeta": "name labels"}

// podObject returns a Pod or template as the API server would show it.
func podObject(pod *audit.Pod, namespace string, labels *audit.Labels) *corev1.Pod {
	return &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Labels: labels.Map()},
		Spec:       pod.Spec,
	}
}

func namespaceObject(name string, labels map[string]string) *corev1.Namespace {
	return &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: audit.KindNamespace}, ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
	}
}

func namespaces(ns *audit.Namespace) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		yield(ns.Name, namespaceObject(ns.Name, ns.Namespace.Labels))
	}
}

func services(ns *audit.Namespace) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for _, r := range ns.Services {
			s := corev1.Service{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
				ObjectMeta: metaOf(&r.Object),
				Spec: corev1.ServiceSpec{
					Type: r.Type, ExternalIPs: r.ExternalIPs, ExternalName: r.ExternalName, LoadBalancerSourceRanges: r.SourceRanges,
					Selector: r.Selector.Map(),
				},
			}
			for _, p := range r.Ports {
				target := intstr.FromInt32(p.TargetPort)
				if p.TargetName != "" {
					target = intstr.FromString(p.TargetName)
				}
				s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Port: p.Port, TargetPort: target})
			}
			if !yield(r.Name, &s) {
				return
			}
		}
	}
}

func ingresses(ns *audit.Namespace) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for _, r := range ns.Ingresses {
			i := networkingv1.Ingress{
				TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "Ingress"},
				ObjectMeta: metaOf(&r.Object),
			}
			for _, host := range r.Hosts {
				i.Spec.Rules = append(i.Spec.Rules, networkingv1.IngressRule{Host: host})
			}
			if !yield(r.Name, &i) {
				return
			}
		}
	}
}

func networkPolicies(ns *audit.Namespace) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for _, r := range ns.NetworkPolicies {
			p := networkingv1.NetworkPolicy{
				TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
				ObjectMeta: metaOf(&r.Object),
				Spec:       *r.Spec(),
			}
			if !yield(r.Name, &p) {
				return
			}
		}
	}
}

func resourceQuotas(ns *audit.Namespace) iter.Seq2[string, any] {
	return func(yield func(string, any) bool) {
		for _, r := range ns.Quotas {
			q := corev1.ResourceQuota{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ResourceQuota"},
				ObjectMeta: metaOf(&r.Object),
				Spec:       corev1.ResourceQuotaSpec{Scopes: r.Scopes, ScopeSelector: r.ScopeSelector, Hard: make(corev1.ResourceList)},
			}
			for _, u := range r.Usage {
				if hard, err := resource.ParseQuantity(u.Hard); err == nil { // it was one
					q.Spec.Hard[corev1.ResourceName(u.Resource)] = hard
				}
			}
			if !yield(r.Name, &q) {
				return
			}
		}
	}
}

func metaOf(o *audit.Object) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: o.Name, Namespace: o.Namespace}
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kubersafe/kubersafe/internal/source"
)

// What an API server fills in, as far as a check could tell the difference. Everything else it fills in is what checks take
// an unset field for. It does less to Pod templates than to Pods, and so does this.

const defaultServiceAccount = "default"

func setDefaults(o source.Object) {
	switch o := o.(type) {
	case *corev1.Namespace:
		// Every namespace has this label, and network policies select by it.
		o.Labels = with(o.Labels, corev1.LabelMetadataName, o.Name)
	case *networkingv1.NetworkPolicy:
		// A policy covers ingress, and egress if it has rules for it.
		if len(o.Spec.PolicyTypes) == 0 {
			o.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
			if len(o.Spec.Egress) > 0 {
				o.Spec.PolicyTypes = append(o.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
			}
		}
	case *corev1.LimitRange:
		setLimitRangeItems(o)
	case *corev1.Service:
		if o.Spec.Type == "" {
			o.Spec.Type = corev1.ServiceTypeClusterIP
		}
		for i := range o.Spec.Ports {
			if p := &o.Spec.Ports[i]; p.TargetPort == (intstr.IntOrString{}) || p.TargetPort == intstr.FromString("") {
				p.TargetPort = intstr.FromInt32(p.Port)
			}
		}
	case *corev1.Pod:
		setServiceAccountName(&o.Spec)
		// Admission gives Pods without a ServiceAccount the namespace's default one, but for the mirrors of static Pods.
		if o.Spec.ServiceAccountName == "" && !isMirror(o) {
			o.Spec.ServiceAccountName, o.Spec.DeprecatedServiceAccount = defaultServiceAccount, defaultServiceAccount
		}
		setPodResources(&o.Spec)
	default:
		if t := source.PodTemplateOf(o); t != nil {
			setServiceAccountName(&t.Spec)
		}
	}
}

func with(m map[string]string, key, value string) map[string]string {
	m = maps.Clone(m)
	if m == nil {
		m = make(map[string]string, 1)
	}
	m[key] = value
	return m
}

// setServiceAccountName: serviceAccount is what serviceAccountName was called once.
func setServiceAccountName(spec *corev1.PodSpec) {
	if spec.ServiceAccountName == "" {
		spec.ServiceAccountName = spec.DeprecatedServiceAccount
	}
	spec.DeprecatedServiceAccount = spec.ServiceAccountName
}

func isMirror(pod *corev1.Pod) bool {
	owner := metav1.GetControllerOfNoCopy(pod)
	return pod.Annotations[corev1.MirrorPodAnnotationKey] != "" || owner != nil && owner.Kind == "Node"
}

// setPodResources does what is done to the containers of Pods and not to those of templates.
func setPodResources(spec *corev1.PodSpec) {
	for _, containers := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range containers {
			c := &containers[i]
			// On the node's network every port is a port of the node.
			for j := range c.Ports {
				if spec.HostNetwork && c.Ports[j].HostPort == 0 {
					c.Ports[j].HostPort = c.Ports[j].ContainerPort
				}
			}
			// A limit is a request too.
			for name, quantity := range c.Resources.Limits {
				setResource(&c.Resources.Requests, name, quantity)
			}
		}
	}
}

// setLimitRangeItems: a maximum is a default limit, which is a default request; else a minimum is one.
func setLimitRangeItems(l *corev1.LimitRange) {
	for i := range l.Spec.Limits {
		item := &l.Spec.Limits[i]
		if item.Type != corev1.LimitTypeContainer {
			continue
		}
		for name, quantity := range item.Max {
			setResource(&item.Default, name, quantity)
		}
		for name, quantity := range item.Default {
			setResource(&item.DefaultRequest, name, quantity)
		}
		for name, quantity := range item.Min {
			setResource(&item.DefaultRequest, name, quantity)
		}
	}
}

// setLimitRangeDefaults gives the containers of Pods what the LimitRanges of their namespace say, as admission does.
func setLimitRangeDefaults(objects []source.Object) {
	ranges := make(map[string][]*corev1.LimitRange)
	for _, o := range objects {
		if l, ok := o.(*corev1.LimitRange); ok {
			ranges[l.Namespace] = append(ranges[l.Namespace], l)
		}
	}
	for _, o := range objects {
		pod, ok := o.(*corev1.Pod)
		if !ok {
			continue
		}
		for _, l := range ranges[pod.Namespace] {
			for _, item := range l.Spec.Limits {
				if item.Type != corev1.LimitTypeContainer {
					continue
				}
				for _, containers := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
					for i := range containers {
						for name, quantity := range item.DefaultRequest {
							setResource(&containers[i].Resources.Requests, name, quantity)
						}
						for name, quantity := range item.Default {
							setResource(&containers[i].Resources.Limits, name, quantity)
						}
					}
				}
			}
		}
	}
}

// setResource sets a quantity unless it is set.
func setResource(list *corev1.ResourceList, name corev1.ResourceName, quantity resource.Quantity) {
	if _, set := (*list)[name]; set {
		return
	}
	if *list == nil {
		*list = make(corev1.ResourceList)
	}
	(*list)[name] = quantity
}

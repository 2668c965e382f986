// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"cmp"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// Pod is what policies see of a Pod, or of a Pod template. It must not be changed.
type Pod struct {
	Namespace string
	Labels    map[string]string
	// HostNetwork Pods have the network of their node: policies do not select them, and to others they are the node.
	HostNetwork bool
	// Ports that have names.
	Ports []NamedPort
	// Addresses of the Pod. None means that they are not known.
	Addresses []netip.Addr
	// Node that the Pod runs on, or "" if that is not known.
	Node string
}

// NamedPort is a port of a Pod that has a name.
type NamedPort struct {
	Name     string
	Protocol corev1.Protocol
	Port     int32
}

// NamedPorts returns the ports of a Pod that have names: those of its containers and sidecars.
func NamedPorts(spec *corev1.PodSpec) []NamedPort {
	var ports []NamedPort
	add := func(c *corev1.Container) {
		for _, p := range c.Ports {
			if p.Name != "" {
				ports = append(ports, NamedPort{p.Name, cmp.Or(p.Protocol, corev1.ProtocolTCP), p.ContainerPort})
			}
		}
	}
	for i := range spec.Containers {
		add(&spec.Containers[i])
	}
	for i := range spec.InitContainers {
		if c := &spec.InitContainers[i]; c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add(c)
		}
	}
	return ports
}

// lookUp returns the ports of a Pod that have a name. There may be no Pod.
func (p *Pod) lookUp(n namedPort) Ports {
	var found Ports
	if p == nil {
		return found
	}
	for _, port := range p.Ports {
		if port.Name == n.name && (n.protocol == "" || n.protocol == port.Protocol) {
			found = found.Union(PortsOf(PortRange{port.Protocol, port.Port, port.Port}))
		}
	}
	return found
}

// End is one end of a connection: a Pod, or an address that is none of a Pod's.
type End struct {
	// Pod, unless there is an address. Two ends with the same pointer are the same Pod.
	Pod     *Pod
	Address netip.Addr
}

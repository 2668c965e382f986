// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"cmp"
	"hash/maphash"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/kubersafe/kubersafe/api/v1alpha1"
	"github.com/kubersafe/kubersafe/internal/netpol"
)

// ExposedPod is a Pod or Pod template with all that is known of its workload.
type ExposedPod struct {
	*PlacedPod
	Connections *ConnectedPod
	// Ways into it from outside of the cluster, the widest first.
	Ways []Way
	// Weaknesses are the checks with findings of high severity, or worse, that make it easier to take over the workload or to
	// break out of it, the worst first.
	Weaknesses []string

	seenIn v1alpha1.SeenIn
}

// Way is a way from outside of the cluster into a workload.
type Way struct {
	Entry Entry
	// Name of the object that lets in; "" for the Pod itself.
	Name string

	// ports of the Service that is let in by itself, or of the Pod; nil where a proxy in the cluster connects to it.
	ports []ServicePort
}

// Entry is what lets in from outside of the cluster, the widest first.
type Entry uint8

// The entries.
const (
	EntryLoadBalancer Entry = iota
	EntryIngress
	EntryHTTPRoute
	EntryNodePort
	EntryHostPort
)

// door is a way into the Pods that a Service selects.
type door struct {
	Way
	selector labels.Selector
}

// findDoors finds what lets in from outside of the cluster, the widest first.
func (n *Namespace) findDoors() {
	behind := make(map[string][]Way) // proxies, by the Service that they lead to
	lead := func(w Way, backends []string) {
		for _, service := range backends {
			behind[service] = append(behind[service], w)
		}
	}
	for _, i := range n.Ingresses {
		lead(Way{Entry: EntryIngress, Name: i.Name}, i.Backends)
	}
	for _, h := range n.HTTPRoutes {
		lead(Way{Entry: EntryHTTPRoute, Name: h.Name}, h.Backends)
	}
	for _, s := range n.Services {
		ways := behind[s.Name]
		switch {
		case s.Type == corev1.ServiceTypeLoadBalancer && !s.Internal && OpenRanges(s.SourceRanges):
			ways = append(ways, Way{EntryLoadBalancer, s.Name, s.Ports})
		case s.Type == corev1.ServiceTypeNodePort:
			ways = append(ways, Way{EntryNodePort, s.Name, s.Ports})
		}
		if len(ways) == 0 || s.Selector == nil {
			continue
		}
		selector := s.Selector.Selector()
		for _, w := range ways {
			n.doors = append(n.doors, door{w, selector})
		}
	}
	slices.SortStableFunc(n.doors, func(a, b door) int { return cmp.Or(cmp.Compare(a.Entry, b.Entry), cmp.Compare(a.Name, b.Name)) })
}

// waysInto returns the ways into a workload through Services. They matter only if something is granted to it: for any other none
// are looked for.
func (n *Namespace) waysInto(w *Workload) (ways []Way, matter bool) {
	matter = w.Template != nil && n.powerOf(w.Template).Granted
	for _, s := range w.Shapes() {
		matter = matter || n.powerOf(s).Granted
	}
	if !matter || len(n.doors) == 0 {
		return nil, matter
	}
	var all []*Labels
	for l := range w.podLabels() {
		if len(all) == 0 || !all[len(all)-1].equal(l) {
			all = append(all, l)
		}
	}
	for _, d := range n.doors {
		same := func(w Way) bool { return w.Entry == d.Entry && w.Name == d.Name } // one may lead to several Services
		if !slices.ContainsFunc(ways, same) && selectsAny(d.selector, all) {
			ways = append(ways, d.Way)
		}
	}
	return ways, true
}

func selectsAny(selector labels.Selector, all []*Labels) bool {
	return slices.ContainsFunc(all, func(l *Labels) bool { return selector.Matches(l) })
}

// OpenRanges says whether ranges that may reach a load balancer are all addresses.
func OpenRanges(ranges []string) bool {
	return len(ranges) == 0 || slices.Contains(ranges, "0.0.0.0/0") || slices.Contains(ranges, "::/0")
}

// hashOfWays stands for ways.
func hashOfWays(ways []Way) uint64 {
	var hash maphash.Hash
	hash.SetSeed(seed)
	for _, w := range ways {
		maphash.WriteComparable(&hash, w.Entry)
		maphash.WriteComparable(&hash, w.Name)
		for _, p := range w.ports {
			maphash.WriteComparable(&hash, p)
		}
		maphash.WriteComparable(&hash, len(w.ports))
	}
	return hash.Sum64()
}

// open returns the ways into the Pod, by its workload's and its own ports on the node, that network policies leave open. Whom a
// proxy lets in, they cannot tell.
func (p *ExposedPod) open(ways []Way) []Way {
	var ports []ServicePort // of the node
	for c := range p.Containers() {
		for _, port := range c.Ports {
			if port.HostPort > 0 {
				ports = append(ports, ServicePort{Protocol: cmp.Or(port.Protocol, corev1.ProtocolTCP), TargetPort: port.ContainerPort})
			}
		}
	}
	if len(ports) > 0 {
		ways = append(slices.Clip(ways), Way{Entry: EntryHostPort, ports: ports})
	}
	if len(ways) == 0 {
		return nil
	}
	from := p.Connections.Network.View.Internet(p.Connections.Pod, netpol.Ingress)
	var open []Way
	for _, w := range ways {
		if w.ports == nil || slices.ContainsFunc(w.ports, func(port ServicePort) bool { return p.admits(from, port) }) {
			open = append(open, w)
		}
	}
	return open
}

// admits says whether what a port of a Service leads to is among ports.
func (p *ExposedPod) admits(ports netpol.Ports, port ServicePort) bool {
	if port.TargetName == "" {
		return ports.Contains(port.Protocol, cmp.Or(port.TargetPort, port.Port))
	}
	return slices.ContainsFunc(p.Connections.Ports, func(named netpol.NamedPort) bool {
		return named.Name == port.TargetName && named.Protocol == port.Protocol && ports.Contains(named.Protocol, named.Port)
	})
}

// weaknesses returns the checks with findings of high severity, or worse, that make it easier to take over a workload or to
// break out of it, the worst first.
func (s *Set) weaknesses(findings []Finding) []string {
	sorted := slices.Clone(findings)
	slices.SortFunc(sorted, compareFindings)
	var ids []string
	for _, f := range sorted {
		if Rank(f.Severity) < Rank(v1alpha1.SeverityHigh) {
			break
		}
		category := s.byID[f.Check].Category
		if (category == CategoryPodSecurity || category == CategoryImages) && !slices.Contains(ids, f.Check) {
			ids = append(ids, f.Check)
		}
	}
	return ids
}

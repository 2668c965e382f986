// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package netpol

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// protocols that policies tell apart. To them there are no others.
var protocols = [...]corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}

const (
	firstPort = 1
	lastPort  = 65535
)

// PortRange is a range of ports of one protocol, both ends included.
type PortRange struct {
	Protocol    corev1.Protocol
	First, Last int32
}

// String returns "8080", "8080-8090", or "all".
func (r PortRange) String() string {
	switch {
	case r.First == firstPort && r.Last == lastPort:
		return "all"
	case r.First == r.Last:
		return fmt.Sprint(r.First)
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

type span struct{ first, last int32 }

// Ports is a set of ports of all protocols. The zero value is the empty set. A set is never changed.
type Ports struct {
	// spans of each protocol: sorted, and with a gap between one and the next.
	spans [len(protocols)][]span
}

var everyPort = []span{{firstPort, lastPort}}

// AllPorts returns the set of all ports of all protocols.
func AllPorts() Ports {
	return Ports{spans: [len(protocols)][]span{everyPort, everyPort, everyPort}}
}

// PortsOf returns the set with one range. What is no port, or of no protocol that policies know, is not in it.
func PortsOf(r PortRange) Ports {
	var p Ports
	i := slices.Index(protocols[:], r.Protocol)
	first, last := max(r.First, firstPort), min(r.Last, lastPort)
	switch {
	case i < 0 || first > last:
	case first == firstPort && last == lastPort:
		p.spans[i] = everyPort
	default:
		p.spans[i] = []span{{first, last}}
	}
	return p
}

// Empty says whether there is no port in the set.
func (p Ports) Empty() bool {
	for _, spans := range p.spans {
		if len(spans) > 0 {
			return false
		}
	}
	return true
}

// All says whether all ports of all protocols are in the set.
func (p Ports) All() bool {
	for _, spans := range p.spans {
		if !slices.Equal(spans, everyPort) {
			return false
		}
	}
	return true
}

// Contains says whether a port is in the set.
func (p Ports) Contains(protocol corev1.Protocol, port int32) bool {
	i := slices.Index(protocols[:], protocol)
	return i >= 0 && slices.ContainsFunc(p.spans[i], func(s span) bool { return s.first <= port && port <= s.last })
}

// Equal says whether two sets have the same ports.
func (p Ports) Equal(q Ports) bool {
	for i := range p.spans {
		if !slices.Equal(p.spans[i], q.spans[i]) {
			return false
		}
	}
	return true
}

// Union returns the ports that are in either set.
func (p Ports) Union(q Ports) Ports {
	return combine(p, q, unite)
}

// Intersect returns the ports that are in both sets.
func (p Ports) Intersect(q Ports) Ports {
	return combine(p, q, intersect)
}

// Minus returns the ports that are in the set and not in the other.
func (p Ports) Minus(q Ports) Ports {
	return combine(p, q, func(a, b []span) []span { return intersect(a, complement(b)) })
}

// Ranges returns the set, sorted by protocol (TCP, UDP, SCTP) and port.
func (p Ports) Ranges() []PortRange {
	var ranges []PortRange
	for i, spans := range p.spans {
		for _, s := range spans {
			ranges = append(ranges, PortRange{protocols[i], s.first, s.last})
		}
	}
	return ranges
}

// String returns "all ports", "no port", or a list such as "TCP 80, TCP 8080-8090, all of UDP".
func (p Ports) String() string {
	if p.All() {
		return "all ports"
	}
	if p.Empty() {
		return "no port"
	}
	var parts []string
	for _, r := range p.Ranges() {
		if text := r.String(); text == "all" {
			parts = append(parts, "all of "+string(r.Protocol))
		} else {
			parts = append(parts, string(r.Protocol)+" "+text)
		}
	}
	return strings.Join(parts, ", ")
}

func combine(p, q Ports, of func(a, b []span) []span) Ports {
	var r Ports
	for i := range p.spans {
		r.spans[i] = of(p.spans[i], q.spans[i])
	}
	return r
}

func unite(a, b []span) []span {
	switch {
	case len(a) == 0 || len(b) == 1 && b[0] == everyPort[0]:
		return b
	case len(b) == 0 || len(a) == 1 && a[0] == everyPort[0]:
		return a
	}
	var out []span
	for len(a)+len(b) > 0 {
		var next span
		if len(b) == 0 || len(a) > 0 && a[0].first <= b[0].first {
			next, a = a[0], a[1:]
		} else {
			next, b = b[0], b[1:]
		}
		if n := len(out); n > 0 && next.first <= out[n-1].last+1 {
			out[n-1].last = max(out[n-1].last, next.last)
		} else {
			out = append(out, next)
		}
	}
	return out
}

func intersect(a, b []span) []span {
	switch {
	case len(a) == 0 || len(b) == 0:
		return nil
	case len(a) == 1 && a[0] == everyPort[0]:
		return b
	case len(b) == 1 && b[0] == everyPort[0]:
		return a
	}
	var out []span
	for i, j := 0, 0; i < len(a) && j < len(b); {
		if s := (span{max(a[i].first, b[j].first), min(a[i].last, b[j].last)}); s.first <= s.last {
			out = append(out, s)
		}
		if a[i].last < b[j].last {
			i++
		} else {
			j++
		}
	}
	return out
}

func complement(a []span) []span {
	var out []span
	next := int32(firstPort)
	for _, s := range a {
		if next < s.first {
			out = append(out, span{next, s.first - 1})
		}
		next = s.last + 1
	}
	if next <= lastPort {
		out = append(out, span{next, lastPort})
	}
	return out
}

// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/internal/rbac"
)

// TestInputsOfTheWaysIn: what leads into a workload is an input of its verdict where the workload has power, and nowhere else.
func TestInputsOfTheWaysIn(t *testing.T) {
	set := newSet(t)
	inputsOf := func(granted bool, change func(*Inventory)) Inputs {
		i := Inventory{Surroundings: Surroundings{Name: "shop", Powers: Powers{Others: rbac.Power{Granted: granted}}}}
		i.Pods = []*PodRecord{{Object: Object{Name: "web", UID: "web"}, Labels: NewLabels(map[string]string{"app": "web"}), Shape: webShape}}
		service := func(name, app string, kind corev1.ServiceType) *ServiceRecord {
			return &ServiceRecord{Object: Object{Name: name, UID: UID(name)}, ServiceFacts: ServiceFacts{
				Type: kind, Selector: NewLabels(map[string]string{"app": app}), Ports: []ServicePort{{Protocol: corev1.ProtocolTCP, Port: 80}},
			}}
		}
		i.Services = []*ServiceRecord{
			service("web", "web", corev1.ServiceTypeClusterIP), service("db", "db", corev1.ServiceTypeClusterIP), service("door", "web", corev1.ServiceTypeLoadBalancer),
		}
		i.Ingresses = []*IngressRecord{{Object: Object{Name: "shop"}, IngressFacts: IngressFacts{Backends: []string{"web"}}}}
		i.HTTPRoutes = []*HTTPRouteRecord{{Object: Object{Name: "shop"}, HTTPRouteFacts: HTTPRouteFacts{Backends: []string{"web"}}}}
		change(&i)
		ns := Fold(i, time.Now())
		return set.InputsOf(ns, ns.Workloads[0])
	}
	for name, tc := range map[string]struct {
		change func(*Inventory)
		want   bool
	}{
		"nothing":             {func(*Inventory) {}, true},
		"a Service of others": {func(i *Inventory) { i.Services[1].Type = corev1.ServiceTypeLoadBalancer }, true},
		"an Ingress to others": {func(i *Inventory) {
			i.Ingresses = append(i.Ingresses, &IngressRecord{IngressFacts: IngressFacts{Backends: []string{"db"}}})
		}, true},
		"its Service opened":                {func(i *Inventory) { i.Services[0].Type = corev1.ServiceTypeNodePort }, false},
		"its Service closed":                {func(i *Inventory) { i.Services[2].Internal = true }, false},
		"known addresses alone":             {func(i *Inventory) { i.Services[2].SourceRanges = []string{"10.0.0.0/8"} }, false},
		"known addresses and all others":    {func(i *Inventory) { i.Services[2].SourceRanges = []string{"10.0.0.0/8", "::/0"} }, true},
		"another port":                      {func(i *Inventory) { i.Services[2].Ports[0].TargetPort = 8080 }, false},
		"another protocol":                  {func(i *Inventory) { i.Services[2].Ports[0].Protocol = corev1.ProtocolUDP }, false},
		"its Ingress leads elsewhere":       {func(i *Inventory) { i.Ingresses[0].Backends = []string{"db"} }, false},
		"its route leads elsewhere":         {func(i *Inventory) { i.HTTPRoutes[0].Backends = nil }, false},
		"a Service without selector":        {func(i *Inventory) { i.Services[2].Selector = nil }, false},
		"a Service that selects it no more": {func(i *Inventory) { i.Services[2].Selector = NewLabels(map[string]string{"app": "db"}) }, false},
	} {
		for _, granted := range []bool{true, false} {
			before, after := inputsOf(granted, func(*Inventory) {}), inputsOf(granted, tc.change)
			if got, want := after.Equal(&before), tc.want || !granted; got != want {
				t.Errorf("%s, with power %v: equal %v, want %v", name, granted, got, want)
			}
		}
	}
}

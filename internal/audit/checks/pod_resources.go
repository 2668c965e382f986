// Copyright The kubersafe Authors.
// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/kubersafe/kubersafe/internal/audit"
)

// amounts is one of the two lists of spec.containers[*].resources.
type amounts string

const (
	requests amounts = "requests"
	limits   amounts = "limits"
)

// mustSet returns the function of a check that wants an amount of a resource from every container that is there from the
// start. A LimitRange gives Pods to come what their template leaves open; live Pods have it already.
func mustSet(list amounts, resource corev1.ResourceName) func(*audit.PlacedPod, *audit.Reporter) {
	field := fmt.Sprintf("resources.%s.%s", list, resource)
	return func(pod *audit.PlacedPod, r *audit.Reporter) {
		for c := range pod.Containers() {
			if c.Ephemeral() {
				continue // it can set none
			}
			set, positive := amountOf(pod.Pod, c, list, resource)
			must := "must set"
			switch {
			case positive, !set && pod.Template && hasDefault(pod.Around, list, resource):
				continue
			case set:
				must = "must not have 0 as"
			}
			r.Find(audit.Finding{
				Message:   ofContainer(c.Name, must+" "+field),
				Container: c.Name,
				Path:      c.Path(field),
			})
		}
	}
}

// amountOf says whether a container or its Pod sets an amount, and whether that is more than nothing: 0 bounds nothing
// and reserves nothing.
func amountOf(pod *audit.Pod, c audit.Container, list amounts, resource corev1.ResourceName) (set, positive bool) {
	set, positive = amountIn(&c.Resources, list, resource)
	if pod.Spec.Resources != nil && !positive {
		_, positive = amountIn(pod.Spec.Resources, list, resource)
	}
	return set, positive
}

func amountIn(given *corev1.ResourceRequirements, list amounts, resource corev1.ResourceName) (set, positive bool) {
	amount, set := given.Limits[resource]
	if list == requests {
		if request, ok := given.Requests[resource]; ok {
			amount, set = request, true // else the API server makes the limit the request
		}
	}
	return set, amount.Sign() > 0
}

func hasDefault(around *audit.Surroundings, list amounts, resource corev1.ResourceName) bool {
	return slices.ContainsFunc(around.LimitRanges, func(l *audit.LimitRangeRecord) bool {
		if list == requests {
			return slices.Contains(l.DefaultRequests, resource)
		}
		return slices.Contains(l.DefaultLimits, resource)
	})
}
